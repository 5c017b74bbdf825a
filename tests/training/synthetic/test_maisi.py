"""The adapter around tiny, random networks of MONAI's own MAISI classes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vista3d.errors import UsageError, WeightsError
from vista3d.training.synthetic.maisi import BODY, binary_planes, generate, with_body
from vista3d.training.synthetic.maisi_checkpoint import load_maisi

pytest.importorskip("monai.apps.generation.maisi")

CPU = torch.device("cpu")
LIVER, LUNG, MANDIBLE = 1, 29, 200
_UNET = {
    "spatial_dims": "@spatial_dims",
    "in_channels": "@latent_channels",
    "num_channels": [8, 8],
    "attention_levels": [False, False],
    "num_head_channels": [0, 8],
    "num_res_blocks": 1,
    "norm_num_groups": 4,
    "use_flash_attention": True,
    "include_fc": True,
    "resblock_updown": True,
}


def _config(version: str) -> dict:
    """As MONAI writes it, with few channels. `version`: "rflow" or "ddpm"."""
    flow = version == "rflow"
    networks = "monai.apps.generation.maisi.networks."
    classes = {"num_class_embeds": 4} if flow else {}
    regions = {f"include_{part}_region_index_input": not flow for part in ("top", "bottom")}
    return {
        "spatial_dims": 3,
        "latent_channels": 4,
        "autoencoder_def": {
            "_target_": networks + "autoencoderkl_maisi.AutoencoderKlMaisi",
            "spatial_dims": "@spatial_dims",
            "in_channels": 1,
            "out_channels": 1,
            "latent_channels": "@latent_channels",
            "num_channels": [4, 4, 4],
            "num_res_blocks": [1, 1, 1],
            "norm_num_groups": 2,
            "norm_eps": 1e-6,
            "attention_levels": [False, False, False],
            "norm_float16": True,
            "num_splits": 2,
            "dim_split": 1,
            "save_mem": False,
        },
        "diffusion_unet_def": {
            "_target_": networks + "diffusion_model_unet_maisi.DiffusionModelUNetMaisi",
            "out_channels": "@latent_channels",
            "include_spacing_input": True,
            **regions,
            **classes,
            **_UNET,
        },
        "controlnet_def": {
            "_target_": networks + "controlnet_maisi.ControlNetMaisi",
            "conditioning_embedding_in_channels": 8,
            "conditioning_embedding_num_channels": [4, 4, 8],
            **classes,
            **_UNET,
        },
        "noise_scheduler": {
            "_target_": "monai.networks.schedulers.rectified_flow.RFlowScheduler",
            "num_train_timesteps": 1000,
            "use_discrete_timesteps": False,
            "use_timestep_transform": True,
        }
        if flow
        else {
            "_target_": "monai.networks.schedulers.ddpm.DDPMScheduler",
            "num_train_timesteps": 4,
            "schedule": "scaled_linear_beta",
            "clip_sample": False,
        },
    }


def _build(folder: Path, version: str) -> Path:
    """A checkpoint directory with random weights; the zeroed last layers are given some, too."""
    from monai.apps.generation.maisi.networks import (
        autoencoderkl_maisi,
        controlnet_maisi,
        diffusion_model_unet_maisi,
    )

    config = _config(version)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    classes = {
        "autoencoder": autoencoderkl_maisi.AutoencoderKlMaisi,
        "diffusion_unet": diffusion_model_unet_maisi.DiffusionModelUNetMaisi,
        "controlnet": controlnet_maisi.ControlNetMaisi,
    }
    names = {"@spatial_dims": 3, "@latent_channels": 4}
    torch.manual_seed(0)
    for name, network in classes.items():
        given = {k: names.get(v, v) if isinstance(v, str) else v
                 for k, v in config[f"{name}_def"].items() if k != "_target_"}  # fmt: skip
        given |= {f: False for f in ("use_flash_attention", "norm_float16") if f in given}
        state = network(**given).state_dict()
        state = {k: v + 0.02 * torch.randn_like(v) for k, v in state.items()}
        if name == "autoencoder":
            save_file(state, folder / f"{name}.safetensors")
        elif name == "diffusion_unet":
            wrapped = {"unet_state_dict": state, "scale_factor": torch.tensor(0.5), "epoch": 3}
            torch.save(wrapped, folder / f"{name}.pt")
        else:
            torch.save({"controlnet_state_dict": state}, folder / f"{name}.pt")
    return folder


@pytest.fixture(scope="module")
def flow(tmp_path_factory) -> Path:
    return _build(tmp_path_factory.mktemp("maisi") / "rflow", "rflow")


@pytest.fixture
def broken(flow: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    import shutil

    return shutil.copytree(flow, tmp_path / "copy")


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Lung above liver, 21 x 16 x 18 voxels of 8 mm: no side a multiple of the networks' 8."""
    ids = np.zeros((21, 16, 18), np.int64)
    ids[6:15, 5:11, 3:9] = LIVER
    ids[6:15, 5:11, 10:15] = LUNG
    return ids


class TestGenerate:
    def test_a_ct_on_the_grid_of_the_labels(self, flow, labels):
        networks = load_maisi(flow, CPU)
        assert (networks.stride, networks.multiple, networks.least) == (4, 8, 32)
        assert networks.scale_factor == 0.5
        hu = generate(networks, labels, (8, 8, 8), seed=1, steps=2)
        assert hu.shape == labels.shape
        assert hu.dtype == np.float32
        assert -1000 <= hu.min() <= hu.max() <= 1000
        body = with_body(labels, (8, 8, 8)) > 0
        assert (hu[~body] == -1000).all()
        assert np.unique(hu[body]).size > 100

    def test_the_seed_decides(self, flow, labels):
        networks = load_maisi(flow, CPU)
        one, two, other = (
            generate(networks, labels, (8, 8, 8), seed, steps=2) for seed in (1, 1, 2)
        )
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    def test_the_labels_steer(self, flow, labels):
        networks = load_maisi(flow, CPU)
        swapped = np.where(labels == LIVER, 5, labels)
        one, other = (generate(networks, ids, (8, 8, 8), 1, steps=2) for ids in (labels, swapped))
        assert not np.array_equal(one, other)

    def test_the_ddpm_version_with_body_regions(self, tmp_path, labels):
        networks = load_maisi(_build(tmp_path / "ddpm", "ddpm"), CPU)
        one, two = (generate(networks, labels, (8, 8, 8), seed=1) for _ in range(2))
        assert one.shape == labels.shape
        assert np.array_equal(one, two)  # DDPM draws noise in every step, from the same generator

    def test_large_latents_are_decoded_in_windows(self, flow, labels, monkeypatch):
        networks = load_maisi(flow, CPU)
        long = np.pad(labels, ((0, 30), (0, 0), (0, 0)), mode="edge")
        long[20:40] = long[8:9]
        whole = generate(networks, long, (8, 8, 8), 1, steps=1)
        monkeypatch.setattr("vista3d.training.synthetic.maisi.WINDOW", 8)
        parts = generate(networks, long, (8, 8, 8), 1, steps=1)
        body = with_body(long, (8, 8, 8)) > 0
        assert not np.array_equal(parts, whole)  # group norms see a window only
        assert np.corrcoef(parts[body], whole[body])[0, 1] > 0.8

    def test_an_empty_map_is_refused(self, flow):
        with pytest.raises(UsageError, match="empty"):
            generate(load_maisi(flow, CPU), np.zeros((8, 8, 8), np.int64), (8, 8, 8), 0)


def test_ids_become_bits():
    planes = binary_planes(torch.tensor([[[0, 1, 132, 200]]]))
    assert planes.shape == (1, 8, 1, 1, 4)
    assert planes[0, :, 0, 0].T.int().tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0, 0, 1, 1],
    ]


def test_structures_that_maisi_does_not_know_become_body(labels):
    ids = np.where(labels == LIVER, MANDIBLE, labels)
    condition = with_body(ids, (8, 8, 8))
    assert (condition[ids == LUNG] == LUNG).all()
    assert (condition[ids == MANDIBLE] == BODY).all()
    assert set(np.unique(condition)) == {0, LUNG, BODY}


class TestRefusals:
    def test_no_config(self, tmp_path):
        with pytest.raises(WeightsError, match=r"config.json is missing.*None are shipped"):
            load_maisi(tmp_path, CPU)

    def test_no_weights(self, broken):
        (broken / "controlnet.pt").unlink()
        with pytest.raises(WeightsError, match=r"controlnet.safetensors \(or .pt\) is missing"):
            load_maisi(broken, CPU)

    def test_a_config_of_something_else(self, broken):
        (broken / "config.json").write_text('{"spatial_dims": 3}')
        with pytest.raises(WeightsError, match="lacks autoencoder_def, diffusion_unet_def"):
            load_maisi(broken, CPU)
        (broken / "config.json").write_text("{")
        with pytest.raises(WeightsError, match="is not JSON"):
            load_maisi(broken, CPU)

    def test_a_class_that_is_not_maisis(self, broken):
        config = _config("rflow")
        config["controlnet_def"]["_target_"] = "os.system"
        (broken / "config.json").write_text(json.dumps(config))
        with pytest.raises(WeightsError, match=r"'os.system': only ControlNetMaisi"):
            load_maisi(broken, CPU)

    def test_a_reference_to_nothing(self, broken):
        config = _config("rflow")
        del config["latent_channels"]
        (broken / "config.json").write_text(json.dumps(config))
        with pytest.raises(WeightsError, match="'@latent_channels'"):
            load_maisi(broken, CPU)

    def test_weights_of_another_size(self, broken):
        save_file(
            {"encoder.blocks.0.conv.weight": torch.zeros(3)}, broken / "autoencoder.safetensors"
        )
        with pytest.raises(WeightsError, match=r"autoencoder.safetensors does not fit Autoencoder"):
            load_maisi(broken, CPU)

    def test_a_pickle_that_would_run_code(self, broken):
        class Attack:
            def __reduce__(self):
                return (print, ("executed",))

        with (broken / "controlnet.pt").open("wb") as file:
            pickle.dump(Attack(), file, protocol=2)
        with pytest.raises(WeightsError, match="holds more than tensors"):
            load_maisi(broken, CPU)

    def test_no_scale_factor(self, broken):
        content = torch.load(broken / "diffusion_unet.pt", weights_only=True)
        torch.save(content["unet_state_dict"], broken / "diffusion_unet.pt")
        with pytest.raises(WeightsError, match="no scale_factor"):
            load_maisi(broken, CPU)
