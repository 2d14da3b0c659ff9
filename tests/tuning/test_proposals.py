"""A proposal that waits for an administrator: approved or turned down once, with a reason."""

from typing import Any

import pytest
from django.utils import timezone

from search.errors import Conflict, Refused
from search.models import ParameterSet
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.selectors import live_parameter_set
from tests.factories import live_set
from tuning.models import TuningRun
from tuning.services import proposal_promote, proposal_reject

pytestmark = pytest.mark.django_db


def child(of: ParameterSet, reason: str = "Better.") -> ParameterSet:
    return parameter_set_create(parameters=of.unpack(), made_by="tuning", reason=reason, parent=of)


def proposal(**values: Any) -> TuningRun:
    base = live_set()
    given = {"kind": "scheduled", "state": "proposed", "base": base, "proposed": child(base)}
    return TuningRun.objects.create(requested_by="schedule", finished_at=timezone.now(), **given | values)


def test_an_approved_proposal_goes_live_and_the_run_before_retires() -> None:
    before = TuningRun.objects.create(kind="manual", state="live", requested_by="ada", proposed=live_set())
    run = proposal()
    proposal_promote(run=run, actor="ada", reason="Looks right.")
    assert live_parameter_set() == run.proposed
    assert (run.state, TuningRun.objects.get(pk=before.pk).state) == ("live", "retired")
    event = run.proposed.events.get()
    assert (event.kind, event.actor, event.reason) == ("live", "ada", "Looks right.")


def test_a_rejected_proposal_changes_nothing_that_serves() -> None:
    run = proposal()
    proposal_reject(run=run, actor="ada", reason="The office moves next week.")
    assert (run.state, live_parameter_set()) == ("rejected", run.base)
    assert "The office moves next week." in run.reason


@pytest.mark.parametrize("decide", [proposal_promote, proposal_reject])
def test_a_decision_needs_a_reason_and_is_made_once(decide: Any) -> None:
    run = proposal()
    with pytest.raises(Refused, match="why"):
        decide(run=run, actor="ada", reason="  ")
    assert TuningRun.objects.get(pk=run.pk).state == "proposed"
    proposal_reject(run=run, actor="ada", reason="No.")
    with pytest.raises(Conflict):
        decide(run=run, actor="ada", reason="Yes.")
    assert TuningRun.objects.get(pk=run.pk).state == "rejected"


def test_a_proposal_made_for_another_base_is_not_approved_and_goes_on_waiting() -> None:
    run = proposal()
    other = child(live_set(), "By hand.")
    parameter_set_promote(parameter_set=other, expected=run.base, actor="eve", reason="By hand.")
    with pytest.raises(Conflict):
        proposal_promote(run=run, actor="ada", reason="Looks right.")
    assert (TuningRun.objects.get(pk=run.pk).state, live_parameter_set()) == ("proposed", other)


def test_an_encoder_is_not_decided_here() -> None:
    with pytest.raises(Conflict):
        proposal_promote(run=proposal(kind="encoder", proposed=None), actor="ada", reason="Yes.")
