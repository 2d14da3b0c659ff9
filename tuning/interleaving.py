"""Which of two parameter sets did examiners prefer, where one list held the picks of both? Pure.

A search drafted from live and candidate (search/retrieval/interleaving.py) credits a team for each of its marks that
ended up selected: 1 for a mark that was added, less for one that was merely kept, since keeping may be inertia; in
such a search a mark is pre-selected only when both sets would, so no team gains by a lower cut. Per search only
the balance counts, candidate - live over their sum, so that a search with many conflicts says no more than another.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from feedback.change_metrics import capped_weights
from search.retrieval.interleaving import CANDIDATE, LIVE
from tuning.gate import paired_bootstrap

__all__ = ["Credit", "InterleavingVerdict", "credits_of", "judge_interleaving"]

Credit = tuple[Hashable, Hashable, float, float]
"""(what was searched for, examiner, credit of live, credit of the candidate) of one concluded search."""

KEPT = 0.3  # of an added mark's credit, as in FeedbackConfig.kept
EXAMINER_CAP = 0.5  # largest share of one examiner


@dataclass(frozen=True)
class InterleavingVerdict:
    """state: "wait" (too few searches), "candidate" or "live" (preferred), "even" (no difference to be seen).

    searches: those in which a team earned credit. difference: mean of (candidate - live) / (candidate + live), -1..1,
    with its 95 % interval. examiners: how many made those searches.
    """

    state: Literal["wait", "candidate", "live", "even"]
    searches: int
    difference: float
    low: float
    high: float
    reason: str
    examiners: int = 0


def credits_of(
    team: ArrayLike, preselected: ArrayLike, selected: ArrayLike, *, kept: float = KEPT
) -> tuple[float, float]:
    """(live, candidate) credit of one concluded search from its rows, each argument (m,).

    team: 0 live, 1 candidate, -1 nobody's. An added mark counts 1, a kept one `kept`, all others nothing.
    """
    teams = np.asarray(team)
    before, after = np.asarray(preselected, dtype=bool), np.asarray(selected, dtype=bool)
    if not teams.shape == before.shape == after.shape:
        raise ValueError("Each mark of an interleaved search needs a team, a pre-selection and a selection.")
    worth = np.where(after, np.where(before, kept, 1.0), 0.0)
    return float(worth[teams == LIVE].sum()), float(worth[teams == CANDIDATE].sum())


def judge_interleaving(
    credits: Sequence[Credit], *, min_searches: int = 20, resamples: int = 2000, seed: int = 0
) -> InterleavingVerdict:
    """Paired bootstrap over what was searched for; no examiner holds more than half of the say.

    Searches in which neither team earned anything are left out: they prefer nobody. With fewer than `min_searches`
    others the verdict is to wait.
    """
    told = [one for one in credits if one[2] + one[3] > 0]
    if len(told) < max(min_searches, 1):
        reason = (
            f"So far {_count(len(told), 'search', 'searches')} with a selected mark of either set; "
            f"{min_searches} are needed to compare them."
        )
        return InterleavingVerdict("wait", len(told), 0.0, 0.0, 0.0, reason, len({one[1] for one in told}))
    balance = np.array([(candidate - live) / (candidate + live) for _, _, live, candidate in told])
    examiners = [one[1] for one in told]
    figure = paired_bootstrap(
        np.zeros(len(told)),
        balance,
        [one[0] for one in told],
        weights=capped_weights(np.ones(len(told)), examiners, EXAMINER_CAP),
        resamples=resamples,
        seed=seed,
    )
    people = len(set(examiners))
    told_by = f"{_count(len(told), 'search', 'searches')} by {_count(people, 'examiner', 'examiners')}"
    interval = f"balance {figure.difference:+.2f}, 95 % interval {figure.low:+.2f} to {figure.high:+.2f}"
    state: Literal["candidate", "live", "even"]
    if figure.low > 0:
        state, words = "candidate", "examiners selected more of the candidate's marks"
    elif figure.high < 0:
        state, words = "live", "examiners selected more of the live set's marks"
    else:
        state, words = "even", "no difference can be told"
    reason = f"Side by side in {told_by}, {words} ({interval})."
    return InterleavingVerdict(state, len(told), figure.difference, figure.low, figure.high, reason, people)


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
