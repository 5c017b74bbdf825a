from pathlib import Path

import pytest
import torch

from tests.network.conftest import published_keys
from vista3d import anatomy
from vista3d.errors import WeightsError
from vista3d.network.checkpoint import convert, load_checkpoint, save_checkpoint
from vista3d.network.config import MINI, OFFICIAL, NetworkConfig
from vista3d.network.layouts import config_of, to_bundle, unwrap
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D

TINY = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 2, 1, 1, 1), features=8, mlp_dim=8)
META = CheckpointMeta(
    name="tiny",
    config=TINY,
    spacing=(4.0, 4.0, 4.0),
    window=(32, 32, 32),
    intensity=(-1000.0, 1000.0),
    classes=(1, 3),
    licence="Apache-2.0",
    provenance={"seed": 0},
)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(Vista3D(TINY).state_dict())


def _research(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights in the names of MONAI 1.3, with its unused tensors."""
    renamed = {
        key.replace(".mlp.linear1.", ".mlp.lin1.").replace(".mlp.linear2.", ".mlp.lin2."): value
        for key, value in state.items()
    }
    renamed["weight_mapper.0.weight"] = torch.zeros(32, 8)
    renamed["point_head.output_add_hypernetworks_mlps.0.layers.0.bias"] = torch.zeros(8)
    return renamed


def test_both_published_layouts_load_strictly():
    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in Vista3D(OFFICIAL).state_dict().items()}
    assert published_keys("state_dict_keys_monai14.txt") == expected
    research = {
        key: torch.empty(shape, device="meta")
        for key, shape in published_keys("state_dict_keys_monai13.txt").items()
    }
    assert len(research) == 275
    assert {k: tuple(v.shape) for k, v in to_bundle(research).items()} == expected
    assert config_of(to_bundle(research), "research") == OFFICIAL


def test_number_of_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in Vista3D(OFFICIAL).parameters()) == 217_964_982
        mini = sum(v.numel() for v in Vista3D(MINI).state_dict().values())
    assert 2 * mini < 30e6  # fp16 bytes: the wheel's budget


def test_round_trip_is_bit_exact(state: dict[str, torch.Tensor], tmp_path: Path):
    for dtype in ("float32", "float16"):
        path = tmp_path / f"{dtype}.safetensors"
        save_checkpoint(path, state, META, dtype)
        network, meta = load_checkpoint(path)
        assert meta == META
        for name, value in network.state_dict().items():
            assert torch.equal(value, state[name].to(getattr(torch, dtype)).float()), name


@pytest.mark.parametrize("wrapper", ["plain", "module", "model", "state_dict", "network", "1.3"])
def test_published_wrappers(state: dict[str, torch.Tensor], tmp_path: Path, wrapper: str):
    content: object = {
        "plain": state,
        "module": {f"module.{k}": v for k, v in state.items()},
        "model": {"model": {f"module.{k}": v for k, v in state.items()}, "epoch": 3},
        "state_dict": {"state_dict": state},
        "network": {f"network.{k}": v for k, v in state.items()},
        "1.3": _research(state),
    }[wrapper]
    torch.save(content, tmp_path / "model.pt")
    network, meta = load_checkpoint(tmp_path / "model.pt")
    assert meta.name == "model"  # not the official sizes: named after its file
    assert "unknown" in meta.licence
    assert meta.spacing == (1.5, 1.5, 1.5)
    assert len(meta.classes) == 124
    assert network.config.widths == TINY.widths
    assert network.config.blocks == TINY.blocks
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_code_in_a_checkpoint_is_refused(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt holds more than tensors.*its state_dict"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_damaged_files_say_so(state: dict[str, torch.Tensor], tmp_path: Path):
    path = tmp_path / "cut.safetensors"
    save_checkpoint(path, state, META)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match=r"cut\.safetensors is damaged"):
        load_checkpoint(path)
    for content in (b"PK\x03\x04nothing", b"", b"hello" * 100, b"no"):
        (tmp_path / "cut.pt").write_bytes(content)
        with pytest.raises(WeightsError, match=r"cut\.pt is damaged or no checkpoint"):
            load_checkpoint(tmp_path / "cut.pt")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="holds no state dict"):
        load_checkpoint(tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="no weights at"):
        load_checkpoint(tmp_path / "absent.pt")


def test_missing_and_misshaped_tensors_are_listed(state: dict[str, torch.Tensor], tmp_path: Path):
    wrong = {k: v for k, v in state.items() if k != "class_head.mlp.0.bias"}
    wrong["class_head.mlp.9.bias"] = torch.zeros(1)
    wrong["class_head.mlp.3.bias"] = torch.zeros(5)
    save_checkpoint(tmp_path / "a.safetensors", wrong, META)
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(tmp_path / "a.safetensors")
    assert "1 tensors missing (class_head.mlp.0.bias)" in str(caught.value)
    assert "1 tensors unexpected (class_head.mlp.9.bias)" in str(caught.value)
    assert "class_head.mlp.3.bias (5,) instead of (8,)" in str(caught.value)
    torch.save({"something": torch.zeros(1)}, tmp_path / "b.pt")
    with pytest.raises(WeightsError, match="is not a VISTA3D checkpoint"):
        load_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("layout", ["state_dict_keys_monai14.txt", "state_dict_keys_monai13.txt"])
def test_a_file_of_the_published_sizes_loads(tmp_path: Path, layout: str):
    # Broadcast zeros: 259 or 275 tensors of the true shapes in a small file.
    state = {k: torch.zeros(1).expand(shape) for k, shape in published_keys(layout).items()}
    torch.save(state, tmp_path / "model.pt")
    network, meta = load_checkpoint(tmp_path / "model.pt")
    assert network.config == OFFICIAL
    assert meta.name == "official"
    assert meta.window == (128, 128, 128)
    assert meta.intensity == (-963.8247715525971, 1053.678477684517)
    assert len(meta.classes) == 124
    assert set(anatomy.everything()) < set(meta.classes)
    assert meta.modalities == ("ct",)
    assert "NVIDIA Open Model License" in meta.licence


def test_the_ct_mr_model_is_known_by_its_path_or_by_request(tmp_path: Path):
    keys = published_keys("state_dict_keys_monai14.txt")
    state = {k: torch.zeros(1).expand(shape) for k, shape in keys.items()}
    path = tmp_path / "models--nvidia--NV-Segment-CTMR" / "model.pt"
    path.parent.mkdir()
    torch.save(state, path)
    _, meta = load_checkpoint(path)
    _, asked = load_checkpoint(path.rename(tmp_path / "model.pt"), "official-ctmr")
    for found in (meta, asked):
        assert found.name == "official-ctmr"
        assert found.window == (192, 192, 128)
        assert (found.intensity, found.intensity_kind) == ((1.0, 99.0), "percentiles")
        assert "OneWay Non-Commercial" in found.licence
    trained = {s.id for s in anatomy.STRUCTURES.values() if s.trained and not s.parts}
    assert set(meta.classes) == trained
    for modality in meta.modalities:
        assert set(anatomy.everything(modality)) <= trained
    assert len(meta.modalities) == 3


def test_storage_as_fp16_refuses_what_it_cannot_hold(
    state: dict[str, torch.Tensor], tmp_path: Path
):
    state["class_head.mlp.0.bias"] = torch.full((8,), 1e6)
    with pytest.raises(WeightsError, match=r"class_head\.mlp\.0\.bias is not finite as torch\.fl"):
        save_checkpoint(tmp_path / "a.safetensors", state, META, "float16")
    assert list(tmp_path.iterdir()) == []  # nothing half-written either
    save_checkpoint(tmp_path / "a.safetensors", state, META, "float32")


def test_a_written_file_is_as_readable_as_any_other(state: dict[str, torch.Tensor], tmp_path: Path):
    save_checkpoint(tmp_path / "a.safetensors", state, META)
    (tmp_path / "other").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('{"format": "vista3d-9"}', "another version of vista3d"),
        ('["a list"]', "is damaged"),
        ("{}", "is damaged"),
        (META.to_json().replace('"window": [32, 32, 32]', '"window": [32, 32, 33]'), "multiples"),
        (META.to_json().replace('"widths"', '"depths"'), "is damaged"),
    ],
)
def test_damaged_metadata_says_so(change: str, message: str):
    assert CheckpointMeta.from_json(META.to_json(), "a.safetensors") == META
    with pytest.raises(WeightsError, match=message):
        CheckpointMeta.from_json(change, "a.safetensors")


def test_convert_keeps_the_storage_type(state: dict[str, torch.Tensor], tmp_path: Path):
    save_checkpoint(tmp_path / "half.safetensors", state, META, "float16")
    convert(tmp_path / "half.safetensors", tmp_path / "half.pt")
    half = torch.load(tmp_path / "half.pt", weights_only=True)
    assert {v.dtype for v in half.values()} == {torch.float16}
    torch.save(state, tmp_path / "full.pt")
    convert(tmp_path / "full.pt", tmp_path / "small.safetensors", "float16")
    assert (tmp_path / "small.safetensors").stat().st_size < (tmp_path / "full.pt").stat().st_size


def test_convert_there_and_back(state: dict[str, torch.Tensor], tmp_path: Path):
    save_checkpoint(tmp_path / "a.safetensors", state, META, "float32")
    convert(tmp_path / "a.safetensors", tmp_path / "b.pt")
    bundle = torch.load(tmp_path / "b.pt", weights_only=True)
    assert sorted(bundle) == sorted(state)  # the unused tensors too
    assert all(torch.equal(unwrap(bundle, "b")[k], v) for k, v in state.items())
    convert(tmp_path / "b.pt", tmp_path / "c.safetensors")
    network, _ = load_checkpoint(tmp_path / "c.safetensors")
    assert all(torch.equal(network.state_dict()[k], v) for k, v in state.items())
    with pytest.raises(WeightsError, match="convert writes"):
        convert(tmp_path / "b.pt", tmp_path / "d.onnx")


def test_a_network_that_its_tensors_do_not_describe_is_not_written_without_a_word(tmp_path):
    from vista3d.network.weights import resolve

    target = tmp_path / "mini.pt"
    with pytest.raises(WeightsError, match="safetensors"):
        convert(resolve("mini"), target)
    assert not target.exists()
