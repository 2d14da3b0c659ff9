"""Team draft: fair, complete, and nobody's where both say the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.retrieval.interleaving import is_interleaved, team_draft


def test_equal_rankings_are_nobodys() -> None:
    order, team = team_draft([3, 1, 2], [3, 1, 2], depth=3, seed=0)
    assert order.tolist() == [3, 1, 2] and team.tolist() == [-1, -1, -1]


def test_opposite_rankings_by_hand() -> None:
    seen = set()
    for seed in range(20):
        order, team = team_draft([1, 2, 3], [3, 2, 1], depth=3, seed=seed)
        seen.add((tuple(order.tolist()), tuple(team.tolist())))
    # Whoever begins takes its best, the other its own; the third both would take.
    assert seen == {((1, 3, 2), (0, 1, -1)), ((3, 1, 2), (1, 0, -1))}


def test_beyond_the_depth_the_rest_follows_in_the_order_of_live() -> None:
    order, team = team_draft(list("abcdef"), list("fedcba"), depth=2, seed=3)
    assert sorted(order[:2]) == ["a", "f"] and order[2:].tolist() == ["b", "c", "d", "e"]
    assert sorted(team[:2].tolist()) == [0, 1] and (team[2:] == -1).all()


rankings = st.permutations(range(12)).flatmap(
    lambda a: st.tuples(st.just(a), st.permutations(range(12)), st.integers(0, 14), st.integers(0, 50))
)


@given(rankings)
def test_every_mark_once_teams_of_one_size_and_each_in_its_own_order(drawn) -> None:
    a, b, depth, seed = drawn
    order, team = team_draft(a, b, depth=depth, seed=seed)
    assert sorted(order.tolist()) == list(range(12))
    assert abs(int((team == 0).sum()) - int((team == 1).sum())) <= 1
    assert (team[depth:] == -1).all()
    for arm, ranking in ((0, list(a)), (1, list(b))):
        picked = [ranking.index(mark) for mark in order[team == arm]]
        assert picked == sorted(picked)


def test_marks_that_only_one_ranking_knows_are_kept() -> None:
    order, team = team_draft([1, 2], [1, 9], depth=10, seed=0)
    assert sorted(order.tolist()) == [1, 2, 9] and team[0] == -1


def test_each_side_begins_half_of_the_time() -> None:
    first = [team_draft([1, 2], [2, 1], depth=2, seed=seed)[1][0] for seed in range(2000)]
    assert abs(np.mean(first) - 0.5) < 0.04


def test_a_repeated_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="once"):
        team_draft([1, 1], [1, 2], depth=2, seed=0)


def test_the_share_of_interleaved_searches_is_what_was_asked_for_and_not_the_plain_ones() -> None:
    from search.retrieval.audit import is_plain

    seeds = range(20_000)
    chosen = np.array([is_interleaved(seed, 0.2) for seed in seeds])
    plain = np.array([is_plain(seed, 0.2) for seed in seeds])
    assert abs(chosen.mean() - 0.2) < 0.012 and abs((chosen & plain).mean() - 0.04) < 0.006
