"""Rows for tests that need no engine."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from search.models import LivePointer, Mark, ParameterSet, Search, SearchResult
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.parameters import Parameters
from search.selectors import live_parameter_set


def live_set(*, threshold: float = 0.8) -> ParameterSet:
    """The live parameter set, made on first use."""
    live = live_parameter_set()
    if live is None:
        parameters = Parameters.initial(
            DESCRIPTORS, threshold=threshold, clusters_version="k1", descriptors_version="d1", calibration_version="c1"
        )
        live = parameter_set_create(parameters=parameters, made_by="test", reason="first", parent=None)
        parameter_set_promote(parameter_set=live, expected=None, actor="test", reason="first")
    assert LivePointer.objects.count() == 1
    return live


def mark(number: str) -> Mark:
    return marks_of([number])[0]


def marks_of(numbers: Sequence[str]) -> list[Mark]:
    """The marks of these numbers, made where there are none."""
    known = Mark.objects.in_bulk(numbers, field_name="number")
    for number in numbers:
        if number not in known:
            known[number] = Mark.objects.create(
                number=number, name=f"Mark {number}", image=f"marks/{number}", image_sha256=number, nice_classes=[9]
            )
    return [known[number] for number in numbers]


def done_search(
    owner: Any,
    *,
    scores: Sequence[float],
    threshold: float,
    cluster: int = 0,
    similarities: Sequence[dict[str, float]] | None = None,
    marks: Sequence[Mark] = (),
) -> Search:
    """A finished search with these marks, or M1, M2, ..., by rank; every descriptor has the score unless told."""
    search = Search.objects.create(
        owner=owner, image="searches/q", image_name="q.png", status=Search.Status.DONE, finished_at=timezone.now(),
        parameter_set=live_set(threshold=threshold), snapshot="s1", cluster=cluster, threshold=threshold,
        count=len(scores), scanned=len(scores),
    )  # fmt: skip
    marks = marks or marks_of([f"M{rank}" for rank in range(1, len(scores) + 1)])
    SearchResult.objects.bulk_create(
        SearchResult(
            search=search,
            mark=marks[rank - 1],
            rank=rank,
            position=rank,
            score=score,
            similarities=similarities[rank - 1] if similarities else dict.fromkeys(DESCRIPTORS, score),
            preselected=score >= threshold,
        )
        for rank, score in enumerate(scores, start=1)
    )
    return search
