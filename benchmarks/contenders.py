"""One contender of the `auto` benchmark on one scan, in a process of its own.

`python -m benchmarks.contenders NAME CASE OUT WEIGHTS` prints seconds and peak memory as JSON;
NAME is monai-PRECISION or ours-RUNTIME-PRECISION-PRESET, WEIGHTS a folder of `write_weights`.

The MONAI pipeline is the released bundle's, assembled from MONAI 1.6.1 parts as the fact sheet
states it (2.1, 2.2, 2.6, 13): Spacing, CropForeground, intensity, RAS, sliding_window_inference of
117 class logits (overlap 0.25, constant), argmax, Invertd nearest, save.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import peak_gib
from vista3d import anatomy
from vista3d.network.config import MINI, OFFICIAL, NetworkConfig
from vista3d.network.vista3d import Vista3D

INTENSITY = (-963.8247715525971, 1053.678477684517)
CONFIGS = {"official": OFFICIAL, "mini": MINI}


PATCH = {"official": 128, "mini": 96}


def random_state(config: NetworkConfig) -> dict[str, torch.Tensor]:
    """The same seeded weights for every contender.

    Class vectors are drawn far apart (unit normal instead of 1/7): the default ones are nearly
    equal, and every voxel would be a tie between 117 classes.
    """
    torch.manual_seed(0)
    state = Vista3D(config).state_dict()
    torch.nn.init.normal_(state["class_head.mlp.3.weight"])
    return state


def write_weights(folder: Path, name: str) -> None:
    """The same random weights as a published .pt and as our safetensors."""
    from vista3d.network.checkpoint import save_checkpoint
    from vista3d.network.metadata import CheckpointMeta

    config = CONFIGS[name]
    state = random_state(config)
    meta = CheckpointMeta(
        "official", config, (1.5,) * 3, (PATCH[name],) * 3, INTENSITY, anatomy.everything(),
        "random weights",
    )  # fmt: skip
    torch.save(state, folder / "weights.pt")
    save_checkpoint(folder / "weights.safetensors", state, meta, "float32")


def monai_network(
    weights: Path,
) -> tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], tuple[int, int, int]]:
    """Window [1, 1, H, W, D] and ids [K] -> logits [K, 1, H, W, D]; and the size of a window.

    MONAI's vista3d132 has the official sizes only: with others its pipeline runs our network.
    """
    from monai.networks.nets import vista3d132

    from vista3d.network.checkpoint import load_checkpoint

    ours, meta = load_checkpoint(weights / "weights.safetensors")
    if meta.config != OFFICIAL:
        return ours.forward_classes, meta.window
    with torch.device("meta"):
        network = vista3d132(in_channels=1).eval()
    state = torch.load(weights / "weights.pt", weights_only=True)
    network.load_state_dict(state, assign=True)
    return lambda x, ids: network(x, class_vector=ids[:, None]), meta.window


def monai_pipeline(case: Path, out: Path, weights: Path, autocast: bool) -> dict[str, Any]:
    """The released pipeline on a CPU, fp32 as its evaluator runs there, or with bf16 autocast."""
    from monai.inferers import sliding_window_inference
    from monai.transforms import (
        Compose,
        CropForegroundd,
        EnsureChannelFirstd,
        Invertd,
        LoadImaged,
        Orientationd,
        SaveImaged,
        ScaleIntensityRanged,
        Spacingd,
    )

    started = time.perf_counter()
    predict, patch = monai_network(weights)
    loading = time.perf_counter() - started
    ids = torch.tensor(anatomy.everything())
    started = time.perf_counter()
    before = Compose(
        [
            LoadImaged("image", image_only=True),
            EnsureChannelFirstd("image"),
            Spacingd("image", pixdim=(1.5, 1.5, 1.5), mode="bilinear"),
            CropForegroundd("image", "image", margin=10, allow_smaller=True),
            ScaleIntensityRanged("image", *INTENSITY, 0.0, 1.0, clip=True),
            Orientationd("image", axcodes="RAS"),
        ]
    )
    data = before({"image": str(case)})
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        logits = sliding_window_inference(
            data["image"][None],
            patch,
            1,
            lambda x: predict(x, ids).transpose(0, 1).float(),
            overlap=0.25,
            mode="constant",
            padding_mode="replicate",
        )[0]
    # VistaPostTransformd: clamp, background where all are 0, argmax, then one pass per class.
    logits[logits < 0] = 0
    empty = (logits <= 0).all(0, keepdim=True)
    index = logits.argmax(0, keepdim=True).float() + 1
    index[empty] = 0
    labels = torch.zeros_like(index)
    for row, class_id in enumerate(ids.tolist(), start=1):
        labels[index == row] = class_id
    labels.applied_operations, labels.affine = (
        data["image"].applied_operations,
        data["image"].affine,
    )
    data["pred"] = labels
    after = Compose(
        [
            Invertd("pred", before, orig_keys="image", nearest_interp=True, to_tensor=True),
            SaveImaged(
                "pred", output_dir=str(out.parent), output_postfix=out.name.split(".")[0],
                separate_folder=False, output_dtype=np.float32, print_log=False,
            ),
        ]
    )  # fmt: skip
    after(data)
    (written,) = out.parent.glob(f"*_{out.name.split('.')[0]}.nii.gz")
    written.replace(out)
    return {"seconds": time.perf_counter() - started, "loading_seconds": loading}


def our_pipeline(
    case: Path, out: Path, weights: Path, precision: str, runtime: str, preset: str
) -> dict[str, Any]:
    """`vista3d segment` without the command line: same weights, same classes."""
    from vista3d.inference import load
    from vista3d.volume import check_ct, read, write_labels

    started = time.perf_counter()
    file = weights / "weights.safetensors"
    model = load(file, device="cpu", runtime=runtime, precision=precision)
    loading = time.perf_counter() - started
    started = time.perf_counter()
    volume = check_ct(read(case))
    result = model.segment(volume, "everything", preset=preset)
    write_labels(out, result.labels, volume)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "loading_seconds": loading, "run": result.run}


def main() -> None:
    name, *paths = sys.argv[1:5]
    case, out, weights = (Path(path) for path in paths)
    maker, *rest = name.split("-")
    if maker == "monai":
        result = monai_pipeline(case, out, weights, autocast=rest == ["bf16"])
    else:
        runtime, precision, preset = rest
        result = our_pipeline(case, out, weights, precision, runtime, preset)
    result["peak_gib"] = peak_gib()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
