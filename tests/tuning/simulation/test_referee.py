"""The referee's figures by hand, and the ceiling above everything."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tuning.simulation.worlds import NAMES, small_world
from tuning.simulate import start_of
from tuning.simulation.referee import Ceiling, Referee
from tuning.simulation.world import WorldQuery


def query(column: list[float], relevant: list[int]) -> WorldQuery:
    sims = np.array([[v, 0.0, 0.0] for v in column], dtype=np.float32)
    chosen = np.isin(np.arange(len(column)), relevant)
    return WorldQuery("q", "g", 0, sims, chosen, np.zeros(len(column), dtype=bool))


def test_figures_by_hand() -> None:
    # Scores .9 .8 .7 .6 with relatives 1st and 3rd: AP = (1 + 2/3) / 2; at 0.65 three are chosen, two of them right.
    one = query([0.9, 0.8, 0.7, 0.6], [0, 2])
    found = Referee([one], NAMES).weights(np.array([1.0, 0, 0]), np.array(0.65 - one.cut_shift))
    assert found.map100 == pytest.approx((1 + 2 / 3) / 2)
    assert (found.precision, found.recall) == pytest.approx((2 / 3, 1.0))
    assert found.f1 == pytest.approx(0.8) and found.safety == 1.0


def test_ties_count_against_the_relatives() -> None:
    found = Referee([query([0.5, 0.5, 0.5, 0.1], [0])], NAMES).weights(np.array([1.0, 0, 0]), np.array(0.9))
    assert found.map100 == pytest.approx(1 / 3)


def test_what_lies_beyond_the_first_page_is_safe_only_when_it_is_preselected() -> None:
    one = query([1 - i / 100 for i in range(40)], [0, 30])
    referee = Referee([one], NAMES)
    assert referee.weights(np.array([1.0, 0, 0]), np.array(0.9)).safety == 0.5
    assert referee.weights(np.array([1.0, 0, 0]), np.array(0.65)).safety == 1.0


def test_each_query_follows_its_own_cluster() -> None:
    world = small_world()
    referee = Referee(world.of("test"), NAMES)
    start = start_of(world, "equal")
    good = replace(start.default, weights={"general": 1.0, "edges": 0.0, "colour": 0.0})
    one = replace(start, clusters={1: good})
    every = replace(start, clusters=dict.fromkeys(range(3), good))
    figures = [referee.parameters(p).map100 for p in (start, one, every)]
    assert figures == sorted(figures) and figures[0] < figures[2]


def test_nothing_beats_the_ceiling_and_it_weighs_the_descriptor_that_tells() -> None:
    world = small_world()
    referee = Referee(world.of("test"), NAMES)
    best = Ceiling.of(world, rounds=8)
    for weights in ([1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0.7, 0.3, 0]):
        w = np.array(weights)
        f1, cut = referee.best_cut(w)
        assert referee.weights(w, np.array(cut)).map100 + f1 <= best.map100 + best.f1 + 0.005
    assert best.weights[0] > 0.5 and best.weights[2] < 0.15
    reached = referee.weights(np.array(best.weights), np.array(best.threshold))
    assert (reached.map100, reached.f1) == pytest.approx((best.map100, best.f1))
    elsewhere = referee.weights(np.array(best.elsewhere_weights), np.array(best.elsewhere_threshold))
    assert elsewhere.map100 + elsewhere.f1 <= best.map100 + best.f1 + 1e-9


def test_many_candidates_at_once_are_judged_as_one_by_one() -> None:
    referee = Referee(small_world().of("test"), NAMES)
    weights, cuts = np.random.default_rng(0).dirichlet(np.ones(3), 5), np.linspace(0.3, 0.7, 5)
    found = referee.each(weights, cuts)
    for w, cut, map100, f1 in zip(weights, cuts, *found, strict=True):
        one = referee.weights(w, np.array(cut))
        assert (map100, f1) == pytest.approx((one.map100, one.f1), abs=1e-6)


def test_no_test_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        Referee([], NAMES)
