import itertools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.conftest import RAS, patient, save
from vista3d.errors import GeometryError, InputError
from vista3d.training import examples
from vista3d.training.data import digests, prepared
from vista3d.training.data.case import Case, PseudoLabel
from vista3d.training.data.cases import read_cases
from vista3d.training.data.chunks import read_chunks, write_chunks
from vista3d.training.data.prepared import Arrays, class_locations, mark_head, prepare_arrays
from vista3d.training.data.store import Entry, Store, prepare_all
from vista3d.training.synthetic.tissues import HEAD, INTERIOR, SKIN

WHOLE = (slice(None),) * 3


@pytest.fixture
def cases(data_set: Callable[..., Path]) -> list[Case]:
    return read_cases(data_set(3), None)


def _refuse(case: Case, spacing: float) -> Arrays:
    raise AssertionError(f"{case.name} was prepared again at {spacing}")


def _entries(store: Store) -> list[Path]:
    return [path for path in store.folder.iterdir() if path.is_dir()]


def test_crops_are_those_of_the_whole_array(tmp_path: Path):
    rng = np.random.default_rng(0)
    for n, (shape, dtype) in enumerate(
        [((70, 33, 129), np.int16), ((5, 7, 90), np.int32), ((64, 64, 64), np.int16)]
    ):
        array = rng.integers(-1000, 3000, shape).astype(dtype)
        path = tmp_path / f"{n}.b2nd"
        write_chunks(path, array)
        for _ in range(20):
            box = tuple(slice(*sorted(rng.integers(0, size + 1, 2).tolist())) for size in shape)
            crop = read_chunks(path, box)
            assert crop.dtype == dtype
            np.testing.assert_array_equal(crop, array[box])


def test_stored_is_what_was_computed_and_is_not_computed_again(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    first = store.get(cases[0], 4.0)
    again = store.get(cases[0], 4.0, _refuse)
    arrays = prepare_arrays(cases[0], 4.0)
    assert arrays.image is not None
    assert again.image is not None
    assert first.image is not None
    np.testing.assert_array_equal(again.image[WHOLE], arrays.image)
    np.testing.assert_array_equal(again.labels[WHOLE], arrays.labels)
    assert again.labels.shape == arrays.labels.shape
    expected = class_locations(arrays.labels)
    assert set(again.locations) == set(expected) == {1, 3, 5, 12, 14}
    for class_id, voxels in expected.items():
        np.testing.assert_array_equal(again.locations[class_id], voxels)
    assert again.annotated == {1, 3, 5, 12, 14}
    assert again.supervoxels is None


def test_content_decides_not_names(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    before = store.key(cases[0], 4.0)
    label = cases[0].label
    assert label is not None
    moved = label.rename(label.with_name("moved.nii.gz"))
    assert store.key(replace(cases[0], label=moved), 4.0) == before
    assert store.key(replace(cases[0], label=moved), 2.0) != before
    assert store.key(replace(cases[0], label=moved, mapping={1: 1}), 4.0) != before
    changed = patient(0)[1]
    changed[0, 0, 0] = 1
    save(moved, changed)
    assert store.key(replace(cases[0], label=moved), 4.0) != before


def test_digests_are_remembered_and_follow_changes(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    (image,) = [case.image for case in cases[:1] if case.image is not None]
    old = time.time() - 100
    os.utime(image, (old, old))
    first = store._digests.of(image) if store.key(cases[0], 4.0) else ""
    assert first in (store.folder / "digests.txt").read_text()
    fresh = Store(store.folder)
    assert fresh._digests.of(image) == first
    save(image, patient(9)[0])
    os.utime(image, (old + 1, old + 1))
    assert fresh._digests.of(image) != first


def test_the_least_recently_read_goes(cases: list[Case], tmp_path: Path):
    folder = tmp_path / "store"
    size = _size(Store(folder).get(cases[0], 4.0).labels.entry.folder)  # type: ignore[attr-defined]
    store = Store(folder, int(2.6 * size))
    kept, dropped = store.key(cases[0], 4.0), store.key(cases[1], 4.0)
    store.get(cases[1], 4.0)
    os.utime(folder / dropped, (1, 1))
    os.utime(folder / kept, (0, 0))
    assert store.get(cases[0], 4.0, _refuse).labels[0:1, 0:1, 0:1].shape == (1, 1, 1)
    store.get(cases[2], 4.0)
    assert {path.name for path in _entries(store)} == {kept, store.key(cases[2], 4.0)}
    assert sum(_size(path) for path in _entries(store)) <= store.max_bytes


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_case_that_was_removed_is_prepared_again_for_its_holder(
    cases: list[Case], tmp_path: Path
):
    folder = tmp_path / "store"
    size = _size(Store(folder).get(cases[0], 4.0).labels.entry.folder)  # type: ignore[attr-defined]
    store = Store(folder, int(1.5 * size))  # holds one of the three
    held = [store.get(case, 4.0) for case in cases]
    expected = [prepare_arrays(case, 4.0).labels for case in cases]
    for _, (one, labels) in itertools.product(range(2), zip(held, expected, strict=True)):
        np.testing.assert_array_equal(one.labels[WHOLE], labels)
        assert len(one.locations[1]) > 0
        assert len(_entries(store)) == 1


def test_stores_in_one_folder_have_one_limit(cases: list[Case], tmp_path: Path):
    """A cache without supervoxels and with: both together hold no more."""
    cache = tmp_path / "cache"
    foreign = cache / "plain" / "notes"
    foreign.mkdir(parents=True)
    (held,) = examples.prepare_all(cases[:1], cache, 4.0)
    limit = int(2.6 * _size(held.labels.entry.folder))  # type: ignore[attr-defined]
    for segments in (None, 20):
        for case in cases:
            examples.prepare_all([case], cache, 4.0, segments, max_bytes=limit)
    kept = [path for path in cache.glob("*/*") if path.is_dir() and path != foreign]
    assert sum(map(_size, kept)) <= limit
    assert {path.parent.name for path in kept} == {"supervoxels-20"}
    assert foreign.is_dir()
    # Read again, they come back, and others go.
    (again,) = examples.prepare_all(cases[:1], cache, 4.0, max_bytes=limit)
    expected = prepare_arrays(cases[0], 4.0).labels
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).labels[WHOLE], expected)
    kept = [path for path in cache.glob("*/*") if path.is_dir() and path != foreign]
    assert sum(map(_size, kept)) <= limit


def test_a_case_larger_than_the_store_says_so(cases: list[Case], tmp_path: Path):
    with pytest.raises(InputError, match=r"the whole store may hold 0\.0 MB: allow more"):
        Store(tmp_path / "store", 1000).get(cases[0], 4.0)
    assert _entries(Store(tmp_path / "store")) == []


def test_killed_in_the_middle_leaves_no_half_entry(cases: list[Case], tmp_path: Path):
    """The process dies after the first of the entry's files."""
    folder = tmp_path / "store"
    (tmp_path / "case.pkl").write_bytes(pickle.dumps(cases[0]))
    code = f"""
        import os, pickle
        from pathlib import Path
        from vista3d.training.data import store
        write = store.write_chunks
        def die(path, array):
            write(path, array)
            os._exit(9)
        store.write_chunks = die
        case = pickle.loads(Path({str(tmp_path / "case.pkl")!r}).read_bytes())
        store.Store(Path({str(folder)!r})).get(case, 4.0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 9
    (left,) = _entries(Store(folder))
    assert left.name.startswith(".building-")
    store = Store(folder)
    labels = store.get(cases[0], 4.0).labels[WHOLE]
    np.testing.assert_array_equal(labels, prepare_arrays(cases[0], 4.0).labels)
    assert left.is_dir()  # may belong to a living process
    os.utime(left, (0, 0))
    Store(folder).get(cases[1], 4.0)
    assert not left.exists()


def test_a_damaged_file_names_the_folder_to_delete(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    held = store.get(cases[0], 4.0)
    file = store.folder / store.key(cases[0], 4.0) / "labels.b2nd"
    file.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"is damaged .* delete the folder"):
        _ = held.labels[WHOLE]


def test_an_entry_that_another_process_brings_in_is_not_damaged(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    entry = Entry(store, store.key(cases[0], 4.0), cases[0], 4.0, _refuse)

    def read(path: Path) -> str:
        if not path.is_file():
            Store(store.folder).get(cases[0], 4.0)  # another process
            raise FileNotFoundError(path)
        return path.read_text()

    assert "p0" in entry.read("index.json", read)


def test_a_store_that_may_only_be_read(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    held = Store(tmp_path / "store").get(cases[0], 4.0)
    expected = held.labels[WHOLE]

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "not permitted")

    os.utime(cases[0].files[0], (0, 0))
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(digests.Path, "open", _without_appending(Path.open))
    again = Store(tmp_path / "store").get(cases[0], 4.0, _refuse)
    np.testing.assert_array_equal(again.labels[WHOLE], expected)


def _without_appending(opened: Callable[..., Any]) -> Callable[..., Any]:
    def open_(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "a" in mode:
            raise PermissionError(1, "not permitted")
        return opened(path, mode, *arguments, **options)

    return open_


def _sum(folder: Path, case: Case, barrier: object) -> int:
    barrier.wait()  # type: ignore[attr-defined]
    return int(Store(folder).get(case, 4.0).labels[WHOLE].sum())


def test_two_processes_prepare_the_same_case(cases: list[Case], tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        work = [(tmp_path / "store", cases[0], manager.Barrier(2))] * 2
        sums = pool.starmap(_sum, work)
    assert sums == [int(prepare_arrays(cases[0], 4.0).labels.sum())] * 2
    (entry,) = _entries(Store(tmp_path / "store"))
    assert not entry.name.startswith(".")


@pytest.mark.parametrize("workers", [1, 2])
def test_prepared_travels_between_processes(cases: list[Case], tmp_path: Path, workers: int):
    held = prepare_all(Store(tmp_path / "store"), cases, 4.0, workers)
    copy = pickle.loads(pickle.dumps(held))
    np.testing.assert_array_equal(copy[1].labels[WHOLE], held[1].labels[WHOLE])
    assert [one.case.name for one in copy] == ["p0", "p1", "p2"]


def test_processes_begin_at_different_cases(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[str] = []

    def build(case: Case, spacing: float) -> Arrays:
        made.append(case.name)
        return prepare_arrays(case, spacing)

    monkeypatch.setattr(examples, "prepare_arrays", build)
    found = examples.prepare_all(cases, tmp_path, 4.0, place=(1, 2))
    assert made == ["p1", "p2", "p0"]
    assert [one.case.name for one in found] == ["p0", "p1", "p2"]
    # Where the other has made them, nothing is left to do.
    examples.prepare_all(cases, tmp_path, 4.0, place=(0, 2))
    assert len(made) == 3


def test_label_map_without_a_scan_gets_a_body(cases: list[Case]):
    arrays = prepare_arrays(replace(cases[0], image=None), 4.0)
    assert arrays.image is None
    assert {1, SKIN, INTERIOR} <= set(np.unique(arrays.labels))
    assert set(class_locations(arrays.labels)) == {1, 3, 5, 12, 14}


def test_head_is_marked_only_where_the_rules_say_what_may_be_in_it(cases: list[Case]):
    stem = {
        value: 220 if class_id == 1 else class_id for value, class_id in cases[0].mapping.items()
    }
    with_stem = replace(cases[0], mapping=stem)
    assert HEAD not in prepare_arrays(with_stem, 4.0).labels
    source = replace(with_stem.source, head=frozenset({220}))
    labels = prepare_arrays(replace(with_stem, source=source), 4.0).labels
    planes = np.flatnonzero((labels == 220).any((0, 1)))
    assert (labels[:, :, planes[0] :] > 0).all()
    assert HEAD not in labels[:, :, : planes[0]]
    assert mark_head(np.zeros((2, 2, 2), np.int16)).max() == 0


def test_undrawn_is_unknown_where_the_source_is_incomplete(cases: list[Case], tmp_path: Path):
    case = replace(cases[0], annotated=cases[0].annotated | {13})
    store = Store(tmp_path / "store")
    assert 13 in store.get(case, 4.0).annotated
    source = replace(case.source, complete=False, absent=frozenset({13, 1}))
    held = store.get(replace(case, source=source), 4.0)
    assert 13 not in held.annotated
    assert held.absent == {13}  # the liver is there, whatever the rules say


def test_a_teacher_fills_what_nobody_annotated(cases: list[Case], tmp_path: Path):
    _, labels = patient(0)
    taught = np.full(labels.shape, 15, np.uint8)
    taught[labels == 1] = 3
    taught[0] = 9
    path = save(tmp_path / "taught.nii.gz", taught)
    case = replace(cases[0], pseudo=PseudoLabel(path, frozenset({15, 3})))
    arrays = prepare_arrays(case, 4.0)
    manual = prepare_arrays(cases[0], 4.0).labels
    assert (arrays.labels[manual > 0] == manual[manual > 0]).all()
    assert set(np.unique(arrays.labels[manual == 0])) <= {0, 15}  # 9 is not believed
    assert 15 in Store(tmp_path / "store").get(case, 4.0).annotated
    alone = replace(case, label=None, mapping={}, annotated=frozenset())
    assert set(np.unique(prepare_arrays(alone, 4.0).labels)) == {0, 3, 15}


def test_supervoxels_come_along(cases: list[Case], tmp_path: Path):
    regions = np.arange(32**3, dtype=np.int32).reshape(32, 32, 32) // 64
    case = replace(cases[0], supervoxels=save(tmp_path / "sv.nii.gz", regions))
    held = Store(tmp_path / "store").get(case, 4.0)
    assert held.supervoxels is not None
    found = held.supervoxels[WHOLE]
    assert found.shape == held.labels.shape
    assert found.dtype == np.int32
    assert set(np.unique(found)) <= set(range(512))
    assert len(np.unique(found)) > 100


def _with(case: Case, role: str, path: Path) -> Case:
    pseudo = PseudoLabel(path, frozenset({1, 15}))
    return replace(case, **{role: pseudo if role == "pseudo" else path})


@pytest.mark.parametrize("role", ["label", "pseudo", "supervoxels"])
def test_labels_of_another_shape_are_refused(cases: list[Case], tmp_path: Path, role: str):
    path = save(tmp_path / "other.nii.gz", np.ones((8, 8, 8), np.uint8))
    with pytest.raises(GeometryError, match="vista3d data check"):
        prepare_arrays(_with(cases[0], role, path), 4.0)


@pytest.mark.parametrize("role", ["label", "pseudo", "supervoxels"])
def test_labels_on_other_axes_are_refused(cases: list[Case], tmp_path: Path, role: str):
    """The same shape, the array turned by 180 degrees: only the header tells."""
    turned = RAS @ np.diag([-1.0, -1, 1, 1])
    turned[:2, 3] = -turned[:2, 3] - 4
    path = save(tmp_path / "turned.nii.gz", patient(0)[1][::-1, ::-1].copy(), turned)
    with pytest.raises(GeometryError, match="RAS"):
        prepare_arrays(_with(cases[0], role, path), 4.0)


@pytest.mark.parametrize("role", ["label", "pseudo"])
@pytest.mark.parametrize("value", [-1, 0.9999999])
def test_values_that_are_no_labels_are_refused(
    cases: list[Case], tmp_path: Path, role: str, value: float
):
    """Counted from the end of the table, or cut off, they would be other classes."""
    labels = patient(0)[1].astype(np.float32)
    labels[0, 0, :5] = value
    path = save(tmp_path / "odd.nii.gz", labels)
    with pytest.raises(InputError, match=r"p0: 'odd.nii.gz' is not a label map"):
        prepare_arrays(_with(cases[0], role, path), 4.0)


def test_locations_are_capped_and_of_the_class(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepared, "LOCATIONS_PER_CLASS", 10)
    labels = np.zeros((9, 9, 9), np.int16)
    labels[2:6], labels[8] = 3, HEAD
    voxels = class_locations(labels)
    assert list(voxels) == [3]
    assert len(np.unique(voxels[3], axis=0)) == 10
    assert (labels[tuple(voxels[3].T)] == 3).all()


def test_index_says_what_an_entry_is(cases: list[Case], tmp_path: Path):
    store = Store(tmp_path / "store")
    store.get(cases[2], 4.0)
    index = json.loads((store.folder / store.key(cases[2], 4.0) / "index.json").read_text())
    assert (index["dataset"], index["case"], index["spacing"]) == ("Dataset001_Made", "p2", 4.0)


def test_a_case_without_any_label_has_no_locations():
    """A scan of which only novel structures are drawn: held out, never trained on."""
    assert class_locations(np.zeros((4, 5, 6), np.int16)) == {}
