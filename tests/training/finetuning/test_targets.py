import pytest

from vista3d.anatomy import Vocabulary
from vista3d.errors import UnknownClassError, UsageError
from vista3d.training.finetuning.targets import Target, parse_targets

TABLE, OWN = Vocabulary(), Vocabulary.of({346: "my tumour"})


def test_known_and_new_classes():
    found = parse_targets("1:pancreas, 2:new:my  tumour ,cyst:new:My cyst", TABLE, 512)
    assert found == (
        Target("1", 4),
        Target("2", 346, "my tumour"),
        Target("cyst", 347, "My cyst"),
    )


def test_a_class_that_the_model_has_keeps_its_row():
    assert parse_targets("2:new:My Tumour,1:new:other", OWN, 512) == (
        Target("2", 346, "my tumour"),
        Target("1", 347, "other"),
    )
    assert parse_targets("2:my tumour", OWN, 512) == (Target("2", 346, "my tumour"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("1", "LABEL:CLASS"),
        ("1:", "LABEL:CLASS"),
        ("1:new:", "needs a name"),
        ("1:new:12", "no number"),
        ("1:new:liver", "write 1:liver"),
        ("1:new:ribs", "write 1:ribs"),
        ("1:ribs", "stands for 24 classes"),
        ("1:liver,2:liver", "twice"),
        ("1:liver,1:spleen", "twice"),
        ("1:new:jaw,2:new:Jaw", "twice"),
    ],
)
def test_what_cannot_be_meant(text: str, message: str):
    with pytest.raises(UsageError, match=message):
        parse_targets(text, TABLE, 512)


def test_a_misspelt_class():
    with pytest.raises(UnknownClassError, match=r"did you mean pancreas.*write 1:new:pancreass"):
        parse_targets("1:pancreass", TABLE, 512)


def test_no_row_is_left():
    with pytest.raises(UsageError, match="its 347 are taken"):
        parse_targets("1:new:a,2:new:b", TABLE, 347)
