"""Capsules: groups of numbers whose length says that something is there and whose direction says how (thesis 000).

Sabour, Frosst & Hinton, "Dynamic routing between capsules" (NIPS 2017): squash (Eq 1), routing by agreement
(procedure 1), margin loss (Eq 4). Capsules are the last axis; `inputs` capsules vote for `outputs` capsules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "ClassCapsules",
    "PrimaryCapsules",
    "Round",
    "coupling_entropy",
    "margin_loss",
    "masked",
    "rounds",
    "route",
    "squash",
]

ROUNDS = 3
_EPS = 1e-8


def squash(s: Tensor) -> Tensor:
    """v = (|s|^2 / (1 + |s|^2)) s / |s| over the last axis: the direction stays, the length comes below 1."""
    square = (s * s).sum(-1, keepdim=True)
    return square / (1 + square) * s / torch.sqrt(square + _EPS)


class Round(NamedTuple):
    """couplings c (n, inputs, outputs), summing to 1 over the outputs; v (n, outputs, d), squashed."""

    couplings: Tensor
    v: Tensor


def rounds(votes: Tensor, count: int = ROUNDS) -> Iterator[Round]:
    """Routing by agreement, round by round. votes: (n, inputs, outputs, d), already transformed.

    b = 0; each round c = softmax_j(b), v = squash(sum_i c votes), b += <votes, v>.
    """
    logits = votes.new_zeros(votes.shape[:3])
    for number in range(count):
        couplings = logits.softmax(dim=2)
        v = squash(torch.einsum("nij,nijd->njd", couplings, votes))
        yield Round(couplings, v)
        if number + 1 < count:
            logits = logits + torch.einsum("nijd,njd->nij", votes, v)


def route(votes: Tensor, count: int = ROUNDS) -> Tensor:
    """Output capsules (n, outputs, d) after so many rounds. Gradients pass through the last round alone, as in most
    implementations: the couplings are treated as given."""
    couplings = None
    with torch.no_grad():
        for found in rounds(votes.detach(), count):
            couplings = found.couplings
    if couplings is None:
        raise ValueError("Routing needs at least one round.")
    return squash(torch.einsum("nij,nijd->njd", couplings, votes))


def coupling_entropy(couplings: Tensor) -> Tensor:
    """Mean entropy of the couplings as a share of its maximum: 1 = undecided, 0 = each input has one output."""
    entropy = -(couplings * (couplings + _EPS).log()).sum(dim=2)
    return entropy.mean() / math.log(couplings.shape[2])


def masked(capsules: Tensor, keep: Tensor | None = None) -> Tensor:
    """All but one capsule set to zero. capsules: (n, c, d); keep: (n,) which; None = the longest of each."""
    chosen = capsules.norm(dim=-1).argmax(dim=1) if keep is None else keep
    mask = nn.functional.one_hot(chosen, capsules.shape[1]).to(capsules.dtype)
    return capsules * mask[:, :, None]


def margin_loss(lengths: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """sum_c T_c max(0, 0.9 - |v_c|)^2 + 0.5 (1 - T_c) max(0, |v_c| - 0.1)^2, mean over marks.

    lengths: (n, c); labels: (n,); weights: (n,) of the marks.
    """
    present = nn.functional.one_hot(labels, lengths.shape[1]).to(lengths.dtype)
    hit = (0.9 - lengths).clamp(min=0).square()
    miss = (lengths - 0.1).clamp(min=0).square()
    each = (present * hit + 0.5 * (1 - present) * miss).sum(dim=1)
    return (each if weights is None else each * weights).mean()


class PrimaryCapsules(nn.Module):
    """Maps (n, channels, h, w) -> capsules (n, types * h' * w', 8): a convolution whose channels are grouped by
    eight and squashed. No pooling: where a part lies decides which capsules speak, and how."""

    def __init__(self, channels: int, types: int, *, size: int = 8, kernel: int = 3) -> None:
        super().__init__()
        self.types, self.size = types, size
        self.conv = nn.Conv2d(channels, types * size, kernel)

    def grouped(self, made: Tensor) -> Tensor:
        """The convolution's channels (n, types * size, h', w') in groups of `size`: (n, types * h' * w', size)."""
        n, _, high, wide = made.shape
        return made.view(n, self.types, self.size, high * wide).transpose(2, 3).reshape(n, -1, self.size)

    def forward(self, maps: Tensor) -> Tensor:
        return squash(self.grouped(self.conv(maps)))


class ClassCapsules(nn.Module):
    """Capsules (n, inputs, 8) -> capsules (n, outputs, 16), each vote through its own 8 x 16 matrix."""

    def __init__(self, inputs: int, outputs: int, *, size: int = 8, out_size: int = 16, count: int = ROUNDS) -> None:
        super().__init__()
        self.count = count
        # Undecided couplings are 1 / outputs: without this gain everything would be squashed to nothing at the start.
        self.gain = outputs / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(inputs, outputs, size, out_size) / math.sqrt(size))

    def votes(self, capsules: Tensor) -> Tensor:
        """(n, inputs, outputs, 16)."""
        return self.gain * torch.einsum("nik,ijkd->nijd", capsules, self.weight)

    def forward(self, capsules: Tensor) -> Tensor:
        return route(self.votes(capsules), self.count)
