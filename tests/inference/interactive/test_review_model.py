"""A thousand operations against a model that knows nothing of the session's code: whole arrays,
Alg. 1 in ten lines with scipy's components, and a copy of everything at every step."""

import copy
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tests.inference.interactive.fake import SHAPE, Balls, automatic, scan
from vista3d.errors import UsageError
from vista3d.inference.interactive import Click, InteractiveSession, Prompt

SPACING = np.array([1.0, 1.0, 2.0])


class Model:
    """Objects may overlap: what others do to an object is tested in test_review_edits."""

    def __init__(self) -> None:
        self.objects, self.next_id, self.active = {}, 1, None

    def add(self, class_id=None, name=None) -> int:
        number, self.next_id = self.next_id, self.next_id + 1
        self.objects[number] = {
            "name": name or f"object {number}", "class": class_id, "locked": False, "clicks": [],
            "base": np.zeros(SHAPE, bool), "mask": np.zeros(SHAPE, bool),
        }  # fmt: skip
        self.active = number
        return number

    def given(self, next_id: int) -> "Model":
        """This one again, after ids below `next_id` were given."""
        self.next_id = max(self.next_id, next_id)
        return self

    def merge(self, thing) -> None:
        base, clicks = thing["base"], thing["clicks"]
        if not clicks:
            thing["mask"] = base.copy()
            return
        answer = Balls().mask(Prompt(tuple(Click(*click) for click in clicks)), lambda *_: None)
        said, known = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
        said[answer.box], known[answer.box] = answer.mask, answer.known
        positive = [_near(_voxel(p), said, answer.box) for p, sign in clicks if sign]
        negative = [_voxel(p) for p, sign in clicks if not sign]
        added = _hit(said & ~base, positive)
        if any(base[v] and known[v] for v in positive):
            added |= _hit(said, positive)
        removed = _hit(base & ~said & known, negative)
        thing["mask"] = (base | added) & ~removed

    def automatic(self) -> None:
        labels, ids = automatic(())
        for class_id in ids:
            found = labels == class_id
            if not found.any():
                continue
            same = [n for n, o in self.objects.items() if o["class"] == class_id]
            number = same[0] if same else self.add(class_id, {1: "liver", 3: "spleen"}[class_id])
            if not self.objects[number]["locked"]:
                self.objects[number].update(base=found, mask=found, clicks=[])


def _voxel(position):
    return tuple(int(np.floor(x + 0.5)) for x in position)


def _near(voxel, said, box):
    """The click's own voxel, or the nearest one said within 3 mm."""
    inside = all(part.start <= x < part.stop for x, part in zip(voxel, box, strict=True))
    places = np.argwhere(said)
    if not inside or said[voxel] or not len(places):
        return voxel
    distance = np.linalg.norm((places - voxel) * SPACING, axis=1)
    return tuple(places[distance.argmin()]) if distance.min() <= 3 else voxel


def _hit(mask, voxels):
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return np.isin(labels, [labels[v] for v in voxels if labels[v]])


def _operate(model: Model, session: InteractiveSession, rng: np.random.Generator) -> bool:
    """The same operation on both. Returns whether it changed anything."""
    ids = list(model.objects)
    chosen = int(rng.choice(ids)) if ids else None
    position = tuple(float(rng.uniform(-0.4, n - 0.6)) for n in SHAPE)
    if chosen is not None and model.objects[chosen]["clicks"] and rng.random() < 0.6:
        # Close to an older click, so that balls cut one another and clicks lie beside the answer.
        last = np.array(model.objects[chosen]["clicks"][-1][0]) + rng.integers(-3, 4, 3)
        position = tuple(np.clip(last, 0, np.array(SHAPE) - 1).tolist())
    sign = bool(rng.random() < 0.7)
    kind = int(rng.integers(0, 11))
    if kind <= 4 or chosen is None:
        session.click(position, sign, space="voxel", object_id=chosen)
        number = model.add() if chosen is None else chosen
        model.active = number
        clipped = np.clip(position, 0, np.array(SHAPE) - 1).tolist()
        model.objects[number]["clicks"].append((tuple(clipped), sign))
        model.merge(model.objects[number])
    elif kind == 5:
        session.add_object()
        model.add()
    elif kind == 6:
        index = int(rng.integers(0, 3))
        session.remove_click(chosen, index)
        del model.objects[chosen]["clicks"][index]
        model.active = chosen
        model.merge(model.objects[chosen])
    elif kind == 7:
        locked = bool(rng.random() < 0.3)
        session.lock(chosen, locked)
        changed = model.objects[chosen]["locked"] != locked
        model.objects[chosen]["locked"] = locked
        return changed
    elif kind == 8:
        # Blobs; some reach beyond what the network speaks about, where nothing may change.
        given = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2) > 0.03
        session.set_initial_mask(chosen, given)
        model.objects[chosen].update(base=given, mask=given, clicks=[])
    elif kind == 9:
        session.remove_object(chosen)
        del model.objects[chosen]
        if model.active == chosen:
            model.active = list(model.objects)[-1] if model.objects else None
    else:
        session.run_automatic()
        model.automatic()
    return True


def _check(model: Model, session: InteractiveSession) -> None:
    assert [thing.id for thing in session.objects] == list(model.objects)
    for thing in session.objects:
        wanted = model.objects[thing.id]
        assert (thing.name, thing.class_id) == (wanted["name"], wanted["class"])
        assert thing.locked == wanted["locked"]
        assert [(c.position, c.positive) for c in thing.clicks] == wanted["clicks"]
        assert (thing.base.array() == wanted["base"]).all()
        assert (thing.mask.array() == wanted["mask"]).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_operations_against_an_independent_model(seed: int, tmp_path: Path):
    rng = np.random.default_rng(seed)
    volume = scan()
    session = InteractiveSession(volume, Balls(), automatic, overlap="allow overlap")
    model, past, future = Model(), [], []
    for number in range(1000):
        kind = rng.random()
        if kind < 0.2:
            assert session.undo() == bool(past)
            if past:
                future.append(model)
                model = past.pop().given(model.next_id)
        elif kind < 0.35:
            assert session.redo() == bool(future)
            if future:
                past.append(model)
                model = future.pop().given(model.next_id)
        elif kind < 0.36:
            session.save(tmp_path / "a.zip")
            session = InteractiveSession.load(tmp_path / "a.zip", volume, Balls(), automatic)
        else:
            tried = copy.deepcopy(model)
            try:
                changed = _operate(tried, session, rng)
            except UsageError:
                pass  # locked, or no such click: the model must stay as it is
            else:
                if changed and not _same(model, tried):
                    past = [*past, model][-200:]
                    future, model = [], tried
        if number % 5 == 0:
            _check(model, session)
    _check(model, session)


def _same(one: Model, two: Model) -> bool:
    """An operation that changes no object is no step."""
    return list(one.objects) == list(two.objects) and all(
        a["locked"] == b["locked"]
        and a["clicks"] == b["clicks"]
        and (a["base"] == b["base"]).all()
        and (a["mask"] == b["mask"]).all()
        for a, b in zip(one.objects.values(), two.objects.values(), strict=True)
    )
