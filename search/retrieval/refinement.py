"""A search refined by some of its marks: found with the moved query, compared with the query itself.

The order is that of the moved query (rocchio.py). The percentages, reasons and frames stay those of the image that
was searched for: in one search a mark has one percentage, whatever list it stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.retrieval.description import Description
from search.retrieval.parameters import Parameters
from search.retrieval.records import Depth, Filters, Hit
from search.retrieval.rocchio import refined
from search.retrieval.searcher import Searcher


class UnknownMark(LookupError):  # noqa: N818  an answer, not a fault
    """The snapshot does not hold the mark of this number."""

    def __init__(self, number: str) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class RefinedAnswer:
    """count: marks of the whole refined list. hits: a slice of it, their rank in the refined list, best first."""

    count: int
    hits: list[Hit]


def search_refined(
    searcher: Searcher,
    query: Description,
    parameters: Parameters,
    *,
    liked: Sequence[str],
    disliked: Sequence[str],
    cluster: int | None,
    filters: Filters,
    depth: Depth,
    candidates: int,
    top: int,
    shown: slice,
) -> RefinedAnswer:
    """The `shown` part of the `top` marks after `liked` and `disliked` (mark numbers) were pointed out.

    cluster: that of the search, so that its weights stay; None: the query's own. The others as in Searcher.search.
    Raises UnknownMark.
    """
    cluster = searcher.cluster_of(query) if cluster is None else cluster
    toward = refined(query, _marks(searcher, liked), _marks(searcher, disliked))
    answer = searcher.search(
        toward, parameters, filters=filters, depth=depth, candidates=candidates, top=top, cluster=cluster
    )
    part = answer.hits[shown]
    told = searcher.compare(query, parameters, [hit.number for hit in part], cluster=cluster)
    return RefinedAnswer(len(answer.hits), [replace(told[hit.number], rank=hit.rank) for hit in part])


def _marks(searcher: Searcher, numbers: Sequence[str]) -> list[Description]:
    table = searcher.snapshot.table
    try:
        return [table.description(table.places[number]) for number in numbers]
    except KeyError as missing:
        raise UnknownMark(str(missing.args[0])) from None
