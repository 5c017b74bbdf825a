"""Which labels an edit changed, against the plain comparison of whole label maps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vista3d.inference.interactive import InteractiveSession
from vista3d.server.view import changed_box, labels_in, voxels_of
from vista3d.volume import Volume

SHAPE = (7, 6, 5)
WHOLE = tuple(slice(0, n) for n in SHAPE)


def make_session() -> InteractiveSession:
    array = np.zeros(SHAPE, np.int16)
    array[0, 0, 0] = -1000
    session = InteractiveSession(Volume(array, np.eye(4)), pointer=None)
    session.overlap = "allow overlap"
    return session


def paint(session, number, corner, size):
    box = tuple(slice(a, min(a + s, n)) for a, s, n in zip(corner, size, SHAPE, strict=True))
    session.brush(number, box, np.ones([p.stop - p.start for p in box], bool))


triples = st.tuples(*(st.integers(0, n - 1) for n in SHAPE))
steps = st.one_of(
    st.tuples(st.just("paint"), st.integers(1, 3), triples, st.tuples(*[st.integers(1, 4)] * 3)),
    st.tuples(st.just("remove"), st.integers(1, 3)),
    st.tuples(st.just("undo")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=6))
def test_changed_box_is_exact(actions):
    session = make_session()
    for _ in range(3):
        session.add_object()
    for name, *details in actions:
        before = session.objects
        numbers = {thing.id for thing in before}
        if name == "undo":
            session.undo()
        elif details[0] in numbers:
            if name == "paint":
                paint(session, *details)
            else:
                session.remove_object(details[0])
        old, new = labels_in(before, WHOLE), labels_in(session.objects, WHOLE)
        where = np.argwhere(old != new)
        found = changed_box(before, session.objects)
        if not len(where):
            assert found is None
        else:
            box = [[p.start, p.stop] for p in found]
            assert box == np.stack([where.min(0), where.max(0) + 1], 1).tolist()


def test_the_last_object_is_on_top_and_parts_agree_with_the_whole():
    session = make_session()
    one, two = session.add_object(), session.add_object()
    paint(session, two, (0, 0, 0), (3, 3, 3))
    paint(session, one, (1, 1, 1), (4, 4, 4))
    whole = labels_in(session.objects, WHOLE)
    assert whole[2, 2, 2] == two
    assert whole[3, 3, 3] == one
    assert whole.flags.f_contiguous
    np.testing.assert_array_equal(whole, session.result()[0])
    part = (slice(1, 4), slice(2, 6), slice(0, 5))
    np.testing.assert_array_equal(labels_in(session.objects, part), whole[part])


def test_voxels_are_counted():
    session = make_session()
    number = session.add_object()
    paint(session, number, (0, 0, 0), (2, 3, 4))
    assert voxels_of(session[number].mask) == 24
    assert voxels_of(session[number].mask) == 24
