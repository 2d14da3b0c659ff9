"""Chance that can be repeated: the same seed and purpose always fall the same way, on every machine."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["chance", "generator"]


def chance(seed: int | str, purpose: str) -> float:
    """A number in [0, 1), uniform over seeds and independent between purposes."""
    return int.from_bytes(_digest(seed, purpose)[:7], "big") / 2**56  # 56 bits: never rounded up to 1


def generator(seed: int | str, purpose: str) -> np.random.Generator:
    """A generator of one's own per seed and purpose."""
    return np.random.default_rng(int.from_bytes(_digest(seed, purpose)[:16], "big"))


def _digest(seed: int | str, purpose: str) -> bytes:
    return hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
