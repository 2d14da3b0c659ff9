"""`texture`: how the mid-level maps of the encoder run from pixel to pixel (seed 002: Lan et al., ICIG 2017).

Uniform LBP histograms of the four quarters of the mark, over all 240 maps together, as square roots (Hellinger), then
PCA whitening. The maps are those of the pass that `general` makes anyway. The paper keeps a histogram for each map and
none of the place; layer, pooling and dimension are measured in docs/texture.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.retrieval.descriptors.vector import Vector, VectorDescriptor
from search.retrieval.descriptors.whole_pass import WholePass
from search.retrieval.durable import write_whole
from search.retrieval.encoders import Reader, Seen, WeightsUnusable, look
from search.retrieval.normalise import Normalised
from search.retrieval.pooling import Vectors
from search.retrieval.whitening import Whitening

if TYPE_CHECKING:
    from torch import Tensor

NAME = "texture"
FILE = "texture.safetensors"
_BATCH = 16
DIM = 128
CELLS = 2
"""Cells a side, and numbers kept, both measured: docs/texture.md."""


def patterns(maps: Tensor) -> Tensor:
    """Mid-level maps (n, c, h, w) -> float32 (n, 4 * 59): the square root of each quarter's LBP histogram."""
    from search.retrieval import lbp  # loads torch, which whoever only reads the register does without

    return lbp.cell_histograms(maps, CELLS).sqrt_().flatten(1)


@dataclass(frozen=True)
class TextureWeights:
    """The PCA whitening of `patterns`. made_for: "encoder" and "side" of the pass that the maps come from."""

    pca: Whitening
    made_for: Mapping[str, str]

    @cached_property
    def version(self) -> str:
        """Changes with every number in it and with what it was made for."""
        digest = hashlib.sha256(json.dumps(dict(self.made_for), sort_keys=True).encode())
        digest.update(self.pca.version.encode())
        return digest.hexdigest()[:12]

    @classmethod
    def fit(cls, rows: Vectors, made_for: Mapping[str, str]) -> TextureWeights:
        """rows: `patterns` of more than DIM marks that are no test marks."""
        return cls(Whitening.fit(rows, DIM), made_for)

    def save(self, path: Path) -> None:
        from safetensors.numpy import save

        parts = {"mean": self.pca.mean, "matrix": np.ascontiguousarray(self.pca.matrix)}
        write_whole(path, save(parts, metadata=dict(self.made_for)))

    @classmethod
    def load(cls, path: Path) -> TextureWeights:
        """Raises WeightsUnusable when the file is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise WeightsUnusable("The weights of `texture` are missing, so it is off.")
        try:
            with safe_open(str(path), "np") as stored:
                made_for = dict(stored.metadata() or {})
                mean, matrix = (stored.get_tensor(name) for name in ("mean", "matrix"))
        except (OSError, SafetensorError):
            raise WeightsUnusable(f"The weights of `texture`, {path.name}, are damaged, so it is off.") from None
        return cls(Whitening(mean, matrix), made_for)


@dataclass(frozen=True)
class TextureDescriptor:
    """A whole_pass.Companion. whole: `general`, whose encoder and side must be those that `weights` were made for."""

    whole: VectorDescriptor
    weights: TextureWeights
    name: str = NAME

    @property
    def version(self) -> str:
        """Everything that changes the vector, in words."""
        return f"{self.name}:lbp-1:{self.whole.encoder.version}:{self.whole.side}:{self.weights.version}"

    @property
    def reader(self) -> Reader:
        """What the histograms are taken of."""
        return patterns

    def vectors_of(self, seen: Seen) -> Vectors:
        """The contract of whole_pass.Companion."""
        return self.weights.pca.apply(_read(seen, self.whole))

    def describe(self, marks: Sequence[Normalised]) -> list[Vector | None]:
        """By itself: unit vectors (DIM,), None for a blank mark."""
        return WholePass(self.whole, (self,)).describe(marks)[self.name]

    @classmethod
    def load(cls, whole: VectorDescriptor, path: Path) -> TextureDescriptor:
        """Raises WeightsUnusable when the weights are missing, damaged, or made for another encoder or side."""
        weights = TextureWeights.load(path)
        wanted = made_for(whole)
        if weights.made_for != wanted:
            found = " at ".join(weights.made_for.get(key, "?") for key in wanted)
            raise WeightsUnusable(
                f"The weights of `texture` were fitted on the encoder {found} px, not on "
                f"{' at '.join(wanted.values())} px, so it is off; fit them with benchmarks/fit_descriptors.py --write."
            )
        return cls(whole, weights)


def made_for(whole: VectorDescriptor) -> dict[str, str]:
    """What weights are fitted for."""
    return {"encoder": whole.encoder.version, "side": str(whole.side)}


def pattern_rows(whole: VectorDescriptor, marks: Iterable[Normalised]) -> Vectors:
    """`patterns` of marks (n, 4 * 59) float32, to fit on; n > 0."""
    parts = []
    remaining = iter(marks)
    while batch := list(islice(remaining, _BATCH)):
        views = np.stack([view for mark in batch if (view := whole.view(mark, whole.side)) is not None])
        parts.append(_read(look(whole.encoder, views, patterns), whole))
    return np.concatenate(parts)


def _read(seen: Seen, whole: VectorDescriptor) -> Vectors:
    if seen.read is None:
        raise WeightsUnusable(f"The encoder {whole.encoder.name} shows no maps, so it has no texture.")
    return seen.read
