"""The pipeline as users call it, and feature blending against MONAI's logit blending."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.inference.conftest import CLASSES, made_up_scan
from vista3d.errors import CancelledError, MemoryBudgetError, UnknownClassError, UsageError
from vista3d.inference import Model, automatic
from vista3d.inference.blending import blend_features, plan_windows
from vista3d.inference.budget import plan_memory
from vista3d.inference.labelling import label_volume
from vista3d.inference.presets import PRESETS, preset
from vista3d.network.config import OFFICIAL
from vista3d.volume import normalise, prepare, read


def _agreement(model: Model, hu: np.ndarray, name: str) -> float:
    """Share of equal labels: our blending against MONAI's of K logit volumes."""
    from monai.inferers import sliding_window_inference

    chosen = preset(name)
    ids = torch.tensor(CLASSES)
    blend = blend_features(
        hu, model.meta.window, chosen, model.meta.intensity, model.runtime.features,
        lambda shape: np.zeros(shape, np.float32), lambda done, total: None
    )  # fmt: skip
    table = model.network.class_table(ids).numpy()
    ours = label_volume(blend.features, table, CLASSES, np.eye(4), hu.shape)
    image = torch.from_numpy(normalise(hu))[None, None]
    padding = {"replicate": "replicate", "air": "constant"}[chosen.padding]
    logits = sliding_window_inference(
        image, model.meta.window, 1,
        lambda x: model.network.forward_classes(x, ids).transpose(0, 1),
        overlap=chosen.overlap, mode=chosen.mode, padding_mode=padding,
    )[0].numpy()  # fmt: skip
    theirs = np.where(logits.max(0) > 0, np.array(CLASSES)[logits.argmax(0)], 0)
    assert len(np.unique(theirs)) > 2  # the random network says something
    return float((ours == theirs).mean())


@pytest.mark.parametrize("name", ["bundle", "paper"])
def test_feature_blending_equals_logit_blending(model: Model, corpus: Path, name: str):
    volume = read(corpus / "Dataset103_TorsoPseudo/imagesTr/totalseg_heart_0000.nii.gz")
    hu, _ = prepare(volume, (3.0, 3.0, 3.0), crop="none")
    assert _agreement(model, hu, name) >= 0.9999


def test_a_volume_smaller_than_the_window(model: Model):
    hu, _ = prepare(made_up_scan((20, 44, 12)), (3.0, 3.0, 3.0), crop="none")
    assert _agreement(model, hu, "paper") >= 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bundle", "paper"])
def test_feature_blending_equals_logit_blending_on_a_whole_ct(
    model: Model, corpus: Path, name: str
):
    volume = read(corpus / "Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz")
    hu, _ = prepare(volume, (3.0, 3.0, 3.0), crop="foreground")
    assert _agreement(model, hu, name) >= 0.9999


def test_segment(model: Model):
    scan = made_up_scan()
    heard = []
    result = model.segment(scan, progress=heard.append)
    assert result.labels.shape == scan.array.shape
    assert result.labels.dtype == np.uint8
    assert set(np.unique(result.labels)) <= {0, *CLASSES}
    assert result.classes == CLASSES
    assert result.run["windows"] > 0
    assert {p.step for p in heard} == {"preparing", "segmenting", "labelling"}
    assert all(0 <= p.fraction <= 1 for p in heard)
    again = model.segment(np.asarray(scan.array), affine=scan.affine)
    assert np.array_equal(again.labels, result.labels)


def test_chosen_classes_and_groups(model: Model):
    result = model.segment(made_up_scan(), ["kidney", "liver"])
    assert result.classes == (14, 5, 1)
    assert set(np.unique(result.labels)) <= {0, 1, 5, 14}
    partly = model.segment(made_up_scan(), ["liver", "pancreas"])
    assert partly.classes == (1,)
    assert any("pancreas" in note for note in partly.run["warnings"])
    with pytest.raises(UsageError, match="was not trained on pancreas"):
        model.segment(made_up_scan(), "pancreas")
    with pytest.raises(UnknownClassError, match="did you mean liver"):
        model.segment(made_up_scan(), ["livr"])


def test_probabilities_and_masks(model: Model):
    scan = made_up_scan()
    labels = model.segment(scan, ["liver", "spleen"]).labels
    probabilities = model.segment(scan, ["liver", "spleen"], output="probabilities").probabilities
    masks = model.segment(scan, ["liver", "spleen"], output="masks").masks
    for class_id in (1, 3):
        assert probabilities[class_id].dtype == np.float16
        sure = np.abs(probabilities[class_id] - 0.5) > 1e-3  # fp16 rounds to 0.5
        assert (masks[class_id] == (probabilities[class_id] > 0.5))[sure].all()
        assert masks[class_id][labels == class_id].all()


def test_a_scan_in_any_orientation_gets_the_same_answer(model: Model):
    """Flipping and swapping axes together with the affine changes nothing in the patient.

    The size is chosen so that the 3 mm grid ends on voxels at both sides: it then is the same.
    """
    scan = made_up_scan((40, 43, 37))
    expected = model.segment(scan, preset="paper").labels
    turned = scan.array.transpose(2, 0, 1)[::-1]
    affine = scan.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (turned.shape[0] - 1)
    affine[:3, 0] *= -1
    found = model.segment(turned, affine=affine, preset="paper").labels
    back = found[::-1].transpose(1, 2, 0)
    assert (back == expected).mean() > 0.999


def test_air_windows_are_skipped_without_changing_the_rest(model: Model):
    hu = np.full((96, 32, 32), -1000, np.float32)
    hu[:32] = prepare(made_up_scan((32, 32, 32)), None, crop="none")[0]
    chosen = PRESETS["default"]
    _, kept = plan_windows(hu, (32, 32, 32), chosen)
    assert 0 < len(kept) < 4
    assert all(start[0] < 32 for start in kept)
    empty = np.full((40, 40, 40), -1000, np.float32)
    assert len(plan_windows(empty, (32, 32, 32), chosen)[1]) > 0  # never nothing at all


def test_cancellation(model: Model):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError, match="cancelled while preparing"):
        model.segment(made_up_scan(), cancel=cancel)

    late = threading.Event()

    def stop(progress):
        if progress.step == "segmenting":
            late.set()

    with pytest.raises(CancelledError, match="cancelled while segmenting"):
        model.segment(made_up_scan(), cancel=late, progress=stop)


def test_memory_ladder(model: Model, monkeypatch: pytest.MonkeyPatch):
    voxels, window = 200 * 200 * 300, (128, 128, 128)
    plenty = plan_memory(OFFICIAL, 2**28, voxels, window, voxels, 2**36)
    assert plenty.rung == "memory"
    tight = plan_memory(OFFICIAL, 2**28, voxels, window, voxels, plenty.peak)
    assert tight.rung == "disk"
    assert tight.peak < plenty.peak
    with pytest.raises(MemoryBudgetError, match=r"needs .* GiB even with features on disk"):
        plan_memory(OFFICIAL, 2**28, voxels, window, voxels, 2**28)
    # The disk rung gives the same labels.
    expected = model.segment(made_up_scan()).labels
    held = made_up_scan().array.nbytes
    monkeypatch.setattr(automatic, "available_memory", lambda: 0)
    monkeypatch.setattr(
        automatic,
        "plan_memory",
        lambda *args: plan_memory(*args[:-1], None).__class__(
            **{**vars(plan_memory(*args[:-1], None)), "rung": "disk"}
        ),
    )
    result = model.segment(made_up_scan())
    assert held > 0
    assert result.run["memory"]["rung"] == "disk"
    assert np.array_equal(result.labels, expected)


def test_unknown_preset_device_and_runtime(model: Model):
    from vista3d.inference.runtimes import choose_runtime

    with pytest.raises(UsageError, match="unknown preset 'best'"):
        model.segment(made_up_scan(), preset="best")
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        choose_runtime(model.network, (32, 32, 32), device="tpu")
    with pytest.raises(UsageError, match="unknown precision 'int4'"):
        choose_runtime(model.network, (32, 32, 32), precision="int4")


def test_openvino_agrees_with_torch(model: Model, tmp_path: Path, monkeypatch):
    pytest.importorskip("openvino", reason="extra cpu is not installed")
    from vista3d.inference.runtimes.openvino import OpenVINORuntime

    monkeypatch.setenv("VISTA3D_HOME", str(tmp_path))
    runtime = OpenVINORuntime(model.network, (32, 32, 48), "fp32")
    window = np.random.default_rng(0).random((32, 32, 48), np.float32)
    expected = model.runtime.features(window)
    found = runtime.features(window)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    files = list((tmp_path / "openvino").rglob("*.xml"))
    assert len(files) == 1
    OpenVINORuntime(model.network, (32, 32, 32), "bf16")  # from the cache
    assert list((tmp_path / "openvino").rglob("*.xml")) == files
