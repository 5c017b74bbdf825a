"""SAM as a teacher, by the real classes with random weights."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vista3d.errors import WeightsError
from vista3d.supervoxels import load_sam, segment_array
from vista3d.supervoxels.resampling import resize

SHAPE = (12, 10, 7)
SPACING = (1.0, 1.0, 2.0)


def scan(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).integers(-1500, 1500, shape).astype(np.int16)


def algorithm_2(model, hu: np.ndarray) -> torch.Tensor:
    """Alg. 2 as the released code does it (facts 4), slice by slice and all in memory."""
    grey = (torch.from_numpy(hu.astype(np.float32)).clamp(-1000, 1000) + 1000) / 2000 * 255
    mean = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    views = []
    for axis in range(3):
        maps = []
        for picture in grey.movedim(axis, 0):
            rows, columns = picture.shape
            side = max(rows, columns)
            square = torch.zeros(1, 1, side, side)
            square[..., :rows, :columns] = picture
            square = F.interpolate(square, (64, 64), mode="bilinear").repeat(1, 3, 1, 1)
            with torch.no_grad():
                hidden = model.vision_encoder((square - mean) / std).last_hidden_state
                decoder = model.mask_decoder
                hidden = decoder.upscale_layer_norm(decoder.upscale_conv1(hidden))
                hidden = decoder.upscale_conv2(F.gelu(hidden))
                hidden = F.gelu(hidden)
            found = F.interpolate(hidden, (side, side), mode="bilinear", antialias=True)
            maps.append(found[0, :, :rows, :columns])
        views.append(torch.stack(maps, 1).movedim(1, axis + 1))
    return views[0] + views[1] + views[2]


def test_features_are_those_of_algorithm_2(sam_folder):
    teacher = load_sam(str(sam_folder))
    hu = scan()
    ours = teacher.features(hu, SPACING, SHAPE)
    theirs = algorithm_2(teacher.model, hu)
    assert ours.shape == (2, *SHAPE)  # 16 / 8 channels
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_streaming_to_a_reduced_grid_equals_reducing_everything(sam_folder):
    """Slices are added to the planes near them; only the order of two linear steps differs where
    the grid keeps the voxels of the slices' own plane."""
    hu = scan((16, 12, 8))
    teacher = load_sam(str(sam_folder), batch=3)
    small = (6, 5, 4)
    whole = torch.zeros(2, *small)
    for axis in range(3):
        stack = torch.from_numpy(np.moveaxis(hu, axis, 0).astype(np.float32))
        rest = [n for other, n in enumerate(small) if other != axis]
        maps = teacher.encode(stack, (rest[0], rest[1])).movedim(0, 1)  # [C, slices, ...]
        whole += resize(maps, (small[axis], rest[0], rest[1])).movedim(1, axis + 1)
    torch.testing.assert_close(teacher.features(hu, SPACING, small), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_the_batch_does_not_matter(sam_folder, batch):
    hu = scan()
    heard: list[float] = []
    found = load_sam(str(sam_folder), batch=batch).features(hu, SPACING, (5, 5, 5), heard.append)
    one = load_sam(str(sam_folder)).features(hu, SPACING, (5, 5, 5))
    torch.testing.assert_close(found, one, rtol=1e-4, atol=1e-5)
    assert heard == sorted(heard)
    assert heard[-1] == 1


def test_half_precision_is_close(sam_folder):
    hu = scan((6, 6, 6))
    full = load_sam(str(sam_folder)).features(hu, SPACING, (6, 6, 6))
    half = load_sam(str(sam_folder), precision="bf16").features(hu, SPACING, (6, 6, 6))
    assert half.dtype == torch.float32
    assert (half - full).norm() < 0.05 * full.norm()


def test_supervoxels_from_sam(sam_folder):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[3:17, 3:17, 3:17] = 40
    labels = segment_array(hu, 1.5, 20, load_sam(str(sam_folder)))
    np.testing.assert_array_equal(labels > 0, hu > -800)
    assert labels.max() > 5


class TestLoading:
    def test_a_name_that_is_nowhere_says_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(WeightsError, match=r"facebook/sam-vit-huge.*HF_HOME.*intensity"):
            load_sam("sam-vit-huge")

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(WeightsError, match=r"config\.json"):
            load_sam(str(tmp_path))

    def test_another_model(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(WeightsError, match="bert"):
            load_sam(str(tmp_path))

    def test_pickled_weights_are_refused(self, sam_folder, tmp_path):
        (tmp_path / "config.json").write_bytes((sam_folder / "config.json").read_bytes())
        torch.save({}, tmp_path / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="safetensors"):
            load_sam(str(tmp_path))

    def test_missing_weights_are_not_made_up(self, sam_folder, tmp_path):
        from safetensors.torch import load_file, save_file

        (tmp_path / "config.json").write_bytes((sam_folder / "config.json").read_bytes())
        state = load_file(sam_folder / "model.safetensors")
        del state["mask_decoder.upscale_conv2.weight"]
        save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(WeightsError, match="upscale_conv2"):
            load_sam(str(tmp_path))

    def test_without_transformers(self, monkeypatch, sam_folder):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(WeightsError, match=r"pip install 'vista3d\[supervoxels\]'"):
            load_sam(str(sam_folder))
