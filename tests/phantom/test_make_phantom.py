"""The phantom against published anatomy: volumes, places, HU; and its contract."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d import anatomy
from vista3d.errors import UsageError
from vista3d.phantom import REGIONS, make_phantom, phantom_grid
from vista3d.phantom.ids import number
from vista3d.volume import Volume

Phantom = tuple[Volume, np.ndarray]


def millilitres(phantom: Phantom, name: str) -> float:
    volume, labels = phantom
    voxel = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
    return float((labels == number(name)).sum() * voxel)


def middle(phantom: Phantom, name: str) -> np.ndarray:
    volume, labels = phantom
    where = np.argwhere(labels == number(name))
    assert len(where), f"{name} is missing"
    return volume.affine[:3, :3] @ where.mean(0) + volume.affine[:3, 3]


def test_contract(torso: Phantom) -> None:
    volume, labels = torso
    assert volume.array.dtype == np.int16
    assert labels.dtype == np.uint8
    assert labels.shape == volume.array.shape
    assert np.allclose(np.diag(volume.affine)[:3], 5)
    assert volume.array.min() >= -1024
    assert volume.array.max() <= 3071
    assert (volume.array[:, -1] < -900).mean() > 0.99  # air before the belly


def test_same_seed_same_image_other_seed_other_image() -> None:
    first, labels = make_phantom(4, spacing=(8, 8, 8), fov="chest")
    again, labels_again = make_phantom(4, spacing=(8, 8, 8), fov="chest")
    other, _ = make_phantom(5, spacing=(8, 8, 8), fov="chest")
    assert np.array_equal(first.array, again.array)
    assert np.array_equal(labels, labels_again)
    assert first.array.shape != other.array.shape or not np.array_equal(first.array, other.array)


# Ranges: ICRP 89 reference adults, widened to the scatter of CT volumetry.
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("liver", 850, 2000), ("spleen", 70, 350), ("left kidney", 90, 230),
        ("right kidney", 90, 230), ("pancreas", 35, 130), ("heart", 450, 1000),
        ("aorta", 120, 320), ("bladder", 45, 500), ("stomach", 120, 600), ("colon", 400, 1600),
        ("left lung upper lobe", 500, 1700), ("left lung lower lobe", 400, 1500),
        ("right lung upper lobe", 500, 1600), ("right lung middle lobe", 150, 700),
        ("right lung lower lobe", 350, 1500), ("vertebrae L1", 35, 80), ("vertebrae T6", 15, 40),
        ("sacrum", 130, 300), ("sternum", 25, 80), ("left hip", 220, 500), ("trachea", 20, 80),
    ],
)  # fmt: skip
def test_volumes_are_those_of_adults(torso: Phantom, name: str, low: float, high: float) -> None:
    assert low < millilitres(torso, name) < high


@pytest.mark.parametrize(
    ("name", "hu"),
    [("liver", (55, 90)), ("spleen", (90, 190)), ("left lung upper lobe", (-920, -740)),
     ("aorta", (250, 420)), ("bladder", (-25, 45)), ("trachea", (-1024, -850)),
     ("left gluteus maximus", (30, 80)), ("vertebrae L3", (120, 450))],
)  # fmt: skip
def test_hounsfield_units_in_arterial_phase(
    torso: Phantom, name: str, hu: tuple[float, float]
) -> None:
    volume, labels = torso
    assert hu[0] < np.median(volume.array[labels == number(name)]) < hu[1]


def test_sides_and_order(torso: Phantom) -> None:
    """Right is +x, front is +y, up is +z; organs lie on their sides and levels."""
    assert middle(torso, "liver")[0] > 20
    assert middle(torso, "spleen")[0] < -50
    assert middle(torso, "heart")[0] < middle(torso, "superior vena cava")[0]
    assert middle(torso, "inferior vena cava")[0] > middle(torso, "aorta")[0]
    assert middle(torso, "sternum")[1] > middle(torso, "vertebrae T6")[1] + 60
    for structure in anatomy.STRUCTURES.values():
        if structure.laterality and (torso[1] == structure.id).any():
            sign = 1 if structure.laterality == "right" else -1
            assert sign * middle(torso, structure.name)[0] > 5, structure.name
    levels = [f"vertebrae T{n}" for n in range(1, 13)] + [f"vertebrae L{n}" for n in range(1, 6)]
    heights = [middle(torso, name)[2] for name in levels]
    assert heights == sorted(heights, reverse=True)


def test_truth_holds_the_everything_classes_of_a_torso(torso: Phantom) -> None:
    """A torso shows the trained classes, except head, neck, tumours, cysts and airway branches."""
    missing = set(anatomy.everything()) - set(np.unique(torso[1]).tolist())
    names = {anatomy.by_id(i).name for i in missing}
    head = {"brain", "skull", *(f"vertebrae C{n}" for n in range(1, 6))}
    assert names <= head | {"left kidney cyst", "right kidney cyst"}


def test_every_structure_is_in_one_piece(torso: Phantom) -> None:
    """Organs do not fall apart into fragments: the largest part holds most of each."""
    from scipy.ndimage import label

    for name in ("liver", "spleen", "left kidney", "heart", "bladder", "sacrum", "stomach",
                 "left lung upper lobe", "left lung lower lobe", "vertebrae T10"):  # fmt: skip
        parts, count = label(torso[1] == number(name), np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel())[1:]
        assert count
        assert sizes.max() > 0.9 * sizes.sum(), name


def test_regions_hold_their_organs() -> None:
    _, abdomen = make_phantom(2, spacing=(6, 6, 6), fov="abdomen")
    _, head = make_phantom(2, spacing=(6, 6, 6), fov="head-neck")
    assert number("left kidney") in abdomen
    assert number("brain") not in abdomen
    assert {number("brain"), number("skull"), number("vertebrae C3")} <= set(np.unique(head))
    assert number("liver") not in head


@pytest.mark.parametrize("seed", range(6, 12))
def test_patients_vary_and_stay_whole(seed: int) -> None:
    phantom = make_phantom(seed, spacing=(8, 8, 8))
    for name in ("liver", "spleen", "right kidney", "heart", "pancreas", "vertebrae L2"):
        assert millilitres(phantom, name) > 10, name


def test_slabs_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Painting in thin slabs gives the image of one slab, but for rounding."""
    from vista3d.phantom import render

    whole, labels = make_phantom(3, spacing=(8, 8, 8), fov="chest")
    monkeypatch.setattr(render, "SLAB_VOXELS", 20_000)
    slabs, slab_labels = make_phantom(3, spacing=(8, 8, 8), fov="chest")
    assert np.mean(labels != slab_labels) < 1e-4
    assert np.abs(whole.array.astype(int) - slabs.array).max() < 40


def test_resolution_changes_sampling_not_anatomy() -> None:
    """Volumes agree between thick and thin slices."""
    thin = make_phantom(1, spacing=(5, 5, 3), fov="abdomen")
    thick = make_phantom(1, spacing=(5, 5, 6), fov="abdomen")
    for name in ("liver", "left kidney", "bladder"):
        assert millilitres(thick, name) == pytest.approx(millilitres(thin, name), rel=0.08)


def test_grid_follows_spacing_and_region() -> None:
    grid = phantom_grid(0, (2.0, 2.5, 3.0), "chest")
    low, high = REGIONS["chest"]
    assert grid.spacing == (2.0, 2.5, 3.0)
    assert (grid.shape[2] - 1) * 3.0 == pytest.approx((high - low), rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "negative"),
        ({"seed": 0, "fov": "foot"}, "foot"),
        ({"seed": 0, "spacing": (0.1, 1, 1)}, "0.5 to 20"),
        ({"seed": 0, "spacing": (1, 1)}, "three numbers"),
        ({"seed": 0, "spacing": (float("nan"), 1, 1)}, "0.5 to 20"),
    ],
)
def test_refuses_what_cannot_be_meant(arguments: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_phantom(**arguments)
