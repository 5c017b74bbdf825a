"""Objects with a name: the class prompt is asked in the windows of their clicks, too."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.inference.interactive.fake import Balls, automatic
from tests.inference.interactive.fake import scan as small_scan
from tests.inference.interactive.test_pointing import (
    LIVER,
    TINY,
    WHOLE,
    WINDOW,
    Painter,
    full,
    meta,
    prompt,
    scan,
)
from vista3d.inference.interactive import InteractiveSession, Mask
from vista3d.inference.interactive.naming import with_name
from vista3d.inference.interactive.pointing import PointEngine
from vista3d.inference.labelling import ClassTable
from vista3d.inference.model import Model
from vista3d.inference.runtimes.classes import SURE, ClassPrompts, ClassView
from vista3d.inference.runtimes.points import PointRuntime, WindowPrompt, WindowView
from vista3d.inference.runtimes.pytorch import TorchRuntime
from vista3d.network.vista3d import Vista3D

AT = (40, 30, 25)


def clicks(*points: tuple[float, ...], labels: tuple[int, ...]) -> WindowPrompt:
    return WindowPrompt(np.array(points, np.float32), np.array(labels), novel=False)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_name_counts_for_two_clicks(count: int):
    clicked, named = np.full((4, 4, 4), -1.0, np.float32), np.full((4, 4, 4), 3.0, np.float32)
    answer = with_name(clicked, named, clicks((1, 1, 1), labels=(1,)), count)
    np.testing.assert_allclose(answer, (2 * 3 - count) / (2 + count), rtol=1e-6)


@pytest.mark.parametrize("label", [0, 1, 2, 3])
def test_a_name_is_heard_where_it_agrees_with_a_positive_click(label: int):
    """Labels 2 and 3 are the negative and positive ones of ambiguous classes."""
    clicked, named = np.zeros((4, 4, 4), np.float32), np.full((4, 4, 4), -2.0, np.float32)
    named[3, 3, 3] = 2.0
    # A click may lie half a voxel beyond the last one.
    prompted = clicks((3.4, 3.4, 3.4), (0, 0, 0), labels=(label, 0))
    answer = with_name(clicked, named, prompted, 2)
    assert (answer == clicked).all() == (label % 2 == 0)


def test_a_class_says_its_share_against_background_and_all_others():
    torch.manual_seed(0)
    table = ClassTable(torch.randn(5, 8), torch.tensor([0.5, 0, 0, 1, 0]))
    features = torch.randn(8, 3, 4, 5)
    prompts = ClassPrompts((7, 2, 9, 4, 1), table)
    assert 9 in prompts
    assert 3 not in prompts
    assert None not in prompts
    found = prompts.logits(prompts.view(features), 4)
    logits = (
        torch.einsum("kf,fxyz->kxyz", table.vectors, features) - table.margins[:, None, None, None]
    )
    share = torch.softmax(torch.cat([torch.zeros(1, 3, 4, 5), logits]), 0)[4]
    torch.testing.assert_close(found, torch.logit(share), atol=1e-3, rtol=1e-3)


def test_what_is_sure_stays_finite():
    table = ClassTable.plain(torch.tensor([[100.0], [-100.0]]))
    prompts = ClassPrompts((1, 2), table)
    view = prompts.view(torch.ones(1, 2, 2, 2, dtype=torch.bfloat16))
    assert (prompts.logits(view, 1) == SURE).all()
    assert (prompts.logits(view, 2) == -SURE).all()


def test_the_view_does_not_change_with_the_memory_it_was_made_of():
    prompts = ClassPrompts((1,), ClassTable.plain(torch.ones(1, 2)))
    features = torch.ones(2, 2, 2, 2)
    view = prompts.view(features)
    before = prompts.logits(view, 1)
    features.zero_()
    torch.testing.assert_close(prompts.logits(view, 1), before)


@pytest.fixture(scope="module")
def network() -> Vista3D:
    torch.manual_seed(0)
    return Vista3D(TINY).eval()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_encoding_serves_both_branches(network: Vista3D, precision):
    vectors = torch.randn(3, TINY.features)
    prompts = ClassPrompts((1, 2, 3), ClassTable.plain(vectors))
    both = PointRuntime(network, "cpu", precision, classes=prompts)
    alone = PointRuntime(network, "cpu", precision)
    window = np.random.default_rng(0).random(WINDOW).astype(np.float32)
    assert both.view(window, WHOLE).classes is None
    view = both.view(window, WHOLE, classes=True)
    torch.testing.assert_close(view.image.tokens, alone.view(window, WHOLE).image.tokens)
    assert view.nbytes > alone.view(window, WHOLE).nbytes
    with torch.no_grad():
        features = network.auto_features(torch.from_numpy(window)[None, None])[0]
    expected = prompts.logits(prompts.view(features), 2)
    found = both.class_logits(view, 2)
    tolerance = 1e-3 if precision == "fp32" else 0.1 * float(expected.abs().max())
    assert float((found - expected).abs().max()) < tolerance
    assert 2 in both.classes
    assert 2 not in alone.classes


class Named(Painter):
    """Knows the liver: everything below the middle of a window along the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = (LIVER,)

    def view(
        self, context: np.ndarray, inner: tuple[slice, ...], *, classes: bool = False
    ) -> WindowView:
        view = super().view(context, inner)
        said = ClassView(torch.zeros(1), torch.zeros(1))
        return replace(view, classes=said) if classes else view

    def class_logits(self, view: WindowView, class_id: int) -> torch.Tensor:
        assert class_id == LIVER
        assert view.classes is not None
        out = torch.full(WINDOW, -0.5)
        out[:18] = 5.0
        return out


def named_engine() -> PointEngine:
    return PointEngine(replace(meta(), click_memory=True), Named(), scan())


def test_a_named_object_is_what_its_class_says_as_well():
    asked = replace(prompt((AT, True), class_id=LIVER), by_name=True)
    alone = full(named_engine().mask(replace(asked, by_name=False)), (80, 60, 50))
    both = full(named_engine().mask(asked), (80, 60, 50))
    assert both.sum() > 5 * alone.sum()
    other = replace(prompt((AT, True), class_id=3), by_name=True)
    assert np.array_equal(full(named_engine().mask(other), (80, 60, 50)), alone)


def test_windows_are_computed_for_classes_where_a_name_is_asked():
    named = replace(prompt((AT, True), class_id=LIVER), by_name=True)
    plain, hovered, anonymous = named_engine(), named_engine(), named_engine()
    plain.mask(named)
    needed = plain.cache.windows
    assert len(plain._runtime.windows) == needed
    hovered.prefetch(AT, LIVER)
    hovered.mask(named)
    assert len(hovered._runtime.windows) == needed
    anonymous.mask(prompt((AT, True)))
    before = len(anonymous._runtime.windows)
    anonymous.mask(named)
    assert len(anonymous._runtime.windows) == before + needed


def test_a_class_takes_the_place_of_the_mask_it_made():
    """Counted as a mask as well, it would outvote the click that says that it is wrong."""
    cube = np.zeros((80, 60, 50), bool)
    cube[35:46, 25:36, 20:31] = True
    asked = prompt((AT, True), class_id=LIVER, base=Mask.of(cube))
    engine = named_engine()
    drawn = engine._believed(asked, engine._memory, lambda done, total: None)
    named = engine._believed(replace(asked, by_name=True), engine._memory, lambda done, total: None)
    assert float(drawn.voices.max()) == 3
    assert float(named.voices.max()) == 1


class Asked(Balls):
    """Remembers the last prompt."""

    def mask(self, prompt, listen=lambda done, total: None):
        self.prompt = prompt
        return super().mask(prompt, listen)


def test_objects_are_asked_by_name_until_somebody_draws_them():
    pointer = Asked()
    session = InteractiveSession(small_scan(), pointer, automatic)

    def asked(thing: int) -> bool:
        session.click((11, 11, 11), space="voxel", object_id=thing)
        return bool(pointer.prompt.by_name)

    (found, *_) = session.run_automatic(["liver"])
    assert session[found].automatic
    assert asked(found)
    session.reset(found)
    assert asked(found)
    box = (slice(2, 4),) * 3
    session.brush(found, box, np.ones((2, 2, 2), bool))
    assert not asked(found)
    session.run_automatic(["liver"])
    assert asked(found)
    session.set_initial_mask(found, np.ones(session.volume.array.shape, bool))
    assert not asked(found)
    assert asked(session.add_object(class_="spleen"))
    assert not asked(session.add_object("lesion"))


def test_models_trained_here_answer_by_name_and_published_ones_do_not(network: Vista3D):
    ours = replace(meta(), classes=(1, 3), exclusive=True, click_memory=True)
    runtime = TorchRuntime(network, "cpu", "fp32")
    assert 3 in Model(network, ours, runtime).points.classes
    for released in (replace(ours, exclusive=False), replace(ours, click_memory=False)):
        assert 3 not in Model(network, released, runtime).points.classes
