"""Intervals over groups: known width, groups drawn whole, seeded."""

import numpy as np
import pytest

from tuning.evaluation.bootstrap import mean_interval, median_interval


def test_mean_interval_has_the_width_of_the_normal_theory():
    v = np.random.default_rng(0).normal(0.5, 0.1, 400)
    low, high = mean_interval(v, range(400), resamples=4000)
    assert low == pytest.approx(v.mean() - 1.96 * v.std() / 20, abs=0.0012)
    assert high == pytest.approx(v.mean() + 1.96 * v.std() / 20, abs=0.0012)


def test_queries_of_one_group_are_drawn_together():
    v = np.repeat([0.2, 0.8], 50)
    assert mean_interval(v, np.repeat(["a", "b"], 50).tolist()) == (pytest.approx(0.2), pytest.approx(0.8))


def test_groups_of_different_size_weigh_by_their_queries():
    low, high = mean_interval([1.0] * 9 + [0.0], ["a"] * 9 + ["b"])
    assert (low, high) == (0.0, 1.0)


def test_median_interval_holds_the_median_and_is_a_drawn_value():
    rng = np.random.default_rng(1)
    v = np.round(np.exp(rng.normal(3, 1, 300)))
    low, high = median_interval(v, (np.arange(300) // 3).tolist())
    assert low <= np.median(v) <= high
    assert {low, high} <= {float(x) for x in v} | {(a + b) / 2 for a in v for b in v}
    assert median_interval([7.0, 7.0], ["a", "b"]) == (7.0, 7.0)


def test_same_seed_same_interval():
    v = np.random.default_rng(2).random(50)
    assert mean_interval(v, range(50), seed=3) == mean_interval(v, range(50), seed=3)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([], [])
