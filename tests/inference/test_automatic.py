"""The pipeline as users call it, and feature blending against MONAI's logit blending."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.inference.conftest import CLASSES, made_up_scan
from vista3d.errors import CancelledError, MemoryBudgetError, UnknownClassError, UsageError
from vista3d.inference import Model, automatic
from vista3d.inference.automatic import run_schedule
from vista3d.inference.blending import plan_windows
from vista3d.inference.budget import Supply
from vista3d.inference.labelling import LabelMap
from vista3d.inference.lungs import LESIONS, LOBES
from vista3d.inference.presets import PRESETS, preset
from vista3d.inference.schedule import make_schedule
from vista3d.inference.tiles import plan_tiles
from vista3d.inference.watch import Watch
from vista3d.volume import normalise, prepare, read


def _agreement(model: Model, hu: np.ndarray, name: str) -> float:
    """Share of equal labels: our blending against MONAI's of K logit volumes."""
    from monai.inferers import sliding_window_inference

    chosen = preset(name)
    ids = torch.tensor(CLASSES)
    plan = plan_windows(hu, model.meta.window, chosen)
    schedule = make_schedule(plan, plan_tiles(hu.shape, np.eye(4), hu.shape))
    sizes = list(hu.shape)
    sizes[plan.axis] = schedule.planes
    ours = LabelMap(model.class_table(CLASSES, "cpu"), CLASSES, hu.shape)
    store = torch.zeros(model.network.config.features, *sizes)
    run_schedule(model, hu, plan, schedule, chosen, store, [ours], Watch())
    image = torch.from_numpy(normalise(hu))[None, None]
    padding = {"replicate": "replicate", "air": "constant"}[chosen.padding]
    logits = sliding_window_inference(
        image, model.meta.window, 1,
        lambda x: model.network.forward_classes(x, ids).transpose(0, 1),
        overlap=chosen.overlap, mode=chosen.mode, padding_mode=padding,
    )[0].numpy()  # fmt: skip
    theirs = np.where(logits.max(0) > 0, np.array(CLASSES)[logits.argmax(0)], 0)
    assert len(np.unique(theirs)) > 2  # the random network says something
    return float((ours.labels == theirs).mean())


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


def test_exclusive_classes_compete_unasked(model: Model):
    """What a class gets does not depend on what else is asked for."""
    rivals = Model(model.network, replace(model.meta, exclusive=True), model.runtime)
    scan = made_up_scan()
    everything = rivals.segment(scan).labels
    found = set(np.unique(everything).tolist()) - {0}
    assert len(found) > 2
    asked = sorted(found)[:2]
    alone = rivals.segment(scan, asked, output="masks")
    assert np.array_equal(alone.labels, np.where(np.isin(everything, asked), everything, 0))
    assert alone.classes == tuple(asked)
    assert alone.masks is not None
    assert set(alone.masks) == set(asked)
    for number, mask in alone.masks.items():
        assert np.array_equal(mask, alone.labels == number)


def test_lungs_are_completed_around_lesions_that_nobody_asked_for(model: Model, monkeypatch):
    """Whatever is not labelled as airway or lesion is lung here; that is the same, too."""
    monkeypatch.setattr(
        automatic, "missing_lung", lambda labels, *_: np.full(labels.shape, LOBES[0], np.uint8)
    )
    classes = (*CLASSES, *LESIONS, *LOBES)
    lungs = Model(
        model.network, replace(model.meta, exclusive=True, classes=classes), model.runtime
    )
    scan = made_up_scan()
    everything = lungs.segment(scan).labels
    assert np.isin(everything, LESIONS).any()
    alone = lungs.segment(scan, LOBES[0])
    assert np.array_equal(alone.labels, np.where(everything == LOBES[0], LOBES[0], 0))
    assert alone.run["lung_completed_ml"] > 0


def test_lungs_are_not_completed_by_a_model_without_all_lobes(model: Model, monkeypatch):
    monkeypatch.setattr(
        automatic, "missing_lung", lambda labels, *_: np.full(labels.shape, LOBES[0], np.uint8)
    )
    meta = replace(model.meta, exclusive=True, classes=(*CLASSES, *LOBES[1:]))
    found = Model(model.network, meta, model.runtime).segment(made_up_scan())
    assert found.run["lung_completed_ml"] == 0
    assert not (found.labels == LOBES[0]).any()


def test_everything_is_chosen_by_modality(model: Model):
    """As the CT+MR model was released: 115 is on its list for MR of the body, 204 on none."""
    meta = replace(model.meta, modalities=("ct", "mr", "mr-brain"))
    released = Model(model.network, meta, model.runtime)
    for prompt in ("everything", ["Everything"]):
        result = released.segment(made_up_scan(), prompt, modality="mr")
        assert result.classes == (1, 3, 5, 6, 14, 115)
    assert result.run["modality"] == "mr"
    assert released.segment(made_up_scan()).classes == (1, 3, 5, 6, 14, 57, 115)
    assert model.segment(made_up_scan()).classes == CLASSES
    with pytest.raises(UsageError, match=r"'tiny' is not made for modality 'mr', but for ct: choo"):
        model.segment(made_up_scan(), "liver", modality="mr")


def test_mr_is_not_judged_as_hounsfield_units(model: Model):
    released = Model(model.network, replace(model.meta, modalities=("ct", "mr")), model.runtime)
    scan = made_up_scan()
    scan = replace(scan, array=scan.array + 1100, meta=replace(scan.meta, modality="MR"))
    assert released.segment(scan, modality="mr").run["warnings"] == []
    as_ct = released.segment(scan).run["warnings"]
    assert as_ct[0] == "modality MR, segmented as if it were CT"
    assert "rescale intercept" in as_ct[1]


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


def test_a_scan_in_any_orientation_gets_the_same_answer(model: Model, monkeypatch):
    """Flipping and swapping axes together with the affine changes nothing in the patient.

    The size is chosen so that the 3 mm grid ends on voxels at both sides: it then is the same.
    """
    scan = made_up_scan((40, 43, 37))
    # The nearest of two equally near voxels depends on the direction.
    monkeypatch.setitem(PRESETS, "paper", replace(PRESETS["paper"], upsampling="linear"))
    expected = model.segment(scan, preset="paper").labels
    turned = scan.array.transpose(2, 0, 1)[::-1]
    affine = scan.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (turned.shape[0] - 1)
    affine[:3, 0] *= -1
    found = model.segment(turned, affine=affine, preset="paper").labels
    back = found[::-1].transpose(1, 2, 0)
    assert (back == expected).mean() > 0.999


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


@pytest.mark.parametrize("rung", ["half", "disk"])
def test_every_rung_gives_the_same_labels(model: Model, monkeypatch, tmp_path: Path, rung: str):
    scan = made_up_scan((60, 44, 36))
    expected = model.segment(scan).labels
    choose = automatic.plan_memory
    monkeypatch.setattr(automatic, "scratch_folder", lambda: tmp_path)
    monkeypatch.setattr(
        automatic,
        "plan_memory",
        lambda *demand, **half: replace(choose(*demand, **half), rung=rung),
    )
    result = model.segment(scan)
    assert result.run["memory"]["rung"] == rung
    # Half precision may flip near-ties, of which random weights have many.
    assert (result.labels == expected).mean() >= (0.998 if rung == "half" else 1)
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_cannot_fit_is_refused_before_any_work(model: Model, monkeypatch):
    monkeypatch.setattr(automatic, "run_schedule", lambda *args: pytest.fail("work was started"))
    with pytest.raises(MemoryBudgetError, match=r"needs 0\.\d+ GiB .* 0\.01 GiB are free"):
        model.segment(made_up_scan(), memory_limit=2**23)


def test_air_that_was_not_looked_at_has_no_probability(model: Model):
    body = made_up_scan((36, 34, 40)).array
    array = np.concatenate([body, np.full((36, 34, 150), -1000, np.int16), body], axis=2)
    result = model.segment(array, affine=np.diag([3.0, 3, 3, 1]), output="probabilities")
    assert result.run["windows_skipped"] > 0
    for chance in result.probabilities.values():
        assert chance[:, :, 100:120].max() < 1e-6
        assert chance.max() > 0.5


def test_nothing_is_left_behind_after_cancelling_on_disk(model: Model, monkeypatch, tmp_path):
    """The scratch file vanishes although the case was stopped in the middle."""
    monkeypatch.setattr(automatic, "scratch_folder", lambda: tmp_path)
    monkeypatch.setattr(automatic, "_supply", lambda *args: Supply(None, None, 2**40))
    choose = automatic.plan_memory
    monkeypatch.setattr(
        automatic,
        "plan_memory",
        lambda *demand, **half: replace(choose(*demand, **half), rung="disk"),
    )
    late, seen = threading.Event(), []

    def stop(progress):
        if progress.step == "segmenting" and progress.fraction > 0:
            seen.extend(tmp_path.rglob("features"))
            late.set()

    with pytest.raises(CancelledError):
        model.segment(made_up_scan((80, 44, 36)), cancel=late, progress=stop)
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_progress_never_goes_back(model: Model):
    heard = []
    model.segment(made_up_scan((90, 44, 36)), progress=heard.append)
    order = ["preparing", "segmenting", "labelling"]
    values = [(order.index(p.step), p.fraction) for p in heard]
    assert values == sorted(values)
    assert len(values) > 5


def test_percentile_intensities_come_from_the_scan(model: Model):
    """NV-Segment-CTMR: a change of contrast and offset changes nothing."""
    meta = replace(model.meta, intensity=(1.0, 99.0), intensity_kind="percentiles")
    relative = Model(model.network, meta, model.runtime)
    scan = made_up_scan()
    changed = replace(scan, array=scan.array.astype(np.float32) * 0.5 + 7)
    expected = relative.segment(scan, preset="paper").labels
    found = relative.segment(changed, preset="paper").labels
    assert len(np.unique(expected)) > 2
    assert (found == expected).mean() > 0.995  # the changed voxels are float32, not int16
    assert (model.segment(scan, preset="paper").labels == expected).mean() < 0.99


def test_unknown_preset_device_and_runtime(model: Model):
    from vista3d.inference.runtimes import choose_runtime

    with pytest.raises(UsageError, match="unknown preset 'best'"):
        model.segment(made_up_scan(), preset="best")
    for device in ("tpu", "cpu:3x", "cpu:0", "cuda:", "cuda:x"):
        with pytest.raises(UsageError, match=f"unknown device '{device}'"):
            choose_runtime(model.network, (32, 32, 32), device=device)
    with pytest.raises(UsageError, match="'cuda:99' is not on this machine"):
        choose_runtime(model.network, (32, 32, 32), device="cuda:99")
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
    assert expected.dtype == found.dtype == np.float32
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "openvino").rglob("*.xml")}
    assert len(cached) == 1
    OpenVINORuntime(model.network, (32, 32, 32), "fp32")  # another window, from the cache
    half = OpenVINORuntime(model.network, (32, 32, 48), "bf16")
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "openvino").rglob("*.xml")}
    assert len(now) == 2
    assert cached.items() <= now.items()
    rough = half.features(window)
    assert rough.dtype == np.float32
    assert np.linalg.norm(rough - expected) < 0.1 * np.linalg.norm(expected)


def test_clicks_by_openvino_agree_with_torch(model: Model, tmp_path: Path, monkeypatch):
    """Only the encoder and the decoder are converted; the context is wider than the window."""
    pytest.importorskip("openvino", reason="extra cpu is not installed")
    from vista3d.inference.runtimes import point_runtime
    from vista3d.inference.runtimes.classes import ClassPrompts
    from vista3d.inference.runtimes.openvino import OpenVINORuntime
    from vista3d.inference.runtimes.points import PointRuntime, WindowPrompt

    monkeypatch.setenv("VISTA3D_HOME", str(tmp_path))
    size = (48, 32, 32)
    context = np.random.default_rng(0).random(size, np.float32)
    inner = (slice(8, 40), slice(0, 32), slice(0, 32))
    clicks = WindowPrompt(np.array([[16.0, 5, 9], [3, 20, 8]]), np.array([1, 0]), novel=False)
    automatic = OpenVINORuntime(model.network, size, "fp32")
    named = ClassPrompts((1, 3), model.class_table((1, 3), "cpu"))
    answers, said = [], []
    for runtime in (
        point_runtime(model.network, size, automatic),
        PointRuntime(model.network, "cpu", "fp32"),
        point_runtime(model.network, size, automatic, named),
        PointRuntime(model.network, "cpu", "fp32", classes=named),
    ):
        first = runtime.view(context, inner, classes=True)
        runtime.view(np.zeros_like(context), inner)  # must not write into what was handed out
        answers.append(runtime.logits(first.image, clicks))
        if 3 in runtime.classes:
            said.append(runtime.class_logits(first, 3))
    *found, expected = answers
    assert expected.shape == (32, 32, 32)
    for answer in found:
        assert (answer - expected).abs().max() < 5e-3 * expected.abs().max()
    converted, reference = said
    assert (converted - reference).abs().max() < 5e-3 * reference.abs().max()


def test_conversion_is_named_by_the_weights_file(model: Model, tmp_path: Path, monkeypatch):
    pytest.importorskip("openvino", reason="extra cpu is not installed")
    from vista3d.inference import load
    from vista3d.network.checkpoint import save_checkpoint

    monkeypatch.setenv("VISTA3D_HOME", str(tmp_path))
    file = tmp_path / "tiny.safetensors"
    state = model.network.state_dict()

    def conversions() -> set[Path]:
        save_checkpoint(file, state, model.meta, "float32")
        load(file, device="cpu", runtime="openvino", precision="fp32")
        return set((tmp_path / "openvino").iterdir())

    first = conversions()
    assert len(first) == 1
    assert conversions() == first
    key = "image_encoder.encoder.conv_init.weight"
    state = {**state, key: state[key] + 1}
    assert len(conversions()) == 2


def test_bf16_on_a_cpu_leaves_the_network_alone(model: Model):
    from vista3d.inference.runtimes.pytorch import TorchRuntime

    window = np.random.default_rng(0).random((32, 32, 32), np.float32)
    expected = model.runtime.features(window)
    rough = TorchRuntime(model.network, "cpu", "bf16").features(window)
    assert rough.dtype == np.float32
    assert 0 < np.linalg.norm(rough - expected) < 0.1 * np.linalg.norm(expected)
    assert np.array_equal(model.runtime.features(window), expected)
    assert all(p.dtype == torch.float32 for p in model.network.parameters())
