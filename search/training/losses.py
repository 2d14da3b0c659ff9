"""The loss of Hu et al. section 3.3-3.4: InfoNCE on hard negatives, CO2 and KoLeo, batched and in float32.

Throughout: q, k (n, d) unit vectors of the queries and of their positive keys, negatives (m, d) unit vectors of the
queue. Keys and negatives carry no gradient. Autocast is off inside: a threshold and an exponential want float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

THRESHOLD = 0.4
"""Hu et al. section 3.4: negatives below this cosine are left out."""
TOO_NEAR = 0.9
"""A negative above this cosine may well be a mark of the same family (a false negative)."""
_OUT = -1e9  # a logit that weighs nothing; finite, so that 0 times it is 0


class InfoNCE(NamedTuple):
    """The loss, a boolean mask (n, m) of the negatives kept, and two figures about them."""

    loss: Tensor
    kept: Tensor
    kept_mean: Tensor
    """Mean number of negatives kept for a query."""
    kept_near: Tensor
    """Share of the kept ones above cosine 0.9."""


def hard_negatives(cosines: Tensor, threshold: float | None = THRESHOLD) -> Tensor:
    """Mask (n, m) of the negatives to keep: cosine >= threshold; where there is none, the hardest one.

    None keeps all of them, as plain MoCo does.
    """
    if threshold is None:
        return torch.ones_like(cosines, dtype=torch.bool)
    kept = cosines >= threshold
    hardest = torch.zeros_like(kept).scatter_(1, cosines.argmax(1, keepdim=True), True)
    return torch.where(kept.any(1, keepdim=True), kept, hardest)


def info_nce(
    q: Tensor, k: Tensor, negatives: Tensor, *, temperature: float = 0.2, threshold: float | None = THRESHOLD
) -> InfoNCE:
    """-log( e^{q.k/t} / (e^{q.k/t} + sum_{i in H} e^{q.n_i/t}) ), mean over queries (Hu et al. Eq 2, H of section 3.4).

    The temperature is not stated in the paper; 0.2 is MoCo v2's.
    """
    with torch.autocast(q.device.type, enabled=False):
        q, k, negatives = q.float(), k.detach().float(), negatives.detach().float()
        cosines = q @ negatives.T
        kept = hard_negatives(cosines.detach(), threshold)
        positive = (q * k).sum(1, keepdim=True) / temperature
        logits = torch.cat([positive, (cosines / temperature).masked_fill(~kept, _OUT)], dim=1)
        loss = (torch.logsumexp(logits, 1) - positive.squeeze(1)).mean()
        number = kept.sum()
        near = (kept & (cosines.detach() > TOO_NEAR)).sum()
    return InfoNCE(loss, kept, number / len(q), near / number)


def co2(q: Tensor, k: Tensor, negatives: Tensor, *, kept: Tensor | None = None, temperature: float = 0.05) -> Tensor:
    """1/2 (KL(P||Q) + KL(Q||P)), mean over queries: P, Q softmaxes of k and q over the negatives (Hu et al. Eq 3-4).

    kept: mask (n, m); a query with fewer than two kept negatives uses all of them (a softmax over one says nothing).
    The temperature is not stated in the paper.
    """
    with torch.autocast(q.device.type, enabled=False):
        q, k, negatives = q.float(), k.detach().float(), negatives.detach().float()
        log_q, log_p = q @ negatives.T / temperature, k @ negatives.T / temperature
        if kept is not None:
            out = ~kept & (kept.sum(1, keepdim=True) >= 2)
            log_q, log_p = log_q.masked_fill(out, _OUT), log_p.masked_fill(out, _OUT)
        log_q, log_p = log_q.log_softmax(1), log_p.log_softmax(1)
        # KL(P||Q) + KL(Q||P) = sum (p - q) (log p - log q)
        return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1).mean()


def koleo(q: Tensor, *, eps: float = 1e-8) -> Tensor:
    """-mean log of the distance to the nearest other sample of the batch (Hu et al. Eq 5; Sablayrolles et al., 2019).

    As in DINOv2: in float32, the neighbour found without gradient, eps within the distance and the logarithm.
    """
    if len(q) < 2:
        raise ValueError("KoLeo needs at least two samples")
    with torch.autocast(q.device.type, enabled=False):
        q = torch.nn.functional.normalize(q.float(), eps=eps)
        with torch.no_grad():
            nearest = (q @ q.T).fill_diagonal_(-2.0).argmax(1)
        distance = torch.nn.functional.pairwise_distance(q, q[nearest], p=2.0, eps=eps)
        return -torch.log(distance + eps).mean()
