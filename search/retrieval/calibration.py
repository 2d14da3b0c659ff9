"""Raw cosines to percentages that mean the same for every descriptor and in every cluster (design section 1).

Per descriptor n, with s = max(0, cosine) and the logistic function L:

    g(s) = (L(a s + b) - L(b)) / (L(a + b) - L(b)),      calibrated = (1 - e) g(s) + e s

so that 0 -> 0, 1 -> 1 and the map is strictly increasing even where the logistic is flat. a and b come from a
logistic regression on pairs of training marks: of the same family, or not but near enough to be listed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search.retrieval.descriptors import DESCRIPTORS

SHIPPED = Path(__file__).parent / "weights" / "calibration.json"
_LINEAR_SHARE = 0.1
"""e: the share of the map that is the cosine itself, which keeps the order where the logistic saturates."""
_MIN_PAIRS = 20
_RELATIVE_WEIGHT = 8.0
"""How much more a pair of relatives counts than a pair of strangers. It sets where 50 % lies: with 8, the best mean F1
and F2 of the pre-selections among 2,963 training marks lie at 60 and 57 %, and the ranking is as good as with any other
weight (benchmarks/fit_descriptors.py)."""


@dataclass(frozen=True)
class Calibration:
    """One map per descriptor; a name without one is the identity.

    slopes: name -> a > 0. offsets: name -> b. made_for: the descriptors' version it was fitted on.
    """

    slopes: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    made_for: str = ""

    def __post_init__(self) -> None:
        if set(self.slopes) != set(self.offsets):
            raise ValueError("A calibration needs a slope and an offset for the same descriptors.")
        for name, slope in self.slopes.items():
            if not (np.isfinite(slope) and slope > 0 and np.isfinite(self.offsets[name])):
                raise ValueError(f"The calibration of {name} is not increasing (slope {slope}).")

    @cached_property
    def version(self) -> str:
        content = json.dumps(self._content(), sort_keys=True)
        return "c" + hashlib.sha256(content.encode()).hexdigest()[:12]

    def apply(self, sims: ArrayLike) -> NDArray[np.float32]:
        """(..., n) raw cosines in the order of DESCRIPTORS -> (..., n) in 0..1; NaN stays NaN."""
        raw = np.asarray(sims, dtype=np.float64)
        if raw.shape[-1] != len(DESCRIPTORS):
            raise ValueError(f"{raw.shape[-1]} similarities given, {len(DESCRIPTORS)} descriptors known.")
        clipped = np.clip(raw, 0.0, 1.0)
        out = np.empty_like(clipped)
        for axis, name in enumerate(DESCRIPTORS):
            out[..., axis] = self._map(name, clipped[..., axis])
        return np.asarray(out, dtype=np.float32)

    def _map(self, name: str, s: NDArray[np.float64]) -> NDArray[np.float64]:
        if name not in self.slopes:
            return s
        a, b = self.slopes[name], self.offsets[name]
        low, high = _logistic(np.float64(b)), _logistic(np.float64(a + b))
        logistic = (_logistic(a * s + b) - low) / (high - low)
        return np.asarray((1 - _LINEAR_SHARE) * logistic + _LINEAR_SHARE * s, dtype=np.float64)

    @classmethod
    def fit(cls, sims: ArrayLike, same: ArrayLike, *, made_for: str = "") -> Calibration:
        """Fit on pairs. sims: (p, n) raw cosines in the order of DESCRIPTORS, NaN = missing; same: (p,) bool.

        A descriptor with too few pairs of either kind, or that does not tell them apart, keeps the identity.
        """
        from sklearn.linear_model import LogisticRegression

        x = np.clip(np.asarray(sims, dtype=np.float64), 0, 1)
        y = np.asarray(same, dtype=bool)
        slopes: dict[str, float] = {}
        offsets: dict[str, float] = {}
        for axis, name in enumerate(DESCRIPTORS):
            has = ~np.isnan(x[:, axis])
            kinds = np.bincount(y[has].astype(int), minlength=2)
            if kinds.min() < _MIN_PAIRS:
                continue
            weight = {True: _RELATIVE_WEIGHT, False: 1.0}
            model = LogisticRegression(C=1e6, max_iter=1000, class_weight=weight).fit(x[has, axis, None], y[has])
            slope = float(model.coef_[0, 0])
            if slope > 0:
                slopes[name] = round(slope, 6)
                offsets[name] = round(float(model.intercept_[0]), 6)
        return cls(slopes, offsets, made_for)

    def _content(self) -> dict[str, Any]:
        return {
            "maps": {name: {"slope": self.slopes[name], "offset": self.offsets[name]} for name in self.slopes},
            "linear_share": _LINEAR_SHARE,
            "made_for": self.made_for,
        }

    def to_json(self) -> dict[str, Any]:
        return {**self._content(), "version": self.version}

    @classmethod
    def from_json(cls, data: Any) -> Calibration:
        """Inverse of `to_json`; ValueError with a sentence on anything else, or when the version lies."""
        try:
            maps = data["maps"]
            made = cls(
                {name: float(values["slope"]) for name, values in maps.items()},
                {name: float(values["offset"]) for name, values in maps.items()},
                str(data.get("made_for", "")),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"This is not a calibration: {error!r}.") from None
        if data.get("version", made.version) != made.version:
            raise ValueError("The calibration does not match its version; it was edited or comes from other code.")
        return made

    @classmethod
    def shipped(cls) -> Calibration:
        """The calibration fitted on the training families that ships with the project."""
        return cls.load(SHIPPED)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Raises OSError or ValueError."""
        return cls.from_json(json.loads(path.read_text("utf-8")))


def _logistic(x: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)), dtype=np.float64)
