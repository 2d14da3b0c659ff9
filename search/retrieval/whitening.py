"""PCA whitening: decorrelate pooled features, give each direction the same say, keep the strongest ones.

Fitted once on marks that are no test marks, stored with the descriptor; a refit is a new descriptor version.
Source: Jegou & Chum, "Negative evidences and co-occurrences in image retrieval" (ECCV 2012); seed 004 keeps
256 of 512 dimensions (science 2.4).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import whole_file
from search.retrieval.pooling import Vectors, unit


@dataclass(frozen=True)
class Whitening:
    """x -> unit((unit(x) - mean) @ matrix). mean: (d,); matrix: (d, k), float32."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    @cached_property
    def version(self) -> str:
        """Changes with every number in it."""
        digest = hashlib.sha256(self.mean.astype("<f4").tobytes())
        digest.update(self.matrix.astype("<f4").tobytes())
        return digest.hexdigest()[:12]

    def apply(self, vectors: NDArray[np.floating]) -> Vectors:
        """(n, d) pooled features -> (n, k) unit vectors; a zero row stays zero."""
        x = unit(vectors)
        white = unit((x - self.mean) @ self.matrix)
        white[~x.any(axis=1)] = 0
        return white

    @classmethod
    def fit(
        cls,
        vectors: NDArray[np.floating],
        dim: int,
        *,
        power: float = 0.5,
        centred: bool = True,
        ridge: float = 1e-9,
    ) -> Whitening:
        """PCA of the unit rows (n, d), the first `dim` directions, each over its variance to the `power`.

        0.5 is whitening; with 0 the directions keep their say and only the weakest are dropped. Not centred, the mean
        stays in: with power 0 and all directions cosines are then those of the rows themselves, which is best for a
        space trained by cosines.
        Raises ValueError when there are fewer than dim + 1 rows or dimensions than asked for.
        """
        x = unit(vectors).astype(np.float64)
        if x.shape[0] <= dim or x.shape[1] < dim:
            raise ValueError(f"{x.shape[0]} vectors of {x.shape[1]} numbers cannot be whitened to {dim}.")
        mean = x.mean(axis=0) if centred else np.zeros(x.shape[1])
        spread = x - mean
        variances, directions = _principal(spread, dim)
        matrix = directions * (np.maximum(variances, 0) + ridge) ** -power
        # An eigenvector's sign is arbitrary: fixing it makes a refit on the same data the same file.
        matrix *= np.sign(matrix[np.abs(matrix).argmax(axis=0), np.arange(dim)])
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def save(self, path: Path) -> None:
        """Write an .npz without pickles."""
        with whole_file(path) as hidden, hidden.open("wb") as file:
            np.savez(file, mean=self.mean, matrix=self.matrix)

    @classmethod
    def load(cls, path: Path) -> Whitening:
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["mean"].astype(np.float32), stored["matrix"].astype(np.float32))


def _principal(spread: NDArray[np.float64], dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `dim` largest variances (dim,) of rows (n, d), falling, and their directions (d, dim), of unit length.

    By way of the smaller of the two matrices of inner products: of columns, or of rows where there are fewer of these.
    """
    n, d = spread.shape
    if d <= n:
        variances, directions = np.linalg.eigh(spread.T @ spread / (n - 1))
        strongest = np.argsort(variances)[::-1][:dim]
        return variances[strongest], directions[:, strongest]
    variances, mixtures = np.linalg.eigh(spread @ spread.T / (n - 1))
    strongest = np.argsort(variances)[::-1][:dim]
    directions = spread.T @ mixtures[:, strongest]
    return variances[strongest], directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-12)
