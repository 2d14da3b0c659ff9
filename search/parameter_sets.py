"""Writes for parameter sets: make one, let it go live, roll back. The only door to the live pointer."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from search.errors import Conflict, Refused
from search.models import LivePointer, ParameterSet, ParameterSetEvent
from search.retrieval.parameters import Parameters, reweighed

Kind = ParameterSetEvent.Kind


def parameter_set_create(
    *, parameters: Parameters, made_by: str, reason: str, parent: ParameterSet | None, evidence: dict | None = None
) -> ParameterSet:
    return ParameterSet.objects.create(
        parent=parent, parameters=parameters.to_json(), made_by=made_by, reason=reason, evidence=evidence or {}
    )


def parameter_set_promote(
    *, parameter_set: ParameterSet, expected: ParameterSet | None, actor: str, reason: str
) -> None:
    """Point `live` at a set, if what is live is still what the caller saw. Raises Conflict otherwise."""
    _move(parameter_set, expected=expected, actor=actor, reason=reason, kind=Kind.RETIRED)


def parameter_set_roll_back(
    *, target: ParameterSet, actor: str, reason: str, leaving: ParameterSet | None = None
) -> None:
    """Go back to a set that was live before. leaving: what must be live still; Conflict when something else is."""
    if not reason.strip():
        raise Refused("Say in a few words why you roll back: it is kept with the history.")
    pointer = LivePointer.objects.select_related("parameter_set").first()
    live = pointer.parameter_set if pointer else None
    if leaving is not None and leaving != live:
        raise Conflict("Another parameter set went live in the meantime.")
    if live is not None and live.pk == target.pk:
        raise Refused(f"P{target.pk} is live already.")
    if not target.events.filter(kind=Kind.LIVE).exists():
        raise Refused(f"P{target.pk} was never live: only a set that served before can be rolled back to.")
    if live is not None and target.unpack().descriptors_version != live.unpack().descriptors_version:
        raise Refused(f"P{target.pk} was made for other descriptors: its weights do not fit the register as it is now.")
    _move(target, expected=live, actor=actor, reason=reason, kind=Kind.ROLLED_BACK)


def parameter_set_compare(*, candidate: ParameterSet, expected: ParameterSet) -> None:
    """Let a set be compared with the live one in a share of searches. Raises Conflict when another one is live."""
    if not LivePointer.objects.filter(pk=1, parameter_set=expected).update(candidate=candidate):
        raise Conflict("Another parameter set went live in the meantime. Start again from that one.")


def parameter_set_compare_no_more(*, candidate: ParameterSet) -> None:
    """End the comparison; nothing happens when it is over already."""
    LivePointer.objects.filter(candidate=candidate).update(candidate=None)


def parameter_set_reweigh(*, weights: Mapping[str, float], actor: str, reason: str) -> ParameterSet:
    """Make a set with these weights in every scope, the others sharing the rest, and let it go live."""
    if not reason.strip():
        raise Refused("Say in a few words why the weights change: it is kept with the history.")
    pointer = LivePointer.objects.select_related("parameter_set").first()
    if pointer is None:
        raise Refused("No parameter set is live yet: build a snapshot first (`manage.py snapshot`).")
    live = pointer.parameter_set
    try:
        parameters = reweighed(live.unpack(), weights)
    except ValueError as error:
        raise Refused(str(error)) from None
    with transaction.atomic():
        made = parameter_set_create(parameters=parameters, made_by=actor, reason=reason, parent=live)
        parameter_set_promote(parameter_set=made, expected=live, actor=actor, reason=reason)
    return made


def _move(target: ParameterSet, *, expected: ParameterSet | None, actor: str, reason: str, kind: str) -> None:
    """One transaction: whoever dies half-way leaves the old pointer, and two at once cannot both win."""
    with transaction.atomic():
        if expected is None:
            _, moved = LivePointer.objects.get_or_create(pk=1, defaults={"parameter_set": target})
        else:
            moved = bool(
                LivePointer.objects.filter(pk=1, parameter_set=expected).update(
                    parameter_set=target, since=timezone.now(), candidate=None
                )
            )
        if not moved:
            raise Conflict("Another parameter set went live in the meantime. Start again from that one.")
        if expected is not None:
            ParameterSetEvent.objects.create(parameter_set=expected, kind=kind, actor=actor, reason=reason)
        ParameterSetEvent.objects.create(parameter_set=target, kind=Kind.LIVE, actor=actor, reason=reason)


def parameter_set_ensure(*, fitting: Parameters, reason: str) -> ParameterSet:
    """The live set, or a fresh initial one where there is none or where the descriptors have changed."""
    pointer = LivePointer.objects.select_related("parameter_set").first()
    live = pointer.parameter_set if pointer else None
    if live is not None:
        current = live.unpack()
        if (current.descriptors_version, current.calibration_version) == (
            fitting.descriptors_version,
            fitting.calibration_version,
        ):
            return live
    with transaction.atomic():
        made = parameter_set_create(parameters=fitting, made_by="service", reason=reason, parent=live)
        parameter_set_promote(parameter_set=made, expected=live, actor="service", reason=reason)
    return made
