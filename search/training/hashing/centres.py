"""Hash centres: one code for each family, far from all others, that its marks are drawn to (thesis 000; CSQ)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["aligned_centres", "hadamard", "hash_centres", "least_distance", "separation"]

Centres = NDArray[np.int8]
"""(c, K) of -1 and 1."""
_PATIENCE = 20_000
"""Codes drawn in vain before the distance asked for is lowered by one."""


def hadamard(bits: int) -> Centres:
    """Sylvester's matrix (K, K): rows differ from each other in exactly K/2 places. ValueError unless K = 2^m."""
    if bits < 1 or bits & (bits - 1):
        raise ValueError(f"There is no Sylvester matrix of {bits} rows: the bits must be a power of two.")
    found = np.ones((1, 1), np.int8)
    while len(found) < bits:
        found = np.block([[found, found], [found, -found]])
    return found


def hash_centres(count: int, bits: int, *, seed: int = 0) -> Centres:
    """Centres (count, bits): the first rows of [H; -H] while there are enough (count <= 2K, K = 2^m), else coin flips
    of which one too near to another is drawn again.

    More than 2K codes cannot all be K/2 apart (Plotkin's bound), so with thousands of families the distance is what
    coin flips allow (`least_distance`): 64 bits and 12,000 families leave 15 or 16 instead of 32.
    """
    if count <= 2 * bits and not bits & (bits - 1):
        both = np.concatenate([hadamard(bits), -hadamard(bits)])
        return np.asarray(both[:count], dtype=np.int8)
    rng = np.random.default_rng(seed)
    least = least_distance(count, bits)
    kept = _Codes(count, bits)
    vain = 0
    while kept.count < count:
        code = np.packbits(rng.integers(0, 2, bits, dtype=np.uint8))
        if kept.nearest(code) >= least:
            kept.add(code)
            vain = 0
        else:
            vain += 1
        if vain > _PATIENCE:
            least, vain = least - 1, 0
    return kept.signs()


def aligned_centres(means: NDArray[np.floating], *, seed: int = 0) -> Centres:
    """Centres (c, K) that keep what is known of look-alike families: the signs of `means` (c, K), each family's mean
    in the space of an unsupervised code (ITQ), with noise added until it differs enough from those before.

    Not in the thesis. Coin flips throw resembling families as far apart as any two: a network can learn that of the
    families it sees, and it helps with none that it has not seen.
    """
    count, bits = means.shape
    rng = np.random.default_rng(seed)
    least = max(1, least_distance(count, bits) // 2)
    scale = float(np.abs(means).mean())
    kept = _Codes(count, bits)
    for row in means:
        tries = 0
        code = np.packbits(row > 0)
        while kept.nearest(code) < least:
            tries += 1
            code = np.packbits(row + 0.05 * tries * scale * rng.normal(size=bits) > 0)
        kept.add(code)
    return kept.signs()


def least_distance(count: int, bits: int) -> int:
    """The largest d for which a code drawn by coin flips lies within d of one of `count` others in at most half of
    all draws: count * P(Binomial(bits, 1/2) < d) <= 1/2."""
    below, total, d = 0, 2**bits, 0
    while d < bits and 2 * count * (below + math.comb(bits, d)) <= total:
        below += math.comb(bits, d)
        d += 1
    return d


def separation(centres: Centres) -> tuple[int, float]:
    """Smallest and mean Hamming distance between two of the centres."""
    inner = centres.astype(np.float32) @ centres.astype(np.float32).T
    off = (centres.shape[1] - inner[np.triu_indices(len(centres), 1)]) / 2
    return round(float(off.min())), float(off.mean())


class _Codes:
    """Packed codes, with room for `most`."""

    def __init__(self, most: int, bits: int) -> None:
        self.bits, self.count = bits, 0
        self._rows = np.zeros((most, -(-bits // 8)), np.uint8)

    def add(self, code: NDArray[np.uint8]) -> None:
        self._rows[self.count] = code
        self.count += 1

    def nearest(self, code: NDArray[np.uint8]) -> int:
        """Hamming distance to the nearest code kept; the number of bits where there is none."""
        if not self.count:
            return self.bits
        return int(np.bitwise_count(self._rows[: self.count] ^ code).sum(axis=1, dtype=np.int64).min())

    def signs(self) -> Centres:
        """(count, bits) of -1 and 1."""
        bits = np.unpackbits(self._rows[: self.count], axis=1, count=self.bits)
        return np.asarray(2 * bits.astype(np.int8) - 1, dtype=np.int8)
