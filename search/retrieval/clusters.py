"""Clusters of look-alike marks: k-means on `general`, K by silhouette, the extension rule (science 1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

REPLICATION_K = 21
"""The paper's number of clusters, whatever the register."""
CANDIDATE_KS: tuple[int, ...] = tuple(range(2, 41))
_FIT_SAMPLE = 20_000
_SILHOUETTE_SAMPLE = 4_000
"""Silhouette compares all pairs of its sample, so a fifth of the marks costs a twenty-fifth of the time."""
_ROUNDING = 1e-9
_NEIGHBOURS = 3.0
"""m of the quantile rule: how many clusters a search with depth "cluster" visits on average (science 1.3)."""


@dataclass(frozen=True)
class Clusters:
    """centroids: float32 (K, d), means of unit vectors. shares: (K,) share of the register in each, sum 1."""

    centroids: Vectors
    shares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centroids)

    @cached_property
    def version(self) -> str:
        """Changes with the centroids only: marks that join leave it as it is."""
        return "k" + hashlib.sha256(self.centroids.astype("<f4").tobytes()).hexdigest()[:12]

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """(K, K) Euclidean distances between centroids."""
        difference = self.centroids[:, None, :].astype(np.float64) - self.centroids[None]
        return np.asarray(np.sqrt((difference**2).sum(axis=2)))

    def assign(self, vectors: Vectors) -> NDArray[np.int64]:
        """Nearest centroid (Euclidean) of each row (n, d): (n,)."""
        # ||x - c||^2 without ||x||^2, which is the same for every centroid.
        half = (self.centroids**2).sum(axis=1) / 2
        return np.asarray(np.argmax(np.atleast_2d(vectors) @ self.centroids.T - half, axis=1), dtype=np.int64)

    def near(self, cluster: int, extension: float) -> tuple[int, ...]:
        """{j : ||c_j - c_cluster|| <= d}, the cluster itself first, then by distance."""
        order = np.argsort(self.distances[cluster], kind="stable")
        within = [int(j) for j in order if self.distances[cluster, j] <= extension and j != cluster]
        return (cluster, *within)

    def extension_for(self, mean_searched: float = _NEIGHBOURS) -> float:
        """The smallest d with which a search visits `mean_searched` clusters on average over the register.

        The paper's d = 0.15 means a cosine of 0.989 between centroids: on whitened vectors it never adds a
        cluster, so d must follow the scale of the data.
        """
        steps = np.unique(self.distances)
        for distance in steps:
            visited = (self.distances <= distance).sum(axis=1)
            if float((visited * self.shares).sum()) >= min(mean_searched, len(self)) - _ROUNDING:
                return float(distance) * (1 + 1e-9)
        return float(steps[-1])

    def with_members(self, assignment: NDArray[np.integer]) -> Clusters:
        """The same centroids with the shares of this assignment."""
        counts = np.bincount(assignment, minlength=len(self)).astype(np.float64)
        return Clusters(self.centroids, counts / max(counts.sum(), 1))


def fit_clusters(vectors: Vectors, *, k: int | None = None, seed: int = 0) -> Clusters:
    """k-means on unit rows (n, d), fitted on at most 20,000 of them.

    k: the number of clusters; None lets the silhouette choose among 2..40. Fewer rows than clusters give as
    many clusters as rows. Raises ValueError without rows.
    """
    if not len(vectors):
        raise ValueError("There are no marks to cluster.")
    sample = _sample(np.asarray(vectors, np.float32), _FIT_SAMPLE, seed)
    if k is None:
        scores = silhouettes(sample, CANDIDATE_KS, seed=seed)
        k = max(scores, key=lambda candidate: scores[candidate]) if scores else 1
    made = Clusters(_kmeans(sample, min(k, len(sample)), seed), np.zeros(0))
    return made.with_members(made.assign(vectors))


def silhouettes(vectors: Vectors, ks: Sequence[int], *, seed: int = 0) -> dict[int, float]:
    """K -> mean silhouette (Rousseeuw 1987) of k-means with K clusters, on a sample of the rows."""
    from sklearn.metrics import silhouette_score

    sample = _sample(np.asarray(vectors, np.float32), _SILHOUETTE_SAMPLE, seed)
    squares = (sample**2).sum(axis=1)
    gap = np.sqrt(np.maximum(squares[:, None] + squares - 2 * sample @ sample.T, 0))
    np.fill_diagonal(gap, 0)
    scores: dict[int, float] = {}
    for k in ks:
        if k >= len(sample):
            break
        labels = Clusters(_kmeans(sample, k, seed), np.zeros(0)).assign(sample)
        if len(np.unique(labels)) > 1:  # marks that are all the same have no silhouette
            scores[k] = float(silhouette_score(gap, labels, metric="precomputed"))
    return scores


def _kmeans(vectors: Vectors, k: int, seed: int) -> Vectors:
    """Centroids (k', d) with k' <= k, the same each time: fewer where marks are copies of each other."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    k = min(k, len(np.unique(vectors, axis=0)))
    # One thread: sums in one order give the same centroids each time, and for some thousand marks it is faster.
    with threadpool_limits(1):
        model = KMeans(k, n_init=1, random_state=seed).fit(vectors)
    return np.asarray(model.cluster_centers_, dtype=np.float32)


def _sample(vectors: Vectors, most: int, seed: int) -> Vectors:
    if len(vectors) <= most:
        return vectors
    rows = np.random.default_rng(seed).choice(len(vectors), most, replace=False)
    return vectors[np.sort(rows)]
