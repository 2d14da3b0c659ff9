"""Three weeks of the same examiners, through the real services and through the simulator: the same decisions."""

import hashlib
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone

from feedback.models import Impression
from feedback.selectors import propensity_at
from feedback.services import page_seen, search_conclude, selection_set
from search.models import ParameterSet
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.presentation import PAGES
from search.retrieval.audit import AuditConfig
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.imaging import decode_picture
from search.retrieval.parameters import ClusterParameters, Parameters
from search.retrieval.records import Filters
from search.retrieval.similarity import table_similarities
from search.selectors import live_parameter_set
from search.services import search_create
from tests.conftest import MARKS
from tests.searching import search_run
from tuning import services, tasks
from tuning.models import TuningRun
from tuning.objective import HeldOut
from tuning.simulation.adaptive import Adaptive, Guards
from tuning.simulation.examiners import CAREFUL, judge_results
from tuning.simulation.office import Served, serve_week
from tuning.simulation.traffic import week_of
from tuning.simulation.world import WorldQuery

pytestmark = pytest.mark.django_db
WEEKS, SEARCHES, RELATIVES = 3, 36, 6
STAFF = (replace(CAREFUL, decay=1.2),) * 10  # they look mostly at the first row, so places weigh differently


def queries_of(engine: Any, folder: Path) -> list[WorldQuery]:
    """Every drawn mark as a query in the order of the register; its relatives are the nearest as a whole."""
    snapshot = engine.searcher().snapshot
    found = []
    for seed in range(len(snapshot.table)):
        data = (folder / f"{seed}.png").read_bytes()
        described = engine.describe_one(decode_picture(data))
        similarities = snapshot.calibration.apply(table_similarities([described], snapshot.table)[0])
        general = similarities[:, DESCRIPTORS.index("general")]
        found.append(
            WorldQuery(
                name=hashlib.sha256(data).hexdigest(),
                group=str(seed),
                cluster=int(snapshot.clusters.assign(described.vectors["general"])[0]),
                similarities=similarities,
                relevant=general >= np.sort(general)[-RELATIVES],
                late=np.zeros(len(general), dtype=bool),
            )
        )
    return found


@pytest.fixture
def bad_start(register: Any) -> ParameterSet:
    live = live_parameter_set()
    parameters = live.unpack()
    weights = {**dict.fromkeys(DESCRIPTORS, 0.0), "colour": 0.7, "general": 0.3}
    made = parameter_set_create(
        parameters=Parameters(
            ClusterParameters(weights, 0.8, parameters.default.extension),
            clusters_version=parameters.clusters_version,
            descriptors_version=parameters.descriptors_version,
            calibration_version=parameters.calibration_version,
        ),
        made_by="test",
        reason="bad",
        parent=live,
    )
    parameter_set_promote(parameter_set=made, expected=live, actor="test", reason="bad start")
    return made


def search_id(seed: int) -> uuid.UUID:
    """The id of the search that is asked with this seed: chance in the portal goes by the id."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(seed))


def serve_through_the_portal(
    asked: Any, queries: list[WorldQuery], folder: Path, people: list[Any], numbers: list[str]
) -> None:
    """One week: upload, search, look, change, conclude. The examiner does what the simulated one does."""
    kinds = STAFF
    images = {hashlib.sha256((folder / f"{n}.png").read_bytes()).hexdigest(): n for n in range(MARKS)}
    for one in asked:
        query, owner = queries[one.query], people[one.examiner]
        data = (folder / f"{images[query.name]}.png").read_bytes()
        with pytest.MonkeyPatch.context() as chance:
            chance.setattr(uuid, "uuid4", partial(search_id, one.seed))
            search = search_create(owner=owner, data=data, image_name="q.png", filters=Filters(), depth="register")
        assert search_run(search_id=str(search.pk)) == "done"
        search.refresh_from_db()
        results = list(search.results.select_related("mark").order_by("position"))
        relevant = np.array([query.relevant[numbers.index(r.mark.number)] for r in results])
        shown = np.array([r.preselected for r in results])
        assert search.pk == search_id(one.seed)
        rng = np.random.default_rng(one.seed)
        seen, selected = judge_results(kinds[one.examiner], relevant, shown, rng)
        for page in range(1, (int(seen.sum()) - 1) // settings.TM_PAGE_SIZE + 2):
            page_seen(search=search, page=page, user=owner)
        for row in np.flatnonzero(selected != shown):
            selection_set(search=search, number=results[row].mark.number, selected=bool(selected[row]), user=owner)
        search_conclude(search=search, kind="done", user=owner)


def test_three_weeks_come_to_the_same_decisions_both_ways(
    register: Any, bad_start: ParameterSet, make_user: Any, marks_folder: Path, monkeypatch: pytest.MonkeyPatch,
    short_search: None,
) -> None:  # fmt: skip
    # The drawn register is small, so the list is short of pages; audit slots come from its lower half.
    audit = AuditConfig(slots=6, reach=12, depth=MARKS, plain_share=0.2)
    monkeypatch.setattr(settings, "TM_PAGE_SIZE", audit.reach // PAGES)
    monkeypatch.setattr(settings, "TM_GUARDS_AFTER", 0)
    monkeypatch.setattr(settings, "TM_AUDIT_SLOTS", audit.slots)
    monkeypatch.setattr(settings, "TM_PLAIN_SHARE", audit.plain_share)
    queries = queries_of(register, marks_folder)
    # Every second drawn mark is searched for; the others are what tuning may look at.
    traffic, rest = queries[0::2], [q.held_out() for q in queries[1::2]]
    fit, validate = HeldOut(DESCRIPTORS, tuple(rest[0::2])), HeldOut(DESCRIPTORS, tuple(rest[1::2]))
    monkeypatch.setattr(services, "held_out_load", lambda snapshot, progress=None: (fit, validate))
    people = [make_user(f"e{n}") for n in range(10)]
    weeks = [week_of(traffic, 10, searches=SEARCHES, seed=4, week=w) for w in range(WEEKS)]

    numbers = [str(number) for number in register.searcher().snapshot.table.numbers]
    runs = []
    for number, asked in enumerate(weeks):
        serve_through_the_portal(asked, traffic, marks_folder, people, numbers)
        made = TuningRun.objects.create(kind="scheduled", period=f"2026-W{number + 1:02}", requested_by="schedule")
        assert tasks.run.apply(args=[made.pk]).get() != TuningRun.State.FAILED
        made.refresh_from_db()
        runs.append(made)

    class Simulated(Adaptive):
        def run_seed(self, week: int) -> int:
            return runs[week].pk

        def serve(self, query: WorldQuery, seed: int) -> Served:
            return super().serve(query, str(search_id(seed)))

    office = Simulated(
        bad_start.unpack(), fit=fit, validate=validate, clusters=len(register.searcher().snapshot.clusters),
        guards=Guards(), config=services.policy_config(), audit=audit,
    )  # fmt: skip
    for number, asked in enumerate(weeks):
        office.learn(number, serve_week(office, traffic, STAFF, asked))
        told = {d.cluster: d for d in runs[number].decisions.all()}
        assert {p.cluster for p in office.plans[number].proposals} == set(told)
        for p in office.plans[number].proposals:
            d = told[p.cluster]
            assert (p.state, p.action.kind.value, p.evidence.searches) == (d.state, d.action, d.searches), d.reason
            assert p.evidence.pc == pytest.approx(d.pc or 0.0, abs=1e-6)
            assert p.after.weights == pytest.approx(d.after["weights"], abs=2e-4)
            assert p.after.threshold == pytest.approx(d.after["threshold"], abs=2e-4)
    assert any(run.state == TuningRun.State.LIVE for run in runs)
    places = propensity_at(timezone.now())
    assert places.rows[-1] < 0.9, f"after {places.changes} selected audit marks places must weigh differently: {places}"
    assert office.propensity == places and Impression.objects.filter(plain=True).exists()
