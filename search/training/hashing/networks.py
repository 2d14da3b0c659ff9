"""Networks that give codes: from the stored vector, and from the feature map through capsules or without them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from search.retrieval.hashing import HashHead
from search.training.hashing.capsules import ClassCapsules, PrimaryCapsules, masked
from search.training.hashing.features import THUMB

__all__ = ["CapsuleHash", "HashNetwork", "Hashed", "VectorHash"]

CAPSULE_SIZE = 16
_STEEP = 2.0
"""Spread of the numbers before tanh when a network starts from ITQ: most bits are decided, none is stuck."""


class Hashed(NamedTuple):
    """raw: (n, K) before tanh or softsign. code: (n, d) before the hash layer. lengths: (n, c) of the class capsules.
    made: (n, THUMB^2) the reconstructed picture."""

    raw: Tensor
    code: Tensor
    lengths: Tensor | None = None
    made: Tensor | None = None


class HashNetwork(nn.Module, ABC):
    """Features of the kind `takes` (a field of HashFeatures) to codes."""

    takes: str

    @abstractmethod
    def forward(self, x: Tensor, groups: Tensor | None = None) -> Hashed:
        """groups: (n,) the class capsule each mark belongs to, where it is known (in training)."""


class VectorHash(HashNetwork):
    """The stored vector (n, d) to K bits: a linear map, and a hidden layer beside it that starts at nothing.

    The only one that can serve: it needs nothing that the register does not keep.
    """

    takes = "general"
    mean: Tensor

    def __init__(self, bits: int, *, dim: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.skip = nn.Linear(dim, bits)
        self.inner = nn.Linear(dim, hidden)
        self.outer = nn.Linear(hidden, bits, bias=False)
        nn.init.zeros_(self.outer.weight)

    @torch.no_grad()
    def start_from(self, head: HashHead, vectors: Tensor) -> None:
        """Take a linear head's codes as they are. vectors: (n, d) some marks, for the scale."""
        values = head.values(vectors.cpu().numpy())
        scale = _STEEP / max(float(values.std()), 1e-6)
        self.mean.copy_(torch.from_numpy(head.parts["mean"]))
        self.skip.weight.copy_(torch.from_numpy(head.parts["skip_weight"]) * scale)
        self.skip.bias.copy_(torch.from_numpy(head.parts["bias"]) * scale)
        # Unit vectors of 256 numbers are small; hidden values of size one learn faster.
        self.inner.weight.normal_(0, 1.0)

    def forward(self, x: Tensor, groups: Tensor | None = None) -> Hashed:
        centred = x - self.mean
        code = nn.functional.relu(self.inner(centred))
        return Hashed(self.skip(centred) + self.outer(code), code)

    def head(self, name: str, made_for: dict[str, str], facts: dict[str, Any]) -> HashHead:
        """As what serves."""
        parts = {
            "mean": self.mean, "skip_weight": self.skip.weight, "bias": self.skip.bias,
            "inner_weight": self.inner.weight, "inner_bias": self.inner.bias, "outer_weight": self.outer.weight,
        }  # fmt: skip
        return HashHead(name, {k: v.detach().cpu().numpy() for k, v in parts.items()}, made_for, facts)


class _Residual(nn.Module):
    """x + conv(relu(conv(x))), 3 x 3, of one size: nothing is pooled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = nn.functional.relu(x + self.second(nn.functional.relu(self.first(x))))
        return out


class CapsuleHash(HashNetwork):
    """Thesis 000, third part: residual stem, primary capsules (8-D), class capsules (16-D), hash layer, decoder.

    The thesis has a class capsule for each of 10 to 50 brands. Thousands of families would need thousands of capsules
    with a matrix for each pair, so here a class is a group of look-alike families (k-means of their mean vectors).
    keep: "longest" masks all but one capsule, as CapsNet's decoder does (the mark's own group in training);
    "all" leaves every capsule in, its length saying how much it counts: the code then has no jump where two
    groups are equally likely. The decoder always sees the masked ones.
    capsules: False puts a plain layer with exactly as many weights in the place of the routing (and ReLU in that of the
    primary capsules' squash): each of its outputs sees every place, and nothing is agreed on.
    """

    takes = "maps"

    def __init__(
        self,
        bits: int,
        *,
        channels: int = 64,
        side: int = 5,
        groups: int = 32,
        types: int = 8,
        keep: str = "longest",
        capsules: bool = True,
        decode: bool = True,
    ) -> None:
        super().__init__()
        self.keep, self.capsules, self.groups = keep, capsules, groups
        self.stem = nn.Sequential(_Residual(channels), _Residual(channels))
        self.primary = PrimaryCapsules(channels, types)
        inputs = types * (side - 2) ** 2
        self.classes = ClassCapsules(inputs, groups)
        width = groups * CAPSULE_SIZE
        self.hash = nn.Linear(width, bits)
        self.decoder = (
            nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, THUMB**2), nn.Sigmoid()) if decode else None
        )

    def pose(self, maps: Tensor) -> Tensor:
        """Class capsules (n, groups, 16): length = presence, direction = how it is drawn."""
        x = self.stem(maps)
        if self.capsules:
            found: Tensor = self.classes(self.primary(x))
            return found
        inputs = self.primary.grouped(nn.functional.relu(self.primary.conv(x)))
        made: Tensor = self.classes.votes(inputs).sum(dim=1) / self.groups
        return made

    def forward(self, x: Tensor, groups: Tensor | None = None) -> Hashed:
        capsules = self.pose(x)
        lengths = capsules.norm(dim=-1)
        if not self.capsules:
            lengths = lengths / (1 + lengths)  # a plain layer's groups, brought to the range of the margin loss
        one = masked(capsules, groups)
        code = (one if self.keep == "longest" else capsules).flatten(1)
        made = None if self.decoder is None else self.decoder(one.flatten(1))
        return Hashed(self.hash(code), code, lengths, made)
