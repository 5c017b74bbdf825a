"""Second review: the same losses by other ways."""

import numpy as np
import pytest

from tests.inference.interactive.fake import Balls, automatic, scan
from vista3d.inference.interactive import InteractiveSession

ERASED = (slice(12, 15), slice(8, 13), slice(6, 11))
"""A part of the ball of a click at (10, 10, 8)."""


@pytest.fixture
def session() -> InteractiveSession:
    """One object of two separate balls."""
    session = InteractiveSession(scan(), Balls(), automatic)
    session.click((10, 10, 8), space="voxel")
    session.click((3, 3, 3), space="voxel")
    return session


def _erase(session: InteractiveSession) -> None:
    session.brush(1, ERASED, np.ones((3, 5, 5), bool), adds=False)


def _tumour(session: InteractiveSession) -> np.ndarray:
    """Object 2, taken out of object 1."""
    session.add_object("tumour")
    session.click((13, 10, 8), space="voxel")
    return session.mask(2)


def test_erased_voxels_stay_erased_with_a_positive_click_inside_the_rest(session):
    _erase(session)
    session.click((8, 10, 8), space="voxel")
    assert not session.mask(1)[ERASED].any()


def test_erased_voxels_stay_erased_when_an_older_click_is_removed(session):
    _erase(session)
    session.remove_click(1, 1)
    assert not session.mask(1)[ERASED].any()


def test_a_positive_click_inside_its_own_mask_takes_nothing_from_others(session):
    tumour = _tumour(session)
    session.click((8, 10, 8), space="voxel", object_id=1)
    assert (session.mask(2) == tumour).all()


def test_removing_an_older_click_takes_nothing_from_others(session):
    tumour = _tumour(session)
    session.remove_click(1, 1)
    assert (session.mask(2) == tumour).all()


def test_a_positive_click_in_another_objects_voxels_does_take_them(session):
    _tumour(session)
    session.click((13, 10, 8), space="voxel", object_id=1)
    assert session.mask(1)[13, 10, 8]
    assert not session.mask(2)[13, 10, 8]


def test_a_positive_click_in_what_was_erased_does_bring_it_back(session):
    _erase(session)
    session.click((13, 10, 8), space="voxel")
    assert session.mask(1)[13, 10, 8]


def test_what_is_left_of_a_ball_stays_when_its_click_was_erased(session):
    box = (slice(10, 15), slice(8, 13), slice(6, 11))
    session.brush(1, box, np.ones((5, 5, 5), bool), adds=False)
    before = session.mask(1)
    session.click((20, 15, 8), space="voxel")
    assert (session.mask(1) >= before).all()
    assert not session.mask(1)[box].any()
