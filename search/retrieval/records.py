"""Plain records that cross the engine's door: a mark's metadata, a search's filters, a search's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from search.retrieval.description import Description, Vector
from search.retrieval.parameters import Parameters

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the original image, x1 and y1 exclusive."""

Depth = Literal["register", "cluster"]


@dataclass(frozen=True)
class MarkRecord:
    """What the engine knows of a registered mark besides its picture: only what can be filtered on.

    image_sha256 (hex, of the image file's bytes) joins the row to the vectors made from that very image.
    """

    number: str
    nice: tuple[int, ...] = ()
    jurisdiction: str = ""
    status: str = ""
    filing_date: date | None = None
    image_sha256: str = ""


@dataclass(frozen=True)
class Filters:
    """Limits of a search. Empty means no limit; the values of one field are alternatives, fields add up."""

    nice: tuple[int, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    filed_from: date | None = None
    filed_to: date | None = None

    @property
    def empty(self) -> bool:
        return self == Filters()


@dataclass(frozen=True)
class Query:
    """One search of the engine: a described image, the parameters it is ranked by, and its limits.

    parameters: those of the query's cluster are used when they were made for the snapshot's clustering, else the
    default. cluster: whose parameters and neighbours are used; None: the cluster that the description lies in.
    """

    description: Description
    parameters: Parameters
    filters: Filters = Filters()
    depth: Depth = "register"
    cluster: int | None = None


@dataclass(frozen=True)
class Hit:
    """One mark of the answer.

    rank: 1 for the best. score: calibrated fused similarity, 0..1. similarities: calibrated, 0..1, None where
    a descriptor is missing. preselected: score >= tau of the query's cluster. cluster: the mark's own.
    boxes: the best matching pair (in the query, in the mark) for `objects`; None when the two whole marks
    match best.
    """

    number: str
    rank: int
    score: float
    similarities: Mapping[str, float | None]
    preselected: bool
    cluster: int
    boxes: tuple[Box, Box] | None = None


@dataclass(frozen=True)
class SearchAnswer:
    """Ranked hits and what was done to find them.

    cluster: the query's own. clusters_searched: all of them for depth "register". scanned: marks that passed
    the filters and the depth, i.e. that could have been found. timings: stage -> milliseconds. query: what the
    describer made of the image, where it was described for this search. cut: what pre-selects, the threshold of the
    parameters and cut_shift (crowding.py).
    """

    cluster: int
    clusters_searched: tuple[int, ...]
    scanned: int
    hits: list[Hit] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    query: Description | None = None
    cut: float = 0.0
    cut_shift: float = 0.0

    @property
    def meaning(self) -> Vector | None:
        """The query's own semantic vector, float32 (k,); None where that descriptor is off."""
        return None if self.query is None else self.query.vectors.get("semantic")
