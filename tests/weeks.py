"""Several weeks of an office's work, made by the real parts on demonstration marks: searches, selections, runs.

    TM_DATA_DIR=... python -m tests.weeks [--marks 160] [--weeks 5]

The register lacks one member of each family: that one is what examiners search for, so every search has a right
answer. What they do is drawn from it with a few mistakes. Every week ends with a real tuning run; rows are dated back
afterwards. The first parameters are bad on purpose, so that there is something to learn.
"""

import argparse
import csv
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.pictures import own_copy

DEMO = Path(__file__).resolve().parents[1] / "search" / "demo"
PEOPLE = ("okafor", "brandt", "ito", "costa")
CLUSTERS = 4


@dataclass(frozen=True)
class Families:
    """group -> images of the demonstration set: `asked` is searched for, the others are registered."""

    asked: dict[str, Path]
    registered: dict[str, list[Path]]

    @classmethod
    def of_demo(cls, marks: int) -> "Families":
        groups: dict[str, list[Path]] = {}
        for path in sorted((DEMO / "queries").iterdir(), key=lambda p: [int(n) for n in p.stem.split("-")]):
            groups.setdefault(path.stem.split("-")[1], []).append(path)
        asked: dict[str, Path] = {}
        registered: dict[str, list[Path]] = {}
        for group, paths in groups.items():
            if len(paths) >= 4 and sum(map(len, registered.values())) + len(paths) <= 0.75 * marks:
                asked[group], registered[group] = paths[-1], paths[:-1]
        return cls(asked, registered)


def make_weeks(*, marks: int = 160, weeks: int = 5, searches: int = 26, seed: int = 4) -> None:
    """Fill an empty, migrated database; settings.TM_HELD_OUT is where the held-out queries are put."""
    from django.conf import settings
    from django.utils import timezone

    families = Families.of_demo(marks)
    _held_out(families, Path(settings.TM_HELD_OUT))
    _register(families, marks)
    _bad_start()
    people = [_person(name) for name in PEOPLE]
    rng = random.Random(seed)
    now = timezone.now()
    _date_back_all(now - timedelta(days=7 * weeks + 2))
    for week in range(weeks):
        begin = now - timedelta(days=7 * (weeks - week), hours=3)
        for number in range(searches):
            when = begin + timedelta(days=5 * number / searches, hours=2)
            _work(families, rng, people[number % (2 + week % 3)], when)
        last = week == weeks - 1
        _tune(begin + timedelta(days=6), proposal=last)
        if week == weeks - 3:
            _roll_back(begin + timedelta(days=6, hours=7))
    for number in range(9):  # of the week that has begun
        _work(families, rng, people[number % 2], now - timedelta(hours=20 - 2 * number))


def _held_out(families: Families, folder: Path) -> None:
    for name in ("queries", "pool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for group, paths in families.registered.items():
        for path in (*paths, families.asked[group]):
            shutil.copy(path, folder / "queries")
    for path in sorted((DEMO / "pool").iterdir())[:40]:
        shutil.copy(path, folder / "pool")


def _register(families: Families, marks: int) -> None:
    from search.engine import engine
    from search.growth import ingest, read_rows
    from search.retrieval.clusters import fit_clusters
    from search.selectors import live_parameters
    from search.snapshots import mark_records

    chosen = {path.name for paths in families.registered.values() for path in paths}
    with (DEMO / "register.csv").open(newline="") as file:
        images = {row["number"]: Path(row["image"]) for row in csv.DictReader(file)}
    rows, _ = read_rows(DEMO, DEMO / "register.csv")
    own = [row for row in rows if images[row.number].name in chosen and images[row.number].parts[0] == "queries"]
    pool = [row for row in rows if images[row.number].parts[0] == "pool"][: max(0, marks - len(own))]
    ingest(own + pool)
    records = list(mark_records())
    vectors = engine.vectors.read([(record.number, record.image_sha256) for record in records]).vectors["general"]
    snapshot = engine.searcher().snapshot
    engine.snapshots.publish(
        records=engine.vectors, metadata=records, calibration=snapshot.calibration,
        descriptors_version=snapshot.descriptors_version, clusters=fit_clusters(vectors, k=CLUSTERS),
    )  # fmt: skip
    assert live_parameters() is not None


def _bad_start() -> None:
    from search.engine import engine
    from search.parameter_sets import parameter_set_create, parameter_set_promote
    from search.selectors import live_parameter_set

    live = live_parameter_set()
    assert live is not None
    old = live.unpack()
    heavy = {"colour": 0.45, "edges": 0.25, "general": 0.2}
    rest = [name for name in old.names if name not in heavy]
    weights = {name: heavy.get(name, 0.1 / max(1, len(rest))) for name in old.names}
    weights["general"] += 1 - sum(weights.values())
    default = replace(old.default, weights=weights, threshold=0.52)
    made = parameter_set_create(
        parameters=replace(old, default=default, clusters_version=engine.searcher().snapshot.clusters.version),
        made_by="brandt", reason="Colour first, as the old system had it.", parent=live,
    )  # fmt: skip
    parameter_set_promote(parameter_set=made, expected=live, actor="brandt", reason=made.reason)


def _date_back_all(when: datetime) -> None:
    from search.models import ParameterSet, ParameterSetEvent

    ParameterSet.objects.update(created_at=when)
    ParameterSetEvent.objects.update(at=when)


def _person(name: str) -> Any:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group

    from search.roles import EXAMINER

    person, _ = get_user_model().objects.get_or_create(username=name)
    person.groups.add(Group.objects.get_or_create(name=EXAMINER)[0])
    return person


def _work(families: Families, rng: random.Random, person: Any, when: datetime) -> None:
    """One search, corrected and concluded; dated back to `when`."""
    from feedback.models import Conclusion, Impression
    from feedback.services import page_seen, search_conclude, selection_set
    from search.models import Search
    from search.retrieval.records import Filters
    from search.services import search_create
    from tests.searching import search_run

    group = rng.choice(sorted(families.asked))
    image = families.asked[group]
    search = search_create(
        owner=person, data=own_copy(image), image_name=image.name, filters=Filters(), depth="register"
    )
    search_run(search_id=str(search.pk))
    search.refresh_from_db()
    page_seen(search=search, page=1, user=person)
    relatives = {_sha(path) for path in families.registered[group]}
    for result in search.results.select_related("mark").filter(rank__lte=24):
        related = result.mark.image_sha256 in relatives
        wanted = rng.random() < (0.94 if related else 0.02)
        if not related and result.preselected:
            wanted = rng.random() < 0.25  # what is proposed is sometimes left as it is
        if wanted != result.preselected:
            selection_set(search=search, number=result.mark.number, selected=wanted, user=person)
    if rng.random() < 0.94:
        concluded = search_conclude(search=search, kind="report" if rng.random() < 0.6 else "done", user=person)
        Conclusion.objects.filter(pk=concluded.pk).update(at=when + timedelta(minutes=4))
        Impression.objects.filter(conclusion=concluded).update(at=when + timedelta(minutes=4))
    Search.objects.filter(pk=search.pk).update(
        created_at=when, started_at=when, finished_at=when + timedelta(milliseconds=240)
    )


def _sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tune(when: datetime, *, proposal: bool) -> None:
    """A real run, dated back; the last one is left to an administrator to decide."""
    from search.models import LivePointer, ParameterSet, ParameterSetEvent
    from tuning.models import TuningRun
    from tuning.services import run_carry_out

    kind = TuningRun.Kind.DRY_RUN if proposal else TuningRun.Kind.SCHEDULED
    run = TuningRun.objects.create(kind=kind, requested_by="schedule")
    run_carry_out(run_id=run.pk)
    run.refresh_from_db()
    assert run.state != TuningRun.State.FAILED, run.reason
    if proposal:
        _propose(run)
    times = {"created_at": when, "finished_at": when + timedelta(seconds=50), "evidence_until": when}
    TuningRun.objects.filter(pk=run.pk).update(**times)
    if run.proposed_id:
        ParameterSet.objects.filter(pk=run.proposed_id).update(created_at=times["finished_at"])
        ParameterSetEvent.objects.filter(actor=f"tuning run {run.pk}").update(at=times["finished_at"])
        LivePointer.objects.filter(parameter_set=run.proposed).update(since=times["finished_at"])


def _propose(run: Any) -> None:
    """Turn a dry run into a proposal that waits."""
    from search.parameter_sets import parameter_set_create
    from search.retrieval.parameters import ClusterParameters
    from tuning.models import TuningRun

    base = run.base.unpack()
    accepted = {d.cluster: ClusterParameters.from_json(d.after) for d in run.decisions.filter(state="accepted")}
    clusters = {**base.clusters, **{n: own for n, own in accepted.items() if n is not None}}
    default = accepted.get(None, base.default)
    if (default, clusters) == (base.default, dict(base.clusters)):  # nothing better was found: a lower cut by hand
        default = replace(default, threshold=round(default.threshold - 0.03, 4))
    reason = run.reason.removeprefix("Would go live: ")
    made = parameter_set_create(
        parameters=replace(base, default=default, clusters=clusters), made_by="tuning", reason=reason, parent=run.base
    )
    run.state, run.kind, run.proposed, run.reason = TuningRun.State.PROPOSED, TuningRun.Kind.SCHEDULED, made, reason
    run.save()


def _roll_back(when: datetime) -> None:
    from search.models import ParameterSet, ParameterSetEvent
    from search.selectors import live_parameter_set
    from tuning.services import roll_back

    live = live_parameter_set()
    if live is None or live.parent is None or live.made_by != "tuning":
        return
    known = set(ParameterSetEvent.objects.values_list("pk", flat=True))
    target = ParameterSet.objects.get(pk=live.parent_id)
    roll_back(target=target, actor="brandt", reason="Two examiners miss outlined logos since Monday.")
    ParameterSetEvent.objects.exclude(pk__in=known).update(at=when)


@contextmanager
def _alone() -> Iterator[None]:
    """Nothing is sent to a broker: this process does the work itself."""
    from search import services as search_services
    from tuning import services

    kept = search_services.send, services.send
    search_services.send = services.send = lambda *_: False
    try:
        yield
    finally:
        search_services.send, services.send = kept


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--marks", type=int, default=160)
    parser.add_argument("--weeks", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import django

    django.setup()
    from tmportal.bootstrap import bootstrap

    bootstrap(demo=True)
    with _alone():
        make_weeks(marks=options.marks, weeks=options.weeks)


if __name__ == "__main__":
    main()
