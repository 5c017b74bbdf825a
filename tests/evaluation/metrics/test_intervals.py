import math

import numpy as np
import pytest

from vista3d.evaluation.metrics.intervals import estimate


def patients(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def test_structures_weigh_alike_however_many_scans_have_them():
    nan = math.nan
    table = np.array([[1.0, 0.0], [1.0, nan], [1.0, nan], [1.0, nan]])
    assert estimate(table, patients(4)).value == 0.5


def test_an_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(50):
        sample = rng.normal(0.8, 0.1, (40, 1))
        found = estimate(sample, patients(40))
        hits += found.low <= 0.8 <= found.high
    assert 0.84 < hits / 50 <= 1


def test_scans_of_one_patient_are_not_independent():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(0.7, 0.1, 10), 8)[:, None]
    apart = estimate(values, patients(80))
    together = estimate(values, np.repeat(patients(10), 8).tolist())
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_a_seed_gives_the_same_interval():
    values = np.random.default_rng(2).random((12, 3))
    assert estimate(values, patients(12), seed=4) == estimate(values, patients(12), seed=4)
    assert estimate(values, patients(12), seed=4) != estimate(values, patients(12), seed=5)


def test_one_patient_has_no_interval():
    found = estimate(np.array([[0.5], [0.7]]), ["a", "a"])
    assert found.value == pytest.approx(0.6)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_nothing_has_no_value(centre):
    assert math.isnan(estimate(np.full((3, 2), math.nan), patients(3), centre=centre).value)


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_a_structure_without_a_value_weighs_nothing(centre):
    table = np.array([[0.5, math.nan], [0.7, math.nan]])
    assert estimate(table, patients(2), centre=centre).value == pytest.approx(0.6)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_medians_are_numpys(count):
    values = np.random.default_rng(count).random((count, 2))
    wanted = np.median(values, axis=0).mean()
    assert estimate(values, patients(count), centre="median").value == pytest.approx(wanted)


def test_a_median_takes_infinite_distances():
    few = np.array([[3.0], [4.0], [5.0], [math.inf]])
    assert estimate(few, patients(4), centre="median").value == 4.5
    assert estimate(few, patients(4), centre="median").high == math.inf
    assert estimate(few[2:], patients(2), centre="median").value == math.inf
