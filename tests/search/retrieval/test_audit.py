"""Audit slots: from below, at random, never above a pre-selected mark, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.retrieval.audit import AuditConfig, is_plain, place_audits

CONFIG = AuditConfig()


def first(count: int, of: int = 240) -> np.ndarray:
    return np.arange(of) < count


def many(preselected: np.ndarray, times: int = 2000) -> list[tuple[np.ndarray, np.ndarray]]:
    return [place_audits(preselected, config=CONFIG, seed=seed) for seed in range(times)]


def test_two_marks_from_below_the_shown_pages_stand_below_the_cut() -> None:
    for order, audit in many(first(5), 300):
        assert audit.sum() == 2 and np.flatnonzero(audit).min() >= 5 and np.flatnonzero(audit).max() < 48
        assert (order[audit] >= 48).all()
        rest = order[~audit]
        assert (np.diff(rest) > 0).all()  # everybody else keeps their order
        assert order[:5].tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.booleans(), max_size=80), st.integers(0, 6), st.integers(0, 60), st.integers(0, 90), st.integers(0, 9)
)
def test_whatever_the_list_the_order_is_a_permutation(flags, slots, reach, depth, seed) -> None:
    order, audit = place_audits(flags, config=AuditConfig(slots=slots, reach=reach, depth=depth), seed=seed)
    assert sorted(order.tolist()) == list(range(len(flags)))
    assert audit.sum() <= slots
    if any(flags) and audit.any():
        last = max(np.flatnonzero(flags))
        assert np.flatnonzero(audit).min() > last and order[: last + 1].tolist() == list(range(last + 1))


@pytest.mark.parametrize(
    "preselected", [first(48), first(240), first(3, of=20), first(0, of=0)], ids=["full", "all", "short", "empty"]
)
def test_where_there_is_no_room_or_no_mark_the_list_stays_as_it_is(preselected: np.ndarray) -> None:
    order, audit = place_audits(preselected, config=CONFIG, seed=1)
    assert order.tolist() == list(range(len(preselected))) and not audit.any()


def test_one_place_and_one_mark_give_one_slot() -> None:
    order, audit = place_audits(first(47, of=49), config=CONFIG, seed=1)
    assert order[47] == 48 and audit[47] and audit.sum() == 1


def test_places_are_uniform_and_ranks_log_uniform() -> None:
    drawn = many(first(8))
    places = np.concatenate([np.flatnonzero(audit) for _, audit in drawn])
    share = np.bincount(places, minlength=48)[8:48] / len(places)
    assert abs(share - 1 / 40).max() < 0.01  # 4 standard errors of 4,000 draws
    ranks = np.concatenate([order[audit] for order, audit in drawn])
    # log-uniform: as many from 48..107 as from 107..240
    assert abs((ranks < 107).mean() - 0.5) < 0.03
    assert ranks.max() > 230


def test_the_better_mark_is_not_shown_higher_more_often() -> None:
    better_first = [order[audit][0] < order[audit][1] for order, audit in many(first(8))]
    assert abs(np.mean(better_first) - 0.5) < 0.03


def test_the_same_seed_gives_the_same_list_and_another_another() -> None:
    a, b = (place_audits(first(5), config=CONFIG, seed="7c9e")[0].tolist() for _ in range(2))
    assert a == b != place_audits(first(5), config=CONFIG, seed="7c9f")[0].tolist()


def test_the_share_of_plain_searches_is_what_was_asked_for() -> None:
    assert abs(np.mean([is_plain(seed, 0.05) for seed in range(20_000)]) - 0.05) < 0.007
    assert not any(is_plain(seed, 0.0) for seed in range(1000)) and all(is_plain(seed, 1.0) for seed in range(1000))


def test_a_config_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="share of plain"):
        AuditConfig(plain_share=1.5)
    with pytest.raises(ValueError, match="at least 0"):
        AuditConfig(slots=-1)
