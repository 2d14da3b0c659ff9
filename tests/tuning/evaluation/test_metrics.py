"""AP@100 and NAR by hand in both variants, and the conversion facts of science.md 6.4."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.evaluation.metrics import score_query, worst_ranks


def test_excluded_variant_by_hand():
    # Three relatives at ranks 1, 4 and 10 among 20 marks.
    s = score_query([4, 1, 10], 20, "excluded")
    assert s.ap == pytest.approx((1 / 1 + 2 / 4 + 3 / 10) / 3)
    assert s.nar == pytest.approx((15 - 6) / (20 * 3))
    assert s.recall == 1.0
    assert s.ranks.tolist() == [1, 4, 10]


def test_official_variant_by_hand():
    # The same marks with the query itself in front: ranks 1, 2, 5, 11.
    s = score_query([1, 2, 5, 11], 20, "official")
    assert s.ap == pytest.approx((1 / 1 + 2 / 2 + 3 / 5 + 4 / 11) / 4)
    assert s.nar == pytest.approx((19 - 10) / (20 * 4))


def test_rank_100_counts_in_one_variant_and_not_in_the_other():
    assert score_query([100], 1000, "excluded").ap == pytest.approx(1 / 100)
    assert score_query([101], 1000, "excluded").ap == 0.0
    assert score_query([1, 100], 1000, "official").ap == pytest.approx(1 / 2)
    assert score_query([1, 99], 1000, "official").ap == pytest.approx((1 + 2 / 99) / 2)


def test_excluded_divides_by_the_depth_when_there_are_more_relatives_than_places():
    ranks = np.arange(1, 121)
    assert score_query(ranks, 1000, "excluded").ap == pytest.approx(1.0)
    assert score_query(ranks, 1000, "excluded").recall == pytest.approx(100 / 120)
    assert score_query(ranks, 1000, "official").ap == pytest.approx(99 / 120)


def test_recall_counts_relatives_among_the_first_hundred():
    assert score_query([3, 100, 101, 500], 1000, "excluded").recall == 0.5


def test_perfect_and_worst_lists_bound_nar():
    assert score_query([1, 2, 3], 50, "excluded").nar == 0.0
    assert score_query([48, 49, 50], 50, "excluded").nar == pytest.approx((147 - 6) / 150)


def test_a_system_that_finds_only_the_query_scores_one_over_the_group_size():
    # science.md 6.4: 35 groups, 417 queries -> 35/417 = 8.39 %.
    sizes = [12] * 32 + [11] * 3
    values = [score_query([1, *range(500, 499 + n)], 923_343, "official").ap for n in sizes for _ in range(n)]
    assert len(values) == 417
    assert np.mean(values) == pytest.approx(35 / 417)
    assert np.mean(values) == pytest.approx(0.0839, abs=5e-5)


members = st.sets(st.integers(1, 98), min_size=1, max_size=15) | st.sets(st.integers(1, 400), min_size=1, max_size=15)


@settings(deadline=None)
@given(members)
def test_the_variants_convert_as_derived(ranks):
    m = len(ranks)
    n = m + 1
    without = score_query(sorted(ranks), 500, "excluded")
    with_query = score_query([1, *(r + 1 for r in ranks)], 500, "official")
    assert with_query.nar == pytest.approx(m / n * without.nar)
    if not ranks & {99, 100}:
        assert with_query.ap >= 1 / n + m / n * without.ap - 1e-12


def test_ties_take_the_last_place_among_equals():
    scores = [0.9, 0.5, 0.5, 0.5, 0.1]
    assert worst_ranks(scores, [0.9, 0.5, 0.1]).tolist() == [1, 4, 5]


def test_impossible_ranks_are_refused():
    for ranks in ([], [0], [21]):
        with pytest.raises(ValueError, match="ranks between"):
            score_query(ranks, 20, "excluded")
