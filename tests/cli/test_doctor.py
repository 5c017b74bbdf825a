"""`vista3d doctor`: complete, honest about what is missing, and without a trace on the disk."""

from __future__ import annotations

import json
import socket

import pytest

from vista3d.cli import doctor as doctor_module
from vista3d.cli.doctor import advise, forecast_text
from vista3d.cli.main import main

FAST = {
    "model": "mini",
    "case": "torso",
    "device": "cpu",
    "runtime": "torch",
    "precision": "fp32",
    "window_s": 0.5,
    "windows": 60,
    "case_s": 65,
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty place for weights, and a network that must not be touched."""
    place = tmp_path / "home" / "vista3d"
    monkeypatch.setenv("VISTA3D_HOME", str(place))

    def refuse(*args):
        pytest.fail("doctor must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return place


def call(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *arguments])
    assert not stop.value.code
    return capsys.readouterr().out


def test_json_says_what_the_machine_is(home, capsys):
    found = json.loads(call(capsys, "--json", "--no-timing"))
    assert found["python"].count(".") == 2
    assert found["libraries"]["torch"]
    assert found["cpu"]["cores"] >= 1
    assert found["cache"]["folder"] == str(home)
    assert found["cache"]["free_gib"] > 0
    assert found["forecast"] is None
    models = {model["name"]: model for model in found["models"]}
    assert not models["official"]["present"]
    assert "vista3d download official" in models["official"]["note"]
    assert "NVIDIA" in models["official"]["licence"]
    assert not home.exists(), "doctor writes nothing"


def test_a_downloaded_model_is_found(home, capsys):
    (home / "official").mkdir(parents=True)
    (home / "official" / "model.pt").write_bytes(b"x" * (1 << 20))
    found = json.loads(call(capsys, "--json", "--no-timing"))
    official = next(model for model in found["models"] if model["name"] == "official")
    assert official["present"]
    assert official["mib"] == 1.0


def test_the_page_is_readable(home, capsys, monkeypatch):
    monkeypatch.setattr(doctor_module, "_forecast", lambda models: FAST)
    page = " ".join(call(capsys).split())
    for words in ("python", "memory", "weights folder", "model mini", "1 min 05 s for a torso"):
        assert words in page


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_offline_mode_is_seen(home, capsys, monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    found = json.loads(call(capsys, "--json", "--no-timing"))
    assert found["hub"]["offline"]
    assert any("HF_HUB_OFFLINE" in text for text in found["advice"])


def test_the_forecast_is_one_sentence():
    text = forecast_text(FAST)
    assert text.startswith("about 1 min 05 s for a torso, with mini on cpu")
    assert "60 windows of 0.5 s" in text
    assert forecast_text(None) == "not measured"


def _machine(**changes):
    found = {
        "accelerators": [],
        "libraries": {"openvino": "2026.4"},
        "memory": {"available_gib": 20.0},
        "cache": {"folder": "/x", "free_gib": 50.0},
        "hub": {"offline": False},
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"libraries": {"openvino": None}}, "vista3d[cpu]"),
        ({"memory": {"available_gib": 1.5}}, "only 1.5 GiB of memory"),
        ({"cache": {"folder": "/x", "free_gib": 0.4}}, "only 0.4 GiB are free at /x"),
    ],
)
def test_advice_follows_from_what_is_lacking(changes, words):
    assert advise(_machine()) == []
    assert words in advise(_machine(**changes))[0]


def test_the_forecast_runs_a_real_window_and_leaves_nothing(home, tiny_checkpoint):
    from vista3d.cli.forecast import forecast

    result = forecast(tiny_checkpoint, device="cpu")
    assert result["window"] == [48, 48, 48]
    assert result["window_s"] > 0
    # 253 x 180 x 333 voxels in windows of 48 that overlap by a quarter: at least 7 x 5 x 9.
    assert result["windows"] >= 7 * 5 * 9
    assert result["case_s"] >= result["windows"] * result["window_s"]
    assert not home.exists()


def test_every_model_is_listed_with_its_licence(home, tiny_checkpoint, tmp_path, monkeypatch):
    from vista3d.network import weights

    names = [model["name"] for model in doctor_module.describe_models()]
    assert names == ["mini", "official", "official-ctmr"]
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"broken")
    places = {"tiny": tiny_checkpoint, "broken": broken, "gone": tmp_path / "gone.safetensors"}
    monkeypatch.setattr(weights, "EMBEDDED", places)
    found = {model["name"]: model for model in doctor_module.describe_models()}
    assert found["tiny"]["licence"] == "CC BY 4.0"
    assert (found["broken"]["present"], found["broken"]["licence"]) == (True, "")
    assert not found["gone"]["present"]
