"""The shift of the cut by what surrounds a query."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.retrieval.crowding import HIGHEST, LOWEST, SLOPE, USUAL, crowding, cut_shift


def _ranked(*scores: float) -> np.ndarray:
    """Similarities whose fused score at each rank is the one given, in random order."""
    rows = np.repeat(np.array(scores)[:, None], 6, axis=1)
    return np.random.default_rng(0).permutation(rows)


def test_only_the_second_page_counts() -> None:
    rows = _ranked(*[0.9] * 24, *[0.5] * 24, *[0.1] * 300)
    assert crowding(rows) == pytest.approx(0.5)


def test_ranks_beyond_the_last_mark_count_nothing() -> None:
    assert crowding(_ranked(*[0.9] * 24, *[0.6] * 12)) == pytest.approx(0.3)
    assert crowding(_ranked(0.9, 0.8)) == 0.0


def test_gaps_are_left_out_of_a_score_and_a_mark_without_any_similarity_scores_0() -> None:
    rows = _ranked(*[0.9] * 24, *[0.4] * 24)
    rows[:, 3] = np.nan
    assert crowding(rows) == pytest.approx(0.4)
    rows[:] = np.nan
    assert crowding(rows) == 0.0


def test_a_crowd_raises_the_cut_and_solitude_lowers_it_within_limits() -> None:
    usual = _ranked(*[0.9] * 24, *[USUAL] * 24)
    assert cut_shift(usual) == pytest.approx(0.0, abs=1e-6)
    assert cut_shift(_ranked(*[0.9] * 24, *[USUAL + 0.1] * 24)) == pytest.approx(0.1 * SLOPE, abs=1e-6)
    assert cut_shift(_ranked(*[0.9] * 48)) == pytest.approx(HIGHEST)
    assert cut_shift(_ranked(0.9)) == pytest.approx(LOWEST)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=120), st.integers(0, 119), st.floats(0, 1))
def test_a_nearer_mark_never_lowers_the_cut(scores: list[float], place: int, to: float) -> None:
    nearer = list(scores)
    nearer[place % len(scores)] = max(nearer[place % len(scores)], to)
    assert cut_shift(_ranked(*nearer)) >= cut_shift(_ranked(*scores)) - 1e-6
