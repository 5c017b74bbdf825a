"""Volumes and a tiny SAM for the tests of supervoxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors are faster on one thread, whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def balls(seed: int, shape: tuple[int, int, int], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy features of overlapping balls [channels, *shape] and which ball is where."""
    random = np.random.default_rng(seed)
    truth = np.zeros(shape, np.int32)
    grid = np.stack(np.indices(shape), -1)
    for number in range(1, 9):
        centre = random.uniform(0, shape)
        truth[np.linalg.norm(grid - centre, axis=-1) < random.uniform(0.15, 0.3) * max(shape)] = (
            number
        )
    means = random.normal(size=(9, channels)).astype(np.float32)
    features = means[truth].transpose(3, 0, 1, 2)
    return features + random.normal(scale=0.1, size=features.shape).astype(np.float32), truth


@pytest.fixture(scope="session")
def sam_folder(tmp_path_factory) -> Path:
    """A SAM of the real classes with random weights, as `save_pretrained` writes it."""
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 64, "patch_size": 8, "window_size": 4,
            "global_attn_indexes": [1], "mlp_dim": 32, "num_pos_feats": 8,
        },
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("sam") / "tiny-sam"
    model = SamModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder
