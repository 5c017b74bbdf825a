import json
from pathlib import Path

import pytest

from vista3d import anatomy
from vista3d.anatomy.lookup import nearest
from vista3d.errors import UnknownClassError, UsageError


def test_the_table_is_whole():
    table = anatomy.STRUCTURES
    assert sorted(table) == list(range(1, 346))
    assert len({s.name for s in table.values()}) == 345
    assert len({s.colour for s in table.values()}) == 345
    assert sum(s.source == "CT" for s in table.values()) == 132


def test_properties_from_the_fact_sheet():
    table = anatomy.STRUCTURES
    assert {i for i in range(1, 133) if not table[i].trained} == {16, 18, 129, 130, 131}
    assert {i for i, s in table.items() if s.special} == {23, 24, 25, 26, 27, 57, 128}
    assert table[2].parts == (14, 5)
    assert table[20].parts == (28, 29, 30, 31, 32)
    assert len(table[21].parts) == 62
    everything = anatomy.everything()
    assert len(everything) == 117
    left_out = {2, 16, 18, 20, 21, 23, 24, 25, 26, 27, 128, 129, 130, 131, 132}
    assert set(everything) == set(range(1, 133)) - left_out


def test_the_ct_classes_have_snomed_codes():
    without = [s.name for s in anatomy.STRUCTURES.values() if s.id <= 132 and s.type is None]
    assert without == ["prostate or uterus", "vertebrae S1", "vertebrae L6"]
    liver = anatomy.by_id(1)
    assert (liver.type.value, liver.type.scheme, liver.type.meaning) == ("10200004", "SCT", "Liver")
    for s in anatomy.STRUCTURES.values():
        if s.laterality and s.id <= 132:
            assert s.modifier.meaning.lower() == s.laterality


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Liver", (1,)),
        ("LEFT_KIDNEY", (14,)),
        ("kidney", (14, 5)),
        ("kidneys", (14, 5)),
        ("lung", (28, 29, 30, 31, 32)),
        ("vertebrae_L3", (35,)),
        ("rib_left_4", (66,)),
        ("brainstem", (220,)),
        ("left iliac vein", (60,)),
        ("115", (115,)),
        (115, (115,)),
        ("ribs", tuple(range(63, 87))),
        ("bone", None),
        ("vertebrae", None),
    ],
)
def test_find(query: str | int, ids: tuple[int, ...] | None):
    found = tuple(s.id for s in anatomy.find(query))
    if ids is None:
        assert set(range(33, 57)) <= set(found)
    else:
        assert found == ids


def test_resolve_expands_keeps_order_and_repeats_nothing():
    assert anatomy.resolve(["spleen", "kidney", "left kidney", 3]) == (3, 14, 5)
    assert anatomy.resolve("everything") == anatomy.everything()


def test_everything_by_modality():
    body, brain = anatomy.everything("mr"), anatomy.everything("mr-brain")
    assert len(body) == 50
    assert {anatomy.by_id(i).name for i in body} >= {"liver", "spleen", "left lung", "vertebrae"}
    assert len(brain) == 132
    assert {anatomy.by_id(i).group for i in brain} == {"brain"}
    assert all(anatomy.by_id(i).trained for i in (*body, *brain))
    with pytest.raises(UsageError, match="unknown modality 'pet': one of ct, mr, mr-brain"):
        anatomy.everything("pet")


def test_unknown_and_untrained_classes():
    with pytest.raises(UnknownClassError, match=r"unknown class 'livr': did you mean liver\?"):
        anatomy.resolve(["livr"])
    with pytest.raises(UnknownClassError, match="never trained"):
        anatomy.resolve(["rectum"])
    with pytest.raises(UnknownClassError, match="class id 999 does not exist"):
        anatomy.resolve([999])


def test_a_class_is_suggested_once_and_by_its_name():
    near = nearest("mandible")
    assert near[:2] == ["left mandible", "right mandible"]
    found = [anatomy.find(name) for name in near]
    assert len(set(found)) == len(found)
    assert "kidney" in nearest("kidny")
    assert nearest("rectums") != ["rectum"], "no model was trained on it"


def test_mirror():
    assert anatomy.mirror(14) == 5
    assert anatomy.mirror(5) == 14
    assert anatomy.mirror(1) == 1
    assert anatomy.mirror(31) == 31  # the middle lobe has no partner
    for s in anatomy.STRUCTURES.values():
        assert anatomy.mirror(anatomy.mirror(s.id)) == s.id, s.name


def test_search():
    assert {s.id for s in anatomy.search("kidney")} >= {2, 5, 14, 116, 117}
    assert anatomy.search("no such thing") == []
    assert [s.id for s in anatomy.search("5")] == [5]


def test_every_totalsegmentator_name_maps(corpus: Path):
    for folder in ("Dataset103_TorsoPseudo", "Dataset105_LabelMaps"):
        labels = json.loads((corpus / folder / "dataset.json").read_text())["labels"]
        mapped = anatomy.dataset_ids(labels)
        assert [k for k, v in labels.items() if v not in mapped] == ["background"]
        assert len(set(mapped.values())) == len(mapped)


def test_openkbp_names(corpus: Path):
    labels = json.loads((corpus / "Dataset101_OpenKBP" / "dataset.json").read_text())["labels"]
    mapped = anatomy.dataset_ids(labels)
    names = {k: mapped.get(v) for k, v in labels.items()}
    assert names == {
        "background": None,
        "brainstem": 220,
        "spinal_cord": 121,
        "parotid_gland_right": 205,
        "parotid_gland_left": 204,
        "esophagus": 11,
        "larynx": 210,
        "mandible": None,  # two ids in the table: no single answer
    }
