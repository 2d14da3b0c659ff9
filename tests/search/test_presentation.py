"""What an examiner gets to see: audit slots, plain searches, two sets in one list; with the real engine."""

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from feedback.models import Impression
from feedback.services import page_seen, search_conclude, selection_set
from search.models import LivePointer, ParameterSet, Search
from search.parameter_sets import parameter_set_create
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.records import Filters
from search.selectors import live_parameter_set, results_of
from search.services import search_create
from tests import pictures
from tests.searching import search_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def guards(register: Any, settings: Any) -> Any:
    """All guards on at once, on pages small enough for the small register."""
    settings.TM_PAGE_SIZE = 8
    settings.TM_AUDIT_SLOTS = 2
    settings.TM_GUARDS_AFTER = 0
    return settings


def searched(owner: Any, seed: int = 3) -> Search:
    made = search_create(
        owner=owner, data=pictures.encoded(pictures.mark(seed)), image_name="q.png", filters=Filters(), depth="register"
    )
    assert search_run(search_id=str(made.pk)) == "done"
    made.refresh_from_db()
    return made


def candidate_of(live: ParameterSet, *, threshold: float = 0.5, **weights: float) -> ParameterSet:
    """A set with other weights that is being compared with the live one."""
    parameters = live.unpack()
    given = {**dict.fromkeys(DESCRIPTORS, 0.0), **weights}
    made = parameter_set_create(
        parameters=replace(parameters, default=replace(parameters.default, weights=given, threshold=threshold)),
        made_by="tuning", reason="a candidate", parent=live,
    )  # fmt: skip
    LivePointer.objects.update(candidate=made)
    return made


def test_audit_marks_stand_below_the_cut_and_keep_their_rank_and_score(guards: Any, examiner: Any) -> None:
    search = searched(examiner)
    rows = list(results_of(search))
    assert [row.position for row in rows] == list(range(1, 41)) and sorted(row.rank for row in rows) == list(
        range(1, 41)
    )
    audits = [row for row in rows if row.audit]
    assert len(audits) == 2 and all(row.rank > 16 >= row.position for row in audits)
    last = max((row.position for row in rows if row.preselected), default=0)
    assert all(row.position > last for row in audits)
    others = [row.rank for row in rows if not row.audit]
    assert others == sorted(others)
    by_rank = [row.score for row in sorted(rows, key=lambda row: row.rank)]
    assert by_rank == sorted(by_rank, reverse=True)


def test_run_again_after_a_kill_it_is_laid_out_the_same(guards: Any, examiner: Any) -> None:
    search = searched(examiner)
    first = list(results_of(search).values_list("mark__number", "audit"))
    Search.objects.filter(pk=search.pk).update(status="queued")
    assert search_run(search_id=str(search.pk)) == "done"
    assert list(results_of(search).values_list("mark__number", "audit")) == first


def test_the_log_knows_position_audit_and_rank_and_pages_follow_the_position(guards: Any, examiner: Any) -> None:
    search = searched(examiner)
    page_seen(search=search, page=1, user=examiner)
    audit = results_of(search).filter(audit=True).first()
    selection_set(search=search, number=audit.mark.number, selected=True, user=examiner)
    search_conclude(search=search, kind="done", user=examiner)
    row = Impression.objects.get(mark=audit.mark)
    assert (row.position, row.rank, row.audit, row.outcome) == (audit.position, audit.rank, True, "added")
    assert row.page == (audit.position - 1) // 8 + 1 and not row.plain and row.arm is None
    shown = Impression.objects.filter(seen=True).order_by("position").values_list("position", flat=True)
    assert set(range(1, 9)) <= set(shown)


def test_a_plain_search_shows_no_preselection_and_the_log_keeps_what_it_would_have_been(
    guards: Any, examiner: Any, client: Client
) -> None:
    guards.TM_PLAIN_SHARE = 1.0
    search = searched(examiner)
    rows = list(results_of(search))
    assert search.plain and not any(row.preselected for row in rows)
    cut = [row.above_cut for row in rows]
    assert cut[0] is True and cut == [row.score >= search.threshold for row in rows]
    client.force_login(examiner)
    assert b"this time you choose unaided" in client.get(f"/searches/{search.pk}/").content
    search_conclude(search=search, kind="done", user=examiner)
    assert Impression.objects.filter(plain=True, above_cut=True, preselected=False).count() == sum(cut)


def test_the_first_searches_of_an_examiner_are_as_ranked(guards: Any, examiner: Any, make_user: Any) -> None:
    guards.TM_GUARDS_AFTER, guards.TM_PLAIN_SHARE = 2, 1.0
    candidate_of(live_parameter_set(), edges=1.0)
    guards.TM_INTERLEAVE_SHARE = 1.0

    def touched() -> bool:
        search = searched(examiner)
        search_conclude(search=search, kind="done", user=examiner)
        return search.plain or search.candidate_set is not None or results_of(search).filter(audit=True).exists()

    assert [touched() for _ in range(3)] == [False, False, True]
    other = make_user("new")
    assert not searched(other).plain  # each examiner by themselves


def test_nothing_that_is_handed_out_tells_an_audit_slot_or_a_team(
    guards: Any, examiner: Any, client: Client, tmp_path: Any
) -> None:
    guards.TM_INTERLEAVE_SHARE = 1.0
    api = APIClient()
    api.force_authenticate(examiner)
    client.force_login(examiner)

    def given_out(search: Search) -> tuple[set[str], list[set[str]], str]:
        rows = [
            row
            for page in range(1, 6)
            for row in api.get(f"/api/searches/{search.pk}/results/?page={page}").json()["results"]
        ]
        assert [row["rank"] for row in rows] == list(range(1, 41))  # the place, not the rank of the engine
        html = client.get(f"/searches/{search.pk}/").content.decode()
        return set(api.get(f"/api/searches/{search.pk}/").json()), [set(row) for row in rows], html

    usual = {
        "mark", "rank", "score", "similarities", "preselected", "selected", "thumbnail", "name", "owner", "nice",
        "jurisdiction", "mark_status", "filing_date", "size", "boxes", "refined", "change",
    }  # fmt: skip
    audited = searched(examiner)
    assert results_of(audited).filter(audit=True).count() == 2
    candidate_of(live_parameter_set(), edges=1.0)
    drafted = searched(examiner, seed=4)
    assert drafted.candidate_set is not None
    for search in (audited, drafted):
        stamps, rows, html = given_out(search)
        assert all(keys == usual for keys in rows)
        assert not stamps & {"audit", "arm", "candidate_set", "plain"}
        assert not any(word in html.lower() for word in ("audit", "interleav", "draft", "data-arm", "candidate set"))
    schema = json.dumps(api.get("/api/schema/?format=json").json())
    assert '"audit"' not in schema and '"arm"' not in schema


def test_two_sets_in_one_list(guards: Any, examiner: Any) -> None:
    live = live_parameter_set()
    rival = candidate_of(live, threshold=0.6, edges=1.0)
    guards.TM_INTERLEAVE_SHARE = 1.0
    search = searched(examiner)
    assert search.candidate_set == rival and search.parameter_set == live
    rows = list(results_of(search))
    arms = [row.arm for row in rows]
    assert (
        abs(arms.count(0) - arms.count(1)) <= 1
        and 0 in arms
        and set(arms[16:]) == {None}
        and not any(row.audit for row in rows)
    )
    edges = {row.mark_id: row.similarities["edges"] or 0.0 for row in rows}
    theirs = [edges[row.mark_id] for row in rows if row.arm == 1]
    assert theirs == sorted(theirs, reverse=True)
    ours = [row.rank for row in rows if row.arm == 0]
    assert ours == sorted(ours)
    for row in rows:
        assert row.above_cut == (row.score >= search.threshold)
        assert row.preselected == (row.above_cut and edges[row.mark_id] >= 0.6)
    search_conclude(search=search, kind="done", user=examiner)
    assert list(Impression.objects.order_by("position").values_list("arm", flat=True)) == arms


def test_without_a_difference_or_with_another_clustering_there_is_nothing_to_compare(
    guards: Any, examiner: Any
) -> None:
    guards.TM_INTERLEAVE_SHARE = 1.0
    live = live_parameter_set()
    parameters = live.unpack()
    candidate_of(live, threshold=parameters.default.threshold, **parameters.default.weights)
    assert searched(examiner).candidate_set is None
    other = parameter_set_create(
        parameters=replace(parameters, clusters_version="other", default=replace(parameters.default, threshold=0.9)),
        made_by="tuning", reason="x", parent=live,
    )  # fmt: skip
    LivePointer.objects.update(candidate=other)
    assert searched(examiner).candidate_set is None


def test_another_live_set_ends_the_comparison(guards: Any, examiner: Any) -> None:
    from search.parameter_sets import parameter_set_promote

    live = live_parameter_set()
    candidate = candidate_of(live, edges=1.0)
    parameter_set_promote(parameter_set=candidate, expected=live, actor="ada", reason="better")
    assert LivePointer.objects.get().candidate is None


def test_an_answer_without_marks_has_an_empty_list(guards: Any, examiner: Any) -> None:
    data = pictures.encoded(pictures.mark(3))
    nowhere = Filters(jurisdictions=("ZZ",))
    for share in (0.0, 1.0):
        guards.TM_INTERLEAVE_SHARE = share
        candidate_of(live_parameter_set(), edges=1.0)
        search = search_create(owner=examiner, data=data, image_name="q", filters=nowhere, depth="register")
        assert search_run(search_id=str(search.pk)) == "done"
        assert not results_of(search).exists()


def test_which_searches_are_plain_is_decided_by_their_id(guards: Any, examiner: Any) -> None:
    from search.retrieval.audit import is_plain

    guards.TM_PLAIN_SHARE = 0.5
    searches = [searched(examiner) for _ in range(6)]
    assert [one.plain for one in searches] == [is_plain(str(one.pk), 0.5) for one in searches]


def test_a_search_knows_when_it_was_concluded(guards: Any, examiner: Any) -> None:
    search = searched(examiner)
    assert search.concluded_at is None
    before = timezone.now()
    search_conclude(search=search, kind="done", user=examiner)
    assert Search.objects.get(pk=search.pk).concluded_at >= before
