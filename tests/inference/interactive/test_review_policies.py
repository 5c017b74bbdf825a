"""What holds after every one of a thousand operations, whatever they were."""

import numpy as np
import pytest

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from tests.inference.interactive.test_round_trip import _step
from vista3d.errors import UsageError
from vista3d.inference.interactive import InteractiveSession


@pytest.mark.parametrize("policy", ["overwrite", "keep existing"])
@pytest.mark.parametrize("seed", range(2))
def test_objects_never_overlap_and_locked_ones_never_change(policy, seed):
    rng = np.random.default_rng(seed)
    session = InteractiveSession(scan(), Balls(), automatic, overlap=policy)
    for _ in range(1000):
        before = {thing.id: thing for thing in session.objects}
        try:
            _step(session, rng)
        except UsageError:
            assert {thing.id: thing for thing in session.objects} == before
        count = sum(session.mask(thing.id).astype(np.uint8) for thing in session.objects)
        assert np.max(count, initial=0) <= 1
        for thing in session.objects:
            old = before.get(thing.id)
            if old is not None and old.locked and thing.locked:
                assert (thing.mask, thing.base, thing.clicks) == (old.mask, old.base, old.clicks)


@pytest.mark.parametrize("seed", range(2))
def test_keep_existing_never_takes_a_voxel_from_another_object(seed):
    rng = np.random.default_rng(seed)
    session = InteractiveSession(scan(), Balls(), overlap="keep existing")
    for _ in range(300):
        if len(session.objects) < 5:
            session.add_object()
        before = {thing.id: session.mask(thing.id) for thing in session.objects}
        target = int(rng.choice(list(before)))
        position = tuple(int(rng.integers(0, n)) for n in SHAPE)
        session.click(position, bool(rng.random() < 0.7), space="voxel", object_id=target)
        for number, mask in before.items():
            assert number == target or (session.mask(number) == mask).all()
