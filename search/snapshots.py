"""From the register to the index that serves: describe what is missing, publish, and say when that is needed.

Every step can be killed and repeated: described marks are appended in segments, and a snapshot is visible only when it
is whole.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction

from search import encoders, media, waiting
from search.engine import engine
from search.errors import Refused, Unavailable
from search.models import Mark
from search.parameter_sets import parameter_set_ensure
from search.retrieval import progress
from search.retrieval.clusters import Clusters, fit_clusters
from search.retrieval.decoding import decode_apart
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing import HashHead, load_head
from search.retrieval.imaging import ImageRefused, Picture, decode_picture
from search.retrieval.parameters import Parameters
from search.retrieval.probe import Probe
from search.retrieval.records import MarkRecord
from search.retrieval.searcher import Searcher
from search.retrieval.snapshot import FORMAT, MakeProbe, Snapshot, SnapshotRefused
from search.retrieval.vector_store import DescribedMark, SegmentsDamaged
from search.selectors import live_parameters

log = logging.getLogger(__name__)

CHUNK = 64
_PROBES_TRIED = 50
Steps = Callable[[int, int], object]
"""Called with how many marks have a description, and how many there are."""


def mark_records() -> Iterator[MarkRecord]:
    """What the engine knows of the register: every mark, in the order of their numbers."""
    for mark in Mark.objects.order_by("number").iterator(chunk_size=5000):
        yield mark.record


def describe_marks(waiting: Sequence[tuple[str, str, Picture]]) -> None:
    """Describe (number, SHA-256, picture) and keep it as one segment."""
    if waiting:
        descriptions = engine.describer.describe([picture for _, _, picture in waiting])
        marks = [DescribedMark(n, d, x) for (n, d, _), x in zip(waiting, descriptions, strict=True)]
        with progress.work("writing described marks", limit=progress.DISK_SECONDS):
            engine.vectors.append(marks)


def describe_missing(steps: Steps = lambda done, of: None) -> int:
    """Describe marks that have no vectors of the present descriptors (a new encoder, a lost segment). Returns how many.

    A mark whose image is lost or damaged is named in the log and left out: the others must not wait for it.
    """
    known = engine.vectors.known()
    marks = list(Mark.objects.values_list("number", "image_sha256", "image"))
    rows = [row for row in marks if (row[0], row[1]) not in known]
    before, described = len(marks) - len(rows), 0
    for start in range(0, len(rows), CHUNK):
        steps(before + start, len(marks))
        chunk = rows[start : start + CHUNK]
        readable = []
        for number, digest, image in chunk:
            try:
                readable.append((number, digest, decode_apart(media.read(image, sha256=digest))))
            except (OSError, ImageRefused) as problem:
                log.error("mark %s is left out of the index, ingest it again: %s", number, problem)
        describe_marks(readable)
        described += len(readable)
    steps(len(marks), len(marks))
    return described


def snapshot_publish(*, recluster: bool = False, steps: Steps = lambda done, of: None) -> str:
    """Build a snapshot of the whole register aside and switch to it. One builder at a time."""
    with _one_builder():
        return _publish(recluster, steps)


def snapshot_renew() -> str | None:
    """Build one where the live one lacks something, and tell how far that is; None where it does not.

    Nothing is lost when it is killed: what was described stays.
    """
    began, first = time.monotonic(), -1

    def steps(done: int, of: int) -> None:
        nonlocal first
        first = done if first < 0 else first
        pace = (done - first) / (time.monotonic() - began)
        waiting.tell({"done": done, "of": of, "minutes": max(1, round((of - done) / pace / 60)) if pace else None})

    try:
        with _one_builder():
            why = snapshot_lacks()
            if not why:
                return None
            log.warning("a new snapshot is built: %s", why)
            made = _publish(False, steps)
    except Refused as refusal:
        log.error("no new snapshot: %s", refusal)
        waiting.tell({"failed": str(refusal)})
        return None
    except Exception:
        waiting.tell({"failed": "the log of the tuning worker says why."})
        raise
    waiting.tell(None)
    return made


def _publish(recluster: bool, steps: Steps) -> str:
    while True:
        describe_missing(steps)
        records = list(mark_records())
        if not records:
            raise Refused("The register is empty: ingest marks first (`manage.py ingest`).")
        try:
            with progress.work("writing a snapshot", limit=progress.DISK_SECONDS):
                snapshot_id = engine.snapshots.publish(
                    records=engine.vectors,
                    metadata=records,
                    calibration=encoders.calibration(),
                    descriptors_version=engine.describer.version,
                    clusters=_new_clusters(records) if recluster else None,
                    hash_head=_hash_head(),
                    probe=_probe(records),
                )
            break
        except SegmentsDamaged as damage:
            log.error("%s", damage)  # what was set aside is missing now, and is described in the next round
    _parameters_ensure(engine.snapshots.open(snapshot_id))
    engine.snapshots.prune()
    log.info("snapshot %s with %s marks", snapshot_id, len(records))
    return snapshot_id


def snapshot_lacks(*, thorough: bool = True) -> str:
    """Why the live snapshot must be made anew, as a sentence; "" while it is as this release would make it.

    thorough: reads every byte of it.
    """
    if not Mark.objects.exists():
        return ""
    live = engine.snapshots.current()
    if live is None:
        return "There is no live snapshot."
    try:
        manifest = engine.snapshots.manifest(live)
        if thorough:
            engine.snapshots.verify(live)
    except SnapshotRefused as refusal:
        return str(refusal)
    parameters = live_parameters()
    fitting = (engine.describer.version, encoders.calibration().version)
    found = (manifest["descriptors_version"], manifest["calibration_version"])
    if found != fitting:
        return f"The live snapshot was made with {' and '.join(found)}, this release has {' and '.join(fitting)}."
    if parameters is None or (parameters.descriptors_version, parameters.calibration_version) != fitting:
        return "The live parameters were made for other descriptors or another calibration."
    return "" if manifest["format"] == FORMAT else "The live snapshot was written by a release before."


def _parameters_ensure(snapshot: Snapshot) -> None:
    first = encoders.first_weights()
    fitting = Parameters.initial(
        engine.describer.names,
        weights=first.of(engine.describer.names),
        threshold=first.threshold,
        extension=snapshot.clusters.extension_for(),
        clusters_version=snapshot.clusters.version,
        descriptors_version=snapshot.descriptors_version,
        calibration_version=snapshot.calibration.version,
    )
    with transaction.atomic():
        parameter_set_ensure(fitting=fitting, reason=f"First parameters for these descriptors ({first.version}).")


def _probe(records: Sequence[MarkRecord]) -> MakeProbe | None:
    """The search that is kept with the snapshot: for one of its marks, by the small picture of it."""
    for record in records[:_PROBES_TRIED]:
        try:
            image = media.read(media.thumbnail_name(media.mark_name(record.image_sha256)))
            description = engine.describe_one(decode_picture(image))
        except (OSError, ImageRefused):
            continue
        return lambda built: Probe(image, Searcher(built).probed(description))
    return None


def _hash_head() -> HashHead | None:
    """The head that TM_CANDIDATE_STAGE and TM_HASH ask for; None: candidates by the linear score."""
    if settings.TM_CANDIDATE_STAGE != "hamming":
        return None
    try:
        return load_head(settings.TM_HASH, weights=encoders.weights())
    except (WeightsUnusable, ValueError) as reason:
        raise Unavailable(f"{reason} Or set TM_CANDIDATE_STAGE=linear.") from None


def _new_clusters(records: Sequence[MarkRecord]) -> Clusters:
    """Clusters of the register as it is now; parameters made for the old ones fall back to the default."""
    known = engine.vectors.known()
    keys = [(record.number, record.image_sha256) for record in records]
    return fit_clusters(engine.vectors.read([key for key in keys if key in known]).vectors["general"])


@contextmanager
def _one_builder() -> Iterator[None]:
    folder = Path(settings.TM_DATA_DIR) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "snapshot.lock").open("a") as file:
        progress.hold(file)
        yield
