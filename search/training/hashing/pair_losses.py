"""The loss of patent 001, read through IDHN (Zhang et al., TMM 2020, arXiv 1803.02987, and its public code).

u: (n, q) codes in (-1, 1), softsign of what the network gives; s: (n, n) percentages of similarity.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["PairLoss", "consistency", "pair_loss", "percentages", "softsign"]

ALPHA = 0.5
GAMMA = 0.1
LAMBDA = 0.1
_ALMOST = 0.01
"""s above 0.99 counts as 1 and below 0.01 as 0, as in the code."""


class PairLoss(NamedTuple):
    """The whole, and its parts as they stand in it."""

    loss: Tensor
    strong: Tensor
    weak: Tensor
    quantisation: Tensor
    consistency: Tensor


def softsign(raw: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return nn.functional.softsign(raw)


def percentages(labels: Tensor) -> Tensor:
    """s_ij = <l_i, l_j> / (|l_i| |l_j|) of label vectors (n, m), 0 where a mark has no label."""
    unit = nn.functional.normalize(labels.float(), dim=1)
    return (unit @ unit.T).clamp(0, 1)


def consistency(u: Tensor, features: Tensor) -> Tensor:
    """mean (cos(f_i, f_j) - <u_i, u_j> / q)^2 over pairs i != j: our reading of "feature consistency"."""
    unit = nn.functional.normalize(features, dim=1)
    off = ~torch.eye(len(u), dtype=torch.bool, device=u.device)
    return (unit @ unit.T - u @ u.T / u.shape[1])[off].square().mean()


def pair_loss(
    u: Tensor,
    s: Tensor,
    *,
    alpha: float = ALPHA,
    weak_alpha: float = ALPHA,
    gamma: float = GAMMA,
    quantisation: float = LAMBDA,
    even: bool = False,
    features: Tensor | None = None,
    consistent: float = 0.1,
) -> PairLoss:
    """Strong pairs (s 0 or 1): log(1 + e^W) - s W, W = alpha <u_i, u_j>. Weak ones: gamma (W' + q - 2 s q)^2 with
    W' = weak_alpha <u_i, u_j>. Mean over all pairs i != j. Plus quantisation * mean ||u| - 1|.

    weak_alpha: 0.5 is the code's; W' then spans (-q/2, q/2) and cannot reach its target for s < 1/4 or s > 3/4; with
    1 it can. even: of the strong pairs, those with s = 1 count together as much as those with s = 0, for data with
    thousands of families, where all but one pair in a hundred are strangers (not in the paper). features: (n, d) adds
    consistent * `consistency`.
    """
    q = u.shape[1]
    inner = u @ u.T
    off = ~torch.eye(len(u), dtype=torch.bool, device=u.device)
    same, strange = (s > 1 - _ALMOST) & off, (s < _ALMOST) & off
    weak = off & ~same & ~strange
    w = alpha * inner
    entropy = nn.functional.softplus(w) - s * w
    square = gamma * (weak_alpha * inner + q - 2 * s * q).square()
    pairs = off.sum()
    strong = same | strange
    share = strong.sum() / pairs
    strong_part = (
        share * (_mean(entropy, same) + _mean(entropy, strange)) / 2 if even else entropy[strong].sum() / pairs
    )
    weak_part = square[weak].sum() / pairs
    quantised = quantisation * (u.abs() - 1).abs().mean()
    consist = u.new_zeros(()) if features is None else consistent * consistency(u, features)
    return PairLoss(strong_part + weak_part + quantised + consist, strong_part, weak_part, quantised, consist)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over a mask; 0 where it is empty."""
    return values[where].sum() / where.sum().clamp(min=1)
