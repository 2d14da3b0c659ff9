"""Counting who outranks whom for many weight vectors at once. Pure; used by tuning.objective.

Eq 1 is linear in W, so x scores at least as high as r exactly when (x - r) @ W >= 0. While tuning, W stays
in a small region (a box around the live weights, cut with the simplex), a polytope with few corners; a
linear function takes its extremes at corners. So most comparisons are settled once for the whole region,
and only the undecided differences are multiplied with each candidate.

Where descriptors are missing, Eq 1 divides by the sum of the weights present: scores of rows with different
gaps are compared by cross-multiplication, which is linear in the products W_i W_j: a second list of the same kind.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Floats", "Region", "Segments", "project", "scores", "split", "weighed"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EPSILON = 1e-6  # single precision: closer than this is left undecided and computed
_HAIR = 2e-7
_CHUNK = 8192  # comparisons multiplied at a time: the product stays in the processor's cache


class Region:
    """{W : W >= 0, sum W = 1, |W_n - centre_n| <= radius}: where candidates may lie."""

    def __init__(self, centre: ArrayLike, radius: float) -> None:
        """centre: (n,) weights that sum to 1; radius >= 0 (1 or more is the whole simplex)."""
        self.centre = np.asarray(centre, dtype=np.float64)
        self.radius = float(radius)
        w = self.centre
        if w.ndim != 1 or w.size == 0 or (w < 0).any() or abs(w.sum() - 1) > 1e-6 or not self.radius >= 0:
            raise ValueError("A region needs weights of at least 0 that sum to 1, and a radius of at least 0.")
        self.low = np.maximum(0.0, w - self.radius)
        self.high = np.minimum(1.0, w + self.radius)
        self.corners = _corners(self.low, self.high)

    @classmethod
    def simplex(cls, n: int) -> Region:
        """All weight vectors of n descriptors."""
        return cls(np.full(n, 1.0 / n), 1.0)

    def check(self, weights: ArrayLike) -> Floats:
        """weights as (c, n) float64; raises ValueError when one lies outside the region."""
        w = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        if w.shape[1] != self.centre.size:
            raise ValueError(f"{w.shape[1]} weights were given for {self.centre.size} descriptors.")
        outside = (w < self.low - 1e-6).any() or (w > self.high + 1e-6).any()
        if outside or (np.abs(w.sum(axis=1) - 1) > 1e-6).any():
            raise ValueError("A candidate lies outside the region that was prepared.")
        return w


def project(points: ArrayLike, region: Region) -> Floats:
    """Nearest points (Euclidean) of the region to (c, n) points: clip(p - t) with t so that the sum is 1."""
    p = np.atleast_2d(np.asarray(points, dtype=np.float64))
    # The sum falls as t grows, and is linear between the t at which a coordinate leaves or meets a side of the box.
    bends = np.sort(np.concatenate([p - region.high, p - region.low], axis=1), axis=1)
    sums = np.clip(p[:, None, :] - bends[:, :, None], region.low, region.high).sum(axis=2)
    right = np.clip((sums > 1.0).sum(axis=1), 1, bends.shape[1] - 1)
    rows = np.arange(len(p))
    t0, t1, s0, s1 = bends[rows, right - 1], bends[rows, right], sums[rows, right - 1], sums[rows, right]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(s0 > s1, np.clip((s0 - 1.0) / (s0 - s1), 0.0, 1.0), 0.0)
    w = np.clip(p - (t0 + share * (t1 - t0))[:, None], region.low, region.high)
    return np.asarray(w / w.sum(axis=1, keepdims=True), dtype=np.float64)


def scores(similarities: ArrayLike, weights: ArrayLike) -> Floats:
    """Eq 1 for (m, n) similarities and (n,) weights: (m,), and -1 where no weighed descriptor is present.

    The same formula as search.retrieval.fusion.fuse, in double precision and with a rank for such rows.
    """
    return weighed(*split(similarities), np.asarray(weights, dtype=np.float64))


def weighed(values: NDArray[np.floating], present: NDArray[np.floating], weights: NDArray[np.floating]) -> Floats:
    """`scores` of similarities that are split already, for (n,) weights: (m,), or for (n, c): (m, c)."""
    total = present @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, (values @ weights) / total, -1.0), dtype=np.float64)


def split(similarities: ArrayLike) -> tuple[Floats, Floats]:
    """(..., n) similarities -> values clipped at 0 with gaps as 0, and 1/0 for present/missing."""
    s = np.asarray(similarities, dtype=np.float64)
    present = ~np.isnan(s)
    return np.where(present, np.maximum(s, 0.0), 0.0), present.astype(np.float64)


def bounds(values: Floats, present: Floats, region: Region) -> tuple[Floats, Floats]:
    """Lowest and highest score of each of (m, n) rows over the region; never too narrow."""
    total = region.corners @ present.T  # (corners, m): minima along the first axis are the quick ones
    safe = total.min(axis=0) > 1e-9
    with np.errstate(invalid="ignore", divide="ignore"):
        at = (region.corners @ values.T) / total
    low, high = at.min(axis=0), at.max(axis=0)
    if not safe.all():
        # A quotient of linear functions is extreme at corners; where the divisor can vanish, the row may have
        # no score (-1) and may reach its best single similarity.
        low, high = np.where(safe, low, -1.0), np.where(safe, high, values.max(axis=1))
    return low, high


def products(weights: ArrayLike) -> Floats:
    """(c, n) weights -> (c, n (n + 1) / 2) products W_i W_j, i <= j: what comparisons across gaps are linear in."""
    w = np.asarray(weights, dtype=np.float64)
    i, j = np.triu_indices(w.shape[1])
    return np.asarray(w[:, i] * w[:, j])


def across_gaps(x: Floats, x_present: Floats, r: Floats, r_present: Floats) -> Floats:
    """(m, n) rows each against a row with other gaps: (m, n (n + 1) / 2) coefficients of `products`.

    s_x >= s_r means (x W) (r_present W) - (r W) (x_present W) >= 0; a hair is added, so that what is equal but for
    rounding counts as equal.
    """
    i, j = np.triu_indices(x.shape[1])
    off = i != j
    found = x[:, i] * r_present[:, j] - r[:, i] * x_present[:, j]
    found[:, off] += x[:, j[off]] * r_present[:, i[off]] - r[:, j[off]] * x_present[:, i[off]]
    return np.asarray(found + _HAIR * np.where(off, 2.0, 1.0))


@dataclass(frozen=True)
class _Weightless:
    """Comparisons in which some W leaves x without any weight: x ranks last there, but its product is 0."""

    x_present: Floats
    r_present: Floats
    segment: NDArray[np.intp]

    def wrongly_held(self, w: Floats, segments: int) -> NDArray[np.int32] | None:
        """(c, segments) comparisons to take off again; None where no candidate leaves any x without weight."""
        lacks = self.x_present @ w.T <= 0
        if not lacks.any():
            return None
        lacks &= self.r_present @ w.T > 0
        found = np.zeros((len(w), segments), dtype=np.int32)
        for c in np.flatnonzero(lacks.any(axis=0)):
            found[c] = np.bincount(self.segment[lacks[:, c]], minlength=segments)
        return found


class _Packed:
    """Many comparisons "coefficients times factors >= 0", counted by segment as bits."""

    def __init__(self, segments: list[NDArray[np.float32]], width: int) -> None:
        """segments: (m, width) coefficients each. They lie as (width, p), padded to whole bytes with "never"."""
        sizes = np.array([len(d) for d in segments], dtype=np.intp)
        self.owners = np.flatnonzero(sizes)
        padded = -(-sizes // 8) * 8
        starts = np.concatenate([[0], np.cumsum(padded)])[:-1].astype(np.intp)
        self._coefficients = np.full((width, int(padded.sum())), -1.0, dtype=np.float32)
        for i in self.owners:
            self._coefficients[:, starts[i] : starts[i] + sizes[i]] = segments[i].T
        self._starts = starts[self.owners] // 8

    def count(self, factors: ArrayLike) -> NDArray[np.int32]:
        """(c, width) factors of at least 0 that are not all 0 -> (c, owners) counts."""
        f = np.ascontiguousarray(factors, dtype=np.float32)
        width = self._coefficients.shape[1]
        if not width:
            return np.zeros((len(f), 0), dtype=np.int32)
        bits = np.empty((len(f), width // 8), dtype=np.uint8)
        for at in range(0, width, _CHUNK):
            part = f @ self._coefficients[:, at : at + _CHUNK] >= 0
            bits[:, at // 8 : (at + _CHUNK) // 8] = np.bitwise_count(np.packbits(part, axis=1))
        return np.asarray(np.add.reduceat(bits, self._starts, axis=1, dtype=np.int32))


class Segments:
    """Comparisons in segments: `count` says how many of each segment's x score at least as high as its r.

    Add segments with `add`, then call `count` as often as wanted.
    """

    def __init__(self, region: Region, stop: int | None = None) -> None:
        """stop: a segment whose settled count reaches it is not looked at further (its count is enough)."""
        self.region = region
        self.stop = stop
        self._base: list[int] = []
        self._linear: list[NDArray[np.float32]] = []
        self._across: list[NDArray[np.float32]] = []
        self._weightless: list[tuple[Floats, Floats, NDArray[np.intp]]] = []
        self._ready: tuple[_Packed, _Packed, _Weightless] | None = None

    @property
    def undecided(self) -> int:
        """Comparisons that depend on the candidate."""
        return sum(len(part) for part in (*self._linear, *self._across))

    def add(
        self,
        x: Floats,
        x_present: Floats,
        r: Floats,
        r_present: Floats,
        *,
        owner: NDArray[np.intp],
        known: NDArray[np.intp],
    ) -> None:
        """len(known) further segments from (p, n) pairs of rows x and r, as `split` gives them.

        owner: (p,) which of the new segments a pair belongs to, ascending. known: rows beyond x that are known to score
        at least as high as r for every candidate.
        """
        count = len(known)
        always, linear, mixed = settle(x, x_present, r, r_present, self.region)
        base = known + np.bincount(owner[always], minlength=count)
        if self.stop is not None:
            wanted = (base < self.stop)[owner]
            linear, mixed = linear & wanted, mixed & wanted
        across = across_gaps(x[mixed], x_present[mixed], r[mixed], r_present[mixed])
        weightless = mixed & ((self.region.corners @ x_present.T).min(axis=0) <= 1e-9)
        first = len(self._base)
        self._base += base.tolist()
        self._linear += _parts((x[linear] - r[linear]).astype(np.float32), owner[linear], count)
        self._across += _parts(across.astype(np.float32), owner[mixed], count)
        self._weightless.append((x_present[weightless], r_present[weightless], owner[weightless] + first))
        self._ready = None

    def count(self, weights: Floats) -> NDArray[np.int32]:
        """(c, n) weights inside the region -> (c, segments) counts."""
        if self._ready is None:
            self._ready = self._prepare()
        linear, across, weightless = self._ready
        counts = np.tile(np.array(self._base, dtype=np.int32), (len(weights), 1))
        counts[:, linear.owners] += linear.count(weights)
        counts[:, across.owners] += across.count(products(weights))
        wrong = weightless.wrongly_held(weights, len(self._base))
        return counts if wrong is None else counts - wrong

    def _prepare(self) -> tuple[_Packed, _Packed, _Weightless]:
        n = self.region.centre.size
        none = (np.zeros((0, n)), np.zeros((0, n)), np.zeros(0, dtype=np.intp))
        x, r, owner = (np.concatenate([none[i], *(part[i] for part in self._weightless)]) for i in range(3))
        return _Packed(self._linear, n), _Packed(self._across, n * (n + 1) // 2), _Weightless(x, r, owner)


def _parts(rows: NDArray[np.float32], owner: NDArray[np.intp], count: int) -> list[NDArray[np.float32]]:
    """Rows of each of `count` owners; owner is ascending."""
    return np.split(rows, np.searchsorted(owner, np.arange(1, count))) if count else []


def settle(x: Floats, x_present: Floats, r: Floats, r_present: Floats, region: Region) -> tuple[Bools, Bools, Bools]:
    """Compare (m, n) rows x with r (m, n) over the region: three (m,) masks.

    always: x >= r for every W. linear / mixed: undecided, with the same gaps as r or with others.
    The remaining rows never reach r.
    """
    same = (x_present == r_present).all(axis=1)
    if same.all():
        always, open_ = _settle_alike(x - r, region)
        return always, open_, np.zeros(len(x), dtype=bool)
    always, open_ = np.empty(len(x), dtype=bool), np.empty(len(x), dtype=bool)
    always[same], open_[same] = _settle_alike(x[same] - r[same], region)
    other = ~same
    x_low, x_high = bounds(x[other], x_present[other], region)
    r_low, r_high = bounds(r[other], r_present[other], region)
    always[other] = x_low > r_high + EPSILON
    open_[other] = ~always[other] & (x_high >= r_low - EPSILON)
    return always, open_ & same, open_ & other


def _settle_alike(difference: Floats, region: Region) -> tuple[Bools, Bools]:
    """Which of (m, n) differences of rows with the same gaps are at least 0 for every W, and which are undecided."""
    at_corners = region.corners @ difference.T
    always = (difference.min(axis=1, initial=np.inf) >= 0) | (at_corners.min(axis=0) > EPSILON)
    return always, ~always & (at_corners.max(axis=0) >= -EPSILON)


def _corners(low: Floats, high: Floats) -> Floats:
    """Corners of box and simplex: all coordinates but one lie on a side of the box."""
    n = low.size
    found = []
    for free in range(n):
        others = [i for i in range(n) if i != free]
        for sides in itertools.product((0, 1), repeat=n - 1):
            w = np.empty(n)
            w[others] = [high[i] if side else low[i] for i, side in zip(others, sides, strict=True)]
            w[free] = 1.0 - w[others].sum()
            if low[free] - 1e-9 <= w[free] <= high[free] + 1e-9:
                found.append(np.clip(w, 0.0, 1.0))
    return np.unique(np.round(np.array(found), 12), axis=0)
