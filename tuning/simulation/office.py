"""An office for one week: searches are served, looked at, changed and logged, as the portal would log them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuning.comparisons import Floats
from tuning.feedback_objective import LoggedSearch
from tuning.simulation.examiners import Examiner, judge_results
from tuning.simulation.traffic import Asked
from tuning.simulation.world import WorldQuery

__all__ = ["SHOWN", "Served", "Server", "serve_week"]

SHOWN = 240
"""Results of a search."""


@dataclass(frozen=True)
class Served:
    """How one search is shown. rows: (k,) marks in the order shown; scores: (k,) as served; preselected: (k,).

    audit: (k,) places filled from below the cut; plain: shown without pre-selection.
    """

    rows: NDArray[np.intp]
    scores: Floats
    preselected: NDArray[np.bool_]
    audit: NDArray[np.bool_]
    plain: bool = False


class Server(Protocol):
    """Whatever answers searches."""

    def serve(self, query: WorldQuery, seed: int) -> Served:
        """One search; seed: of everything random in showing it."""
        ...


@dataclass(frozen=True)
class Logged:
    """A search of the log. audit: (k,) which rows were audits."""

    search: LoggedSearch
    audit: NDArray[np.bool_]


def serve_week(
    server: Server, queries: Sequence[WorldQuery], staff: Sequence[Examiner], asked: Sequence[Asked]
) -> list[Logged]:
    """The log of a week. Every search is concluded; what the examiner did not change is kept or left."""
    log = []
    for one in asked:
        query = queries[one.query]
        served = server.serve(query, one.seed)
        shown = np.zeros(len(served.rows), dtype=bool) if served.plain else served.preselected
        rng = np.random.default_rng(one.seed)
        seen, selected = judge_results(staff[one.examiner], query.relevant[served.rows], shown, rng)
        search = LoggedSearch(
            key=query.name,
            examiner=one.examiner,
            cluster=query.cluster,
            similarities=query.similarities[served.rows],
            scores=served.scores,
            # As tuning/evidence.py: shown plain, the cut is judged by what it would have pre-selected.
            preselected=served.preselected & (seen | selected) if served.plain else shown,
            selected=selected,
            seen=seen,
            blind=served.plain,
            cut_shift=query.cut_shift,
        )
        log.append(Logged(search, served.audit))
    return log
