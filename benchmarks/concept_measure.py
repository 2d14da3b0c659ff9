"""How well words find marks: recall among the first ten and mean average precision, over many words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Flags = NDArray[np.bool_]

SYNONYM = 0.75
"""Cosine of two words' sentence vectors from which on they count as synonyms."""


def relevance(words: Sequence[str], names: Sequence[str], encode: object) -> Flags:
    """(w, n): whether mark n's name carries word w or a synonym of it."""
    vocabulary = sorted({word for name in names for word in name.split()} | set(words))
    place = {word: number for number, word in enumerate(vocabulary)}
    vectors = encode(vocabulary)  # type: ignore[operator]
    asked = vectors[[place[word] for word in words]]
    synonyms = asked @ vectors.T > SYNONYM
    synonyms[np.arange(len(words)), [place[word] for word in words]] = True
    carried = np.zeros((len(vocabulary), len(names)), bool)
    for column, name in enumerate(names):
        carried[[place[word] for word in name.split()], column] = True
    return np.asarray(synonyms.astype(np.float32) @ carried.astype(np.float32) > 0)


def average_precision(scores: Scores, relevant: Flags) -> float:
    """Mean over the relevant of the share of relevant marks down to each (the whole list is read)."""
    ranked = relevant[np.argsort(-scores, kind="stable")]
    found = np.flatnonzero(ranked)
    return float(np.mean(np.arange(1, len(found) + 1) / (found + 1)))


def recall_at(scores: Scores, relevant: Flags, depth: int = 10) -> float:
    """Relevant marks among the first `depth`, of as many as could stand there."""
    first = relevant[np.argsort(-scores, kind="stable")[:depth]]
    return float(first.sum() / min(depth, relevant.sum()))


def figures(scores: Scores, relevant: Flags, groups: NDArray[np.integer] | None = None) -> dict[str, float]:
    """Means over words (rows), in per cent, with a 95 % interval of mAP by bootstrap over words."""
    del groups
    each = np.array([average_precision(row, own) for row, own in zip(scores, relevant, strict=True)])
    recalls = [recall_at(row, own) for row, own in zip(scores, relevant, strict=True)]
    draws = np.random.default_rng(0).integers(len(each), size=(1000, len(each)))
    low, high = np.percentile(each[draws].mean(axis=1), [2.5, 97.5])
    return {
        "recall10": round(100 * float(np.mean(recalls)), 1),
        "map": round(100 * float(each.mean()), 1),
        "map_low": round(100 * float(low), 1),
        "map_high": round(100 * float(high), 1),
    }
