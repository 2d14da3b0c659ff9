"""`semantic`: the mark in the space of a sentence encoder, so that words find images and images find meanings.

A small head on top of the image encoder's pooled features: two matrix products beyond a pass that is made anyway.
Fitted by benchmarks/train_concepts.py on what icon packs say their icons show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.retrieval.descriptors.vector import Vector, VectorDescriptor
from search.retrieval.descriptors.whole_pass import WholePass
from search.retrieval.durable import write_whole
from search.retrieval.encoders import Seen, WeightsUnusable
from search.retrieval.normalise import Normalised
from search.retrieval.pooling import Vectors, unit

NAME = "semantic"
FILE = "semantic.safetensors"
_PARTS = ("mean", "scale", "inner_weight", "inner_bias", "outer_weight", "outer_bias", "skip_weight")


@dataclass(frozen=True)
class SemanticHead:
    """x = (unit(pooled) - mean) * scale;  y = unit(skip x + outer relu(inner x + b) + c).

    parts: mean, scale (d,); inner_weight (h, d); inner_bias (h,); outer_weight (k, h); outer_bias (k,);
    skip_weight (k, d): float32. made_for: "encoder", "side" and "sentences": what the features and
    the text vectors must come from. It has `apply`, `dim` and `version` as a Whitening has: it can stand for one.
    """

    parts: Mapping[str, NDArray[np.float32]]
    made_for: Mapping[str, str]

    @property
    def dim(self) -> int:
        return len(self.parts["outer_bias"])

    @cached_property
    def version(self) -> str:
        """Changes with every number in it and with what it was made for."""
        digest = hashlib.sha256(json.dumps(dict(self.made_for), sort_keys=True).encode())
        for name in _PARTS:
            digest.update(np.ascontiguousarray(self.parts[name], dtype="<f4").tobytes())
        return digest.hexdigest()[:12]

    def apply(self, pooled: NDArray[np.floating]) -> Vectors:
        """(n, d) pooled features -> float32 (n, k) unit vectors; a zero row stays zero."""
        p = self.parts
        plain = unit(pooled)
        x = (plain - p["mean"]) * p["scale"]
        inner = np.maximum(x @ p["inner_weight"].T + p["inner_bias"], 0)
        made = unit(x @ p["skip_weight"].T + inner @ p["outer_weight"].T + p["outer_bias"])
        made[~plain.any(axis=1)] = 0
        return made

    def save(self, path: Path) -> None:
        """Half precision: cosines move by less than 0.001."""
        from safetensors.numpy import save

        halves = {name: np.ascontiguousarray(self.parts[name], dtype=np.float16) for name in _PARTS}
        write_whole(path, save(halves, metadata=dict(self.made_for)))

    @classmethod
    def load(cls, path: Path, *, encoder: str | None = None) -> SemanticHead:
        """encoder: the version of the image encoder it will be given features of.

        Raises WeightsUnusable when the file is missing or damaged, or was made for another encoder.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise WeightsUnusable(
                "The semantic head is missing, so searching by words is off; fit it with benchmarks/train_concepts.py."
            )
        try:
            with safe_open(str(path), "np") as stored:
                made_for = dict(stored.metadata() or {})
                parts = {name: stored.get_tensor(name).astype(np.float32) for name in _PARTS}
        except (OSError, SafetensorError):
            raise WeightsUnusable(f"The semantic head {path.name} is damaged, so searching by words is off.") from None
        if encoder is not None and made_for.get("encoder") != encoder:
            raise WeightsUnusable(
                f"The semantic head was fitted on the encoder {made_for.get('encoder', '?')}, not on {encoder}, so "
                "searching by words is off; fit it again with benchmarks/train_concepts.py."
            )
        return cls(parts, made_for)


@dataclass(frozen=True)
class SemanticDescriptor:
    """The meaning of a mark, from the very pass of the encoder that `general` takes.

    whole: `general`; its encoder must be the one that `head` was made for, at the same side.
    """

    whole: VectorDescriptor
    head: SemanticHead
    name: str = NAME

    @property
    def version(self) -> str:
        """Everything that changes the vector, in words."""
        return f"{self.name}:{self.whole.encoder.version}:{self.whole.side}:{self.head.version}"

    @property
    def reader(self) -> None:
        """It needs the pooled features only."""

    def vectors_of(self, seen: Seen) -> Vectors:
        """The contract of whole_pass.Companion."""
        return self.head.apply(seen.features)

    def describe(self, marks: Sequence[Normalised]) -> list[Vector | None]:
        """By itself: unit vectors (k,), None for a blank mark, which means nothing."""
        return WholePass(self.whole, (self,)).describe(marks)[self.name]

    @classmethod
    def load(cls, whole: VectorDescriptor, path: Path) -> SemanticDescriptor:
        """Raises WeightsUnusable when the head is missing or was made for another encoder or side."""
        head = SemanticHead.load(path, encoder=whole.encoder.version)
        if head.made_for.get("side") != str(whole.side):
            raise WeightsUnusable(
                f"The semantic head was fitted at {head.made_for.get('side', '?')} px, not at {whole.side} px, so "
                "searching by words is off; fit it again with benchmarks/train_concepts.py."
            )
        return cls(whole, head)
