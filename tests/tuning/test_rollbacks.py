"""What was taken back rests, whoever took it back; its evidence is kept."""

from dataclasses import replace
from datetime import timedelta
from html import unescape
from re import sub
from typing import Any

import pytest
from django.utils import timezone

from search.models import ParameterSet, ParameterSetEvent
from search.parameter_sets import parameter_set_create, parameter_set_promote, parameter_set_reweigh
from search.selectors import live_parameter_set
from tests.factories import live_set
from tests.tuning.weeks import run, week
from tuning.evidence import fresh_conclusions
from tuning.models import TuningRun
from tuning.proposals import proposal_promote
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


def test_a_run_says_what_became_of_its_set_whoever_did_it(client: Any, administrator: Any) -> None:
    client.force_login(administrator)
    base = live_set()

    def promoted() -> TuningRun:
        live = live_parameter_set()
        made = parameter_set_create(parameters=base.unpack(), made_by="tuning", reason="Better.", parent=live)
        run = TuningRun.objects.create(kind="scheduled", state="proposed", requested_by="x", base=live, proposed=made)
        proposal_promote(run, "okafor", "I looked at it.")
        return run

    def words(address: str) -> str:
        return " ".join(unescape(sub("<[^>]+>", "", client.get(address).content.decode())).split())

    def page(run: TuningRun) -> str:
        run.refresh_from_db()
        return words(f"/tuning/runs/{run.pk}/")

    first = promoted()
    assert first.state == State.LIVE and "What happened since" not in page(first)
    roll_back(target=base, actor="brandt", reason="Two examiners miss outlined logos.")
    text = page(first)
    assert first.state == State.ROLLED_BACK
    assert f"Rolled back to {base} by brandt" in text and "Two examiners miss outlined logos." in text
    assert text.index("Rolled back") < text.index("What the run decided then:") < text.index("Promoted by okafor")
    assert f"Rolled back to {base} by brandt" in words("/tuning/")
    second = promoted()
    parameter_set_reweigh(weights={"colour": 0.1}, actor="ada (command line)", reason="packaging")
    text = page(second)
    assert second.state == State.RETIRED and "Replaced by" in text and "by ada (command line)" in text
    assert second.proposed is not None
    roll_back(target=second.proposed, actor="brandt", reason="No.")
    assert "Brought back by brandt" in page(second) and second.state == State.LIVE


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
