"""Session files that are damaged in every byte, or that lie. Written in review; see
test_review_edits for the marks."""

import json
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.inference.interactive.fake import Balls, automatic, scan
from vista3d.errors import InputError, Vista3DError
from vista3d.inference.interactive import InteractiveSession, storage


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    session = InteractiveSession(scan(), Balls(), automatic)
    session.run_automatic()
    session.click((10, 10, 8), space="voxel")
    session.save(tmp_path / "a.zip")
    return tmp_path / "a.zip"


def _load(path: Path) -> InteractiveSession:
    return InteractiveSession.load(path, scan(), Balls(), automatic)


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_flipped_byte_anywhere_is_an_input_error_or_harmless(saved: Path, flip: int):
    whole, wrong = saved.read_bytes(), {}
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= flip
        saved.write_bytes(bytes(damaged))
        try:
            _load(saved)
        except InputError:
            pass
        except Exception as error:
            wrong.setdefault(type(error).__name__, []).append(place)
    assert wrong == {}


def test_a_file_cut_anywhere_is_an_input_error(saved: Path):
    whole = saved.read_bytes()
    for length in range(0, len(whole), 3):
        saved.write_bytes(whole[:length])
        with pytest.raises(InputError):
            _load(saved)


def _thing(**values):
    def change(content, members):
        content["objects"][content["present"][0]["objects"][0]].update(values)

    return change


def _scene(**values):
    def change(content, members):
        content["present"][0].update(values)

    return change


def _new_mask(size, data):
    """The first object gets a mask made by hand."""

    def change(content, members):
        number = len(content["masks"])
        content["masks"].append({"low": [0, 0, 0], "size": size})
        members[f"masks/{number}.z"] = data
        content["objects"][content["present"][0]["objects"][0]]["mask"] = number

    return change


def _endless(content, members):
    """Bytes behind the end of the bits: deflated a thousandfold, read into memory whole."""
    for name in members:
        if name.endswith(".z") and members[name]:
            members[name] += bytes(2**20)


def _infinite(content, members):
    content["masks"][0]["size"] = [float("inf")] * 3


def _twins(content, members):
    for thing in content["objects"]:
        thing["id"] = 1
    content["present"][0]["active"] = 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_endless, id="bytes behind the bits"),
        pytest.param(_infinite, id="infinite size"),
        pytest.param(_twins, id="two objects of one id"),
        pytest.param(_thing(id=10**6), id="id beyond uint16"),
        pytest.param(_thing(id=-5), id="negative id"),
        pytest.param(_thing(class_id=9999), id="class that does not exist"),
        pytest.param(_thing(mask=-1), id="mask counted from the end"),
        pytest.param(_thing(clicks=[[float("nan"), 1, 1, True]]), id="click nowhere"),
        pytest.param(_thing(clicks=[[1e9, 1, 1, True]]), id="click outside"),
        pytest.param(_thing(colour=[0, 0, 256]), id="no colour"),
        pytest.param(_thing(colour="red"), id="a colour's name"),
        pytest.param(_scene(next_id=1), id="next id already given"),
        pytest.param(_new_mask([8, 1, 1], zlib.compress(b"\0")), id="mask without a voxel"),
        pytest.param(_new_mask([0, 0, 0], b"garbage"), id="no box, but bits"),
    ],
)
def test_a_lying_file_is_refused(saved: Path, change):
    with zipfile.ZipFile(saved) as file:
        members = {name: file.read(name) for name in file.namelist()}
    content = json.loads(members["session.json"])
    change(content, members)
    members["session.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    with pytest.raises(InputError):
        _load(saved)


def test_what_is_saved_can_be_opened(tmp_path: Path, monkeypatch):
    """107 objects of 75 clicks and a full history reach the limit of 64 MiB (measured)."""
    monkeypatch.setattr(storage, "_JSON_LIMIT", 10_000)
    session = InteractiveSession(scan(), Balls(), automatic)
    for _ in range(100):
        session.add_object()
    try:
        session.save(tmp_path / "a.zip")
    except Vista3DError:
        return
    assert len(_load(tmp_path / "a.zip").objects) == 100


def test_the_same_scan_in_another_type_is_the_same_scan(saved: Path):
    volume = scan()
    same = replace(volume, array=np.asfortranarray(volume.array.astype(np.float32)))
    assert InteractiveSession.load(saved, same, Balls()).objects


def test_a_missing_folder_is_made_as_by_the_other_writers(tmp_path: Path):
    session = InteractiveSession(scan(), Balls())
    session.save(tmp_path / "new" / "a.zip")
    assert _load(tmp_path / "new" / "a.zip").objects == ()
