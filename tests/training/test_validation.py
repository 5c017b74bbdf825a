"""Dice of class prompts on a whole scan."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, made_up
from tests.training.recipes import AUTO, POINTS, recipe
from vista3d.inference.windows import WindowGrid
from vista3d.network.vista3d import Vista3D
from vista3d.training import validation
from vista3d.training.data.prepared import Prepared
from vista3d.training.points import Rounds
from vista3d.training.sampler import ClickBatch
from vista3d.volume import normalise


@pytest.mark.parametrize("size", [16, 32, 48])
def test_what_is_found_anywhere_in_the_scan_counts_once(size: int, monkeypatch: pytest.MonkeyPatch):
    """A network that takes everything denser than the right kidney for a liver."""
    case = made_up()
    image = np.array(case.image)
    image[30:40, 0:10, 30:40] = 200  # far from the liver, in the corner of the scan
    wrong = 1000
    case = replace(case, image=image)

    def thresholded(model: Vista3D, window: torch.Tensor, ids: list[int]) -> torch.Tensor:
        dense = window[0, 0] > float(normalise(np.array([32.0]))[0])
        return torch.stack([dense if i == LIVER else torch.zeros_like(dense) for i in ids])

    monkeypatch.setattr(validation, "_found", thresholded)
    found = validation.scan_dice(Vista3D(recipe().network).eval(), case, size)
    labels = np.asarray(case.labels)
    liver, kidney = (labels == LIVER).sum(), (labels == LEFT_KIDNEY).sum()
    assert found == {
        LIVER: pytest.approx(2 * liver / (liver + liver + kidney + wrong)),
        RIGHT_KIDNEY: 0,
        LEFT_KIDNEY: 0,
    }


def test_a_voxel_is_measured_in_the_window_whose_centre_is_nearest(
    monkeypatch: pytest.MonkeyPatch,
):
    """A network that finds nothing in the outer eighth of its window, as young ones do."""
    case, size = made_up(), 32
    truth = np.argwhere(np.asarray(case.labels) == LIVER)
    starts = np.array(WindowGrid.over(case.labels.shape, (size,) * 3, 0.25, "even").starts)
    first = [start for start in starts if ((truth >= start) & (truth < start + size)).all(1).any()]
    assert len(first) > 1, "the liver must lie in more than one window"

    def central(model: Vista3D, window: torch.Tensor, ids: list[int]) -> torch.Tensor:
        dense = window[0, 0] > float(normalise(np.array([32.0]))[0])
        inner = torch.zeros_like(dense)
        inner[4:-4, 4:-4, 4:-4] = True
        return torch.stack([dense & inner if i == LIVER else torch.zeros_like(dense) for i in ids])

    monkeypatch.setattr(validation, "_found", central)
    found = validation.scan_dice(Vista3D(recipe().network).eval(), case, size)
    labels = np.asarray(case.labels)
    liver, kidney = (labels == LIVER).sum(), (labels == LEFT_KIDNEY).sum()
    assert found[LIVER] == pytest.approx(2 * liver / (liver + liver + kidney))


def test_clicks_are_measured_on_what_they_are_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A liver with its tumour, and the tumour with the token of ambiguous classes."""
    tumour = 26
    case, asked = made_up(), list[ClickBatch]()
    labels = np.array(case.labels)
    whole = int((labels == LIVER).sum())
    labels[9:13, 18:22, 24:28] = tumour
    locations = {i: np.argwhere(labels == i) for i in (LIVER, tumour)}
    annotated = frozenset(locations)
    case = replace(case, labels=labels, locations=locations, annotated=annotated)

    def heard(model, feature, batch, *_):
        asked.append(batch)
        return Rounds([0.0], [0.5] * 5, torch.zeros(feature.shape[2:], dtype=torch.bool))

    monkeypatch.setattr(validation, "click_rounds", heard)
    model = Vista3D(recipe().network).eval()
    validation.validate(model, POINTS, [case], tmp_path / "picture.png")
    found = [(int(batch.masks.sum()), bool(batch.special)) for batch in asked]
    assert found == [(whole, False), (64, True)]


def test_scans_that_show_nothing_are_not_measured_and_rare_classes_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    case, measured = made_up(), list[str]()
    locations = {LIVER: case.locations[LIVER]}

    def named(name: str, **changes) -> Prepared:
        return replace(case, case=replace(case.case, name=name), **changes)

    cases = [
        named("nothing", locations={}),
        *(named(f"liver{n}", locations=locations) for n in range(3)),
        named("both"),
        named("unstated", annotated=frozenset()),
    ]
    monkeypatch.setattr(
        validation, "scan_dice", lambda model, case, size: measured.append(case.case.name) or {}
    )
    model = Vista3D(recipe().network).eval()
    validation.validate(model, replace(AUTO, validate_scans=3), cases, tmp_path / "a.png")
    assert measured == ["liver0", "both", "liver1"]
