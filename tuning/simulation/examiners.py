"""Simulated examiners: how far they look, what they change, and how they go wrong. Pure.

An examiner reads the grid from the top. The chance that a place is looked at falls with its row; within a row the
middle is looked at a little less than the ends of reading. Looked-at relatives that are not selected are added,
looked-at strangers that are pre-selected are removed, both only as often as the examiner bothers; mistakes go both
ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.comparisons import Floats

__all__ = ["COLUMNS", "MIXED", "PAGE", "PROFILES", "Examiner", "judge_results", "look_chance", "staff"]

PAGE, COLUMNS = 24, 6
"""Results on a page, and columns of its grid at a desktop's width."""


@dataclass(frozen=True)
class Examiner:
    """pages: how many pages are opened at most; reach: chance to open another after a page.

    decay: eta of the chance (1 + row)^-eta that a place of the grid is looked at. adds, removes: how often a wrong
    pre-selection that was seen is put right, one way and the other. slips: mistakes per looked-at mark.
    share: of the searches of an office. hostile: selects what is wrong and removes what is right.
    """

    name: str
    pages: int = 4
    reach: float = 0.6
    decay: float = 0.25
    adds: float = 0.95
    removes: float = 0.9
    slips: float = 0.002
    share: float = 1.0
    hostile: bool = False


CAREFUL = Examiner("careful", pages=5, reach=0.8, decay=0.05, adds=0.98, removes=0.97, slips=0.001)
HURRIED = Examiner("hurried", pages=2, reach=0.3, decay=0.5, adds=0.8, removes=0.6, slips=0.004)
INERT = Examiner("inert", pages=2, reach=0.3, decay=0.3, adds=0.0, removes=0.0, slips=0.0)
NOISY = Examiner("noisy", pages=3, reach=0.6, decay=0.25, adds=0.85, removes=0.8, slips=0.03)
HOSTILE = Examiner("hostile", pages=3, reach=0.6, decay=0.1, hostile=True)

MIXED = "mixed"
PROFILES: Mapping[str, tuple[Examiner, ...]] = {
    "careful": (CAREFUL,) * 10,
    "hurried": (HURRIED,) * 10,
    "inert": (INERT,) * 10,
    "noisy": (NOISY,) * 10,
    "adversarial": (CAREFUL,) * 3 + (HURRIED,) * 3 + (NOISY,) * 2 + (INERT,) + (HOSTILE,),
    MIXED: (CAREFUL,) * 4 + (HURRIED,) * 3 + (INERT,) + (NOISY,) * 2,
}
"""Name -> the ten examiners of an office."""


def staff(profile: str) -> tuple[Examiner, ...]:
    """The examiners of a profile; raises ValueError with a sentence for an unknown one."""
    if profile not in PROFILES:
        raise ValueError(f"There is no profile {profile}; known are {', '.join(PROFILES)}.")
    return PROFILES[profile]


def look_chance(examiner: Examiner, count: int) -> Floats:
    """(count,) chance that each place is looked at once its page is open."""
    place = np.arange(count) % PAGE
    row, column = place // COLUMNS, place % COLUMNS
    middle = 1.0 - 0.05 * np.sin(np.pi * column / max(COLUMNS - 1, 1))
    return np.asarray(middle * (1.0 + row) ** -examiner.decay, dtype=np.float64)


def judge_results(
    examiner: Examiner, relevant: NDArray[np.bool_], preselected: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(seen, selected), each (m,), of results in the order shown.

    seen: on a page that was opened, which is what a service can know; looked at is less. Draws the same numbers
    whatever the list, so that two arms meet the same examiner.
    """
    m = len(relevant)
    opened = 1 + int((rng.random(examiner.pages - 1) < examiner.reach).cumprod().sum())
    looked_draw, change_draw, slip_draw = rng.random((3, m))
    seen = np.arange(m) < opened * PAGE
    looked = seen & (looked_draw < look_chance(examiner, m))
    if examiner.hostile:
        # One wrong mark in ten looked at, and everything right that was pre-selected.
        wrong = looked & ~relevant & (change_draw < 0.1)
        return seen, np.where(looked, wrong | (preselected & ~relevant), preselected)
    add = looked & relevant & ~preselected & (change_draw < examiner.adds)
    remove = looked & ~relevant & preselected & (change_draw < examiner.removes)
    slip = looked & (slip_draw < examiner.slips)
    selected = (preselected | add) & ~remove
    return seen, np.where(slip, ~selected, selected)
