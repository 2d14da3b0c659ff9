"""The fast objective equals brute-force ranking, ties and gaps included, and settles what it can."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.comparisons import Region, project
from tuning.objective import HeldOut, HeldOutObjective, HeldOutQuery, evaluate_each

NAMES = ("general", "edges", "objects")


def eq1(row, w):
    """Eq 1 for one row in plain Python."""
    pairs = [(max(s, 0.0), v) for s, v in zip(row, w, strict=True) if not np.isnan(s)]
    total = sum(v for _, v in pairs)
    return sum(s * v for s, v in pairs) / total if total > 0 else -1.0


def brute(query, w, tau, k):
    """AP@k, recall@k, precision, recall, F1 of one query by sorting; worst place among equals."""
    s = [eq1(row, w) for row in query.similarities]
    ranked = [i for i in range(len(s)) if i != query.own]
    relevant = [i for i in ranked if query.relevant[i]]
    ranks = sorted(sum(s[j] >= s[r] for j in ranked) for r in relevant)
    ap = sum((j + 1) / rank for j, rank in enumerate(ranks) if rank <= k) / min(len(relevant), k)
    chosen = [i for i in ranked if s[i] >= tau]
    hits = len([i for i in chosen if i in relevant])
    precision = hits / len(chosen) if chosen else 1.0
    recall = hits / len(relevant)
    f1 = 2 * hits / (len(chosen) + len(relevant))
    return ap, sum(r <= k for r in ranks) / len(relevant), precision, recall, f1


def make(seed, queries=4, marks=60, gaps=True):
    """Queries with similarities in sixteenths: many ties, and exact in single precision."""
    rng = np.random.default_rng(seed)
    made = []
    for q in range(queries):
        s = rng.integers(-2, 17, (marks, 3)).astype(np.float32) / 16
        relevant = np.zeros(marks, dtype=bool)
        relevant[rng.choice(np.arange(1, marks), rng.integers(1, 6), replace=False)] = True
        s[relevant] = np.minimum(1, s[relevant] + 0.25)
        if gaps:
            s[rng.random((marks, 3)) < 0.1] = np.nan
        made.append(HeldOutQuery(f"q{q}", q // 2, q % 3, s, relevant, own=0 if q % 2 else None))
    return HeldOut(NAMES, tuple(made))


def candidates(rng, region, size=12):
    w = np.round(project(rng.normal(0.33, 0.3, (size, 3)), region) * 64) / 64
    inside = (abs(w.sum(1) - 1) < 1e-9) & (w >= region.low).all(1) & (w <= region.high).all(1)
    return np.vstack([region.centre, w[inside]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.125, 1.0]), st.sampled_from([5, 20, 100]))
def test_equals_brute_force_exactly(seed, radius, k):
    rng = np.random.default_rng(seed)
    held_out = make(seed)
    region = Region(rng.multinomial(64, [0.5, 0.3, 0.2]) / 64, radius)
    objective = HeldOutObjective(held_out, region, thresholds=(0.25, 0.875), k=k)
    w = candidates(rng, region)
    tau = rng.integers(4, 15, len(w)) / 16
    found = objective.evaluate(w, tau)
    for c in range(len(w)):
        each = evaluate_each(held_out, w[c], tau[c], k=k)
        for q, query in enumerate(held_out.queries):
            wanted = brute(query, w[c], tau[c], k)
            fast = [v[c, q] for v in (found.ap100, found.recall100, found.precision, found.recall, found.f1)]
            plain = [v[0, q] for v in (each.ap100, each.recall100, each.precision, each.recall, each.f1)]
            assert fast == pytest.approx(wanted, abs=1e-12)
            assert plain == pytest.approx(wanted, abs=1e-12)


def test_one_query_by_hand():
    # Scores at W = (1/2, 1/2): own 1.0, relevant 0.9 and 0.5, distractors 0.7 and 0.5 (a tie with 0.5).
    s = np.array([[1, 1], [0.9, 0.9], [0.8, 0.2], [0.9, 0.5], [0.5, 0.5]], dtype=np.float32)
    relevant = np.array([0, 1, 1, 0, 0], dtype=bool)
    held_out = HeldOut(("a", "b"), (HeldOutQuery("q", 1, None, s, relevant, own=0),))
    found = HeldOutObjective(held_out, Region.simplex(2)).evaluate([[0.5, 0.5]], [0.6])
    assert found.ap100[0, 0] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found.recall100[0, 0] == 1.0
    assert (found.precision[0, 0], found.recall[0, 0], found.f1[0, 0]) == (0.5, 0.5, 0.5)


def test_nothing_preselected_is_precise_and_finds_nothing():
    s = np.array([[0.5, 0.6, 0.7], [0.2, 0.1, np.nan]], dtype=np.float32)
    query = HeldOutQuery("q", 1, None, s, np.array([True, False]))
    found = HeldOutObjective(HeldOut(NAMES, (query,)), Region.simplex(3)).evaluate([[0.5, 0.5, 0.0]], [0.9])
    assert found.recall.max() == found.f1.max() == 0.0
    assert found.precision.min() == 1.0


def test_random_real_numbers_agree_with_plain_ranking():
    rng = np.random.default_rng(7)
    queries = []
    for q in range(5):
        s = rng.beta(1.2, 5, (3000, 3)).astype(np.float32)
        relevant = np.zeros(3000, dtype=bool)
        relevant[:4] = True
        s[:4] = rng.beta(4, 4, (4, 3))
        queries.append(HeldOutQuery(str(q), q, 0, s, relevant, own=2999))
    held_out = HeldOut(NAMES, tuple(queries))
    region = Region([0.5, 0.25, 0.25], 0.15)
    w = project(rng.normal(0.3, 0.2, (150, 3)), region)
    tau = rng.uniform(0.5, 0.9, 150)
    found = HeldOutObjective(held_out, region, thresholds=(0.5, 0.9)).evaluate(w, tau)
    for c in range(0, 150, 10):
        plain = evaluate_each(held_out, w[c], tau[c])
        np.testing.assert_allclose(found.ap100[c], plain.ap100[0], atol=1e-12)
        np.testing.assert_allclose(found.f1[c], plain.f1[0], atol=1e-12)


def test_candidates_or_thresholds_that_were_not_prepared_are_refused():
    objective = HeldOutObjective(make(2), Region([0.5, 0.25, 0.25], 0.05), thresholds=(0.5, 0.6))
    with pytest.raises(ValueError, match="outside the region"):
        objective.evaluate([[0.6, 0.2, 0.2]], [0.5])
    with pytest.raises(ValueError, match="outside the range"):
        objective.evaluate([[0.5, 0.25, 0.25]], [0.7])


def test_each_query_can_have_parameters_of_its_own():
    held_out = make(3)
    w = np.random.default_rng(0).multinomial(64, np.ones(3) / 3, 4) / 64
    tau = np.array([0.25, 0.5, 0.625, 0.75])
    found = evaluate_each(held_out, w, tau)
    for q, query in enumerate(held_out.queries):
        assert found.ap100[0, q] == pytest.approx(brute(query, w[q], tau[q], 100)[0])
        assert found.f1[0, q] == pytest.approx(brute(query, w[q], tau[q], 100)[4])


def test_queries_without_relevant_marks_and_empty_sets_are_refused():
    with pytest.raises(ValueError, match="other than itself"):
        HeldOutQuery("q", 1, None, np.zeros((2, 3), np.float32), np.zeros(2, bool))
    with pytest.raises(ValueError, match="no held-out queries"):
        HeldOutObjective(HeldOut(NAMES, ()), Region.simplex(3))
    assert len(make(4).of_clusters([0]).queries) == 2
