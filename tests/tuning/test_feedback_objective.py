"""Replaying logged selections: losses by hand, unseen rows never negative, bulk equals one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.comparisons import Region, project
from tuning.feedback_objective import (
    FeedbackConfig,
    FeedbackObjective,
    LoggedSearch,
    replay,
    search_losses,
    search_weights,
)

PLAIN = FeedbackConfig(kept=1, left=1, ranking=0.5, examiner_cap=1)


def logged(sims, before, after, seen=None, examiner="a", key=0, **more):
    sims = np.asarray(sims, dtype=np.float32)
    n = len(sims)
    return LoggedSearch(
        key=key,
        examiner=examiner,
        cluster=None,
        similarities=sims,
        scores=np.nan_to_num(sims[:, 0]).astype(np.float64),
        preselected=np.array(before, dtype=bool),
        selected=np.array(after, dtype=bool),
        seen=np.ones(n, dtype=bool) if seen is None else np.array(seen, dtype=bool),
        **more,
    )


def random_log(seed, size=6, gaps=True):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(size):
        sims = rng.integers(0, 17, (20, 3)).astype(np.float32) / 16
        if gaps:
            sims[rng.random(sims.shape) < 0.1] = np.nan
        before, after, seen = rng.random((3, 20)) < [[0.3], [0.3], [0.8]]
        found.append(
            logged(
                sims,
                before,
                after & seen,
                seen,
                examiner=i % 3,
                propensity=rng.uniform(0.05, 1, 20),
                blind=i == 4,
            )
        )
    return found


# One descriptor decides: a is the first column. Rows: kept, removed, added, left.
FOUR = [[0.9, 0.2], [0.8, 0.1], [0.3, 0.9], [0.2, 0.3]]
SEARCH = logged(FOUR, [1, 1, 0, 0], [1, 0, 1, 0])


def test_losses_by_hand():
    # W = (1, 0), tau = 0.5: pre-selects rows 0, 1; wrong are 1 and 2; P and U hold three rows.
    # Selected are rows 0 and 2, which stand 1st and 3rd of four: AP = (1/1 + 2/3) / 2.
    objective = FeedbackObjective([SEARCH], Region.simplex(2), PLAIN)
    found = objective.evaluate([[1, 0], [0, 1]], [0.5, 0.25])
    assert found.selection_error == pytest.approx([2 / 3, 2 / 3])
    assert found.ranking_loss == pytest.approx([1 / 6, 1 / 6])
    assert found.value == pytest.approx([1 - (2 / 3 + 1 / 6) / 2] * 2)
    # Half and half puts 0.6 and 0.55 first: selection and order are exactly the examiner's.
    assert objective.evaluate([[0.5, 0.5]], [0.5]).value == pytest.approx([1.0])


def test_kept_and_left_rows_count_less_than_changes():
    config = FeedbackConfig(kept=0.3, left=0.2, ranking=0.0)
    # tau = 0.95 selects nothing: the kept row costs 0.3, the added one 1, out of 0.3 + 1 + 1.
    found = FeedbackObjective([SEARCH], Region.simplex(2), config).evaluate([[0.5, 0.5]], [0.95])
    assert found.selection_error == pytest.approx([1.3 / 2.3])


def test_rows_nobody_saw_never_count_as_rejected():
    unseen = logged([*FOUR, [1.0, 1.0]], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0])
    with_row = FeedbackObjective([unseen], Region.simplex(2), PLAIN).evaluate([[0.5, 0.5]], [0.5])
    assert with_row.value == pytest.approx([1.0])
    seen = logged([*FOUR, [1.0, 1.0]], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    assert FeedbackObjective([seen], Region.simplex(2), PLAIN).evaluate([[0.5, 0.5]], [0.5]).value[0] < 1.0


def test_a_row_seldom_looked_at_weighs_more_but_not_without_limit():
    far = logged(FOUR, [1, 1, 0, 0], [1, 0, 1, 0], propensity=np.array([1.0, 1.0, 0.5, 0.001]))
    assert far.row_weights(FeedbackConfig(kept=0.3, left=0.2)).tolist() == [0.3, 1.0, 2.0, 2.0]


def test_without_preselection_every_choice_is_a_real_one():
    blind = logged(FOUR, [1, 1, 0, 0], [1, 1, 1, 0], blind=True)
    assert blind.row_weights(FeedbackConfig(kept=0.3, left=0.2)).tolist() == [1.0, 1.0, 1.0, 0.2]


def test_no_examiner_holds_more_than_the_cap():
    searches = [logged(FOUR, [1, 1, 0, 0], [1, 0, 1, 0], examiner=e) for e in "aaaaaaaabc"]
    assert search_weights(searches, PLAIN) == pytest.approx([0.1] * 10)
    capped = search_weights(searches, FeedbackConfig(examiner_cap=0.5))
    assert capped == pytest.approx([0.5 / 8] * 8 + [0.25, 0.25])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.15, 1.0]))
def test_bulk_equals_search_by_search(seed, radius):
    rng = np.random.default_rng(seed)
    searches, config = random_log(seed), FeedbackConfig()
    region = Region(rng.multinomial(64, [0.5, 0.3, 0.2]) / 64, radius)
    w = np.round(project(rng.normal(0.3, 0.3, (10, 3)), region) * 64) / 64
    inside = (abs(w.sum(1) - 1) < 1e-9) & (w >= region.low).all(1) & (w <= region.high).all(1)
    w = np.vstack([region.centre, w[inside]])
    tau = rng.integers(4, 14, len(w)) / 16
    found = FeedbackObjective(searches, region, config).evaluate(w, tau).value
    share = search_weights(searches, config)
    for c in range(len(w)):
        assert found[c] == pytest.approx(1 - share @ search_losses(searches, w[c], tau[c], config), abs=1e-5)


def test_replay_gives_the_metrics_the_new_parameters_would_have_had():
    before = replay([SEARCH], [1.0, 0.0], 0.5)[0]
    assert (before.pc, before.added, before.removed) == (1.0, 1, 1)
    after = replay([SEARCH], [0.5, 0.5], 0.5)[0]
    assert (after.pc, after.dc, after.ac) == (0.0, 0.0, 0.0)
    # W = (0, 1), tau 0.25: order 2, 3, 0, 1; P = {2, 3}, U = {0, 2}; Delta = {3, 0} at places 2 and 3 of 4.
    other = replay([SEARCH], [0.0, 1.0], 0.25)[0]
    assert other.pc == 1.0
    assert other.dc == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert other.ac == pytest.approx((0.7 + 0.8) / 2, abs=1e-6)


def test_replay_leaves_unseen_rows_out():
    unseen = logged([*FOUR, [1.0, 1.0]], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0])
    assert replay([unseen], [0.5, 0.5], 0.5)[0].evaluated == 4


def test_replay_with_the_served_parameters_is_what_happened():
    # `logged` records the first column as the score that was served.
    served, again = SEARCH.metrics(), replay([SEARCH], [1.0, 0.0], 0.5)[0]
    assert (served.pc, served.dc, served.evaluated) == (again.pc, again.dc, again.evaluated)
    assert served.ac == pytest.approx(again.ac, abs=1e-6)


def test_a_log_without_evaluated_rows_is_refused():
    nothing = logged(FOUR, [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0])
    with pytest.raises(ValueError, match="no search"):
        FeedbackObjective([nothing], Region.simplex(2))
