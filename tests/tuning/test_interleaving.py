"""The verdict between two sets, from credits worked out by hand."""

import numpy as np
import pytest

from tuning.interleaving import credits_of, judge_interleaving


def test_credit_by_hand() -> None:
    #        live: added, kept, untouched; candidate: added, removed; nobody's: added
    team = [0, 0, 0, 1, 1, -1]
    before = [0, 1, 0, 0, 1, 0]
    after = [1, 1, 0, 1, 0, 1]
    assert credits_of(team, before, after) == (pytest.approx(1.3), 1.0)


def test_too_few_searches_wait_and_say_how_many_are_needed() -> None:
    verdict = judge_interleaving([("q", "e", 0.0, 1.0)] * 5 + [("z", "e", 0.0, 0.0)] * 50, min_searches=20)
    assert verdict.state == "wait" and verdict.searches == 5
    assert "5 searches" in verdict.reason and "20" in verdict.reason
    assert judge_interleaving([], min_searches=0).state == "wait"


def credits(better: float, searches: int, seed: int = 0, examiners: int = 4):
    rng = np.random.default_rng(seed)
    wins = rng.random(searches) < better
    return [(f"q{i}", f"e{i % examiners}", float(not win), float(win)) for i, win in enumerate(wins)]


@pytest.mark.parametrize(("better", "state"), [(0.8, "candidate"), (0.5, "even"), (0.2, "live")])
def test_the_preferred_set_is_named_with_its_interval(better: float, state: str) -> None:
    verdict = judge_interleaving(credits(better, 120), min_searches=20)
    assert verdict.state == state and verdict.searches == 120 and verdict.examiners == 4
    assert verdict.low <= verdict.difference <= verdict.high
    assert "120 searches by 4 examiners" in verdict.reason
    assert abs(verdict.difference - (2 * better - 1)) < 0.15


def test_one_busy_examiner_does_not_decide() -> None:
    busy = [(f"b{i}", "busy", 0.0, 1.0) for i in range(200)]
    others = [(f"o{i}", f"e{i % 5}", 1.0, 0.0) for i in range(25)]
    verdict = judge_interleaving(busy + others, min_searches=20)
    assert verdict.difference == pytest.approx(0.0, abs=0.01)  # half of the say at most
    assert verdict.state == "even"


def test_repeating_one_search_is_no_proof() -> None:
    # 40 searches for three marks: two favour the candidate, one the live set.
    repeated = [(f"q{i % 3}", f"e{i % 4}", float(i % 3 == 0), float(i % 3 != 0)) for i in range(40)]
    assert judge_interleaving(repeated, min_searches=20).state == "even"


def test_the_same_seed_gives_the_same_interval() -> None:
    told = credits(0.6, 60)
    assert judge_interleaving(told, seed=1) == judge_interleaving(told, seed=1)
