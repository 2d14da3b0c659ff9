"""Letting a validated encoder serve, and going back: an administrator's explicit step."""

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.utils import timezone

from search import encoders
from search.engine import engine
from search.errors import Refused
from search.retrieval.calibration import Calibration
from search.retrieval.describe import Describer
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.first_weights import FirstWeights
from tuning.models import TuningRun

State = TuningRun.State
_MAY_SERVE = (State.VALIDATED, State.RETIRED, State.LIVE)


def encoder_activate(*, encoder_id: str, by: str) -> str:
    """Point at a validated encoder, or with "shipped" back at the one that ships. Returns its descriptors' version.

    Searches go on with the old encoder until the running service, or `manage.py snapshot`, has described the register
    with the new one.
    Raises Refused for an encoder that was not validated, or not against what serves now.
    """
    if encoder_id == encoders.SHIPPED:
        version = Describer().version
        encoders.activate(None)
        _mark(None, by)
        return version
    folder = encoders.directory(encoder_id)
    run = TuningRun.objects.filter(kind=TuningRun.Kind.ENCODER, encoder=encoder_id).order_by("-id").first()
    if run is None or run.state not in _MAY_SERVE:
        state = "has never been judged" if run is None else f"is {run.get_state_display()}"
        raise Refused(f"The encoder {encoder_id} {state}; only one that passed the gate may serve.")
    version = _checked(encoder_id)
    if encoders.current() != encoder_id and run.gate.get("against") != engine.describer.version:
        raise Refused(
            f"The encoder {encoder_id} was judged against another encoder than the one that serves now; "
            "go back to that one first, or train again."
        )
    encoders.activate(folder.name)
    _mark(run, by)
    return version


def _checked(encoder_id: str) -> str:
    """The version of an encoder's descriptors, its files read and found to belong together."""
    folder = encoders.directory(encoder_id)
    try:
        version = Describer(weights=folder).version
        fitted = {Calibration.load(folder / "calibration.json").made_for}
        fitted.add(FirstWeights.load(folder / "first_weights.json").made_for)
    except (WeightsUnusable, OSError, ValueError) as error:
        raise Refused(f"The encoder {encoder_id} cannot be used: {error}") from None
    if fitted != {version}:
        raise Refused(f"The encoder {encoder_id} was made with another release of this software; train again.")
    return version


def _mark(run: TuningRun | None, by: str) -> None:
    """The history: this one is live, the one before is retired, and by whose word."""
    word = f" {'The shipped encoder' if run is None else f'Encoder {run.encoder}'} was put to use by {by}."
    with transaction.atomic():
        live = TuningRun.objects.filter(kind=TuningRun.Kind.ENCODER, state=State.LIVE)
        others = live if run is None else live.exclude(pk=run.pk)
        others.update(state=State.RETIRED, reason=Concat("reason", Value(word)))
        if run is not None:
            mine = TuningRun.objects.filter(pk=run.pk)
            mine.update(state=State.LIVE, decided_at=timezone.now(), reason=Concat("reason", Value(word)))
