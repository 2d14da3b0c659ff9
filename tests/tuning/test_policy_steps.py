"""The steps of the week's policy one by one, worked out by hand; the week as a whole is in test_policy.py."""

import hashlib
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from feedback.change_metrics import ChangeEvidence, aggregate
from search.retrieval.parameters import ClusterParameters, Parameters
from tests.tuning.test_policy import CONFIG, NAMES, start, world
from tuning import policy
from tuning.comparisons import Region, project
from tuning.decision_table import Action, ActionKind
from tuning.feedback_objective import FeedbackConfig, replay, search_losses, search_weights
from tuning.gate import GateConfig, judge
from tuning.objective import HeldOut, HeldOutQuery, evaluate_each
from tuning.optimiser import Found, Trial
from tuning.policy import PolicyConfig, apply, between, evidence_of, plan_week, propose
from tuning.proposal import Proposal

WEIGHTS = Action(ActionKind.WEIGHTS, 0.06, "More.")
THRESHOLD = Action(ActionKind.THRESHOLD, 0.0, "Only the cut.")


def own(general=0.2, edges=0.4, threshold=0.6, extension=0.15):
    weights = {"general": general, "edges": edges, "objects": round(1 - general - edges, 6)}
    return ClusterParameters(weights, threshold, extension)


def evidence(additions=0, removals=0, searches=40, dc=0.5):
    return ChangeEvidence(0.2, dc, 0.5, 0.5, searches, 4, additions, removals)


def proposal(cluster, state, *, before=None, after=None, action=WEIGHTS, candidates=0, seconds=0.0):
    live = before or own()
    return Proposal(
        cluster, evidence(), action, before=live, after=after or live, state=state, reason="", candidates=candidates,
        seconds=seconds,
    )  # fmt: skip


@pytest.fixture(scope="module")
def small():
    """fit, validate and forty searches of cluster 0."""
    fit, validate, searches = world(1)
    return fit, validate, searches(40, start().default)


@pytest.mark.parametrize(
    ("live", "action", "additions", "removals", "expected"),
    [
        (0.6, WEIGHTS, 0, 5, (0.5, 0.7)),
        (0.6, THRESHOLD, 5, 0, (0.5, 0.6)),
        (0.6, THRESHOLD, 3, 3, (0.5, 0.6)),  # as many added as removed: lower
        (0.6, THRESHOLD, 2, 3, (0.6, 0.7)),
        (0.55, WEIGHTS, 0, 0, (0.5, 0.65)),
        (0.95, WEIGHTS, 0, 0, (0.85, 0.98)),
        (0.2, THRESHOLD, 0, 1, (0.5, 0.5)),  # led back into the range
    ],
)
def test_where_the_threshold_may_go(live, action, additions, removals, expected):
    found = policy._threshold_range(live, action, evidence(additions, removals), PolicyConfig())
    assert found == pytest.approx(expected)
    assert policy._sign(evidence(additions, removals)) == (1 if additions >= removals else -1)


def test_searches_are_divided_by_what_they_were_for(small):
    _, _, log = small
    log = [replace(s, key=i // 2) for i, s in enumerate(log)]
    idle = replace(log[0], key="idle", seen=np.zeros(40, bool), preselected=log[0].selected)

    def aside(key, seed, share):
        return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big") < share * 2**64

    for seed, share in ((3, 1 / 3), (4, 0.8)):
        learn, kept = policy._divide([*log, idle], share, seed)
        assert [s.key for s in kept] == [s.key for s in log if aside(s.key, seed, share)]
        assert [s.key for s in learn] == [s.key for s in log if not aside(s.key, seed, share)]
    for share in (0.0, 1.0):  # better a gate on known rows than none
        learn, kept = policy._divide([*log, idle], share, 3)
        assert [s.key for s in learn] == [s.key for s in kept] == [s.key for s in log]


def test_a_clusters_queries_count_one_and_all_share_the_shrinkage():
    sims, relevant = np.zeros((2, 3), np.float32), np.array([True, False])
    clusters = [0, 0, 1, None]
    queries = HeldOut(NAMES, tuple(HeldOutQuery(f"q{i}", i, c, sims, relevant) for i, c in enumerate(clusters)))
    parameters = start(clusters={0: own()})
    for cluster, ones in ((0, [1, 1, 0, 0]), (1, [0, 0, 1, 0]), (None, [0, 0, 1, 1])):
        expected = (np.array(ones) + 2 / 4) / (sum(ones) + 2)
        assert policy._query_weights(queries, parameters, cluster, 2.0) == pytest.approx(expected)


def test_parameters_are_written_with_four_places_and_sum_to_one():
    live = own(extension=0.3)
    made = policy._parameters(np.array([0.33333, 0.33333, 0.33334]), 0.612345, live, NAMES)
    assert made == ClusterParameters({"general": 0.3334, "edges": 0.3333, "objects": 0.3333}, 0.6123, 0.3)
    made = policy._parameters(np.array([0.12346, 0.12346, 0.75308]), 0.5, live, NAMES)
    assert made.weights == {"general": 0.1235, "edges": 0.1235, "objects": 0.753}


def test_what_moves_is_told_from_a_twentieth_of_a_percent_on():
    live = own(0.2, 0.4, 0.6)
    assert policy._moves(live, live) == []
    assert policy._moves(live, own(0.2004, 0.3996, 0.6004)) == []
    assert policy._moves(live, own(0.2006, 0.3994, 0.6006)) == [
        "general 20.0% to 20.1%", "edges 40.0% to 39.9%", "threshold 60.0% to 60.1%",
    ]  # fmt: skip
    assert policy._moves(own(0.0, 0.5), own(0.0005, 0.4995)) == ["general 0.0% to 0.1%", "edges 50.0% to 50.0%"]
    assert policy._moves(own(threshold=0.0), own(threshold=0.0005)) == ["threshold 0.0% to 0.1%"]


def test_every_run_and_cluster_has_a_seed_of_its_own():
    for seed, cluster in ((3, 7), (3, None), (4, 7)):
        digest = hashlib.sha256(f"{seed}/{cluster}".encode()).digest()
        assert policy._seed(seed, cluster) == int.from_bytes(digest[:4], "big")


def test_part_of_the_way_is_that_part_in_weights_and_threshold():
    live, after = own(0.2, 0.4, 0.6, 0.3), own(0.4, 0.3, 0.7, 0.9)
    half = between(live, after, 0.5)
    assert half == ClusterParameters({"general": 0.3, "edges": 0.35, "objects": 0.35}, 0.65, 0.3)
    assert between(live, after, 0.25).threshold == 0.625
    assert between(live, after, 0.0) == live


def test_what_is_found_is_pulled_toward_the_register_and_back_into_the_step():
    region = Region([0.2, 0.4, 0.4], 0.06)
    pull = policy._Pull(own(0.6, 0.2, 0.9), 0.75, region, (0.5, 0.65))
    found = np.array([0.26, 0.37, 0.37])
    mixed = 0.75 * found + 0.25 * np.array([0.6, 0.2, 0.2])
    assert pull.weights(found, NAMES) == pytest.approx(project(mixed, region)[0])
    assert pull.threshold(0.5) == pytest.approx(0.75 * 0.5 + 0.25 * 0.9)
    assert pull.threshold(0.6) == 0.65
    alone = replace(pull, share=1.0)
    assert alone.weights(found, NAMES) == pytest.approx(found) and alone.threshold(0.55) == 0.55


def attempts(after, live, action, *, gain=0.02, best=0.58, tau_range=(0.5, 0.7), share=1.0):
    """What is tried, where the best cut for the live weights is `best`."""
    asked = []

    def values(weights, thresholds):
        asked.append((weights, thresholds))
        return gain - np.abs(thresholds - best)

    objective = SimpleNamespace(values=values, live=(np.array(live.weight_vector(NAMES)), live.threshold))
    pull = policy._Pull(own(threshold=0.7), share, Region(live.weight_vector(NAMES), 0.15), tau_range)
    made = list(policy._attempts(after, live, objective=objective, pull=pull, action=action, c=CONFIG))
    return made, asked


def test_safer_variants_follow_in_order_with_their_words():
    live, after = own(0.2, 0.4, 0.6), own(0.32, 0.34, 0.66)
    made, asked = attempts(after, live, WEIGHTS)
    moved = "The weights stay and only the threshold moves: "
    lower = "With a lower, safer threshold: "
    assert made == [
        ("", after),
        ("Half of the way to the new weights: ", replace(between(live, after, 0.5), threshold=0.66)),
        ("A quarter of the way: ", replace(between(live, after, 0.25), threshold=0.66)),
        (moved, replace(live, threshold=0.66)),
        (moved, replace(live, threshold=0.58)),
        (lower, replace(after, threshold=0.61)),
        (lower, replace(after, threshold=0.56)),
    ]
    weights, cuts = asked[0]
    assert len(asked) == 1 and cuts == pytest.approx(np.linspace(0.5, 0.7, 41))
    assert weights.shape == (41, 3) and (weights == live.weight_vector(NAMES)).all()
    assert attempts(after, live, WEIGHTS, share=0.5)[0][4] == (moved, replace(live, threshold=0.64))


def test_variants_that_are_none_are_left_out():
    live = own(0.2, 0.4, 0.6)
    # Only the threshold was looked for.
    cut = attempts(replace(live, threshold=0.56), live, THRESHOLD)[0]
    assert [word for word, _ in cut] == ["", *["With a lower, safer threshold: "] * 2]
    assert [made.threshold for _, made in cut] == [0.56, 0.51, 0.5]  # 0.46 is out of range
    assert len(attempts(replace(live, threshold=0.5), live, THRESHOLD)[0]) == 1
    # The weights moved and the threshold did not; no cut is better for the live weights.
    words = [word for word, _ in attempts(own(0.32, 0.34, 0.6), live, WEIGHTS, gain=0.0)[0]]
    assert "The weights stay and only the threshold moves: " not in words and len(words) == 5
    # The best cut for the live weights is the live one.
    assert len(attempts(own(0.32, 0.34, 0.6), live, WEIGHTS, best=0.6)[0]) == 5
    # Nearly nothing moved: half of it is nothing.
    words = [word for word, _ in attempts(own(0.2008, 0.3996, 0.6), live, WEIGHTS, gain=0.0)[0]]
    assert words == ["", *["With a lower, safer threshold: "] * 2]


def test_a_cluster_with_groups_is_judged_on_its_own_queries_and_one_without_on_all(small):
    _, validate, log = small
    live, after = start().default, own(0.3, 0.35, 0.6)
    parameters = start()
    config = replace(CONFIG, gate_groups=6)
    for cluster, few in ((0, False), (9, True), (None, False)):
        judges = policy._Judges.of(parameters, cluster, live=live, validate=validate, aside=log, c=config)
        queries = [q for q in validate.queries if few or cluster is None or q.cluster == cluster]
        assert list(judges.judged.queries) == queries
        verdict = judges.verdict(after)
        scope = "the whole register's" if few else "its own"
        assert verdict.reason.endswith(f" (Judged on {scope} held-out queries.)")
        names = judges.judged.descriptors
        lost = [search_losses(log, p.weight_vector(names), p.threshold, config.feedback) for p in (live, after)]
        gate = replace(config.gate, cluster_groups=len(validate.queries) + 1) if few else config.gate
        before, then = (evaluate_each(judges.judged, p.weight_vector(names), p.threshold) for p in (live, after))
        told = (*lost, [s.key for s in log], search_weights(log, config.feedback))
        expected = judge(judges.judged, before, then, feedback=told, config=gate)
        assert replace(verdict, reason="") == replace(expected, reason="")
    assert policy._Judges.of(
        parameters, 0, live=live, validate=validate, aside=log, c=replace(config, gate_groups=7)
    ).scope == "the whole register's"  # fmt: skip


def test_searches_in_which_nothing_counts_do_not_judge(small):
    _, validate, log = small
    config = replace(CONFIG, feedback=FeedbackConfig(kept=0.0, left=0.0))  # only what was changed counts
    idle = [replace(s, selected=s.preselected, key=-1) for s in log[:2]]
    lost = search_losses(idle, start().default.weight_vector(NAMES), 0.6, config.feedback)
    assert np.isnan(lost).all()
    judges = policy._Judges.of(start(), 0, live=start().default, validate=validate, aside=idle, c=config)
    assert "feedback" not in judges.verdict(own(0.3, 0.35)).figures
    both = policy._Judges.of(start(), 0, live=start().default, validate=validate, aside=[*idle, *log], c=config)
    assert not both.weights[:2].any() and both.weights[2:].all()
    assert "feedback" in both.verdict(own(0.3, 0.35)).figures


def test_applying_accepted_proposals():
    live = start(clusters={4: own(0.5, 0.2)})
    new, other = own(0.4, 0.3), own(0.1, 0.5)
    made = apply(live, [proposal(1, "accepted", after=new), proposal(2, "rejected", after=new)])
    assert made == replace(live, clusters={4: own(0.5, 0.2), 1: new})
    # A new default: who was to stay or rests keeps what it had; no data and rejected follow.
    states = {1: "none", 2: "resting", 3: "no_data", 5: "rejected"}
    many = [proposal(cluster, state, before=live.default) for cluster, state in states.items()]
    made = apply(live, [*many, proposal(None, "accepted", after=new), proposal(6, "accepted", after=other)])
    assert made.default == new
    assert made.clusters == {4: own(0.5, 0.2), 1: live.default, 2: live.default, 6: other}
    # The default as before: nobody needs to be kept.
    assert apply(live, [*many, proposal(None, "none")]) == live
    assert apply(live, [*many, proposal(None, "accepted", after=live.default)]) == live


def test_the_plan_says_why_nothing_changes(small):
    _, validate, _ = small

    def reason(*proposals):
        plan = policy._together(start(), list(proposals), validate, CONFIG)
        assert (plan.changed, plan.verdict, plan.parameters) == (False, None, start())
        return plan.reason

    assert reason() == "There were no concluded searches."
    assert reason(proposal(0, "no_data"), proposal(1, "no_data")) == "No cluster has enough evidence yet."
    assert reason(proposal(0, "no_data"), proposal(1, "none")) == "No cluster called for a change that was better."
    assert reason(proposal(0, "rejected"), proposal(1, "none"), proposal(None, "rejected")) == (
        "2 of 3 proposals were looked for and rejected by the gate."
    )
    spent = [proposal(0, "none", candidates=30, seconds=2.0), proposal(1, "none", candidates=12, seconds=1.0)]
    plan = policy._together(start(), spent, validate, CONFIG)
    assert (plan.candidates, plan.seconds, plan.proposals) == (42, 3.0, tuple(spent))


def test_all_changes_together_pass_the_gate_or_none_does(small):
    _, validate, _ = small
    live, better = start(), own(0.5, 0.25)
    accepted = [
        proposal(0, "accepted", after=better, candidates=7, seconds=1.0),
        proposal(None, "accepted", after=better),
    ]
    plan = policy._together(live, [*accepted, proposal(3, "no_data", candidates=1)], validate, CONFIG)
    assert plan.changed and plan.parameters == apply(live, accepted) and plan.candidates == 8 and plan.seconds == 1.0
    names = validate.descriptors
    before, after = (evaluate_each(validate, p.weight_vector(names), p.threshold) for p in (live.default, better))
    verdict = judge(validate, before, after, config=CONFIG.gate)
    assert plan.verdict == verdict and plan.reason == f"New parameters for cluster 0, the register. {verdict.reason}"
    strict = replace(CONFIG, gate=GateConfig(epsilon=-1.0))
    plan = policy._together(live, accepted, validate, strict)
    assert not plan.changed and plan.parameters == live and plan.verdict is not None and not plan.verdict.passed
    assert plan.reason == (
        f"The changes of cluster 0, the register passed one by one, but not together. {plan.verdict.reason}"
    )
    assert (plan.candidates, plan.seconds, plan.proposals) == (7, 1.0, tuple(accepted))


def test_each_query_is_ranked_with_its_own_clusters_parameters(small):
    _, validate, _ = small
    parameters = start(clusters={1: own(0.7, 0.2, 0.8)})
    routed = policy._routed(validate, parameters)
    for place, query in enumerate(validate.queries[:6]):
        used = parameters.for_cluster(query.cluster)
        alone = evaluate_each(HeldOut(NAMES, (query,)), used.weight_vector(NAMES), used.threshold)
        assert routed.ap100[0, place] == alone.ap100[0, 0] and routed.recall[0, place] == alone.recall[0, 0]


def test_evidence_of_the_default_is_replayed_where_a_cluster_has_its_own(small):
    _, _, log = small
    parameters = start((0.6, 0.2, 0.2), clusters={0: own()})
    elsewhere = [replace(s, cluster=5, examiner="busy") for s in log[:30]]
    searches = [*log[:6], *elsewhere]
    default = parameters.default
    metrics = [*replay(log[:6], default.weight_vector(NAMES), default.threshold), *(s.metrics() for s in elsewhere)]
    config = replace(CONFIG, evidence_cap=0.4)
    found = policy._evidence_of_default(parameters, searches, NAMES, config)
    assert found == aggregate(metrics, [s.examiner for s in searches], examiner_cap=0.4)
    assert found != evidence_of(searches, config)
    assert evidence_of(searches, config) == aggregate(
        [s.metrics() for s in searches], [s.examiner for s in searches], examiner_cap=0.4
    )
    assert evidence_of(searches) == aggregate(
        [s.metrics() for s in searches], [s.examiner for s in searches], examiner_cap=0.5
    )


@pytest.fixture
def finding(monkeypatch):
    """What the search for parameters finds, and how it was asked."""
    asked = SimpleNamespace()

    def set_up(weights, threshold, value):
        trials = (Trial(0, tuple(weights), threshold, value, value),)
        found = Found(np.array(weights), threshold, value, trials, 1234, 2.5)

        def find(objective, *, start, seed):
            asked.objective, asked.start, asked.seed = objective, start, seed
            return found

        monkeypatch.setattr(policy, "find", find)
        return asked

    return set_up


def test_a_proposal_from_what_was_found(small, finding):
    fit, validate, log = small
    asked = finding([0.35, 0.25, 0.4], 0.6, 0.1)
    live = start()
    made = propose(live, 0, log, fit, validate, config=CONFIG, seed=3)
    assert made.action.kind is ActionKind.WEIGHTS and made.action.radius == 0.15
    assert made.best == ClusterParameters({"general": 0.35, "edges": 0.25, "objects": 0.4}, 0.6, 0.15)
    share = 40 / 70
    pulled = {"general": 0.2 + 0.15 * share, "edges": 0.4 - 0.15 * share, "objects": 0.4}
    assert made.after.weights == pytest.approx(pulled, abs=1e-4) and made.state == "accepted"
    assert (made.candidates, made.seconds, len(made.trials)) == (1234, 2.5, 1)
    assert made.before == live.default and made.verdict is not None
    assert made.reason == (
        f"{made.action.reason} Best of 1,234: {', '.join(policy._moves(live.default, made.after))}. "
        f"{made.verdict.reason}"
    )
    examiners = [s.examiner for s in log]
    assert made.replayed == tuple(
        aggregate(replay(log, p.weight_vector(NAMES), p.threshold), examiners, examiner_cap=0.5)
        for p in (live.default, made.after)
    )
    sign = policy._sign(made.evidence)
    paper = np.clip(0.6 - 0.1 * made.evidence.dc * sign, 0.5, 0.7)
    assert asked.start[1] == pytest.approx(paper) and asked.start[0] == pytest.approx([0.2, 0.4, 0.4])
    assert asked.seed == policy._seed(3, 0)
    assert asked.objective.region.radius == 0.15 and asked.objective.thresholds == pytest.approx((0.5, 0.7))
    assert asked.objective.live[1] == 0.6 and asked.objective.config == CONFIG.search
    # Shrunk toward what is said, and the register not at all.
    toward = propose(live, 0, log, fit, validate, config=CONFIG, seed=3, toward=own(0.5, 0.1))
    assert toward.after.weights["general"] == pytest.approx(0.35, abs=1e-4)
    register = propose(live, None, log, fit, validate, config=CONFIG, seed=3)
    assert register.after.weights == pytest.approx(made.best.weights)
    assert asked.seed == policy._seed(3, None)


def test_what_is_no_gain_or_no_move_is_no_proposal(small, finding):
    fit, validate, log = small
    for weights, value in (([0.35, 0.25, 0.4], CONFIG.search.smallest_gain), ([0.2, 0.4, 0.4], 0.5)):
        finding(weights, 0.6, value)
        made = propose(start(), 0, log, fit, validate, config=CONFIG)
        assert (made.state, made.verdict, made.after) == ("none", None, start().default)
        assert made.reason == (f"{made.action.reason} None of 1,234 candidates was better than the live parameters.")
        assert made.best is not None and made.candidates == 1234 and made.seconds == 2.5 and made.trials


def test_what_the_gate_rejects_is_shown_as_it_was_found(small, finding):
    fit, validate, log = small
    finding([0.35, 0.25, 0.4], 0.6, 0.1)
    strict = replace(CONFIG, gate=GateConfig(epsilon=-1.0))
    made = propose(start(), 0, log, fit, validate, config=strict)
    assert made.state == "rejected" and made.verdict.reason.startswith("Rejected on ")
    assert made.after.weights["general"] == pytest.approx(0.2 + 0.15 * 40 / 70, abs=1e-4)


def test_earlier_searches_are_learnt_from_and_call_for_nothing(small, finding):
    fit, validate, log = small
    asked = finding([0.35, 0.25, 0.4], 0.6, 0.1)
    made = propose(start(), 0, log[:30], fit, validate, config=CONFIG, earlier=log[30:], seed=1)
    assert made.evidence.searches == 30
    learn, aside = policy._divide([*log[30:], *log[:30]], CONFIG.gate_share, 1)
    keys = [s.key for s in aside]
    told = policy._Judges.of(start(), 0, live=start().default, validate=validate, aside=aside, c=CONFIG)
    assert [s.key for s in told.aside] == keys and len(learn) + len(keys) == 40
    assert made.verdict.figures["feedback"] == told.verdict(made.after).figures["feedback"]
    assert asked.objective is not None


def test_the_plan_asks_each_cluster_with_its_own_searches(small, monkeypatch):
    fit, validate, log = small
    asked = []

    def proposed(parameters, cluster, searches, fit, validate, *, toward=None, earlier=(), seed, prepared, config):
        asked.append((cluster, [s.key for s in searches], toward, [s.key for s in earlier], seed, id(prepared), config))
        new = own(0.5, 0.2)
        state = "accepted" if cluster is None else "none"
        return proposal(cluster, state, before=parameters.for_cluster(cluster), after=new if cluster is None else None)

    monkeypatch.setattr(policy, "propose", proposed)
    searches = [*log[:4], *(replace(s, cluster=2) for s in log[4:7]), *(replace(s, cluster=None) for s in log[7:9])]
    earlier = [*log[9:11], replace(log[11], cluster=2), replace(log[12], cluster=8)]
    told = []
    plan = plan_week(
        start(), searches, fit, validate, config=CONFIG, earlier=earlier, seed=6, progress=lambda *p: told.append(p)
    )
    keys = [s.key for s in searches]
    shared = asked[0][5]
    assert asked == [
        (None, keys, None, [s.key for s in earlier], 6, shared, CONFIG),
        (0, keys[:4], own(0.5, 0.2), [9, 10], 6, shared, CONFIG),
        (2, keys[4:7], own(0.5, 0.2), [11], 6, shared, CONFIG),
    ]
    assert told == [(0, 3, "the whole register"), (0, 3, "cluster 0"), (1, 3, "cluster 2"), (3, 3, "done")]
    assert [p.cluster for p in plan.proposals] == [0, 2, None]
    # One cluster alone is no evidence about the rest; nor is the register looked at when one is asked for.
    for more in ({"searches": log[:4]}, {"searches": searches, "only_cluster": 2}):
        asked.clear()
        plan_week(start(), more.pop("searches"), fit, validate, config=CONFIG, **more)
        assert [cluster for cluster, *_ in asked] == [more.get("only_cluster", 0)]
        assert asked[0][2] == start().default and asked[0][4] == 0


def test_who_rests_is_told_with_its_evidence(small):
    fit, validate, log = small
    # One examiner makes most of them, so that the cap tells.
    searches = [replace(s, examiner="busy") if i % 20 > 5 else s for i, s in enumerate(log)]
    searches = [*searches[:20], *(replace(s, cluster=2) for s in searches[20:])]
    live = start(clusters={2: own(0.6, 0.2)})
    config = replace(CONFIG, evidence_cap=0.3)
    plan = plan_week(
        live, searches, fit, validate, config=config, resting={None: "All rest.", 0: "Zero rests.", 2: "Two rests."}
    )
    assert [(p.cluster, p.state, p.reason, p.action) for p in plan.proposals] == [
        (0, "resting", "Zero rests.", Action(ActionKind.RESTING, 0.0, "Zero rests.")),
        (2, "resting", "Two rests.", Action(ActionKind.RESTING, 0.0, "Two rests.")),
        (None, "resting", "All rest.", Action(ActionKind.RESTING, 0.0, "All rest.")),
    ]
    zero, two, register = plan.proposals
    assert zero.before == zero.after == register.before == live.default and two.before == live.clusters[2]
    assert (zero.evidence, two.evidence) == (evidence_of(searches[:20], config), evidence_of(searches[20:], config))
    assert register.evidence == policy._evidence_of_default(live, searches, NAMES, config) != evidence_of(searches)
    assert not plan.changed and plan.reason == "No cluster called for a change that was better."


def test_held_out_queries_that_do_not_fit_are_refused_with_a_sentence(small):
    fit, validate, _ = small
    other = "The held-out similarities were made with other descriptors than the live parameters."
    none = "Tuning needs held-out queries to fit and to validate on; there are none."
    turned = HeldOut(("edges", "general", "objects"), validate.queries)
    for queries, sentence in (
        ((HeldOut(("x", "y", "z"), fit.queries), validate), other),
        ((fit, turned), other),
        ((HeldOut(NAMES, ()), validate), none),
        ((fit, HeldOut(NAMES, ())), none),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            plan_week(start(), [], *queries, config=CONFIG)
    assert isinstance(plan_week(start(), [], fit, validate).parameters, Parameters)
