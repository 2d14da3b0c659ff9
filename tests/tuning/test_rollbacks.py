"""What was taken back rests, whoever took it back; its evidence is kept."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from search.models import ParameterSet, ParameterSetEvent
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.selectors import live_parameter_set
from tests.tuning.weeks import run, week
from tuning.evidence import fresh_conclusions
from tuning.models import TuningRun
from tuning.rollbacks import resting_clusters, roll_back

pytestmark = pytest.mark.django_db
State = TuningRun.State


def changed(base: ParameterSet, *, clusters: dict[int, float], threshold: float | None = None) -> ParameterSet:
    """A live set in which these clusters have another cut, and the default too if wanted."""
    parameters = base.unpack()
    own = {n: replace(parameters.default, threshold=cut) for n, cut in clusters.items()}
    default = replace(parameters.default, threshold=threshold or parameters.default.threshold)
    made = parameter_set_create(
        parameters=replace(parameters, default=default, clusters={**parameters.clusters, **own}),
        made_by="tuning", reason="x", parent=base,
    )  # fmt: skip
    parameter_set_promote(parameter_set=made, expected=base, actor="test", reason="x")
    return made


def resting(base: ParameterSet, **more: Any) -> dict[int | None, str]:
    now = more.pop("now", timezone.now())
    return resting_clusters(clusters_version=base.unpack().clusters_version, count=5, now=now)


def test_the_clusters_that_had_changed_rest_for_two_weeks(bad_start: ParameterSet) -> None:
    assert resting(bad_start) == {}
    made = changed(bad_start, clusters={1: 0.7, 3: 0.8})
    roll_back(target=bad_start, actor="ada", reason="complaints")
    found = resting(bad_start)
    assert set(found) == {1, 3} and str(made) in found[1] and str(bad_start) in found[1] and "rests until" in found[1]
    assert set(resting(bad_start, now=timezone.now() + timedelta(days=13))) == {1, 3}
    assert resting(bad_start, now=timezone.now() + timedelta(days=15)) == {}


def test_when_the_default_had_changed_everything_that_follows_it_rests(bad_start: ParameterSet) -> None:
    base = changed(bad_start, clusters={2: 0.7})
    changed(base, clusters={}, threshold=0.9)
    roll_back(target=base, actor="ada", reason="complaints")
    assert set(resting(base)) == {None, 0, 1, 3, 4}  # 2 has its own, which had not changed


def test_clusters_of_another_clustering_are_not_meant(bad_start: ParameterSet) -> None:
    changed(bad_start, clusters={1: 0.7})
    roll_back(target=bad_start, actor="ada", reason="complaints")
    assert resting_clusters(clusters_version="other", count=5, now=timezone.now()) == {}


def test_the_weeks_are_a_setting(bad_start: ParameterSet, settings: Any) -> None:
    settings.TM_TUNING_COOLDOWN_WEEKS = 0
    changed(bad_start, clusters={1: 0.7})
    roll_back(target=bad_start, actor="ada", reason="complaints")
    assert resting(bad_start) == {}


def test_after_a_rollback_by_hand_the_next_run_leaves_the_cluster_alone_and_keeps_its_evidence(
    bad_start: ParameterSet, held_out: None, make_user: Any
) -> None:
    week(make_user, bad_start)
    assert run().state == State.LIVE
    roll_back(target=bad_start, actor="ada", reason="complaints")
    week(make_user, bad_start, seed=1)
    again = run()
    decision = again.decisions.get(cluster=0)
    assert again.state == State.NO_CHANGE and decision.state == decision.action == "resting"
    assert "rests until" in decision.reason and decision.searches == 40 and decision.pc > 0.25
    assert live_parameter_set() == bad_start
    assert fresh_conclusions(bad_start.unpack(), timezone.now()).count() == 40
    ParameterSetEvent.objects.filter(kind="rolled_back").update(at=timezone.now() - timedelta(days=15))
    assert run().decisions.get(cluster=0).state == "accepted"
