"""What marks have in common, as a share: the multi-label percentages that patent 001 learns from.

Labels of a mark: its family, and the words in the names of the family's marks ("credit-card-outline" says credit and
card; how it is drawn is no word). All marks of a family have the same labels, so relatives are strong pairs, s = 1;
two families that share a subject ("arrow", "shield", "bird") are weak pairs, s = shared / sqrt(n_i n_j); all others
are strong pairs with s = 0. Packs and kinds are left out: they say who drew a mark, not what it looks like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.training.dataset import ALONE, TrainingMarks

__all__ = ["Labels", "mark_labels", "name_words"]

MOST_WORDS = 6
_EMPTY = -1
_STYLE = frozenset(
    (
        "outline", "outlined", "filled", "fill", "line", "linear", "solid", "bold", "light", "thin", "regular",
        "duotone", "twotone", "sharp", "rounded", "round", "square", "circle", "icon", "icons", "logo", "color",
        "colour", "dark", "white", "black", "mono", "alt", "old", "new", "small", "large", "big", "off", "the", "and",
        "bulk", "broken", "stroke", "flat", "wordmark", "branded", "plain", "original", "two", "tone", "ring",
        "inverse", "variant",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """ids: (n, m) label numbers of n marks, -1 where there is none; each label at most once in a row.
    count: how many different labels there are."""

    ids: NDArray[np.int64]
    count: int

    def rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Label vectors (b, l) of 0 and 1 of these marks, over the labels that any of them has."""
        ids = self.ids[rows]
        used, places = np.unique(ids, return_inverse=True)
        dense = np.zeros((len(rows), len(used)), np.float32)
        np.put_along_axis(dense, places.reshape(ids.shape), 1.0, axis=1)
        return dense[:, 1:] if used[0] == _EMPTY else dense


def name_words(name: str) -> list[str]:
    """The words of `pack:icon-name` that say what is drawn."""
    icon = name.split(":", 1)[-1].lower()
    words = re.split(r"[^a-z0-9]+", icon)
    return [word for word in words if len(word) > 2 and not word.isdigit() and word not in _STYLE]


def mark_labels(marks: TrainingMarks) -> Labels:
    """Labels of all marks; a mark alone has its own family and its own words."""
    families = _numbered(marks.families)
    words = _family_words(marks.names, families)
    numbers: dict[str, int] = {}
    start = int(families.max()) + 1 if len(families) else 0
    rows = np.full((len(marks), 1 + MOST_WORDS), _EMPTY, np.int64)
    for row, family in enumerate(families):
        labels = [int(family), *(start + numbers.setdefault(word, len(numbers)) for word in words[int(family)])]
        rows[row, : len(labels)] = labels
    return Labels(rows, start + len(numbers))


def _numbered(families: NDArray[np.int64]) -> NDArray[np.int64]:
    """Families as they are; every mark alone gets a number of its own behind them."""
    out = families.copy()
    alone = np.flatnonzero(families == ALONE)
    out[alone] = max(int(families.max(initial=0)) + 1, 0) + np.arange(len(alone))
    return out


def _family_words(names: Sequence[str], families: NDArray[np.int64]) -> dict[int, list[str]]:
    """The commonest words in each family's names."""
    counts: dict[int, Counter[str]] = {}
    for name, family in zip(names, families, strict=True):
        counts.setdefault(int(family), Counter()).update(dict.fromkeys(name_words(name), 1))
    return {
        family: [word for word, _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_WORDS]]
        for family, found in counts.items()
    }
