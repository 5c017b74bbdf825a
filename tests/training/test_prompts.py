import numpy as np
import torch

from vista3d.training.prompts import draw_class_prompts


def _labels(*ids: int) -> torch.Tensor:
    return torch.tensor(ids, dtype=torch.int64).reshape(-1, 1, 1)


def test_an_unannotated_class_is_never_prompted():
    for seed in range(20):
        prompts = draw_class_prompts(
            _labels(0, 1, 3, 6), frozenset({1, 3, 14}), np.random.default_rng(seed)
        )
        assert set(prompts.ids.tolist()) <= {1, 3, 14}


def test_present_classes_come_first_and_absent_ones_are_truly_absent():
    prompts = draw_class_prompts(
        _labels(0, 1, 3), frozenset({1, 3, 14, 5}), np.random.default_rng(0)
    )
    assert prompts.present == 2
    assert set(prompts.ids[:2].tolist()) == {1, 3}
    assert set(prompts.ids[2:].tolist()) == {14, 5}


def test_caps():
    prompts = draw_class_prompts(
        _labels(*range(1, 60)),
        frozenset(range(1, 120)),
        np.random.default_rng(0),
        max_present=7,
        max_absent=2,
    )
    assert prompts.present == 7
    assert len(prompts.ids) == 9


def test_background_only_patch_still_teaches_absence():
    prompts = draw_class_prompts(_labels(0), frozenset({4}), np.random.default_rng(0))
    assert prompts.present == 0
    assert prompts.ids.tolist() == [4]


def test_rivals_come_last_and_are_capped():
    prompts = draw_class_prompts(
        _labels(0, 1), frozenset({1, 4}), np.random.default_rng(0), rivals=frozenset(range(50, 80))
    )
    assert prompts.present == 1
    assert prompts.rivals == 12
    assert prompts.ids[:2].tolist() == [1, 4]
    assert set(prompts.ids[2:].tolist()) <= set(range(50, 80))


def test_a_rival_that_is_annotated_is_prompted_once():
    prompts = draw_class_prompts(
        _labels(0, 1, 26), frozenset({1, 26}), np.random.default_rng(0), rivals=frozenset({3, 26})
    )
    assert sorted(prompts.ids.tolist()) == [1, 3, 26]
    assert (prompts.present, prompts.rivals) == (2, 1)
