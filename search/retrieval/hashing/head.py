"""From stored vectors to bits: a linear map, or one with a hidden layer beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.retrieval.durable import write_whole
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.pooling import Vectors

__all__ = ["Codes", "HashHead"]

Codes = NDArray[np.uint8]
"""(n, bits / 8), bit i of a byte is bit 8 * byte + i of the code (least significant first, as FAISS reads them)."""

_PARTS = ("mean", "skip_weight", "bias", "inner_weight", "inner_bias", "outer_weight")


@dataclass(frozen=True)
class HashHead:
    """y = skip (x - mean) + outer relu(inner (x - mean) + b) + c;  bit i of the code is y_i > 0.

    name: e.g. "itq-64". parts: mean (d,); skip_weight (K, d); bias (K,); inner_weight (h, d); inner_bias (h,);
    outer_weight (K, h), float32; a linear head has h = 0. made_for: "encoder", "whitening" and "side" of the vectors.
    facts: further lines of its card.
    """

    name: str
    parts: Mapping[str, NDArray[np.float32]]
    made_for: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rounded = {part: _half(self.parts[part]) for part in _PARTS}
        object.__setattr__(self, "parts", rounded)
        if self.bits % 8:
            raise ValueError(f"A code is whole bytes; {self.bits} bits are not.")

    @property
    def bits(self) -> int:
        return len(self.parts["bias"])

    @property
    def dim(self) -> int:
        """Numbers of the vectors it takes."""
        return len(self.parts["mean"])

    @cached_property
    def version(self) -> str:
        """Changes with every number in it."""
        digest = hashlib.sha256(self.name.encode())
        for part in _PARTS:
            digest.update(self.parts[part].astype("<f4").tobytes())
        return digest.hexdigest()[:12]

    def values(self, vectors: NDArray[np.floating]) -> Vectors:
        """What the bits are the signs of. vectors: (n, d) or (d,) -> float32 (n, K). ValueError for another d."""
        x = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if x.shape[1] != self.dim:
            raise ValueError(f"The hash head {self.name} takes vectors of {self.dim} numbers, not of {x.shape[1]}.")
        p = self.parts
        x = x - p["mean"]
        out = x @ p["skip_weight"].T + p["bias"]
        if len(p["inner_bias"]):
            out += np.maximum(x @ p["inner_weight"].T + p["inner_bias"], 0) @ p["outer_weight"].T
        return np.asarray(out, dtype=np.float32)

    def codes(self, vectors: NDArray[np.floating]) -> Codes:
        """(n, d) or (d,) -> packed codes (n, K / 8)."""
        return np.packbits(self.values(vectors) > 0, axis=1, bitorder="little")

    def save(self, path: Path) -> str:
        """Write `path` (.safetensors, half precision) and its card `path` (.json); the file's SHA-256 (hex)."""
        from safetensors.numpy import save

        halves = {part: np.ascontiguousarray(self.parts[part], dtype=np.float16) for part in _PARTS}
        content = save(halves)
        sha = hashlib.sha256(content).hexdigest()
        card = {
            "name": self.name, "bits": self.bits, "sha256": sha, "bytes": len(content),
            "made_for": dict(self.made_for), **self.facts,
        }  # fmt: skip
        # The card last: weights without their card are refused, a card without its weights as well.
        write_whole(path, content)
        write_whole(path.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
        return sha

    @classmethod
    def load(cls, path: Path) -> HashHead:
        """Raises WeightsUnusable with a sentence for files that are missing, damaged or not those of the card."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        card = _card(path)
        try:
            content = path.read_bytes()
        except OSError:
            raise WeightsUnusable(f"The hash head {path.name} is missing; {_TRAIN}") from None
        found = hashlib.sha256(content).hexdigest()
        if found != card["sha256"]:
            raise WeightsUnusable(f"The hash head {path.name} is not the one of its card ({found[:12]}); {_TRAIN}")
        try:
            stored = load(content)
            parts = {part: stored[part].astype(np.float32) for part in _PARTS}
        except (SafetensorError, KeyError) as error:
            raise WeightsUnusable(f"The hash head {path.name} is damaged ({error}); {_TRAIN}") from None
        known = {"name", "bits", "sha256", "bytes", "made_for"}
        facts = {key: value for key, value in card.items() if key not in known}
        return cls(str(card["name"]), parts, {str(k): str(v) for k, v in card["made_for"].items()}, facts)


_TRAIN = "make it with `manage.py train_hash --write`."


def _card(path: Path) -> Mapping[str, Any]:
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text("utf-8"))
        if not {"name", "sha256", "made_for"} <= card.keys():
            raise ValueError
    except OSError:
        raise WeightsUnusable(f"The hash head's card {card_path.name} is missing; {_TRAIN}") from None
    except (ValueError, AttributeError):
        raise WeightsUnusable(f"The hash head's card {card_path.name} is damaged; {_TRAIN}") from None
    found: Mapping[str, Any] = card
    return found


def _half(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """As it will be stored: a head gives the same bits before and after saving."""
    return np.asarray(values, dtype=np.float16).astype(np.float32)
