"""Two parameter sets on one saved search, side by side, from the similarities that the search kept."""

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings
from django.core.exceptions import ValidationError

from feedback.selectors import selection_of
from search.models import ParameterSet, Search, SearchResult
from search.retrieval.parameters import ClusterParameters
from search.retrieval.similarity import named_table
from search.selectors import live_parameter_set, results_of
from tuning.side_by_side import Side, difference, side

TOPS = (12, 24, 48)
_SETS = 50
_SEARCHES = 18


@dataclass(frozen=True)
class Card:
    """One mark in one column. moved: places gained against the other column, negative = lost. only: it stands in no
    shown place of the other. certain: no mark beyond the kept ones can stand above it."""

    result: SearchResult
    rank: int
    score: float
    preselected: bool
    elsewhere: int
    elsewhere_preselected: bool
    only: bool
    chosen: bool
    certain: bool

    @property
    def moved(self) -> int:
        return self.elsewhere - self.rank

    @property
    def gained(self) -> int:
        return abs(self.moved)


def compare_context(query: dict[str, str]) -> dict[str, Any]:
    """`a`, `b`: parameter sets (default: what was live before, and live); `search`: a finished search (default: the
    latest); `top`: places shown. What is unknown falls back to the default, with a sentence in `notes`."""
    sets = list(ParameterSet.objects.order_by("-id")[:_SETS])
    searches = list(
        Search.objects.filter(status=Search.Status.DONE, count__gt=0).select_related("owner", "parameter_set")[
            :_SEARCHES
        ]
    )
    live = live_parameter_set()
    notes: list[str] = []
    b = _set(query.get("b"), notes) or live
    a = _set(query.get("a"), notes) or (b.parent if b and b.parent else next((s for s in sets if s != b), b))
    search = _search(query.get("search"), notes) or _telling(a, b, searches)
    top = int(query["top"]) if query.get("top", "").isdecimal() and int(query["top"]) in TOPS else TOPS[1]
    for one in (a, b):
        if one is not None and one not in sets:
            sets.append(one)
    if search is not None and search not in searches:
        searches.insert(0, search)
    context: dict[str, Any] = {
        "sets": sets, "searches": searches, "live": live, "a": a, "b": b, "search": search,
        "top": top, "tops": TOPS, "notes": notes,
    }  # fmt: skip
    if a is None or b is None or search is None:
        return context
    for one in {a.pk: a, b.pk: b}.values():
        if (why := _unfit(one, search)) is not None:
            context["refusal"] = why
            return context
    return context | _compared(a, b, search, top)


def _telling(a: ParameterSet | None, b: ParameterSet | None, searches: list[Search]) -> Search | None:
    """The latest search that the two sets rank differently, else the latest."""
    if a is not None and b is not None:
        for search in searches:
            if _parameters(a, search) != _parameters(b, search) and not (_unfit(a, search) or _unfit(b, search)):
                return search
    return next(iter(searches), None)


def _compared(a: ParameterSet, b: ParameterSet, search: Search, top: int) -> dict[str, Any]:
    results = sorted(results_of(search), key=lambda row: row.rank)
    assert search.parameter_set is not None  # noqa: S101  _unfit has refused it otherwise
    served = _parameters(search.parameter_set, search)
    names = tuple(served.weights)
    table = named_table((row.similarities for row in results), names)
    # Everything that passed the filters was kept: nothing lies beyond. What was kept from further down leaves a gap.
    unbroken = [row.score for place, row in enumerate(results, start=1) if row.rank == place]
    floor = None if search.count >= search.scanned or not unbroken else unbroken[-1]
    used = [_parameters(one, search) for one in (a, b)]
    sides = [side(table, names, one, served=served, floor=floor, cut_shift=search.cut_shift) for one in used]
    numbers = selection_of(search).numbers if search.conclusions.exists() else frozenset()
    chosen = np.array([row.mark.number in numbers for row in results], dtype=bool)
    return {
        "columns": [
            {
                "letter": letter,
                "set": one,
                "threshold": used[i].threshold + search.cut_shift,
                "own": search.cluster in one.unpack().clusters and _same_clusters(one, search),
                "weights": [{"name": name, "share": used[i].weights.get(name, 0.0)} for name in names],
                "cards": _cards(results, sides[i], sides[1 - i], top, chosen),
                "certain": min(sides[i].certain, len(results)),
            }
            for i, (letter, one) in enumerate((("A", a), ("B", b)))
        ],
        "names": names,
        "difference": difference(sides[0], sides[1], top=top, chosen=chosen),
        "concluded": bool(search.conclusions.exists()),
        "kept": len(results),
        "whole": floor is None,
        # Beyond the candidates a search knows only the linear score.
        "candidates": settings.TM_CANDIDATES if search.scanned > settings.TM_CANDIDATES else None,
        "same": used[0] == used[1],
    }


def _cards(results: list[SearchResult], own: Side, other: Side, top: int, chosen: np.ndarray) -> list[Card]:
    return [
        Card(
            result=results[row],
            rank=place,
            score=float(own.scores[row]),
            preselected=bool(own.preselected[row]),
            elsewhere=int(other.ranks[row]),
            elsewhere_preselected=bool(other.preselected[row]),
            only=bool(other.ranks[row] > top),
            chosen=bool(chosen[row]),
            certain=place <= own.certain,
        )
        for place, row in enumerate(map(int, own.order[:top]), start=1)
    ]


def _parameters(found: ParameterSet, search: Search) -> ClusterParameters:
    """As the engine chooses: a cluster's own parameters only where they belong to the search's clustering."""
    return found.unpack().for_cluster(search.cluster if _same_clusters(found, search) else None)


def _same_clusters(found: ParameterSet, search: Search) -> bool:
    return bool(found.unpack().clusters_version == search.clusters_version)


def _unfit(found: ParameterSet, search: Search) -> str | None:
    """Why the kept similarities of this search say nothing about this set; None when they do."""
    if search.parameter_set is None:
        return "This search does not say which parameters served it, so it cannot be ranked again. Choose another one."
    made, asked = search.parameter_set.unpack(), found.unpack()
    if set(made.names) != set(asked.names) or made.descriptors_version != asked.descriptors_version:
        return (
            f"P{found.pk} was made for other descriptors than this search was compared by. "
            "Choose a set of the same time, or a newer search."
        )
    if made.calibration_version != asked.calibration_version:
        return f"P{found.pk} belongs to another calibration than this search. Choose a newer search."
    return None


def _set(asked: str | None, notes: list[str]) -> ParameterSet | None:
    if not asked:
        return None
    found = ParameterSet.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 18 else None
    if found is None:
        notes.append(f"There is no parameter set {asked[:20]}: another one is shown instead.")
    return found


def _search(asked: str | None, notes: list[str]) -> Search | None:
    if not asked:
        return None
    try:
        found = Search.objects.filter(pk=uuid.UUID(asked), status=Search.Status.DONE).first()
    except (ValueError, ValidationError):
        found = None
    if found is None:
        notes.append("There is no such finished search: the latest one is shown instead.")
    return found
