"""Suggested codes of the Vienna Classification, from a mark's vector in the sentence encoder's space.

Each division is known by keywords (vienna_table.py), embedded once when the semantic head is fitted. A division's raw
score is the cosine of its nearest keyword; some keywords lie near every mark, so scores are measured against what
ordinary marks get, and softmax makes shares of them. They are suggestions: the examiner decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import write_whole
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.vienna_table import CATEGORIES, DIVISIONS

FILE = "vienna.safetensors"
CODES: tuple[str, ...] = tuple(DIVISIONS)
_SHARPNESS = 2.0
"""Of the softmax over standard scores. Chosen on packs of the training set."""

Vectors = NDArray[np.float32]


class Texts(Protocol):
    """A sentence encoder."""

    def encode(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True)
class Suggestion:
    """code: "3" or "3.1". share: 0..1 of what all categories, or all divisions, get."""

    code: str
    title: str
    share: float


@dataclass(frozen=True)
class Suggestions:
    """The likeliest categories and divisions, best first."""

    categories: tuple[Suggestion, ...]
    divisions: tuple[Suggestion, ...]


@dataclass(frozen=True)
class Vienna:
    """keywords: (t, k) unit vectors; owners: (t,) index into CODES. mean, deviation: (len(CODES),) of the raw scores
    of ordinary marks."""

    keywords: Vectors
    owners: NDArray[np.int64]
    mean: Vectors
    deviation: Vectors

    @property
    def dim(self) -> int:
        return int(self.keywords.shape[1])

    @classmethod
    def fit(cls, texts: Texts, marks: Vectors) -> Vienna:
        """marks: (n, k) semantic vectors of ordinary marks, by which scores are standardised."""
        words = [word for _, keywords in DIVISIONS.values() for word in keywords]
        owners = [place for place, (_, keywords) in enumerate(DIVISIONS.values()) for _ in keywords]
        nothing, one = np.zeros(len(CODES), np.float32), np.ones(len(CODES), np.float32)
        raw = cls(texts.encode(words), np.array(owners), nothing, one)
        scores = raw._raw(marks)
        return cls(raw.keywords, raw.owners, scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-3))

    def shares(self, marks: Vectors) -> Vectors:
        """(n, k) unit vectors -> (n, len(CODES)) shares that sum to 1."""
        standard = _SHARPNESS * (self._raw(marks) - self.mean) / self.deviation
        powers = np.exp(standard - standard.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def suggest(self, vector: Vectors, top: int = 3) -> Suggestions:
        """For one unit vector (k,). A category's share is that of its divisions together."""
        shares = self.shares(vector[None])[0]
        totals = category_shares(shares[None])[0]
        numbers = list(CATEGORIES)
        return Suggestions(
            categories=tuple(
                Suggestion(str(numbers[n]), CATEGORIES[numbers[n]], float(totals[n]))
                for n in np.argsort(-totals, kind="stable")[:top]
            ),
            divisions=tuple(
                Suggestion(CODES[n], DIVISIONS[CODES[n]][0], float(shares[n]))
                for n in np.argsort(-shares, kind="stable")[:top]
            ),
        )

    def _raw(self, marks: Vectors) -> Vectors:
        """(n, len(CODES)): the cosine of each division's nearest keyword."""
        cosines = marks @ self.keywords.T
        # Keywords of one division lie side by side, in the order of CODES.
        return np.asarray(np.maximum.reduceat(cosines, np.searchsorted(self.owners, np.arange(len(CODES))), axis=1))

    def save(self, path: Path) -> None:
        """Half precision."""
        from safetensors.numpy import save

        content: dict[str, NDArray[Any]] = {
            "keywords": self.keywords.astype(np.float16), "owners": self.owners.astype(np.int16),
            "mean": self.mean.astype(np.float32), "deviation": self.deviation.astype(np.float32),
        }  # fmt: skip
        write_whole(path, save(content))

    @classmethod
    def load(cls, path: Path) -> Vienna:
        """Raises WeightsUnusable when the file is missing, damaged or made for another table."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        again = "so no Vienna codes are suggested; fit them with benchmarks/train_concepts.py."
        if not path.is_file():
            raise WeightsUnusable(f"The vectors of the Vienna divisions are missing, {again}")
        try:
            stored = load_file(path)
            keywords, owners = stored["keywords"].astype(np.float32), stored["owners"].astype(np.int64)
            mean, deviation = stored["mean"], stored["deviation"]
        except (OSError, KeyError, SafetensorError):
            raise WeightsUnusable(f"The vectors of the Vienna divisions are damaged, {again}") from None
        expected = [place for place, (_, words) in enumerate(DIVISIONS.values()) for _ in words]
        if owners.tolist() != expected:
            raise WeightsUnusable(f"The vectors of the Vienna divisions are of another table, {again}")
        return cls(keywords, owners, mean, deviation)


def category_shares(shares: Vectors) -> Vectors:
    """(n, len(CODES)) -> (n, 29), in the order of CATEGORIES."""
    of = np.array([list(CATEGORIES).index(int(code.split(".")[0])) for code in CODES])
    totals = np.zeros((len(shares), len(CATEGORIES)), np.float32)
    np.add.at(totals.T, of, shares.T)
    return totals
