"""What each kind of examiner changes, and what a week looks like."""

import numpy as np
import pytest

from tests.tuning.simulation.worlds import small_world
from tuning.simulation.examiners import CAREFUL, HOSTILE, HURRIED, INERT, PAGE, judge_results, look_chance, staff
from tuning.simulation.traffic import week_of

RELEVANT = np.arange(240) % 8 == 0
PRESELECTED = np.arange(240) < 10  # two right ones, eight wrong


def judged(examiner, seed=0):
    return judge_results(examiner, RELEVANT, PRESELECTED, np.random.default_rng(seed))


def test_a_careful_examiner_puts_nearly_everything_on_the_pages_seen_right() -> None:
    rates = []
    for seed in range(30):
        seen, selected = judged(CAREFUL, seed)
        rates.append(np.mean(selected[seen] == RELEVANT[seen]))
        assert not (selected != PRESELECTED)[~seen].any()
    assert np.mean(rates) > 0.95


def test_an_inert_examiner_changes_nothing_and_a_hurried_one_less_than_a_careful_one() -> None:
    for seed in range(10):
        assert (judged(INERT, seed)[1] == PRESELECTED).all()
    changes = {e.name: sum((judged(e, s)[1] != PRESELECTED).sum() for s in range(30)) for e in (CAREFUL, HURRIED)}
    assert changes["hurried"] < changes["careful"]


def test_a_hostile_examiner_removes_what_is_right_and_adds_what_is_wrong() -> None:
    added = removed = 0
    for seed in range(20):
        _, selected = judged(HOSTILE, seed)
        added += int((selected & ~PRESELECTED & ~RELEVANT).sum())
        removed += int((~selected & PRESELECTED & RELEVANT).sum())
        assert not (selected & ~PRESELECTED & RELEVANT).any()
    assert added > 20 and removed > 10


def test_places_further_down_are_looked_at_less_and_every_page_begins_anew() -> None:
    chance = look_chance(HURRIED, 2 * PAGE)
    assert chance[0] == pytest.approx(1.0) and chance[PAGE - 6] < chance[6] < chance[0]
    np.testing.assert_allclose(chance[:PAGE], chance[PAGE:])


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known are careful"):
        staff("lazy")
    assert len(staff("mixed")) == 10


def test_a_week_is_the_same_for_every_arm_and_has_popular_clusters() -> None:
    queries = small_world(clusters=12).of("traffic")
    first, again, next_week = (week_of(queries, 10, searches=400, seed=3, week=w) for w in (0, 0, 1))
    assert first == again != next_week
    counts = np.bincount([queries[a.query].cluster for a in first], minlength=12)
    assert np.sort(counts)[-2:].sum() > 0.3 * 400
    assert len({a.examiner for a in first}) == 10
