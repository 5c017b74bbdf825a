import pytest

from vista3d import anatomy
from vista3d.anatomy import Vocabulary
from vista3d.errors import UnknownClassError, UsageError

OWN = Vocabulary.of({346: "my tumour", 347: "Jaw, left half"})


def test_own_names_beside_the_table():
    assert OWN.resolve("My_Tumour") == (346,)
    assert OWN.resolve(["jaw, left half", "liver", 346, "347", "kidney"]) == (347, 1, 346, 14, 5)
    assert OWN.by_id(346).name == "my tumour"
    assert OWN.by_id(1) is anatomy.by_id(1)
    assert 346 in OWN
    assert 1 in OWN
    assert 348 not in OWN


def test_own_names_come_first():
    assert Vocabulary.of({400: "liver"}).resolve("liver") == (400,)


def test_unknown_names_are_told_with_what_there_is():
    with pytest.raises(UnknownClassError, match="own classes: my tumour, Jaw"):
        OWN.resolve("my tumor")
    with pytest.raises(UnknownClassError, match=r"did you mean [^;]*$"):
        Vocabulary().resolve("livr")
    with pytest.raises(UnknownClassError, match=r"'livr': did you mean .*; .*'hart': did you mean"):
        Vocabulary().resolve(["livr", "spleen", "hart"])
    with pytest.raises(UnknownClassError, match="346 does not exist"):
        Vocabulary().resolve(346)


def test_only_what_the_model_was_trained_on_is_suggested():
    small = Vocabulary.of({}, anatomy.resolve(["liver", "left kidney", "ribs"]), "mini")
    with pytest.raises(UnknownClassError, match=r"'kidny': did you mean kidney, left kidney\?$"):
        small.resolve("kidny")
    for name in ("mandible", "left mandibl"):
        with pytest.raises(UnknownClassError, match=r"similar name: see `vista3d .* --model mini`"):
            small.resolve(name)


def test_what_the_model_was_not_trained_on_is_told_apart():
    small = Vocabulary.of({346: "my tumour"}, [1, 346], "mini")
    assert small.split(small.resolve(["my tumour", "spleen", "liver"])) == ((346, 1), ("spleen",))
    with pytest.raises(UsageError, match=r"not trained on spleen: see `vista3d classes --model mi"):
        small.split([3])
    assert Vocabulary().split([3]) == ((3,), ())


def test_without_own_names_it_is_the_table():
    for prompt in ("ribs", "everything", "left kidney", 12):
        assert Vocabulary().resolve(prompt) == anatomy.resolve(prompt)
