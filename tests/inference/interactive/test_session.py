import threading

import numpy as np
import pytest

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from vista3d.errors import CancelledError, UnknownClassError, UsageError
from vista3d.inference.interactive import InteractiveSession


@pytest.fixture
def session() -> InteractiveSession:
    return InteractiveSession(scan(), Balls(), automatic)


def test_a_first_click_makes_an_anonymous_novel_object(session):
    mask = session.click((10, 10, 8), space="voxel")
    (made,) = session.objects
    assert (made.name, made.class_id, made.novel) == ("object 1", None, True)
    assert mask.array()[10, 10, 8]
    assert session.active == made.id


def test_a_known_class_is_not_novel_unless_asked(session):
    liver = session.add_object(class_="liver")
    tumour = session.add_object("my tumour")
    parotid = session.add_object(class_="left parotid")
    forced = session.add_object(class_="spleen", novel=True)
    novel = [session[i].novel for i in (liver, tumour, parotid, forced)]
    assert novel == [False, True, True, True]
    assert session[liver].name == "liver"


def test_three_conventions_name_the_same_voxel():
    volume = scan()
    ras = volume.geometry.to_world(np.array([[10, 9, 8]]))[0]
    clicks = [((10, 9, 8), "voxel"), (tuple(ras), "ras"), ((-ras[0], -ras[1], ras[2]), "lps")]
    masks = []
    for position, space in clicks:
        session = InteractiveSession(volume, Balls())
        session.click(position, space=space)
        assert session.objects[0].clicks[0].position == pytest.approx((10, 9, 8))
        masks.append(session.objects[0].mask)
    assert masks[0] == masks[1] == masks[2]


@pytest.mark.parametrize("position", [(24, 5, 5), (-1, 5, 5), (5, 5, np.nan), (1, 2)])
def test_a_click_outside_the_scan_is_refused_and_changes_nothing(session, position):
    with pytest.raises(UsageError):
        session.click(position, space="voxel")
    assert session.objects == ()
    assert not session.undo()


def test_the_message_says_where_the_scan_ends(session):
    with pytest.raises(
        UsageError, match=r"outside the scan: it is voxel .* scan has \(24, 20, 16\)"
    ):
        session.click((500, 0, 0), space="ras")


def test_border_voxels_count(session):
    mask = session.click((23.4, 19.4, 14), space="voxel")
    assert mask.array()[23, 19, 14]


def test_a_negative_click_cuts_and_undo_gives_back(session):
    session.click((10, 10, 8), space="voxel")
    whole = session.mask(1)
    cut = session.click((10, 13, 8), False, space="voxel").array()
    assert cut.sum() < whole.sum()
    assert not cut[10, 13, 8]
    session.undo()
    assert (session.mask(1) == whole).all()
    session.redo()
    assert (session.mask(1) == cut).all()


def test_any_click_can_be_removed(session):
    session.click((8, 8, 8), space="voxel")
    session.click((13, 8, 8), space="voxel")
    both = session.mask(1)
    session.remove_click(1, 0)
    assert session[1].clicks[0].position == (13, 8, 8)
    assert session.mask(1).sum() < both.sum()
    session.remove_click(1, 0)
    assert not session.mask(1).any()
    with pytest.raises(UsageError, match="0 clicks"):
        session.remove_click(1, 0)


def test_automatic_results_become_objects(session):
    assert session.run_automatic(["liver", "spleen"]) == (1, 2)
    assert [thing.name for thing in session.objects] == ["liver", "spleen"]
    labels, objects = session.result()
    assert set(np.unique(labels)) == {0, 1, 2}
    assert objects[2].class_id == 3


def test_an_edit_of_an_automatic_result_leaves_the_rest_of_it(session):
    session.run_automatic()
    before = session.mask(1)
    after = session.click((11, 11, 11), space="voxel", object_id=1).array()
    assert (after & before == before).all()
    assert after.sum() > before.sum()


def test_running_again_starts_an_object_again_but_not_a_locked_one(session):
    session.run_automatic()
    session.click((11, 11, 11), space="voxel", object_id=1)
    edited = session.mask(1)
    session.lock(1)
    session.run_automatic()
    assert (session.mask(1) == edited).all()
    session.lock(1, False)
    session.run_automatic()
    assert session.mask(1).sum() == 9**3
    assert session[1].clicks == ()


def test_a_locked_object_refuses_edits_and_keeps_its_voxels(session):
    session.run_automatic()
    session.lock(1)
    before = session.mask(1)
    with pytest.raises(UsageError, match="locked"):
        session.click((5, 5, 5), space="voxel", object_id=1)
    session.add_object("other")
    session.click((11, 11, 8), space="voxel")
    assert (session.mask(1) == before).all()
    assert not (session.mask(3) & before).any()


@pytest.mark.parametrize("policy", ["overwrite", "keep existing", "allow overlap"])
def test_overlap_policies(policy):
    session = InteractiveSession(scan(), Balls(), overlap=policy)
    first = session.click((10, 10, 8), space="voxel").array()
    session.add_object()
    second = session.click((13, 10, 8), space="voxel").array()
    now = session.mask(1)
    if policy == "overwrite":
        assert (now == first & ~second).all()
        assert second[13, 10, 8]
    elif policy == "keep existing":
        assert (now == first).all()
        assert not (second & first).any()
    else:
        assert (now == first).all()
        assert (second & first).any()


def test_an_unknown_policy_is_refused():
    with pytest.raises(UsageError, match="keep existing"):
        InteractiveSession(scan(), Balls(), overlap="last wins")


def test_a_given_mask_is_the_base_of_later_clicks(session):
    given = np.zeros(SHAPE, np.uint8)
    given[2:5, 2:5, 2:5] = 1
    made = session.add_object("given")
    session.set_initial_mask(made, given)
    after = session.click((15, 10, 8), space="voxel").array()
    assert (after[given > 0]).all()
    assert after[15, 10, 8]
    with pytest.raises(UsageError, match="shape"):
        session.set_initial_mask(made, given[:3])


def test_a_label_map_becomes_objects_in_one_step(session):
    locked = session.add_object("kept")
    session.set_initial_mask(locked, np.indices(SHAPE)[0] == 3)
    session.lock(locked)
    labels = np.zeros(SHAPE, np.int16)
    labels[2:5], labels[5:9, :10], labels[5:9, 10:] = 4, 2, 300
    made = session.add_labels(labels, {4: "spleen", 300: "cyst"})
    assert [session[made[v]].name for v in (2, 4, 300)] == ["label 2", "spleen", "cyst"]
    assert [session[made[v]].class_id for v in (2, 4, 300)] == [None, 3, None]
    assert np.array_equal(session.mask(made[300]), labels == 300)
    taken = labels == 4
    taken[3] = False  # of the locked object
    assert np.array_equal(session.mask(made[4]), taken)
    # Two values of one name are two objects.
    twins = session.add_labels(np.where(labels == 2, 5, 0) + np.where(labels == 4, 6, 0),
                               {5: "node", 6: "node"})  # fmt: skip
    assert len(set(twins.values())) == 2
    session.undo()
    # The same names again: the same objects, from the new masks.
    before = len(session.objects)
    assert set(session.add_labels(np.where(labels == 4, 4, 0), {4: "spleen"}).values()) == {made[4]}
    assert len(session.objects) == before
    assert np.array_equal(session.mask(made[4]), taken)
    session.undo()
    session.undo()
    assert [thing.name for thing in session.objects] == ["kept"]
    for wrong in (labels[1:], labels.astype(float)):
        with pytest.raises(UsageError, match="integers in the shape of the scan"):
            session.add_labels(wrong)


def test_painting_keeps_the_clicks_and_is_kept_by_later_ones(session):
    session.click((10, 10, 8), space="voxel")
    box = (slice(20, 23), slice(2, 5), slice(2, 5))
    session.brush(1, box, np.ones((3, 3, 3), bool))
    assert len(session[1].clicks) == 1
    after = session.click((10, 12, 8), space="voxel").array()
    assert after[box].all()
    with pytest.raises(UsageError, match="does not fit"):
        session.brush(1, (slice(20, 30), slice(2, 5), slice(2, 5)), np.ones((10, 3, 3), bool))


@pytest.mark.parametrize("adds", [True, False])
def test_a_stroke_says_nothing_of_the_voxels_beside_it(session, adds):
    """What clicks made in the box of a stroke does not become what somebody drew."""
    session.click((10, 10, 8), space="voxel")
    box = (slice(5, 16), slice(5, 16), slice(3, 14))
    covered = np.zeros((11, 11, 11), bool)
    covered[0, 0, 0] = True
    session.brush(1, box, covered, adds=adds)
    session.reset(1)
    assert session[1].mask.voxels == int(adds)


def test_an_eraser_leaves_at_the_start_what_a_click_had_taken(session):
    drawn = np.zeros(SHAPE, bool)
    drawn[5:16, 5:16, 3:14] = True
    made = session.add_object("thing")
    session.set_initial_mask(made, drawn)
    session.click((10, 10, 8), positive=False, space="voxel")
    session.brush(made, (slice(5, 6),) * 2 + (slice(3, 4),), np.ones((1, 1, 1), bool), adds=False)
    session.reset(made)
    drawn[5, 5, 3] = False
    assert (session.mask(made) == drawn).all()


def test_a_click_taken_back_before_any_other_asks_nothing(session):
    session.click((10, 10, 8), space="voxel")
    before = session.mask(1)
    session.brush(1, (slice(0, 1),) * 3, np.ones((1, 1, 1), bool))
    painted = session.mask(1)
    session.click((20, 10, 8), space="voxel")
    calls = session._pointer.calls
    session.remove_click(1, 1)
    assert session._pointer.calls == calls
    assert (session.mask(1) == painted).all()
    assert (painted >= before).all()


def test_reset(session):
    session.run_automatic()
    base = session.mask(1)
    session.click((11, 11, 11), space="voxel", object_id=1)
    session.reset(1)
    assert (session.mask(1) == base).all()
    session.reset()
    assert session.objects == ()
    session.undo()
    assert len(session.objects) == 2


def test_names_classes_and_missing_objects(session):
    with pytest.raises(UnknownClassError, match="spleen"):
        session.add_object(class_="splen")
    with pytest.raises(UsageError, match="structures"):
        session.add_object(class_="lung")
    with pytest.raises(UsageError, match="no object 7"):
        session.click((5, 5, 5), space="voxel", object_id=7)
    made = session.add_object()
    session.rename(made, "lesion")
    assert session[made].name == "lesion"
    for wrong in ((0, 0, 256), (-1, 0, 0), (0, 0), (0.5, 0, 0), "red"):
        with pytest.raises(UsageError, match="not a colour"):
            session.recolour(made, wrong)
    session.recolour(made, (1, 2, 3))
    assert session[made].colour == (1, 2, 3)
    session.undo()
    assert (session[made].name, session[made].colour) == ("lesion", None)
    session.remove_object(made)
    assert session.active is None
    assert session.add_object() == made + 1  # ids are never used twice


def test_a_cancelled_click_changes_nothing(session):
    session.click((10, 10, 8), space="voxel")
    before = session.objects
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        session.click((12, 10, 8), space="voxel", cancel=stop)
    assert session.objects == before


def test_a_failing_network_changes_nothing(session):
    session.run_automatic()
    before = session.objects
    session._pointer.mask = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        session.click((12, 10, 8), space="voxel")
    assert session.objects == before


def test_progress_is_told(session):
    seen = []
    session.click((10, 10, 8), space="voxel", progress=seen.append)
    assert seen


def test_prefetch_names_the_voxel_of_the_scan(session):
    session.prefetch(scan().geometry.to_world(np.array([[3, 4, 5]]))[0], space="ras")
    assert session._pointer.prefetched[0][0] == pytest.approx((3, 4, 5))


def test_prefetch_asks_for_the_class_of_the_active_object(session):
    def asked() -> int | None:
        session.prefetch((3, 4, 5), space="voxel")
        return session._pointer.prefetched[-1][1]

    assert asked() is None
    liver = session.add_object(class_="liver")
    assert asked() == 1
    session.add_object("something")
    assert asked() is None
    session.activate(liver)
    drawn = np.zeros(scan().array.shape, bool)
    drawn[3:6, 3:6, 3:6] = True
    session.set_initial_mask(liver, drawn)  # a mask that somebody drew says more than its class
    assert asked() is None


def test_an_id_is_never_given_twice(session, tmp_path):
    """Clients, label maps and undo know objects by their ids."""
    session.add_object("first")
    second = session.add_object("second")
    session.undo()
    session.undo()
    third = session.add_object("third")
    assert third > second
    session.undo()
    session.redo()
    assert [thing.id for thing in session.objects] == [third]
    session.undo()
    session.save(tmp_path / "a.vista3d")
    again = InteractiveSession.load(tmp_path / "a.vista3d", scan(), Balls())
    assert again.add_object("fourth") > third


def test_at_least_fifty_steps_can_be_undone(session):
    for number in range(60):
        session.add_object(f"object {number}")
    assert sum(session.undo() for _ in range(60)) == 60
    assert session.objects == ()


def test_a_click_just_beside_the_answer_belongs_to_it(session):
    """The network's mask ends between the click's voxel and its neighbour."""
    real = session._pointer.mask

    def shifted(prompt, listen):
        answer = real(prompt, listen)
        answer.mask[:, :11] = False
        return answer

    session._pointer.mask = shifted
    assert session.click((10, 10, 8), space="voxel").voxels > 0
    session.add_object()
    assert session.click((10, 7, 8), space="voxel").voxels == 0


def test_two_hundred_edits_never_touch_what_no_click_touched(session):
    """Outside the components that clicks touch, every voxel of every object stays."""
    session.overlap = "allow overlap"
    session.run_automatic()
    rng = np.random.default_rng(4)
    for _ in range(200):
        target = int(rng.choice([1, 2]))
        before = session.mask(target)
        position = tuple(int(rng.integers(0, n)) for n in SHAPE)
        positive = bool(rng.random() < 0.6)
        after = session.click(position, positive, space="voxel", object_id=target).array()
        base = session[target].base.array()
        answer = session._pointer.mask(_prompt(session[target]), lambda *_: None)
        said = np.zeros(SHAPE, bool)
        said[answer.box] = answer.mask
        untouched = base & said
        assert after[untouched].all()
        assert not after[~base & ~said].any()
        if rng.random() < 0.2:
            session.reset(target)
        assert before.shape == after.shape


def _prompt(thing):
    from vista3d.inference.interactive import Prompt

    return Prompt(thing.clicks, thing.class_id, thing.novel, thing.base)
