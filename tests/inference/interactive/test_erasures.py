"""What was erased, or another object took, comes back only where a click says so."""

from dataclasses import replace

import numpy as np
import pytest

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from vista3d.inference.interactive import InteractiveSession
from vista3d.inference.interactive.history import History

ERASED = (slice(12, 15), slice(8, 13), slice(6, 11))
"""A part of the ball of a click at (10, 10, 8)."""


@pytest.fixture
def session() -> InteractiveSession:
    session = InteractiveSession(scan(), Balls(), automatic)
    session.click((10, 10, 8), space="voxel")
    return session


def erase(session: InteractiveSession, box=ERASED) -> None:
    size = [part.stop - part.start for part in box]
    session.brush(1, box, np.ones(size, bool), adds=False)


def box_mask(box) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[box] = True
    return mask


def test_what_was_erased_does_not_come_back_with_the_click_after_a_reset(session):
    erase(session)
    session.reset(1)
    assert not session.mask(1).any()
    session.click((10, 10, 8), space="voxel")
    assert session.mask(1)[9, 10, 8]
    assert not session.mask(1)[ERASED].any()
    session.click((13, 10, 8), space="voxel")
    assert session.mask(1)[13, 10, 8]


def test_a_reset_does_not_give_back_what_another_object_took():
    session = InteractiveSession(scan(), Balls(), automatic)
    liver, tumour = session.add_object("liver"), session.add_object("tumour")
    session.set_initial_mask(liver, box_mask((slice(4, 15), slice(6, 15), slice(4, 13))))
    session.set_initial_mask(tumour, box_mask(ERASED))
    session.reset(liver)
    session.click((10, 10, 8), space="voxel", object_id=liver)
    assert (session.mask(tumour) == box_mask(ERASED)).all()


def test_what_a_click_gave_back_is_away_again_after_a_reset(session):
    erase(session)
    session.click((13, 10, 8), space="voxel")
    session.reset(1)
    session.click((10, 10, 8), space="voxel")
    assert not session.mask(1)[ERASED].any()


def test_a_click_taken_back_leaves_an_erasure_as_it_was(session):
    erase(session)
    before = session[1]
    session.click((13, 10, 8), space="voxel")
    session.remove_click(1, 1)
    assert session[1] == before
    session.click((8, 10, 8), space="voxel")
    assert not session.mask(1)[ERASED].any()


def test_a_click_before_a_second_erasure_is_taken_back_as_well(session):
    """The second one settles all clicks before it."""
    erase(session)
    session.click((13, 10, 8), space="voxel")
    erase(session, (slice(6, 8), slice(8, 13), slice(6, 11)))
    session.remove_click(1, 1)
    assert session.mask(1)[9, 10, 8]
    assert not session.mask(1)[6:8, 8:13, 6:11].any()
    assert not session.mask(1)[ERASED].any()


def test_an_erasure_made_after_a_click_is_not_given_back_by_it(session):
    """Not even where the click has become the only one."""
    session.click((13, 10, 8), space="voxel")
    erase(session)
    session.remove_click(1, 0)
    assert not session.mask(1)[ERASED].any()


def test_what_is_drawn_is_erased_no_more(session):
    erase(session)
    session.brush(1, ERASED, np.ones((3, 5, 5), bool))
    assert session[1].erasures == ()
    session.reset(1)
    assert (session.mask(1) == box_mask(ERASED)).all()


def test_erasures_are_kept_in_files_undone_and_redone(session, tmp_path):
    erase(session)
    session.click((13, 10, 8), space="voxel")
    erase(session, (slice(6, 8), slice(8, 13), slice(6, 11)))
    session.reset(1)
    states = [*session.history.past, session.history.present]
    session.save(tmp_path / "work")
    again = InteractiveSession.load(tmp_path / "work", session.volume, Balls())
    assert [*again.history.past, again.history.present] == states
    while again.undo():
        pass
    while again.redo():
        pass
    assert again.history.present == states[-1]


def test_files_of_earlier_versions_say_what_is_denied(session, tmp_path, monkeypatch):
    from vista3d.inference.interactive import storage

    erase(session)
    session.click((10, 6, 8), space="voxel")
    written = storage._object_out

    def earlier(thing, numbers):
        out = written(thing, numbers)
        ((number, _),) = out.pop("erased")
        return {**out, "denied": number}

    monkeypatch.setattr(storage, "_object_out", earlier)
    present = session.history.present
    storage.save(tmp_path / "work", session.volume, History(present), "overwrite")
    again = InteractiveSession.load(tmp_path / "work", session.volume, Balls())
    assert again[1].denied == session[1].denied
    (erasure,) = session[1].erasures
    assert again[1] == replace(session[1], erasures=(replace(erasure, clicks=2),))
