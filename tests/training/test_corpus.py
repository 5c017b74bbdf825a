from pathlib import Path

import numpy as np
import pytest

from vista3d.errors import InputError
from vista3d.training.corpus import NOVEL, SOURCES, is_validation, read_source, to_global


def test_split_by_patient_is_disjoint_and_stable(corpus: Path):
    train = read_source(corpus, SOURCES[0], "train")
    held_out = read_source(corpus, SOURCES[0], "validation")
    names = {c.name for c in train}, {c.name for c in held_out}
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == 230
    assert 35 <= len(names[1]) <= 57  # 20% of the patients
    assert is_validation("kbp_001", 0.2, 0) == ("kbp_001" in names[1])


def test_novel_structures_are_never_targets(corpus: Path):
    from vista3d import anatomy

    novel = {210, 200, 201}
    for source in SOURCES:
        for case in read_source(corpus, source, "train"):
            assert not novel & case.annotated
            assert not novel & set(case.mapping.values())
    assert {"larynx", "mandible", "tumour"} == NOVEL
    assert anatomy.by_id(210).name == "larynx"


def test_partial_labels_keep_their_own_class_sets(corpus: Path):
    cases = {c.name: c for c in read_source(corpus, SOURCES[1], "train")}
    assert len(cases["lidc_0001"].annotated) > 80
    assert len(cases["totalseg_heart"].annotated) == 2
    assert not any(case.annotated & case.absent for case in cases.values())


def test_unlisted_label_values_become_background():
    labels = np.array([0, 1, 2, 7])
    assert to_global(labels, {1: 3, 2: 121}).tolist() == [0, 3, 121, 0]


def test_missing_data_set_says_what_to_do(tmp_path: Path):
    with pytest.raises(InputError, match="point --data at a folder of nnU-Net raw data sets"):
        read_source(tmp_path, SOURCES[0], "train")
