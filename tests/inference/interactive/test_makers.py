"""What DICOM results say of how an object was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from vista3d.inference.interactive import InteractiveSession
from vista3d.inference.interactive.labelled import makers_of

LIVER, SPLEEN, BLADDER, FIRST_NEW = 1, 3, 15, 512


def test_found_helped_and_drawn_are_told_apart(tmp_path: Path):
    session = InteractiveSession(scan(), Balls(), automatic, overlap="allow overlap")
    liver, spleen = session.run_automatic(["liver", "spleen"])
    drawn = session.add_object(class_="bladder")
    box = (slice(1, 4),) * 3
    stroke = np.ones((3, 3, 3), bool)
    session.brush(drawn, box, stroke)
    given = session.add_object("given")
    session.set_initial_mask(given, np.arange(np.prod(SHAPE)).reshape(SHAPE) < 9)
    everything = {LIVER: "automatic", SPLEEN: "automatic", BLADDER: "manual",
                  FIRST_NEW + given: "manual"}  # fmt: skip
    assert makers_of(session.objects) == everything
    session.brush(spleen, box, stroke)
    session.click((8, 8, 8), space="voxel", object_id=liver)
    session.click((8, 8, 8), space="voxel", object_id=given)
    helped = {**everything, LIVER: "semiautomatic", SPLEEN: "semiautomatic",
              FIRST_NEW + given: "semiautomatic"}  # fmt: skip
    assert makers_of(session.objects) == helped
    session.save(tmp_path / "a.vista3d")
    again = InteractiveSession.load(tmp_path / "a.vista3d", scan(), Balls())
    assert makers_of(again.objects) == helped
