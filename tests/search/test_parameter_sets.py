"""Promotion and rollback of parameter sets."""

from dataclasses import replace
from io import StringIO
from os import getuid
from pwd import getpwuid
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from search.errors import Conflict, Refused
from search.models import ParameterSetEvent
from search.parameter_sets import (
    parameter_set_create,
    parameter_set_ensure,
    parameter_set_promote,
    parameter_set_reweigh,
    parameter_set_roll_back,
)
from search.selectors import live_parameter_set
from tests.factories import live_set

pytestmark = pytest.mark.django_db


def child(parent: Any, threshold: float = 0.7) -> Any:
    parameters = parent.unpack()
    default = replace(parameters.default, threshold=threshold)
    return parameter_set_create(
        parameters=replace(parameters, default=default), made_by="test", reason="try", parent=parent
    )


def test_what_is_stored_is_what_is_read() -> None:
    first = live_set()
    made = child(first)
    made.refresh_from_db()
    assert made.unpack().default.threshold == 0.7 and made.parent == first


def test_of_two_promotions_from_one_base_only_the_first_wins() -> None:
    base = live_set()
    first, second = child(base), child(base, 0.6)
    parameter_set_promote(parameter_set=first, expected=base, actor="a", reason="better")
    with pytest.raises(Conflict):
        parameter_set_promote(parameter_set=second, expected=base, actor="b", reason="also better")
    assert live_parameter_set() == first
    assert list(ParameterSetEvent.objects.order_by("id").values_list("parameter_set_id", "kind")) == [
        (base.pk, "live"), (base.pk, "retired"), (first.pk, "live"),
    ]  # fmt: skip


def test_a_rollback_needs_a_reason_and_a_set_that_has_served() -> None:
    base = live_set()
    made = child(base)
    with pytest.raises(Refused, match="never live"):
        parameter_set_roll_back(target=made, actor="ada", reason="no")
    parameter_set_promote(parameter_set=made, expected=base, actor="t", reason="better")
    with pytest.raises(Refused, match="why"):
        parameter_set_roll_back(target=base, actor="ada", reason="  ")
    parameter_set_roll_back(target=base, actor="ada", reason="complaints")
    assert live_parameter_set() == base
    newest = ParameterSetEvent.objects.order_by("-id")[:2]
    assert {(e.parameter_set_id, e.kind, e.actor) for e in newest} == {
        (made.pk, "rolled_back", "ada"),
        (base.pk, "live", "ada"),
    }


def test_parameter_sets_are_immutable() -> None:
    base = live_set()
    base.reason = "other"
    with pytest.raises(TypeError, match="immutable"):
        base.save()


def test_new_descriptors_bring_fresh_parameters_and_bar_the_way_back() -> None:
    base = live_set()
    fitting = replace(base.unpack(), descriptors_version="d2")
    made = parameter_set_ensure(fitting=fitting, reason="new encoder")
    assert live_parameter_set() == made != base
    assert parameter_set_ensure(fitting=fitting, reason="again") == made
    with pytest.raises(Refused, match="other descriptors"):
        parameter_set_roll_back(target=base, actor="ada", reason="old was nicer")


def test_a_descriptor_is_given_weight_by_hand_and_the_history_says_why() -> None:
    base = live_set()
    with pytest.raises(Refused, match="why"):
        parameter_set_reweigh(weights={"colour": 0.1}, actor="ada", reason=" ")
    with pytest.raises(Refused, match="no descriptor hue"):
        parameter_set_reweigh(weights={"hue": 0.1}, actor="ada", reason="try")
    assert live_parameter_set() == base
    out = StringIO()
    call_command("weigh", "colour=0.1", reason="packaging", stdout=out)
    live = live_parameter_set()
    assert live.parent == base and live.unpack().default.weights["colour"] == 0.1
    assert sum(live.unpack().default.weights.values()) == pytest.approx(1)
    assert f"P{live.pk} is live" in out.getvalue() and "colour 10.0 %" in out.getvalue()
    assert ParameterSetEvent.objects.first().reason == "packaging"


def test_a_command_says_whose_word_it_was(make_user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    live_set()
    make_user("ada")
    monkeypatch.delenv("SUDO_USER", raising=False)
    for by, kept in (("ada", "ada (command line)"), (None, f"{getpwuid(getuid()).pw_name} (operating system user)")):
        call_command("weigh", "colour=0.1", reason="packaging", by=by, stdout=StringIO())
        live = live_parameter_set()
        assert live is not None and live.made_by == kept
        assert {event.actor for event in live.events.all()} == {kept}
    with pytest.raises(CommandError, match="no account nobody"):
        call_command("weigh", "colour=0.2", reason="packaging", by="nobody", stdout=StringIO())
    monkeypatch.setattr("search.commands.pwd.getpwuid", {}.__getitem__)  # a container's user without a name
    with pytest.raises(CommandError, match="--by"):
        call_command("weigh", "colour=0.2", reason="packaging", stdout=StringIO())
    assert live_parameter_set() == live
