"""PC, DC, AC against numbers worked out by hand from science.md 1.7."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.change_metrics import (
    ChangeEvidence,
    ChangeMetrics,
    aggregate,
    aggregate_by_cluster,
    capped_weights,
    search_metrics,
)


def search(preselected, selected, similarity=None, seen=None, rank=None):
    n = len(preselected)
    return search_metrics(
        rank=rank or list(range(1, n + 1)),
        seen=[1] * n if seen is None else seen,
        preselected=preselected,
        selected=selected,
        similarity=similarity or [0.9 - 0.1 * i for i in range(n)],
    )


def test_one_added_and_one_removed_by_hand():
    # L = 5, P = {1, 2}, U = {1, 4}: Delta = {2, 4}, similarities 0.8 and 0.6.
    m = search([1, 1, 0, 0, 0], [1, 0, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5])
    assert m.pc == 2 / 2
    assert m.dc == pytest.approx((1 / 4 + 3 / 4) / 2)
    assert m.ac == pytest.approx((0.2 + 0.4) / 2)
    assert m.dc_from_cut == pytest.approx((abs(2 - 2) / 5 + abs(4 - 2) / 5) / 2)
    assert (m.added, m.removed, m.kept, m.preselected, m.evaluated) == (1, 1, 1, 2, 5)


def test_one_of_four_removed_is_a_quarter():
    m = search([1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0])
    assert m.pc == 0.25
    assert m.accuracy == 0.75
    assert m.dc == pytest.approx(3 / 5)
    assert m.ac == pytest.approx(1 - 0.6)


def test_nothing_changed_is_all_zero():
    m = search([1, 1, 0], [1, 1, 0])
    assert (m.pc, m.dc, m.ac, m.dc_from_cut) == (0, 0, 0, 0)


def test_empty_preselection_is_zero_when_left_empty_and_one_when_something_was_added():
    assert search([0, 0, 0], [0, 0, 0]).pc == 0.0
    m = search([0, 0, 0], [0, 1, 0])
    assert m.pc == 1.0
    assert m.dc == 0.5


def test_proportion_is_clipped_at_one():
    m = search([1, 0, 0, 0], [0, 1, 1, 1])
    assert m.changed == 4
    assert m.pc == 1.0


def test_rows_not_seen_are_no_part_of_the_list():
    # The unseen pre-selected tail is neither agreement nor disagreement, and does not stretch the list.
    m = search([1, 1, 0, 1, 1], [1, 0, 0, 1, 1], seen=[1, 1, 1, 0, 0])
    assert m.evaluated == 3
    assert m.preselected == 2
    assert m.pc == 0.5
    assert m.dc == pytest.approx(1 / 2)


def test_a_changed_row_was_evaluated_even_when_the_viewport_says_unseen():
    assert search([0, 0], [0, 1], seen=[1, 0]).evaluated == 2


def test_positions_follow_the_order_of_ranks_not_their_values():
    m = search([0, 1, 0], [0, 1, 1], [0.1, 0.9, 0.5], rank=[70, 3, 12])
    assert m.dc == pytest.approx(1 / 2)  # rank 12 is second of three
    assert m.ac == pytest.approx(0.5)


def test_a_list_of_one_has_distance_zero():
    m = search([1], [0], [0.75])
    assert (m.pc, m.dc, m.ac) == (1.0, 0.0, 0.25)


def test_wrong_input_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="one length"):
        search_metrics(rank=[1, 2], seen=[1], preselected=[1, 1], selected=[1, 1], similarity=[1, 1])
    with pytest.raises(ValueError, match="same rank"):
        search([1, 0], [1, 0], rank=[1, 1])
    with pytest.raises(ValueError, match="no similarity"):
        search([1, 0], [0, 0], [math.nan, 0.5])


def test_aggregate_weighs_searches_by_the_length_of_the_list():
    short = search([1, 0], [0, 0])  # pc 1, dc 0, |L| 2
    long = search([1] * 4 + [0] * 4, [1] * 4 + [0] * 4)  # nothing changed, |L| 8
    e = aggregate([short, long], ["a", "b"])
    assert e.pc == pytest.approx((2 * 1 + 8 * 0) / 10)
    assert (e.searches, e.examiners, e.additions, e.removals) == (2, 2, 0, 1)


def test_aggregate_of_nothing_is_no_evidence():
    assert aggregate([], []).searches == 0
    nothing_seen = search([1, 0], [1, 0], seen=[0, 0])
    assert aggregate([nothing_seen], ["a"]).searches == 0


def test_kept_marks_may_count_less():
    m = search([1] * 10 + [0], [1] * 8 + [0] * 2 + [0], [0.9] * 11)
    assert m.pc == 0.2
    assert m.pc_with_kept_weight(0.5) == pytest.approx(2 / (4 + 2))
    assert aggregate([m], ["a"], kept_weight=0.5).pc == pytest.approx(1 / 3)


def test_examiner_cap_limits_one_busy_examiner():
    wrong, right = search([1, 0], [0, 0]), search([1, 0], [1, 0])
    metrics = [wrong] * 8 + [right] * 2
    names = ["busy"] * 8 + ["b", "c"]
    assert aggregate(metrics, names).pc == pytest.approx(0.8)
    assert aggregate(metrics, names, examiner_cap=0.5).pc == pytest.approx(0.5)
    # Three examiners cannot each stay under a quarter: all three weigh the same.
    assert aggregate(metrics, names, examiner_cap=0.25).pc == pytest.approx(1 / 3)


def test_examiner_cap_holds_for_each_of_several_busy_examiners():
    wrong, right = search([1, 0], [0, 0]), search([1, 0], [1, 0])
    e = aggregate([wrong] * 20 + [right] * 1, ["a"] * 10 + ["b"] * 10 + ["c"], examiner_cap=0.4)
    assert e.pc == pytest.approx(0.8)  # 0.4 + 0.4, and c holds the rest


def test_clusters_are_kept_apart():
    wrong, right = search([1, 0], [0, 0]), search([1, 0], [1, 0])
    by = aggregate_by_cluster([wrong, right, right], ["a", "a", "b"], [7, 2, 2])
    assert list(by) == [2, 7]
    assert (by[7].pc, by[2].pc, by[2].searches, by[2].examiners) == (1.0, 0.0, 2, 2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 1)), max_size=30))
def test_every_metric_lies_between_zero_and_one(rows):
    m = search_metrics(
        rank=range(len(rows)),
        seen=[r[0] for r in rows],
        preselected=[r[1] for r in rows],
        selected=[r[2] for r in rows],
        similarity=[r[3] for r in rows],
    )
    assert isinstance(m, ChangeMetrics)
    assert all(0.0 <= v <= 1.0 for v in (m.pc, m.dc, m.ac, m.dc_from_cut))
    assert (m.changed == 0) == (m.pc == 0)


def refuses(sentence):
    return pytest.raises(ValueError, match=f"^{re.escape(sentence)}$")


def test_every_refusal_is_a_whole_sentence():
    rows = {"rank": [1, 2], "seen": [1, 1], "preselected": [1, 0], "selected": [1, 0], "similarity": [0.9, 0.8]}
    for name in rows:
        with refuses("rank, seen, preselected, selected and similarity must be lists of one length."):
            search_metrics(**rows | {name: [1]})
    with refuses("rank, seen, preselected, selected and similarity must be lists of one length."):
        search_metrics(**{name: [values] for name, values in rows.items()})
    with refuses("Two results of one search have the same rank."):
        search_metrics(**rows | {"rank": [2, 2]})
    with refuses("A changed result has no similarity."):
        search_metrics(**rows | {"selected": [0, 0], "similarity": [math.nan, 0.5]})
    one = search_metrics(**rows)
    with refuses("Each search needs one examiner."):
        aggregate([one], [])
    with refuses("Each search needs one cluster."):
        aggregate_by_cluster([one], ["a"], [])
    for wrong in ({"kept_weight": -0.01}, {"kept_weight": 1.01}, {"examiner_cap": 0.0}, {"examiner_cap": 1.01}):
        with refuses("kept_weight must lie in 0..1 and examiner_cap above 0 and up to 1."):
            aggregate([one], ["a"], **wrong)
    for right in ({"kept_weight": 0.0}, {"kept_weight": 1.0}, {"examiner_cap": 0.01}, {"examiner_cap": 1.0}):
        assert aggregate([one], ["a"], **right).searches == 1


def test_a_mark_that_nobody_changed_needs_no_similarity_and_one_out_of_range_is_clipped():
    assert search([1, 0], [0, 0], [0.5, math.nan]).ac == 0.5
    assert search([1, 0, 0], [0, 1, 0], [1.5, -0.5, 0.1]).ac == pytest.approx((0 + 1) / 2)


def test_all_means_weigh_searches_by_the_length_of_the_list():
    a = search([1, 1, 0], [1, 0, 1], [0.9, 0.5, 0.2])  # |L| 3, changed at 2 and 3
    b = search([1, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.1])  # |L| 5, changed at 5
    assert (a.dc, a.ac, a.dc_from_cut) == pytest.approx((0.75, 0.65, (0 + 1) / 3 / 2))
    assert (b.dc, b.ac, b.dc_from_cut) == pytest.approx((1.0, 0.9, 4 / 5))
    unseen = search([0, 0], [0, 0], seen=[0, 0])
    e = aggregate([a, unseen, b], ["x", "z", "x"])
    assert e.pc == pytest.approx((3 * 1 + 5 * 1) / 8)
    assert e.dc == pytest.approx((3 * 0.75 + 5 * 1.0) / 8)
    assert e.ac == pytest.approx((3 * 0.65 + 5 * 0.9) / 8)
    assert e.dc_from_cut == pytest.approx((3 / 6 + 5 * 0.8) / 8)
    assert (e.searches, e.examiners, e.additions, e.removals) == (2, 1, 2, 1)
    half = aggregate([a, search([1, 1], [1, 1])], ["x", "y"])
    assert half.accuracy == pytest.approx(1 - 3 / 5)


def test_rounding_leaves_no_share_above_one():
    wrong = [search([1] + [0] * (n - 1), [0] * n) for n in (2, 2, 4, 6, 8, 9, 9)]
    assert aggregate(wrong, range(7)).pc == 1.0  # the bare mean is 1.0000000000000002


def test_a_list_of_one_mark_counts():
    assert aggregate([search([1], [0])], ["a"]).searches == 1


def test_nothing_to_aggregate_is_zero_throughout():
    assert aggregate([], []) == ChangeEvidence(0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0)


def test_each_cluster_is_aggregated_with_what_was_asked():
    metrics = [search([1, 1, 0], [1, 0, 0]), search([1, 1, 1], [1, 1, 1]), search([0, 0], [0, 1]), search([1], [0])]
    names, clusters = ["a", "a", "b", "c"], [3, 1, 3, 3]
    by = aggregate_by_cluster(metrics, names, clusters, kept_weight=0.25, examiner_cap=0.4)
    of_three = [metrics[i] for i in (0, 2, 3)]
    assert by == {
        1: aggregate([metrics[1]], ["a"], kept_weight=0.25, examiner_cap=0.4),
        3: aggregate(of_three, ["a", "b", "c"], kept_weight=0.25, examiner_cap=0.4),
    }
    plain = aggregate_by_cluster(metrics, names, clusters)
    assert plain[3] == aggregate(of_three, ["a", "b", "c"])
    assert len({by[3].pc, plain[3].pc, aggregate(of_three, ["a", "b", "c"], kept_weight=0.25).pc}) == 3


def test_with_kept_marks_of_little_weight_the_base_is_never_below_one():
    added = search([1, 1, 1, 0], [1, 1, 1, 1])
    assert [added.pc_with_kept_weight(w) for w in (0.0, 0.25, 0.5, 1.0)] == [1.0, 1.0, 1 / 1.5, 1 / 3]
    both = search([1, 1, 1, 0, 0], [0, 1, 1, 1, 1])
    assert both.pc_with_kept_weight(0.25) == 1.0  # 3 over 1.5, clipped
    assert search([0, 0], [0, 1]).pc_with_kept_weight(0.5) == 1.0
    assert search([0, 0], [0, 0]).pc_with_kept_weight(0.5) == 0.0
    assert search([1, 0], [1, 0]).pc_with_kept_weight(0.0) == 0.0


@pytest.mark.parametrize(
    ("weights", "names", "cap", "expected"),
    [
        ([2.0, 2.0], "ab", 0.6, [2, 2]),  # nobody is over
        ([8.0, 1.0, 1.0], "abc", 0.5, [2, 1, 1]),  # 2 of 4
        ([3.0, 3.0, 1.0, 1.0], "aabc", 0.5, [1, 1, 1, 1]),  # shared out over what one made
        ([6.0, 3.0, 1.0], "abc", 0.4, [2, 2, 1]),  # capping a puts b over it
        ([5.0, 1.0], "ab", 0.5, [1, 1]),  # two cannot both stay under a half: alike
        ([5.0, 3.0], "ab", 0.5, [1, 1]),
        ([5.0, 1.0, 3.0], "abc", 0.2, [1, 1, 1]),
        ([4.0, 1.0, 1.0], [None, 7, "b"], 0.5, [2, 1, 1]),  # whoever the examiners are
        ([9.0, 1.0], "ab", 1.0, [9, 1]),
    ],
)
def test_nobody_weighs_more_than_the_cap(weights, names, cap, expected):
    found = capped_weights(weights, list(names), cap)
    assert found == pytest.approx(np.array(expected, dtype=float))
