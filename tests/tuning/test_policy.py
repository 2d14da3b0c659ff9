"""A simulated week through the policy: it finds the better weights, is gated, bounded and repeatable."""

import json
from dataclasses import replace

import numpy as np
import pytest

from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.comparisons import Region, scores
from tuning.decision_table import ActionKind, TableConfig
from tuning.feedback_objective import FeedbackConfig, LoggedSearch
from tuning.objective import HeldOut, HeldOutQuery
from tuning.optimiser import Objective, SearchConfig, find
from tuning.policy import PolicyConfig, apply, evidence_of, plan_week, propose

NAMES = ("general", "edges", "objects")
CONFIG = PolicyConfig(search=SearchConfig(rounds=12, cloud=32))
MARKS = 150


def world(seed, useful=0, groups=12, noise=0.35):
    """Similarities in which one descriptor tells relatives apart and the other two are noise."""
    rng = np.random.default_rng(seed)

    def similarities(relevant):
        z = rng.normal(0, 1, (len(relevant), 3))
        z[relevant] += 0.4
        z[:, useful] = np.where(relevant, 2.0, -0.8) + noise * rng.normal(size=len(relevant))
        return (1 / (1 + np.exp(-z))).astype(np.float32)

    def held_out(first):
        queries = []
        for g in range(groups):
            for i in range(2):
                relevant = np.arange(MARKS) % 50 == 7
                queries.append(HeldOutQuery(f"{i}-{first + g}", first + g, g % 2, similarities(relevant), relevant))
        return HeldOut(NAMES, tuple(queries))

    def searches(count, live, cluster=0, examiners=4, wrong=0.0):
        made = []
        for i in range(count):
            relevant = np.arange(40) % 10 == 3
            sims = similarities(relevant)
            s = scores(sims, live.weight_vector(NAMES))
            selected = relevant ^ (rng.random(40) < wrong)
            made.append(
                LoggedSearch(
                    i,
                    f"e{i % examiners}",
                    cluster,
                    sims,
                    s,
                    s >= live.threshold,
                    selected,
                    np.arange(40) < 35,
                )
            )
        return made

    return held_out(0), held_out(100), searches


def start(weights=(0.2, 0.4, 0.4), threshold=0.6, **more):
    own = ClusterParameters(dict(zip(NAMES, weights, strict=True)), threshold, 0.15)
    return Parameters(default=own, clusters_version="c1", **more)


@pytest.fixture(scope="module")
def week():
    fit, validate, searches = world(1)
    live = start()
    log = searches(45, live.default, 0) + searches(10, live.default, 1)
    return live, log, fit, validate, plan_week(live, log, fit, validate, config=CONFIG, seed=3)


def test_a_week_moves_weight_to_the_descriptor_that_examiners_agree_with(week):
    live, _, _, _, plan = week
    first = plan.proposals[0]
    assert first.action.kind is ActionKind.WEIGHTS
    assert first.state == "accepted", first.reason
    assert plan.changed
    assert plan.parameters.for_cluster(0).weights["general"] > live.default.weights["general"] + 0.05
    assert first.replayed[1].pc < first.replayed[0].pc
    assert first.verdict.figures["feedback"].difference > 0


def test_no_weight_leaves_the_radius_and_no_threshold_its_step(week):
    live, _, _, _, plan = week
    after = plan.parameters.for_cluster(0)
    assert sum(after.weights.values()) == pytest.approx(1)
    assert max(abs(after.weights[n] - live.default.weights[n]) for n in NAMES) <= 0.15 + 1e-4
    assert abs(after.threshold - live.default.threshold) <= 0.10 + 1e-9
    assert 0.5 <= after.threshold <= 0.98


@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_a_descriptor_that_starts_at_nothing_can_gain_weight_within_the_radius(threshold):
    """As `colour` ships: on, with weight 0. The other two take what is left, and nobody leaves the radius."""
    fit, validate, searches = world(1)
    live = start(weights=(0.0, 0.5, 0.5), threshold=threshold)
    plan = plan_week(live, searches(45, live.default, 0), fit, validate, config=CONFIG, seed=3)
    after, radius = plan.parameters.for_cluster(0).weights, plan.proposals[0].action.radius
    assert plan.proposals[0].state == "accepted", plan.proposals[0].reason
    assert radius in (0.03, 0.06, 0.15) and 0 < after["general"] <= radius + 1e-4
    assert sum(after.values()) == pytest.approx(1)


def test_a_cluster_with_little_evidence_follows_the_register_and_says_what_is_missing(week):
    _, _, _, _, plan = week
    second = plan.proposals[1]
    assert (second.cluster, second.state) == (1, "no_data")
    assert "10 of 30 searches" in second.reason
    assert 1 not in plan.parameters.clusters
    assert plan.parameters.for_cluster(1) == plan.parameters.default


def test_the_same_seed_finds_the_same_and_json_holds_it_all(week):
    live, log, fit, validate, plan = week
    assert plan_week(live, log, fit, validate, config=CONFIG, seed=3) == plan
    data = json.loads(json.dumps(plan.to_json()))
    assert data["proposals"][0]["trials"][-1][4] == max(t[4] for t in data["proposals"][0]["trials"])
    assert Parameters.from_json(data["parameters"]) == plan.parameters


def test_the_halves_of_the_held_out_groups_take_turns(week):
    live, log, fit, validate, plan = week
    judged = {q.name for q in validate.queries}
    for turn, seen in ((0, judged), (1, {q.name for q in fit.queries}), (2, judged)):
        verdict = plan_week(live, log, fit, validate, config=CONFIG, seed=3, turn=turn).verdict
        assert verdict is not None
        assert {d.name for d in verdict.deltas} == seen
    assert plan_week(live, log, validate, fit, config=CONFIG, seed=3, turn=1) == plan


def test_shrinkage_holds_a_cluster_nearer_to_the_register():
    fit, validate, searches = world(2)
    own = start(clusters={0: ClusterParameters(dict(zip(NAMES, (0.3, 0.35, 0.35), strict=True)), 0.6, 0.15)})
    log = searches(40, own.for_cluster(0))
    moved = {}
    for shrinkage in (0.0, 200.0):
        p = propose(own, 0, log, fit, validate, config=replace(CONFIG, shrinkage=shrinkage))
        assert p.action.kind is ActionKind.WEIGHTS
        moved[shrinkage] = abs(p.after.weights["general"] - own.default.weights["general"])
    assert moved[200.0] < moved[0.0]


def test_selections_against_the_truth_do_not_pass_the_gate():
    fit, validate, _ = world(3, useful=0, noise=1.0)
    _, _, misled = world(4, useful=1)  # these examiners select by the wrong descriptor
    live = start((0.6, 0.2, 0.2))
    plan = plan_week(live, misled(60, live.default), fit, validate, config=CONFIG)
    # A cut that agrees better with everybody may pass; weights that agree with the misled alone may not.
    assert plan.parameters.for_cluster(0).weights == pytest.approx(live.default.weights)


def agreeing(searches, live, change):
    """Searches whose selection is the pre-selection but for what `change` makes of it."""
    made = []
    for s in searches(40, live):
        before = s.scores >= live.threshold
        made.append(replace(s, preselected=before, selected=change(before.copy(), s.scores)))
    return made


def test_agreement_changes_nothing():
    fit, validate, searches = world(5)
    live = start((0.8, 0.1, 0.1))
    plan = plan_week(live, agreeing(searches, live.default, lambda b, s: b), fit, validate, config=CONFIG)
    assert [p.state for p in plan.proposals] == ["none"]
    assert not plan.changed
    assert plan.candidates == 0


@pytest.mark.parametrize("added", [True, False])
def test_threshold_moves_one_way_only_and_the_weights_stay(added):
    fit, validate, searches = world(6, noise=0.1)
    live = start((0.9, 0.05, 0.05), 0.80 if added else 0.55)

    def change(before, s):
        order = np.argsort(-s)
        if added:
            before[order[before.sum()]] = True  # the next one below the cut
        else:
            before[order[before.sum() - 1]] = False  # the last one above it
        return before

    log = [s for s in agreeing(searches, live.default, change) if 1 <= s.preselected.sum() <= 30]
    # A table in which nothing but the threshold is ever touched.
    table = TableConfig("max", 0.001, 0.99, 0.98, 0.99, 0.98, 0.99, min_searches=5)
    p = propose(live, 0, log, fit, validate, config=replace(CONFIG, table=table))
    assert p.action.kind is ActionKind.THRESHOLD
    assert p.after.weights == pytest.approx(live.default.weights, abs=1e-4)
    for threshold in [t.threshold for t in p.trials]:
        assert threshold <= live.default.threshold if added else threshold >= live.default.threshold


def test_clusters_with_too_little_evidence_are_pooled_for_the_register():
    fit, validate, searches = world(7)
    live = start()
    log = [s for n in range(4) for s in searches(12, live.default, n)]
    plan = plan_week(live, log, fit, validate, config=CONFIG)
    assert [p.cluster for p in plan.proposals] == [0, 1, 2, 3, None]
    assert {p.state for p in plan.proposals[:4]} == {"no_data"}
    assert plan.proposals[4].evidence.searches == 48
    assert plan.proposals[4].state == "accepted", plan.proposals[4].reason
    assert plan.parameters.default.weights["general"] > 0.25
    alone = plan_week(live, log, fit, validate, config=replace(CONFIG, register=False))
    assert not alone.changed
    assert "enough evidence" in alone.reason


def test_a_cluster_that_is_to_stay_does_not_follow_a_new_default():
    fit, validate, searches = world(7)
    live = start()
    log = [s for n in range(3) for s in searches(14, live.default, n)]
    content = agreeing(searches, live.default, lambda before, s: before)
    log += [replace(s, cluster=3) for s in content]
    plan = plan_week(live, log, fit, validate, config=CONFIG)
    assert [(p.cluster, p.state) for p in plan.proposals[3:]] == [(3, "none"), (None, "accepted")]
    assert plan.parameters.for_cluster(3) == live.default
    assert plan.parameters.for_cluster(1) == plan.parameters.default != live.default


def test_one_cluster_can_be_asked_for_alone():
    fit, validate, searches = world(8)
    live = start()
    log = searches(40, live.default, 0) + searches(40, live.default, 1)
    plan = plan_week(live, log, fit, validate, config=CONFIG, only_cluster=1)
    assert [p.cluster for p in plan.proposals] == [1]
    empty = plan_week(live, log, fit, validate, config=CONFIG, only_cluster=9)
    assert [(p.cluster, p.state) for p in empty.proposals] == [(9, "no_data")]


def test_a_week_without_searches_says_so():
    fit, validate, _ = world(9)
    plan = plan_week(start(), [], fit, validate, config=CONFIG)
    assert (plan.changed, plan.reason) == (False, "There were no concluded searches.")


def test_progress_is_told_up_to_the_end():
    fit, validate, searches = world(10)
    live, seen = start(), []
    plan_week(live, searches(5, live.default), fit, validate, config=CONFIG, progress=lambda *a: seen.append(a))
    assert seen[0][:2] == (0, 2)
    assert seen[-1] == (2, 2, "done")


def test_held_out_queries_must_fit_and_exist():
    fit, validate, _ = world(11)
    with pytest.raises(ValueError, match="none"):
        plan_week(start(), [], HeldOut(NAMES, ()), validate)
    with pytest.raises(ValueError, match="other descriptors"):
        plan_week(start(), [], HeldOut(("x", "y", "z"), fit.queries), validate)


def test_apply_takes_over_only_what_was_accepted(week):
    live, _, _, _, plan = week
    assert apply(live, plan.proposals) == plan.parameters
    assert apply(live, [replace(p, state="rejected") for p in plan.proposals]) == live


def test_evidence_is_taken_from_what_was_served():
    _, _, searches = world(12)
    log = searches(6, start().default, examiners=2)
    e = evidence_of(log)
    assert (e.searches, e.examiners) == (6, 2)
    assert e.additions == sum(s.metrics().added for s in log)


def test_search_finds_nearly_the_best_point_of_a_fine_grid():
    fit, _, searches = world(13)
    live = (np.array([0.3, 0.4, 0.3]), 0.6)
    objective = Objective(
        feedback=searches(30, start().default),
        feedback_config=FeedbackConfig(),
        held_out=fit,
        query_weights=np.full(len(fit.queries), 1 / len(fit.queries)),
        region=Region(live[0], 0.15),
        thresholds=(0.5, 0.7),
        live=live,
        config=SearchConfig(rounds=16, cloud=32),
    )
    found = find(objective, start=live, seed=0)
    step = np.linspace(-0.15, 0.15, 13)
    u = np.array([(a, b, -a - b) for a in step for b in step if abs(a + b) <= 0.15])
    grid = max(objective.values(live[0] + u, np.full(len(u), t)).max() for t in np.linspace(0.5, 0.7, 21))
    assert found.value >= grid - 0.002
    assert objective.values(live[0][None], [live[1]])[0] == 0.0
    assert found.candidates == 16 * 32


def test_a_resting_cluster_stays_as_it_is_even_when_the_default_changes(week):
    live, log, fit, validate, moved = week
    assert moved.parameters.for_cluster(0) != live.default
    plan = plan_week(live, log, fit, validate, config=CONFIG, seed=3, resting={0: "It rests after a rollback."})
    first = next(p for p in plan.proposals if p.cluster == 0)
    assert (first.state, first.action.kind, first.reason) == (
        "resting", ActionKind.RESTING, "It rests after a rollback."
    )  # fmt: skip
    assert first.evidence.searches == 45
    assert plan.parameters.for_cluster(0) == live.default
