"""A thousand random operations against a naive model that keeps whole copies of everything."""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from vista3d.errors import InputError, UsageError
from vista3d.inference.interactive import InteractiveSession, Mask
from vista3d.inference.interactive.history import STEPS


def _state(session: InteractiveSession):
    """Everything a user can see, in whole arrays."""
    return (
        [
            (o.id, o.name, o.class_id, o.novel, o.locked, o.colour, o.automatic, o.clicks,
             *(m.array().tobytes() for m in (o.mask, o.base, o.denied, o.start)), o.settled)
            for o in session.objects
        ],
        session.result()[0].tobytes(),
    )  # fmt: skip


def _step(session: InteractiveSession, rng: np.random.Generator) -> None:
    """One random operation; some are refused."""
    ids = [o.id for o in session.objects]
    chosen = int(rng.choice(ids)) if ids else None
    position = tuple(float(rng.uniform(-0.4, n - 0.6)) for n in SHAPE)
    kind = rng.integers(0, 13)
    if kind <= 4 or chosen is None:
        session.click(position, bool(rng.random() < 0.7), space="voxel", object_id=chosen)
    elif kind == 5:
        session.add_object(class_="liver" if rng.random() < 0.3 else None)
    elif kind == 6:
        session.remove_click(chosen, int(rng.integers(0, 3)))
    elif kind == 7:
        session.lock(chosen, bool(rng.random() < 0.3))
    elif kind == 8:
        low = [int(rng.integers(0, n - 4)) for n in SHAPE]
        box = tuple(slice(a, a + 4) for a in low)
        covered = rng.random((4, 4, 4)) < 0.5
        session.brush(chosen, box, covered, adds=bool(rng.random() < 0.5))
    elif kind == 9:
        session.reset(chosen)
    elif kind == 10:
        session.remove_object(chosen)
    elif kind == 11:
        session.recolour(chosen, tuple(rng.integers(0, 256, 3).tolist()))
    else:
        session.run_automatic()


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_operations(seed: int, tmp_path: Path):
    rng = np.random.default_rng(seed)
    volume = scan()
    session = InteractiveSession(volume, Balls(), automatic)
    past, future, now = [], [], _state(session)
    for number in range(1000):
        kind = rng.random()
        if kind < 0.15:
            moved = session.undo()
            assert moved == bool(past)
            if moved:
                future.append(now)
                now = past.pop()
        elif kind < 0.27:
            moved = session.redo()
            assert moved == bool(future)
            if moved:
                past.append(now)
                now = future.pop()
        elif kind < 0.29:
            file = tmp_path / f"{number}.zip"
            session.save(file)
            session = InteractiveSession.load(file, volume, Balls(), automatic)
        else:
            if rng.random() < 0.1:
                session.overlap = str(rng.choice(["overwrite", "keep existing", "allow overlap"]))
            steps = len(session.history.past)
            try:
                _step(session, rng)
            except UsageError:
                assert len(session.history.past) == steps
            else:
                if _state(session) == now:
                    continue  # an operation that changes nothing is no step
                past.append(now)
                past = past[-STEPS:]
                future.clear()
                now = _state(session)
        if number % 10 == 0:
            assert _state(session) == now
    assert _state(session) == now


def test_masks_are_equal_exactly_when_their_voxels_are():
    rng = np.random.default_rng(0)
    for _ in range(50):
        array = np.zeros(SHAPE, bool)
        low = [int(rng.integers(0, n)) for n in SHAPE]
        array[tuple(slice(a, a + 5) for a in low)] = rng.random() < 0.9
        mask = Mask.of(array)
        assert (mask.array() == array).all()
        assert mask.voxels == array.sum()
        assert Mask.empty(SHAPE).written(mask.box, mask.crop()) == mask
        box = tuple(slice(int(rng.integers(0, 9)), int(rng.integers(9, 16))) for _ in SHAPE)
        assert (mask.read(box) == array[box]).all()
        changed = array.copy()
        changed[box] = ~changed[box]
        assert mask.written(box, changed[box]) == Mask.of(changed)


def test_history_is_bounded_in_bytes():
    from vista3d.inference.interactive.history import LEAST, History
    from vista3d.inference.interactive.scene import Scene, SessionObject

    rng = np.random.default_rng(0)
    history = History(Scene(), limit=20_000)
    nothing = Mask.empty(SHAPE)
    for number in range(150):
        noise = Mask.of(rng.random(SHAPE) < 0.5)
        history.push(
            Scene().added(SessionObject(number + 1, "", None, True, *(nothing,) * 2, noise))
        )
    assert len(history.past) == LEAST


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    session = InteractiveSession(scan(), Balls(), automatic)
    session.run_automatic()
    session.click((10, 10, 8), space="voxel")
    session.save(tmp_path / "a.zip")
    return tmp_path / "a.zip"


def _rewritten(path: Path, change) -> Path:
    """The same file with another session.json or other members."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    content = json.loads(members["session.json"])
    change(content, members)
    members["session.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def _bomb(content, members):
    name = next(n for n in members if n.endswith(".z") and members[n])
    members[name] = zlib.compress(bytes(50 * 2**20))


def _outside(content, members):
    content["masks"][0]["size"] = [10**6, 10**6, 10**6]


def _wrong(key, value):
    def change(content, members):
        content[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_bomb, "refused"),
        (_outside, "outside its scan"),
        (_wrong("format", "vista3d-session-9"), "another version"),
        (_wrong("overlap", "nonsense"), "not a whole session"),
        (_wrong("objects", [{"id": 1}]), "not a whole"),
        (_wrong("masks", []), "not a whole session"),
        (lambda content, members: members.pop("masks/1.z"), "not a whole session"),
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_file_is_refused(saved: Path, change, message: str):
    with pytest.raises(InputError, match=message):
        InteractiveSession.load(_rewritten(saved, change), scan(), Balls())


def test_truncated_missing_and_foreign_files(saved: Path, tmp_path: Path):
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a whole session"):
        InteractiveSession.load(saved, scan(), Balls())
    with pytest.raises(InputError, match="no session file"):
        InteractiveSession.load(tmp_path / "none.zip", scan(), Balls())
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(InputError, match="not a whole session"):
        InteractiveSession.load(text, scan(), Balls())


def test_a_session_of_another_scan_is_refused(saved: Path):
    with pytest.raises(InputError, match="another scan"):
        InteractiveSession.load(saved, scan(seed=1), Balls())


def test_a_failed_save_keeps_the_old_file(saved: Path, monkeypatch):
    session = InteractiveSession.load(saved, scan(), Balls())
    before = saved.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        session.save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]
