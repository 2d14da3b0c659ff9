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


def scores(q=20, **values):
    """Scores of q queries, each figure its own, so that none can stand for another."""
    base = {"ap100": 0.5, "recall100": 0.61, "precision": 0.8, "recall": 0.72, "f1": 0.65, "safety": 0.83, "first": 0.4}
    return HeldOutScores(**{name: np.full((1, q), 0.0) + value for name, value in (base | values).items()})


def test_every_figure_is_of_its_own_measure():
    after = scores(ap100=0.53, precision=0.79, recall=0.74, f1=0.66, safety=0.84, first=0.1)
    verdict = judge(held_out(20), scores(), after)
    told = {name: (f.before, f.after, f.difference) for name, f in verdict.figures.items()}
    assert told == {
        "map100": pytest.approx((0.5, 0.53, 0.03)), "safety": pytest.approx((0.83, 0.84, 0.01)),
        "recall": pytest.approx((0.72, 0.74, 0.02)), "precision": pytest.approx((0.8, 0.79, -0.01)),
        "f1": pytest.approx((0.65, 0.66, 0.01)),
    }  # fmt: skip
    assert verdict.passed and verdict.groups == 10
    assert verdict.reason == (
        "Passed on 10 held-out groups: mAP@100 +3.00 (+3.00 to +3.00), conflicts pre-selected or on the first page "
        "+1.00, F1 of the pre-selection +1.00."
    )


def test_the_gate_weighs_and_groups_the_selections_as_told():
    lost = np.array([0.5, 0.5, 0.9]), np.array([0.3, 0.4, 0.9])
    told = judge(held_out(20), scores(), scores(), feedback=(*lost, ["a", "a", "b"], [1.0, 2.0, 1.0]))
    figure = told.figures["feedback"]
    assert figure.difference == pytest.approx((0.2 + 2 * 0.1) / 4)
    assert (figure.before, figure.after) == pytest.approx((1 - 2.4 / 4, 1 - 2.0 / 4))
    assert figure == paired_bootstrap(1 - lost[0], 1 - lost[1], ["a", "a", "b"], weights=[1, 2, 1])
    assert told.reason.endswith("F1 of the pre-selection +0.00, agreement with examiners +10.00.")


def test_resamples_and_seed_are_the_configs():
    rng = np.random.default_rng(0)
    after = scores(ap100=0.5 + rng.normal(0, 0.05, 20))
    groups = [i // 2 for i in range(20)]
    config = GateConfig(resamples=300, seed=5)
    lost = rng.random(20), rng.random(20)
    found = judge(held_out(20), scores(), after, feedback=(*lost, groups, np.ones(20)), config=config).figures
    assert found["map100"] == paired_bootstrap(np.full(20, 0.5), after.ap100[0], groups, resamples=300, seed=5)
    assert found["map100"] != paired_bootstrap(np.full(20, 0.5), after.ap100[0], groups, resamples=300, seed=0)
    assert found["map100"] != paired_bootstrap(np.full(20, 0.5), after.ap100[0], groups, resamples=2000, seed=5)
    assert found["feedback"] == paired_bootstrap(1 - lost[0], 1 - lost[1], groups, resamples=300, seed=5)


@pytest.mark.parametrize(
    ("limit", "at_the_limit", "measure", "of"),
    [
        ("epsilon", False, {"ap100": 0.47}, lambda v: -v.figures["map100"].low),
        ("safety_epsilon", False, {"safety": 0.80}, lambda v: -v.figures["safety"].low),
        ("safety_mean", True, {"safety": 0.80}, lambda v: -v.figures["safety"].difference),
        ("f1_epsilon", True, {"f1": 0.6}, lambda v: -v.figures["f1"].difference),
        ("cluster_limit", True, {"ap100": 0.47}, lambda v: -v.clusters[0]),
    ],
)
def test_each_limit_is_where_it_says(limit, at_the_limit, measure, of):
    wide = {"epsilon": 1.0, "safety_epsilon": 1.0, "safety_mean": 1.0, "f1_epsilon": 1.0, "cluster_limit": 1.0}
    loss = of(judge(held_out(20), scores(), scores(**measure), config=GateConfig(**wide)))
    assert loss > 0.01

    def passes(value):
        return judge(held_out(20), scores(), scores(**measure), config=GateConfig(**wide | {limit: value})).passed

    assert passes(loss) is at_the_limit
    assert passes(loss * (1 + 1e-9)) and not passes(loss * (1 - 1e-9))


def test_selections_must_be_explained_better_by_more_than_the_limit():
    lost = np.full(9, 0.5), np.full(9, 0.25), list(range(9)), np.ones(9)

    def passes(gain):
        return judge(held_out(20), scores(), scores(), feedback=lost, config=GateConfig(feedback_gain=gain)).passed

    assert [passes(0.2499), passes(0.25), passes(0.2501)] == [True, False, False]


def test_all_that_speaks_against_it_is_told_in_one_sentence():
    q = held_out(40, cluster=lambda i: i // 20)
    worse = scores(40, ap100=np.where(np.arange(40) < 20, 0.45, 0.48), safety=0.8, f1=0.64)
    lost = np.full(9, 0.25), np.full(9, 0.3), list(range(9)), np.ones(9)
    verdict = judge(q, scores(40), worse, feedback=lost)
    assert not verdict.passed
    low, high = (100 * getattr(verdict.figures["map100"], end) for end in ("low", "high"))
    conflicts = "conflicts pre-selected or on the first page"
    assert verdict.reason == (
        f"Rejected on 20 held-out groups: mAP@100 may fall by {-low:.2f} points (change -3.50, 95 % interval "
        f"{low:+.2f} to {high:+.2f}; allowed is 0.50 points); the share of {conflicts} may fall by 3.00 points "
        "(change -3.00, 95 % interval -3.00 to -3.00; allowed is 1.50 points); 3.00 points of the conflicts would be "
        "neither pre-selected nor on the first page; F1 of the pre-selection falls by 1.00 point; cluster 0 would lose "
        "5.00 points of mAP@100; the examiners' selections that were kept aside are not explained better (-5.00)."
    )
    assert low < -3.5 < high


def test_the_worst_of_the_large_clusters_counts_and_queries_of_none_do_not():
    cluster = [0] * 10 + [1] * 10 + [2] * 10 + [3] * 8 + [None] * 10
    change = np.array([0.1] * 10 + [-0.03] * 10 + [-0.05] * 10 + [-0.2] * 8 + [-0.3] * 10)
    q = held_out(48, cluster=lambda i: cluster[i])
    verdict = judge(q, scores(48), scores(48, ap100=0.5 + change), config=GateConfig(epsilon=1.0))
    assert verdict.clusters == pytest.approx({0: 0.1, 1: -0.03, 2: -0.05, 3: -0.2})
    assert verdict.reason.endswith("cluster 2 would lose 5.00 points of mAP@100.")


def test_plain_data_for_the_page():
    q = held_out(2, group_size=1, cluster=lambda i: None if i else 4)
    verdict = judge(q, scores(2), scores(2, ap100=np.array([0.6, 0.4]), recall=0.7))
    data = json.loads(json.dumps(verdict.to_json()))
    assert set(data) == {"passed", "reason", "groups", "figures", "clusters", "deltas"}
    assert (data["passed"], data["reason"], data["groups"]) == (verdict.passed, verdict.reason, 2)
    assert data["clusters"] == {"4": pytest.approx(0.1)}
    assert set(data["figures"]["f1"]) == {"before", "after", "difference", "low", "high"}
    first = {"name": "q1", "group": "1", "cluster": None, "ap_before": 0.5, "ap_after": 0.4, "recall_before": 0.72}
    assert data["deltas"][0] == first | {"recall_after": 0.7, "delta": pytest.approx(-0.1)}
    assert [delta["name"] for delta in data["deltas"]] == ["q1", "q0"]


def test_equal_deltas_are_in_the_order_of_names():
    verdict = judge(held_out(12), scores(12), scores(12))
    assert [d.name for d in verdict.deltas] == sorted(f"q{i}" for i in range(12))


def test_an_open_gate_lets_everything_through():
    worst = scores(ap100=0.0, safety=0.0, f1=0.0)
    lost = np.zeros(9), np.ones(9), list(range(9)), np.ones(9)
    assert judge(held_out(20), scores(), worst, feedback=lost, config=GateConfig.open()).passed


def test_wrong_comparisons_are_refused_with_a_sentence():
    sentence = r"^A paired comparison needs one value before and after, and a group, per item\.$"
    for before, after, groups, weights in (
        ([1.0], [1.0, 2.0], [0], None),
        ([1.0, 2.0], [1.0, 2.0], [0], None),
        ([[1.0]], [[1.0]], [0], None),
        ([1.0, 2.0], [1.0, 2.0], [0, 1], [1.0]),
        ([1.0, 2.0], [1.0, 2.0], [0, 1], [0.0, 0.0]),
    ):
        with pytest.raises(ValueError, match=sentence):
            paired_bootstrap(before, after, groups, weights=weights)
    with pytest.raises(ValueError, match=r"^The gate needs held-out queries\.$"):
        judge(HeldOut(("general",), ()), figures([]), figures([]))


def test_groups_that_weigh_nothing_do_not_blur_the_interval():
    f = paired_bootstrap([0.0] * 3, [0.5, 0.5, 9.0], [0, 1, 2], weights=[1, 1, 0])
    assert (f.before, f.after, f.difference, f.low, f.high) == pytest.approx((0.0, 0.5, 0.5, 0.5, 0.5))
    spread = paired_bootstrap([0.0] * 4, [0.0, 0.2, 0.4, 1.0], [0, 1, 2, 3], weights=[1, 2, 3, 4])
    assert spread.difference == pytest.approx((0.4 + 1.2 + 4.0) / 10)
    draws = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), size=2000)
    means = draws @ np.array([0.0, 0.4, 1.2, 4.0]) / (draws @ np.array([1, 2, 3, 4]))
    assert (spread.low, spread.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
