"""Simulated years: the loop learns from a bad start, nobody leads it astray, the same seed gives the same year."""

import json
from dataclasses import replace

import pytest

from tests.tuning.simulation.worlds import small_world
from tuning.simulate import ARMS, Scenario, Year, simulate, start_of
from tuning.simulation.adaptive import GUARDS, Adaptive, Guards
from tuning.simulation.campaign import campaign, curves, summarise
from tuning.simulation.referee import Ceiling

WORLD = small_world()
CEILING = Ceiling.of(WORLD, rounds=8)


def year(arm: str, start: str = "worst-weights", **more: object) -> Year:
    return simulate(WORLD, arm, Scenario(start=start, weeks=8, searches=150, **more), ceiling=CEILING)


@pytest.fixture(scope="module")
def ours() -> Year:
    return year("ours")


def test_the_loop_closes_most_of_the_gap_from_all_weight_on_the_worst_descriptor(ours: Year) -> None:
    assert start_of(WORLD, "worst-weights").default.weights["colour"] == 1.0
    summary = ours.summary()
    assert summary["gap_closed_map"] > 0.8 and summary["gap_closed_f1"] > 0.6
    assert summary["worst_drop_points"] < 0.5
    assert ours.parameters is not None and ours.parameters.default.weights["general"] > 0.4


def test_the_same_seed_gives_the_same_year(ours: Year) -> None:
    assert year("ours").to_json() == ours.to_json()
    json.dumps(ours.to_json())


def test_the_static_arm_stays_where_it_began() -> None:
    still = year("static").summary()
    assert still["gap_closed_map"] == still["gap_closed_f1"] == 0.0 and still["promotions"] == 0


def test_the_oracle_is_the_ceiling_and_what_is_learned_elsewhere_lies_under_it() -> None:
    oracle, elsewhere = year("oracle").summary(), year("elsewhere").summary()
    assert oracle["gap_closed_map"] == oracle["gap_closed_f1"] == pytest.approx(1.0)
    left = [s["map_left_points"] + s["f1_left_points"] for s in (elsewhere, oracle)]
    assert left[1] == pytest.approx(0.0) and left[0] >= left[1] - 1e-6


def test_examiners_who_change_nothing_move_nothing() -> None:
    inert = year("ours", "equal", profile="inert")
    assert inert.summary()["promotions"] == 0
    assert inert.parameters == start_of(WORLD, "equal")


def test_a_hostile_examiner_in_ten_does_not_pull_the_ranking_down() -> None:
    assert year("ours", "equal", profile="adversarial").summary()["worst_drop_points"] < 0.5


@pytest.mark.parametrize("arm", ["paper-tree", "grid", "learned"])
def test_the_alternatives_learn_from_the_same_log(arm: str) -> None:
    found = year(arm)
    assert found.summary()["promotions"] > 0
    assert found.weeks[-1].figures.map100 > found.weeks[-1].begun.map100


def test_new_marks_in_mid_year_are_measured_against_the_same_register() -> None:
    found = year("static", "drift")
    assert len(found.weeks) == 14
    assert found.weeks[5].begun != found.weeks[6].begun
    assert all(w.drop_points == 0 for w in found.weeks)


def test_after_a_roll_back_the_clusters_rest() -> None:
    start = start_of(WORLD, "equal")
    arm = Adaptive(start, fit=WORLD.held_out("fit"), validate=WORLD.held_out("validate"), clusters=3)
    worse = replace(start, default=replace(start.default, weights={"general": 0.0, "edges": 0.0, "colour": 1.0}))
    arm.parameters, arm._promoted = worse, (0, start)
    found = None
    for week in range(1, 4):
        found = _week(arm, week)
        if found.kind == "rolled_back":
            break
    assert found is not None and found.kind == "rolled_back" and "agreed better" in found.reason
    assert arm.parameters == start and arm._resting[None] > 0
    after = _week(arm, week + 1)
    assert after.kind == "none" and arm.parameters == start


def _week(arm: Adaptive, number: int):
    from tuning.simulation.examiners import staff
    from tuning.simulation.office import serve_week
    from tuning.simulation.traffic import week_of

    queries, people = WORLD.of("traffic"), staff("careful")
    return arm.learn(number, serve_week(arm, queries, people, week_of(queries, 10, searches=120, seed=5, week=number)))


def test_each_guard_can_be_left_out() -> None:
    assert set(GUARDS) == {"shrinkage", "audits", "propensities", "cap", "gate", "follow_up"}
    assert all(sum(vars(g).values()) == len(vars(Guards())) - 1 for g in GUARDS.values())
    assert {f"ours-without-{name}" for name in GUARDS} < set(ARMS)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no start nowhere"):
        Scenario("nowhere")
    with pytest.raises(ValueError, match="no arm magic"):
        simulate(WORLD, "magic", Scenario(), ceiling=CEILING)


def test_a_campaign_meets_every_arm_with_every_start_and_sums_up(ours: Year) -> None:
    tasks = campaign([0, 1])
    assert {t.label for t in tasks if t.arm == "grid"} == {
        "equal", "worst-weights", "threshold-high", "threshold-low", "drift"
    }  # fmt: skip
    assert {t.arm for t in tasks} == set(ARMS)
    few = campaign([0, 1], side_seeds=1, side_weeks=6)
    assert {t.scenario.weeks for t in few if "," in t.label} == {6} and {t.scenario.weeks for t in few} == {6, 12}
    assert {t.scenario.seed for t in few if t.arm.startswith("ours-without")} == {0} and len(few) < len(tasks)
    task = next(t for t in tasks if t.arm == "ours" and t.label == "worst-weights")
    found = summarise([(task, ours), (task, ours)])["ours"]["worst-weights"]
    assert found["gap_closed_map"]["mean"] == pytest.approx(ours.summary()["gap_closed_map"], abs=1e-4)
    assert found["gap_closed_map"]["low"] == found["gap_closed_map"]["high"] and found["seeds"] == 2
    lines = curves([(task, ours)])["worst-weights"]
    assert len(lines["ours"]["map100"]) == 8 and lines["ceiling"]["f1"][0] == pytest.approx(100 * CEILING.f1, abs=0.01)
