"""How likely an examiner is to look at a place of the grid, estimated from audit slots. Pure.

Audit marks stand at random places (search/retrieval/audit.py), so the marks at one place are as good as those at
another, and the rate at which they are selected there is proportional to the chance that the place is looked at:

    P(selected | row) = r * p(row),   p(0) = 1,   r the unknown share of audit marks worth selecting

Randomised places instead of click models: Joachims, Swaminathan and Schnabel, "Unbiased learning-to-rank with biased
feedback", WSDM 2017. The decay p(row) = (1 + row)^-eta is theirs too, per row instead of per rank, since a grid is
read row by row. Each row's own rate is pulled toward that curve as by a Beta prior, then made non-increasing.

Within one search audit slots lie below the cut only. Where searches with a long pre-selection also have
better marks far down, the decay is underestimated; it is never made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["COLUMNS", "FEWEST_CHANGES", "FLOOR", "ROWS", "PropensityModel", "estimate"]

Floats = NDArray[np.float64]

COLUMNS = 4  # marks in a row of the results grid on a desktop
ROWS = 12  # rows told apart: two pages of 24; what lies farther counts as the last
FLOOR = 0.1  # no place is taken to be looked at more rarely, so that no single row dominates
FEWEST_CHANGES = 30  # with fewer selected audit marks nothing can be said
_ETAS = np.linspace(0.0, 3.0, 301)
_RATES = 200


@dataclass(frozen=True)
class PropensityModel:
    """rows: p per row of the grid, non-increasing, the first 1; columns: places in a row. changes: selected audit
    marks behind it; 0 for a flat model. eta: of the fitted decay."""

    rows: tuple[float, ...] = (1.0,)
    columns: int = COLUMNS
    changes: int = 0
    eta: float = 0.0

    def __post_init__(self) -> None:
        p = self.rows
        if self.columns < 1 or not p or not all(0.0 < v <= 1.0 for v in p):
            raise ValueError("A propensity needs at least one column and a value above 0 and up to 1 per row.")
        if any(b > a for a, b in pairwise(p)):
            raise ValueError("A row further down is never looked at more often than one above it.")

    @classmethod
    def flat(cls) -> PropensityModel:
        """Every place is looked at: what holds until audits say otherwise."""
        return cls()

    @property
    def is_flat(self) -> bool:
        return min(self.rows) == 1.0

    def at(self, positions: ArrayLike) -> Floats:
        """(m,) chance that each place is looked at; positions count from 0 in the order of display."""
        places = np.asarray(positions, dtype=np.int64)
        if places.size and places.min() < 0:
            raise ValueError("Places of the list count from 0.")
        table = np.array(self.rows)
        return np.asarray(table[np.minimum(places // self.columns, len(table) - 1)], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        return {"rows": list(self.rows), "columns": self.columns, "changes": self.changes, "eta": self.eta}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PropensityModel:
        """Inverse of `to_json`."""
        return cls(tuple(map(float, data["rows"])), int(data["columns"]), int(data["changes"]), float(data["eta"]))


def estimate(
    positions: ArrayLike,
    changed: ArrayLike,
    shown: ArrayLike,
    *,
    columns: int = COLUMNS,
    rows: int = ROWS,
    prior_strength: float = 30.0,
    floor: float = FLOOR,
    fewest: int = FEWEST_CHANGES,
) -> PropensityModel:
    """The model that explains these audit slots best.

    positions: (k,) places from 0. changed: (k,) whether the examiner changed the mark there. shown: (k,) whether its
    page was reached; a slot that was not shown says nothing. changed and shown may also be counts per place.
    prior_strength: selected marks' worth of evidence that all rows are looked at alike, and again that they follow
    the curve. Fewer than `fewest` changed slots give the flat model.
    """
    places = np.asarray(positions, dtype=np.int64)
    hits, tries = np.asarray(changed, dtype=np.float64), np.asarray(shown, dtype=np.float64)
    if places.ndim != 1 or not places.shape == hits.shape == tries.shape:
        raise ValueError("Each audit slot needs a place, whether it was changed and whether it was shown.")
    if columns < 1 or rows < 1 or not prior_strength > 0 or not 0.0 < floor <= 1.0:
        raise ValueError(
            "Columns, rows and the strength of the prior are positive; the floor lies above 0 and up to 1."
        )
    if places.size and places.min() < 0:
        raise ValueError("Places of the list count from 0.")
    row = np.minimum(places // columns, rows - 1)
    tries = np.maximum(tries, hits)  # who changed a mark has seen it
    k, n = (np.bincount(row, v, rows).astype(np.float64) for v in (hits, tries))
    if k.sum() < fewest:
        return PropensityModel.flat()
    rate, eta = _fit(k, n, prior_strength)
    curve = rate * (1.0 + np.arange(rows, dtype=np.float64)) ** -eta
    # Beta(strength * curve / rate, ...): as heavy as `prior_strength` selected marks at the top.
    weight = prior_strength / rate
    heavy = np.asarray(n + weight, dtype=np.float64)
    smooth = _falling(np.asarray((k + weight * curve) / heavy, dtype=np.float64), heavy)
    # One row has few marks, so the curve's top measures the others; unless it overshoots what the first row shows.
    p = np.clip(smooth / min(rate, smooth[0]), floor, 1.0)
    p[0] = 1.0
    return PropensityModel(tuple(float(v) for v in p), columns, int(k.sum()), float(eta))


def _fit(k: Floats, n: Floats, strength: float) -> tuple[float, float]:
    """(r, eta) of greatest likelihood, on a grid; with `strength` selected marks spread as if all rows were alike."""
    pooled = k.sum() / n.sum()
    k = k + strength / len(k)
    n = n + strength / len(k) / pooled
    decay = (1.0 + np.arange(len(k)))[None, :] ** -_ETAS[:, None]
    rates = np.geomspace(min(pooled, 0.5) / 2, 1.0, _RATES)
    p = np.minimum(rates[:, None, None] * decay[None], 1.0 - 1e-9)
    likelihood = (k * np.log(p) + (n - k) * np.log1p(-p)).sum(axis=2)
    best = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    return float(rates[best[0]]), float(_ETAS[best[1]])


def _falling(values: Floats, weights: Floats) -> Floats:
    """The closest non-increasing values, by weighted least squares."""
    from scipy.optimize import isotonic_regression

    fitted: Floats = isotonic_regression(values, weights=weights, increasing=False).x
    return np.minimum.accumulate(fitted)  # equal blocks may differ in the last bit
