"""Concluded searches as the policy reads them: order as shown, plain ones, propensities, drafted ones left out."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from feedback import selectors
from feedback.models import Impression
from feedback.propensity import PropensityModel
from feedback.selectors import propensity_at
from feedback.services import page_seen, search_conclude, selection_set
from search.models import Search, SearchResult
from search.retrieval.descriptors import DESCRIPTORS
from tests import factories
from tuning.evidence import logged_searches
from tuning.overview import evidence_so_far

pytestmark = pytest.mark.django_db


def logged(**more: Any) -> list[Any]:
    return logged_searches(factories.live_set().unpack(), timezone.now(), names=DESCRIPTORS, **more)


def made(owner: Any, scores: list[float], **stamps: Any) -> Search:
    search = factories.done_search(owner, scores=scores, threshold=0.8)
    Search.objects.filter(pk=search.pk).update(clusters_version="k1", **stamps)
    search.refresh_from_db()
    return search


def test_rows_come_as_shown_so_dc_counts_positions(examiner: Any) -> None:
    search = made(examiner, [0.9, 0.7, 0.6, 0.5])
    # The last mark was shown second, as an audit slot.
    for number, position in (("M1", 1), ("M4", 2), ("M2", 3), ("M3", 4)):
        search.results.filter(mark__number=number).update(position=position, audit=number == "M4")
    page_seen(search=search, page=1, user=examiner)
    selection_set(search=search, number="M4", selected=True, user=examiner)
    search_conclude(search=search, kind="done", user=examiner)
    (one,) = logged()
    assert one.scores.tolist() == [0.9, 0.5, 0.7, 0.6] and one.selected.tolist() == [True, True, False, False]
    assert one.metrics().dc == pytest.approx(1 / 3) and one.metrics().ac == pytest.approx(0.5)
    assert not one.blind and one.propensity is None


def test_a_plain_search_is_blind_and_judged_by_the_cut_where_somebody_looked(examiner: Any, settings: Any) -> None:
    settings.TM_PAGE_SIZE = 4
    search = made(examiner, [0.95, 0.9, 0.7, 0.6, 0.85], plain=True)
    cut = {"M1": True, "M2": True, "M3": False, "M4": False, "M5": True}  # M5 lies on a page nobody reached
    for number, above in cut.items():
        search.results.filter(mark__number=number).update(preselected=False, above_cut=above)
    page_seen(search=search, page=1, user=examiner)
    selection_set(search=search, number="M1", selected=True, user=examiner)
    selection_set(search=search, number="M3", selected=True, user=examiner)
    search_conclude(search=search, kind="done", user=examiner)
    (one,) = logged()
    assert one.blind and one.preselected.tolist() == [True, True, False, False, False]
    assert one.evaluated().tolist() == [True, True, True, True, False]
    metrics = one.metrics()
    assert (metrics.added, metrics.removed, metrics.kept) == (1, 1, 1)
    (counted,) = evidence_so_far()
    assert (counted.added, counted.removed, counted.pc) == (1, 1, metrics.pc)  # the page counts in the same way


def test_a_list_drafted_from_two_sets_is_no_evidence_about_the_live_one(examiner: Any) -> None:
    search = made(examiner, [0.9, 0.5], candidate_set=factories.live_set())
    search_conclude(search=search, kind="done", user=examiner)
    assert logged() == [] and evidence_so_far() == []


def audited(owner: Any, places: list[int], chosen: list[bool]) -> None:
    """Concluded searches with one audit slot each."""
    for place, taken in zip(places, chosen, strict=True):
        search = made(owner, [0.5])
        SearchResult.objects.filter(search=search).update(position=place + 1, audit=True)
        page_seen(search=search, page=place // 24 + 1, user=owner)
        if taken:
            selection_set(search=search, number="M1", selected=True, user=owner)
        search_conclude(search=search, kind="done", user=owner)


def test_propensities_come_from_the_audit_slots_and_reach_the_policy(
    examiner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "estimate", lambda **slots: seen.append(slots) or model)
    seen: list[dict[str, Any]] = []
    model = PropensityModel(rows=(1.0, 0.5), columns=4, changes=40)
    audited(examiner, [0, 9, 9], [True, False, True])
    made(examiner, [0.9])  # not concluded: no slot
    found = logged()
    assert sorted(zip(*(seen[0][name] for name in ("positions", "changed", "shown")), strict=True)) == [
        (0, True, True), (9, False, True), (9, True, True)
    ]  # fmt: skip
    assert sorted(one.propensity.tolist() for one in found) == [[0.5], [0.5], [1.0]]
    assert all(isinstance(one.propensity, np.ndarray) for one in found)


def test_with_few_slots_every_place_counts_the_same(examiner: Any) -> None:
    audited(examiner, [0, 30], [True, False])
    assert propensity_at(timezone.now()).is_flat and Impression.objects.filter(audit=True).count() == 2
    assert propensity_at(timezone.now() - timedelta(days=1)).changes == 0


def test_a_search_for_a_held_out_picture_is_no_evidence(examiner: Any, settings: Any, tmp_path: Path) -> None:
    settings.TM_HELD_OUT = tmp_path
    for folder in ("queries", "pool"):
        (tmp_path / folder).mkdir()
    for file in ("queries/1-1.png", "queries/2-1.png", "pool/other.png"):
        (tmp_path / file).write_bytes(Path(file).name.encode())
    shown = [hashlib.sha256(name).hexdigest() for name in (b"2-1.png", b"another")]
    for digest in shown:
        search = made(examiner, [0.9, 0.7], image_sha256=digest)
        page_seen(search=search, page=1, user=examiner)
        search_conclude(search=search, kind="done", user=examiner)
    assert [one.key for one in logged()] == shown[1:]
    assert [one.searches for one in evidence_so_far()] == [1]
    (tmp_path / "queries" / "1-1.png").write_bytes(b"another")
    assert not logged()
