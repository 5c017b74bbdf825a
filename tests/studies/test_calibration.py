"""What each class must win by, on scans whose best margin is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.network.test_checkpoint import META
from vista3d.anatomy import Vocabulary
from vista3d.errors import UsageError
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.inference import Segmentation
from vista3d.network.metadata import CheckpointMeta
from vista3d.studies.calibration import LEAST_SCANS, calibrate, calibrated

LIVER, SPLEEN = 1, 3
CORE, RIM = 200.0, 60.0


@dataclass(frozen=True)
class Dial:
    """Finds what is denser than 50 HU, and 50 HU more for each logit of margin."""

    meta: CheckpointMeta
    vocabulary: Vocabulary

    def segment(self, volume, classes, *, output):
        """The first class, where it is dense enough."""
        assert output == "evidence"
        margin = self.meta.margins.get(classes[0], 0.0)
        evidence = (volume.array / 50 - 1 - margin).astype(np.float16)
        labels = np.where(evidence > 0, classes[0], 0).astype(np.uint8)
        return Segmentation(labels, volume, tuple(classes), evidence=evidence)


@pytest.fixture
def model() -> Dial:
    return Dial(replace(META, classes=(LIVER, SPLEEN), margins={LIVER: 9.0}), Vocabulary())


def cases(folder: Path, count: int, class_id: int | None = LIVER) -> list[EvaluationCase]:
    """Scans with a core, which is the truth, and a rim around it."""
    scan = np.full((12, 12, 12), -1000, np.float32)
    scan[2:10, 2:10, 2:10] = RIM
    scan[4:8, 4:8, 4:8] = CORE
    made = []
    for number in range(count):
        image, label = folder / f"{number}.nii.gz", folder / f"{number}_label.nii.gz"
        nib.save(nib.Nifti1Image(scan, np.eye(4)), image)
        nib.save(nib.Nifti1Image((scan == CORE).astype(np.uint8), np.eye(4)), label)
        target = Target("liver", class_id, (1,), absence=True)
        name = str(number)
        made.append(EvaluationCase("made", name, name, image, label, (target,), (LIVER,)))
    return made


def test_the_smallest_of_the_best_margins_is_chosen(model, tmp_path):
    (line,) = calibrate(model, cases(tmp_path, LEAST_SCANS))
    assert (line.class_id, line.name, line.scans) == (LIVER, "liver", LEAST_SCANS)
    assert line.dice[0] == pytest.approx(2 * 64 / (512 + 64))  # with the rim
    assert line.dice[1:] == (1.0, 1.0, 1.0, 1.0)  # 67 HU and more: the core alone
    assert line.margin == 0.35
    assert calibrated(model.meta, [line]).margins == {LIVER: 0.35}


def test_few_scans_say_too_little(model, tmp_path):
    (line,) = calibrate(model, cases(tmp_path, LEAST_SCANS - 1))
    assert line.dice[1] > line.dice[0]
    assert line.margin == 0
    assert calibrated(model.meta, [line]).margins == {}


def test_there_must_be_something_to_choose_by(model, tmp_path):
    with pytest.raises(UsageError, match="no scan has a structure"):
        calibrate(model, cases(tmp_path, 1, class_id=None))
