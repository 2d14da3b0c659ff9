"""An encoder trained on what examiners confirmed, proposed like parameters: it must pass the same held-out gate.

    TM_DATA_DIR/encoders/ID/   data/ and checkpoint.pt while it is made; then encoder.safetensors with its card, the
                               whitenings, calibration.json, first_weights.json

Stopped at any instant it goes on where it was; until an administrator activates it (tuning/encoder_activation.py),
nothing that serves has changed.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.utils import timezone

from search import encoders
from search.engine import engine
from search.errors import Conflict, Refused, Unavailable
from search.models import ParameterSet
from search.retrieval.calibration import Calibration
from search.retrieval.describe import Describer, encoder_in
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.device import device_name
from search.retrieval.durable import make_folder, write_whole
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.first_weights import FirstWeights
from search.retrieval.fitting import fit_whitenings, listed_pairs
from search.selectors import live_parameter_set
from search.training.dataset import INDEX, DatasetError, TrainingMarks
from search.training.recipes import FEEDBACK, Recipe
from tuning.encoder_data import LEAST_FAMILIES, Progress, gather, register_marks, write
from tuning.evaluation.splits import split_groups
from tuning.gate import GateConfig, Verdict, judge
from tuning.held_out import HeldOutMarks, held_out_layout
from tuning.models import TuningRun
from tuning.objective import evaluate_each
from tuning.services import gate_json, rebased

ENCODER = encoders.FILE
WHITENED_ON = 4_000
CALIBRATED_QUERIES, CALIBRATED_POOL = 400, 1_500
_SAY_EVERY = 2.0  # seconds between two notes in the run's row

State = TuningRun.State


def train_from_feedback(
    *,
    requested_by: str,
    recipe: Recipe = FEEDBACK,
    least_families: int = LEAST_FAMILIES,
    gate: GateConfig | None = None,
    progress: Progress = lambda *_: None,
) -> TuningRun:
    """Train, fit what goes with the encoder, and judge it; goes on with a run that was stopped.

    Returns the run, validated or rejected. Raises Refused with a sentence when there is too little to train on.
    """
    with _one_trainer():
        base = live_parameter_set()
        if base is None:
            raise Unavailable("No parameter set is live yet: ingest marks first.")
        _can_be_judged()
        run = _unfinished()
        if run is None:
            gathered = gather(least=least_families)
            run = _begun(requested_by, gathered.facts["searches"])
            _close_on_refusal(
                run, lambda: write(gathered, _data(run), least=least_families, progress=_told(run, progress))
            )
        return _close_on_refusal(run, lambda: _see_through(run, base, recipe, gate, _told(run, progress)))


def _see_through(
    run: TuningRun, base: ParameterSet, recipe: Recipe, gate: GateConfig | None, progress: Progress
) -> TuningRun:
    """From training data to a verdict; every stage that left its files is done."""
    folder = encoders.directory(run.encoder)
    if not (folder / ENCODER).with_suffix(".json").is_file():
        _train(folder, recipe, progress)
    if not all((folder / f"{name}.npz").is_file() for name in ("general", "edges")):
        progress(0, 1, "fitting the whitenings")
        for name, whitening in fit_whitenings(encoder_in(folder), register_marks(WHITENED_ON)).items():
            whitening.save(folder / f"{name}.npz")
    describer = Describer(weights=folder)
    verdict = _judged(folder, describer, base, gate, progress)
    facts = json.loads((folder / ENCODER).with_suffix(".json").read_text("utf-8"))["data"]
    run.base = base
    run.gate = {**gate_json(verdict), "against": engine.describer.version}
    reason = f"{verdict.reason} {_words(facts)}{_lost(describer)}"
    _close(run, State.VALIDATED if verdict.passed else State.REJECTED, reason)
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    return run


def _train(folder: Path, recipe: Recipe, progress: Progress) -> None:
    """The encoder file, from the weights in use (from ImageNet's where those are not trained ones)."""
    from search.training.export import save_encoder
    from search.training.network import plain
    from search.training.run import start_supervised

    marks = TrainingMarks.load(folder / "data")
    in_use = encoders.weights() / ENCODER
    weights = in_use if in_use.is_file() else None
    trainer = start_supervised(marks, recipe, folder, device=device_name(), weights=weights)

    def report(step: int, figures: Mapping[str, float]) -> None:
        progress(step, recipe.steps, f"training, loss {figures['loss']:.3f}")

    trainer.run(folder, report=report)
    network = plain(trainer.average).cpu()
    card = {
        "recipe": recipe.to_json(),
        "data": json.loads((folder / "data" / INDEX).read_text("utf-8"))["source"],
        "started_from": engine.describer.version,
    }
    save_encoder(folder / ENCODER, network.backbone, network.projection, p=network.pool.p, metadata=card)


def _judged(
    folder: Path, describer: Describer, base: ParameterSet, gate: GateConfig | None, progress: Progress
) -> Verdict:
    """What serves now against what would serve: the candidate, with the register's weights and threshold as they are.

    The parameters of single clusters lapse with the old encoder, so they count for what serves now only. The
    calibration is fitted on the `fit` groups, which the encoder has not seen either; the verdict is on `validate`.
    """
    snapshot = engine.searcher().snapshot
    parameters = rebased(base.unpack(), snapshot)
    first = FirstWeights(
        FirstWeights(parameters.default.weights, parameters.default.threshold).of(describer.names),
        parameters.default.threshold,
        made_for=describer.version,
    )
    first.save(folder / "first_weights.json")
    candidate = HeldOutMarks.described(describer, progress=progress)
    calibration = _calibration(candidate, first, describer.version)
    write_whole(folder / "calibration.json", json.dumps(calibration.to_json(), indent=1) + "\n")
    progress(0, 1, "judging the encoder on held-out marks")
    after = candidate.queries("validate", calibration, None)
    now = HeldOutMarks.described(engine.describer, progress=progress).queries(
        "validate", snapshot.calibration, snapshot.clusters
    )
    if [query.name for query in now.queries] != [query.name for query in after.queries]:
        raise Refused("The held-out marks changed while the encoder was judged; start again.")
    own = [parameters.for_cluster(query.cluster) for query in now.queries]
    served = evaluate_each(now, [p.weight_vector(now.descriptors) for p in own], [p.threshold for p in own])
    would = evaluate_each(after, list(first.of(after.descriptors).values()), first.threshold)
    return judge(now, served, would, config=gate)


def _calibration(candidate: HeldOutMarks, first: FirstWeights, version: str) -> Calibration:
    """Fitted as the shipped one is; a descriptor with too few pairs keeps its raw similarity."""
    sims, groups = candidate.raw("fit", pool=CALIBRATED_POOL, most=CALIBRATED_QUERIES)
    if not groups:
        return Calibration(made_for=version)
    pairs, same = listed_pairs(sims, groups, list(first.of(DESCRIPTORS).values()))
    return Calibration.fit(pairs, same, made_for=version)


def _can_be_judged() -> None:
    """Better known before hours of training than after."""
    engine.searcher()
    layout = held_out_layout()
    validate = split_groups(layout)["validate"]
    if not any(layout.groups.count(group) > 1 for group in validate):
        raise Refused("None of the held-out groups has two queries to validate on, so no encoder could be judged.")


def _unfinished() -> TuningRun | None:
    """The run that was stopped after its training data were written."""
    for run in TuningRun.objects.filter(kind=TuningRun.Kind.ENCODER, state=State.PROPOSED).order_by("-id"):
        if (encoders.folder() / run.encoder / "data" / INDEX).is_file():
            return run
        _give_up(run, "It was stopped before its training data were complete.")
    return None


def _give_up(run: TuningRun, reason: str) -> None:
    _close(run, State.FAILED, reason)
    shutil.rmtree(encoders.folder() / run.encoder, ignore_errors=True)


def _begun(requested_by: str, searches: int) -> TuningRun:
    now = timezone.now()
    run = TuningRun.objects.create(
        kind=TuningRun.Kind.ENCODER, state=State.PROPOSED, requested_by=requested_by, searches=searches,
        evidence_until=now, created_at=now, attempts=1,
    )  # fmt: skip
    run.encoder = f"{now:%Y%m%dT%H%M%S}-{run.pk}"
    run.save()
    make_folder(encoders.folder() / run.encoder)
    return run


def _data(run: TuningRun) -> Path:
    return encoders.directory(run.encoder) / "data"


def _close_on_refusal(run: TuningRun, work: Any) -> Any:
    """A refusal ends the run; anything else that stops it leaves it to be gone on with."""
    try:
        return work()
    except Unavailable:
        raise  # for now; the run goes on when it is called again
    except (Refused, ValueError, DatasetError, WeightsUnusable) as refusal:
        _give_up(run, str(refusal))
        raise refusal if isinstance(refusal, Refused) else Refused(str(refusal)) from None


def _close(run: TuningRun, state: str, reason: str) -> None:
    run.state, run.reason, run.progress, run.finished_at = state, reason, 1.0, timezone.now()
    run.save()


def _told(run: TuningRun, progress: Progress) -> Progress:
    """Progress for the caller and, now and then, for the run's page."""
    last = [0.0]

    def tell(done: int, total: int, what: str) -> None:
        progress(done, total, what)
        if time.monotonic() - last[0] >= _SAY_EVERY:
            last[0] = time.monotonic()
            TuningRun.objects.filter(pk=run.pk).update(
                progress=done / max(total, 1), reason=f"Now: {what} ({done} of {total}).", heartbeat_at=timezone.now()
            )

    return tell


def _words(facts: Mapping[str, int]) -> str:
    return (
        f"Trained on {facts['families']} families that {facts['examiners']} examiner"
        f"{'' if facts['examiners'] == 1 else 's'} confirmed in {facts['searches']} searches."
    )


def _lost(describer: Describer) -> str:
    """Descriptors that cannot be used with this encoder, such as a head that was fitted on another one."""
    lost = [name for name in engine.describer.names if name not in describer.names]
    return f" It would serve without {', '.join(lost)}." if lost else ""


@contextmanager
def _one_trainer() -> Iterator[None]:
    """One training at a time; the lock goes with the process that holds it."""
    encoders.folder().mkdir(parents=True, exist_ok=True)
    with (encoders.folder() / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("An encoder is being trained on feedback already; wait until it is through.") from None
        yield
