"""The gate: paired differences, whole groups drawn, each condition able to reject, always a reason."""

import json

import numpy as np
import pytest

from tuning.gate import GateConfig, judge, paired_bootstrap
from tuning.objective import HeldOut, HeldOutQuery, HeldOutScores


def held_out(q, group_size=2, cluster=lambda i: 0):
    sims, relevant = np.zeros((2, 1), np.float32), np.array([True, False])
    return HeldOut(
        ("general",),
        tuple(HeldOutQuery(f"q{i}", i // group_size, cluster(i), sims, relevant) for i in range(q)),
    )


def figures(ap, recall=None, precision=0.8):
    ap = np.asarray(ap, dtype=float)[None, :]
    recall = np.full(ap.shape, 0.8) if recall is None else np.asarray(recall, dtype=float)[None, :]
    same = np.full(ap.shape, 0.5)
    return HeldOutScores(ap, same, np.full(ap.shape, precision), recall, same, recall, same)


def test_constant_improvement_has_a_tight_interval_whatever_the_spread_of_queries():
    rng = np.random.default_rng(0)
    before = rng.random(40)
    f = paired_bootstrap(before, before + 0.03, [i // 4 for i in range(40)])
    assert f.difference == pytest.approx(0.03)
    assert f.low == pytest.approx(0.03)
    assert f.high == pytest.approx(0.03)
    assert f.after - f.before == pytest.approx(0.03)


def test_groups_are_drawn_whole():
    # 100 queries in 4 groups, two better and two worse: as queries the mean would look certain.
    change = np.repeat([0.1, 0.1, -0.1, -0.1], 25)
    grouped = paired_bootstrap(np.zeros(100), change, np.repeat([0, 1, 2, 3], 25).tolist())
    single = paired_bootstrap(np.zeros(100), change, list(range(100)))
    assert grouped.difference == pytest.approx(0.0)
    assert single.difference == pytest.approx(0.0)
    assert grouped.high - grouped.low > 3 * (single.high - single.low)


def test_interval_agrees_with_the_normal_theory_and_the_seed_repeats_it():
    d = np.random.default_rng(1).normal(0.01, 0.05, 400)
    f = paired_bootstrap(np.zeros(400), d, list(range(400)), resamples=4000)
    half = 1.96 * d.std() / 20
    assert f.low == pytest.approx(d.mean() - half, abs=0.0006)
    assert f.high == pytest.approx(d.mean() + half, abs=0.0006)
    assert f == paired_bootstrap(np.zeros(400), d, list(range(400)), resamples=4000)


def test_weights_of_zero_take_an_item_out_even_when_it_is_no_number():
    f = paired_bootstrap([0.0, np.nan, 0.0], [0.5, np.nan, 0.1], "abc", weights=[3, 0, 1])
    assert f.difference == pytest.approx(0.4)
    assert f.after == pytest.approx(0.4)


def test_a_better_candidate_passes_and_the_reason_gives_the_numbers():
    verdict = judge(
        held_out(20),
        figures(np.full(20, 0.5)),
        figures(np.full(20, 0.52)),
        feedback=(np.full(9, 0.3), np.full(9, 0.2), list(range(9)), np.ones(9)),
    )
    assert verdict.passed
    assert "mAP@100 +2.00" in verdict.reason
    assert "agreement with examiners +10.00" in verdict.reason
    assert verdict.groups == 10
    json.dumps(verdict.to_json())


def test_a_small_certain_loss_within_epsilon_passes_and_beyond_it_does_not():
    q, start = held_out(20), figures(np.full(20, 0.5))
    assert judge(q, start, figures(np.full(20, 0.496))).passed
    verdict = judge(q, start, figures(np.full(20, 0.49)))
    assert not verdict.passed
    assert "mAP@100 may fall by 1.00 point " in verdict.reason


def test_an_uncertain_gain_is_rejected():
    ap = np.where(np.arange(20) < 12, 0.6, 0.42)  # mean change +2.8 points, but groups disagree
    verdict = judge(held_out(20), figures(np.full(20, 0.5)), figures(ap))
    assert verdict.figures["map100"].difference > 0
    assert not verdict.passed


def test_lost_conflicts_are_rejected():
    same = np.full(20, 0.5)
    verdict = judge(held_out(20), figures(same), figures(same + 0.1, np.full(20, 0.7)))
    assert not verdict.passed
    assert "conflicts pre-selected or on the first page may fall by 10.00 points" in verdict.reason
    # A pre-selection that is mostly wrong is not relied upon: only the first page counts, and it is the same.
    unsure = figures(same, precision=0.4), figures(same + 0.1, np.full(20, 0.7), precision=0.6)
    assert judge(held_out(20), *unsure).passed


def test_no_cluster_may_pay_for_the_others():
    q = held_out(40, cluster=lambda i: int(i >= 30))
    ap = np.where(np.arange(40) >= 30, 0.45, 0.60)
    verdict = judge(q, figures(np.full(40, 0.5)), figures(ap), config=GateConfig(epsilon=0.2))
    assert not verdict.passed
    assert "cluster 1 would lose 5.00 points" in verdict.reason
    assert verdict.clusters == pytest.approx({0: 0.1, 1: -0.05})
    # With two groups a cluster is too small to be judged alone.
    small = held_out(40, cluster=lambda i: int(i >= 36))
    ap = np.where(np.arange(40) >= 36, 0.45, 0.60)
    assert judge(small, figures(np.full(40, 0.5)), figures(ap), config=GateConfig(epsilon=0.2)).passed


def test_selections_that_are_not_explained_better_are_rejected():
    same = figures(np.full(20, 0.5))
    losses = np.full(9, 0.3)
    verdict = judge(held_out(20), same, same, feedback=(losses, losses, list(range(9)), np.ones(9)))
    assert not verdict.passed
    assert "not explained better" in verdict.reason


def test_deltas_are_listed_query_by_query_worst_first():
    verdict = judge(held_out(3), figures([0.5, 0.5, 0.5]), figures([0.6, 0.3, 0.5]))
    assert [d.name for d in verdict.deltas] == ["q1", "q2", "q0"]
    assert [d.delta for d in verdict.deltas] == pytest.approx([-0.2, 0.0, 0.1])


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="needs held-out queries"):
        judge(HeldOut(("general",), ()), figures([]), figures([]))
    with pytest.raises(ValueError, match="one value before and after"):
        paired_bootstrap([1.0], [1.0, 2.0], [0])
