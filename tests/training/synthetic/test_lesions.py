"""Painted lesions: inside the organ, of the density and size that the table promises."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d import anatomy
from vista3d.errors import UsageError
from vista3d.training.synthetic.lesion_kinds import KIDNEY_CYSTS, ORGANS, class_of
from vista3d.training.synthetic.lesions import paint_lesions
from vista3d.training.synthetic.phase import contrast_phase

LIVER, PANCREAS, RIGHT_KIDNEY, LEFT_KIDNEY, AORTA, LUNG, VERTEBRA = 1, 4, 5, 14, 6, 29, 36
DENSITY = {LIVER: 60, PANCREAS: 45, RIGHT_KIDNEY: 35, LEFT_KIDNEY: 35, LUNG: -860, VERTEBRA: 220}
SITES = {"liver": {LIVER}, "kidney": {RIGHT_KIDNEY, LEFT_KIDNEY}, "lung": {LUNG},
         "pancreas": {PANCREAS}, "bone": {VERTEBRA}}  # fmt: skip


def _patient(
    spacing: tuple[float, float, float], aorta: float = 40
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of organs in fat, with 8 HU of noise: 16 x 8 x 8 cm."""
    shape = [int(mm / s) for mm, s in zip((160, 80, 80), spacing, strict=True)]
    labels = np.zeros(shape, np.uint8)
    organs = (LIVER, LUNG, VERTEBRA, PANCREAS, RIGHT_KIDNEY, LEFT_KIDNEY, AORTA)
    for number, organ in enumerate(organs):
        start, stop = ((number * 22 + 4) / spacing[0], (number * 22 + 24) / spacing[0])
        labels[int(start) : int(stop), 4:-4, 4:-4] = organ
    hu = np.full(shape, -100.0)
    for organ, density in {**DENSITY, AORTA: aorta}.items():
        hu[labels == organ] = density
    return hu + 8 * np.random.default_rng(0).standard_normal(shape), labels


@pytest.fixture(scope="module")
def patient() -> tuple[np.ndarray, np.ndarray]:
    return _patient((2, 2, 2))


@pytest.mark.parametrize("organ", list(ORGANS))
def test_only_the_organ_changes_and_only_painted_voxels_are_relabelled(patient, organ):
    hu, labels = patient
    before = hu.copy(), labels.copy()
    new, ids, found = paint_lesions(hu, labels, (2, 2, 2), np.random.default_rng(1), [organ], 3)
    assert found
    assert np.array_equal(hu, before[0])  # the inputs stay as they were
    assert np.array_equal(labels, before[1])
    changed = new != hu.astype(np.float32)
    assert set(np.unique(labels[changed])) <= SITES[organ]
    assert changed[ids != labels].all()
    allowed = {lesion.class_id for lesion in found}
    assert set(np.unique(ids[ids != labels])) <= allowed
    assert new.dtype == np.float32
    assert ids.dtype == labels.dtype


@pytest.mark.parametrize("organ", list(ORGANS))
def test_records_say_what_the_voxels_say(patient, organ):
    hu, labels = patient
    new, ids, found = paint_lesions(hu, labels, (2, 2, 2), np.random.default_rng(5), [organ], 1)
    (lesion,) = found
    assert lesion.organ == organ
    assert lesion.kind in {kind.name for kind in ORGANS[organ].kinds}
    painted = ids != labels
    if lesion.class_id != labels[lesion.centre]:  # masses of the kidney keep its label
        assert lesion.volume_ml == pytest.approx(painted.sum() * 8e-3, abs=1e-3)
        assert lesion.mean_hu == pytest.approx(new[painted].mean(), abs=0.1)
        assert ids[lesion.centre] == lesion.class_id
    assert lesion.diameter_mm == pytest.approx(np.cbrt(6000 * lesion.volume_ml / np.pi), rel=0.01)
    assert anatomy.by_id(lesion.class_id).trained


def test_densities_lie_in_the_table(patient):
    """Without core, rim and calcium, the mean inside is the density that was drawn."""
    hu, labels = patient
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, _, found = paint_lesions(hu, labels, (2, 2, 2), rng, ["lung", "kidney", "bone"], 1)
        for lesion in found:
            kind = next(k for k in ORGANS[lesion.organ].kinds if k.name == lesion.kind)
            low, high = kind.density.native
            base = lesion.organ_hu if kind.density.relative else 0
            plain = not (kind.core.chance or kind.rim.chance or kind.calcified)
            if not plain or lesion.volume_ml < 0.4:  # small ones are mostly margin
                continue
            seen.add(kind.name)
            # The margin mixes with the organ; textures vary by a few HU.
            margin = 0.35 * abs(base + (low + high) / 2 - lesion.organ_hu) + kind.texture[1]
            assert base + low - margin < lesion.mean_hu < base + high + margin, lesion
    assert {"simple cyst", "ground-glass nodule", "sclerotic metastasis"} <= seen


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 4.0), (4.0, 4.0, 4.0)])
def test_lesions_have_their_size_at_any_spacing(spacing):
    hu, labels = _patient(spacing)
    sizes = []
    for seed in range(12):
        _, _, found = paint_lesions(hu, labels, spacing, np.random.default_rng(seed), ["lung"], 1)
        sizes += [lesion.diameter_mm for lesion in found]
    # The boxes are 20 mm thick, so nothing is larger.
    assert 6 < np.median(sizes) < 20
    assert max(sizes) < 26


def test_the_phase_decides_what_a_tumour_looks_like():
    arterial = _patient((2, 2, 2), aorta=300)
    native = _patient((2, 2, 2), aorta=40)
    difference = {}
    for name, (hu, labels) in (("arterial", arterial), ("native", native)):
        found = []
        for seed in range(25):
            rng = np.random.default_rng(seed)
            found += paint_lesions(hu, labels, (2, 2, 2), rng, ["liver"], 1)[2]
        chosen = [le for le in found if le.kind == "hepatocellular carcinoma"]
        assert {lesion.phase for lesion in chosen} == {name}
        difference[name] = np.mean([lesion.mean_hu - lesion.organ_hu for lesion in chosen])
    assert difference["arterial"] > 5 > 0 > difference["native"]


@pytest.mark.parametrize(
    ("aorta", "phase"), [(40, "native"), (130, "portal venous"), (300, "arterial")]
)
def test_phase_from_the_aorta(aorta, phase):
    assert contrast_phase(*_patient((4, 4, 4), aorta)) == phase


def test_phase_without_an_aorta_is_read_from_the_liver():
    hu, labels = _patient((4, 4, 4), aorta=300)
    labels[labels == AORTA] = 0
    assert contrast_phase(hu, labels) == "native"
    assert contrast_phase(hu + 50, labels) == "portal venous"
    assert contrast_phase(hu, np.zeros_like(labels)) == "native"


def test_ground_glass_leaves_vessels_visible():
    hu, labels = _patient((2, 2, 2))
    vessel = np.zeros(hu.shape, bool)
    vessel[:, ::4, ::4] = True
    hu[vessel & (labels == LUNG)] = 40
    seen = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        new, ids, (lesion,) = paint_lesions(hu, labels, (2, 2, 2), rng, ["lung"], 1)
        change, inside = new - hu, ids != labels
        if lesion.kind == "ground-glass nodule" and (inside & vessel).any():
            seen += 1
            assert np.abs(change[inside & vessel]).max() < 20
            assert np.median(change[inside & ~vessel]) > 80
    assert seen >= 3


def test_lesions_do_not_overlap(patient):
    """Masses of the kidney keep its label, and still nothing is painted over them."""
    hu, labels = patient
    for seed in range(8):
        centre = []
        for count in range(1, 5):
            rng = np.random.default_rng(seed)
            new, _, found = paint_lesions(hu, labels, (2, 2, 2), rng, ["kidney"], count)
            values = [float(new[lesion.centre]) for lesion in found]
            assert values[: len(centre)] == centre
            centre = values


def test_cysts_are_told_apart_by_side():
    assert KIDNEY_CYSTS == {14: 116, 5: 117}
    for kidney, cyst in KIDNEY_CYSTS.items():
        side = anatomy.by_id(kidney).laterality
        assert anatomy.by_id(cyst).name == f"{side} kidney cyst"
        assert class_of(ORGANS["kidney"].kinds[0], (kidney,)) == cyst


def test_every_class_of_the_table_can_be_trained():
    for organ in ORGANS.values():
        assert sum(kind.share for kind in organ.kinds) == pytest.approx(1)
        for kind in organ.kinds:
            for site in organ.sites:
                assert anatomy.by_id(class_of(kind, site)).trained


def test_same_seed_same_lesions(patient):
    hu, labels = patient
    one, two, other = (
        paint_lesions(hu, labels, (2, 2, 2), np.random.default_rng(seed), ["liver", "lung"], 2)
        for seed in (3, 3, 4)
    )
    assert np.array_equal(one[0], two[0])
    assert one[2] == two[2]
    assert not np.array_equal(one[0], other[0])


def test_an_unknown_organ_and_a_missing_one_are_named():
    hu, labels = _patient((4, 4, 4))
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="'spleen': choose from liver, kidney"):
        paint_lesions(hu, labels, (4, 4, 4), rng, ["spleen"])
    with pytest.raises(UsageError, match="the label map has no liver"):
        paint_lesions(hu, np.zeros_like(labels), (4, 4, 4), rng, ["liver"])


def test_an_organ_without_room_gets_none(caplog):
    hu = np.full((6, 6, 6), 60.0)
    labels = np.zeros(hu.shape, np.uint8)
    labels[3, 3, 3] = LIVER
    new, _, found = paint_lesions(hu, labels, (4, 4, 4), np.random.default_rng(0), ["liver"])
    assert found == []
    assert np.array_equal(new, hu)
    assert "no place for a lesion of the liver" in caplog.text
