"""95 % intervals by drawing whole groups: queries of one group are alike, so they count together. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mean_interval", "median_interval"]

Interval = tuple[float, float]


def mean_interval(values: ArrayLike, groups: Sequence[Hashable], *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Percentile interval of the mean over queries. values: (q,), groups: (q,) labels."""
    v = np.asarray(values, dtype=np.float64)
    index, draws = _draw(v, groups, resamples, seed)
    sums = np.bincount(index, weights=v)
    means = (draws @ sums) / (draws @ np.bincount(index))
    return _interval(means)


def median_interval(values: ArrayLike, groups: Sequence[Hashable], *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Percentile interval of the (lower) median of values; each value with the label of its group."""
    v = np.asarray(values, dtype=np.float64)
    index, draws = _draw(v, groups, resamples, seed)
    order = np.argsort(v, kind="stable")
    medians = []
    for part in np.array_split(draws, max(1, resamples * v.size // 4_000_000)):
        # How often each value is drawn, in ascending order; the median is where half of them are passed.
        passed = np.cumsum(part[:, index[order]], axis=1)
        middle = (passed * 2 >= passed[:, -1:]).argmax(axis=1)
        medians.append(v[order][middle])
    return _interval(np.concatenate(medians))


def _draw(
    values: NDArray[np.float64], groups: Sequence[Hashable], resamples: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Group index of each value, and (resamples, groups) how often each group is drawn."""
    if values.ndim != 1 or values.size == 0 or values.size != len(groups):
        raise ValueError("A bootstrap needs one group for each value, and at least one value.")
    names = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    index = np.array([names[g] for g in groups], dtype=np.intp)
    share = np.full(len(names), 1.0 / len(names))
    return index, np.random.default_rng(seed).multinomial(len(names), share, size=resamples)


def _interval(samples: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)
