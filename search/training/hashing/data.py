"""The marks that hash heads are learnt from: families numbered, groups of look-alike families, batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from search.retrieval.pooling import unit
from search.training.dataset import ALONE, KINDS, DatasetError, TrainingMarks
from search.training.hashing.features import HashFeatures
from search.training.hashing.labels import Labels, mark_labels

__all__ = ["HashData", "HashFeatures", "kept_rows"]

faiss: Any = _faiss  # its stubs describe the C++ classes, not the Python calls


@dataclass(frozen=True)
class HashData:
    """rows: (m,) of the features, those that may be learnt from: no mark of kind "kept". families: (m,) 0..F-1, first
    the families of two marks or more, then one for each mark alone. related: how many of them have relatives."""

    features: HashFeatures
    marks: TrainingMarks
    rows: NDArray[np.int64]
    families: NDArray[np.int64]
    related: int

    @classmethod
    def of(cls, marks: TrainingMarks, features: HashFeatures) -> HashData:
        """Raises DatasetError when the features are of other marks, or no family can be learnt from."""
        if len(marks) != len(features):
            raise DatasetError(f"There are features of {len(features)} marks, but {len(marks)} marks; make them again.")
        rows = np.flatnonzero(marks.kinds != KINDS.index("kept"))
        own = marks.families[rows].copy()
        numbers, counts = np.unique(own[own != ALONE], return_counts=True)
        real = numbers[counts > 1]
        if len(real) < 2:
            raise DatasetError("The training data has fewer than two families, so no code can be learnt from it.")
        families = np.searchsorted(real, own)
        alone = ~np.isin(own, real)
        families[alone] = len(real) + np.arange(int(alone.sum()))
        return cls(features, marks, rows, families.astype(np.int64), len(real))

    @cached_property
    def in_families(self) -> NDArray[np.int64]:
        """Places in `rows` of the marks that have relatives."""
        return np.flatnonzero(self.families < self.related)

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """Family with relatives -> places of its marks."""
        order = np.argsort(self.families, kind="stable")
        starts = np.searchsorted(self.families[order], np.arange(self.related + 1))
        return [order[a:b] for a, b in pairwise(starts)]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """`general` of the marks in `rows`, float32 (m, d), held in memory."""
        return np.asarray(self.features.general[self.rows], dtype=np.float32)

    @cached_property
    def means(self) -> NDArray[np.float32]:
        """Unit mean vectors (F', d) of the families with relatives."""
        return unit(np.stack([self.vectors[places].mean(axis=0) for places in self.members]))

    def groups(self, count: int, seed: int = 0) -> NDArray[np.int64]:
        """Group of look-alike families, 0..count-1, of each family with relatives: spherical k-means of their means."""
        found = faiss.Kmeans(
            self.means.shape[1], min(count, len(self.means)), niter=20, seed=seed, spherical=True, verbose=False,
            min_points_per_centroid=1,
        )  # fmt: skip
        found.train(self.means)
        return np.asarray(found.index.search(self.means, 1)[1][:, 0], dtype=np.int64)

    @cached_property
    def labels(self) -> Labels:
        return mark_labels(self.marks)

    @cached_property
    def by_word(self) -> list[NDArray[np.int64]]:
        """Families with relatives that share a word, for each word that at least two of them have."""
        first = np.array([self.rows[places[0]] for places in self.members])
        ids = self.labels.ids[first, 1:]
        families, words = np.repeat(np.arange(len(ids)), ids.shape[1]), ids.ravel()
        families, words = families[words >= 0], words[words >= 0]
        order = np.argsort(words, kind="stable")
        _, starts = np.unique(words[order], return_index=True)
        return [part for part in np.split(families[order], starts[1:]) if len(part) > 1]


def kept_rows(marks: TrainingMarks) -> NDArray[np.int64]:
    """Marks of the families that nothing is learnt from: choices are made on these."""
    return np.flatnonzero(marks.kinds == KINDS.index("kept"))
