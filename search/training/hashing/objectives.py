"""What a run makes small: the parts of each paper's loss, put together as a recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search.training.hashing import centre_losses as centred
from search.training.hashing.capsules import margin_loss
from search.training.hashing.networks import Hashed
from search.training.hashing.pair_losses import pair_loss, percentages, softsign
from search.training.hashing.recipes import CentreRecipe, PairRecipe

__all__ = ["CentreObjective", "HashBatch", "PairObjective"]

LOSS = "loss"


@dataclass(frozen=True)
class HashBatch:
    """x: features (n, ...). vectors: (n, d), `general`. families: (n,). thumbs: (n, p) in 0..1. labels: (n, l)."""

    x: Tensor
    vectors: Tensor
    families: Tensor
    thumbs: Tensor | None = None
    labels: Tensor | None = None


class CentreObjective(nn.Module):
    """Thesis 000. centres: (F, K) of -1 and 1, each family's; weights: (F,) of its marks; groups: (F,) capsules."""

    centres: Tensor
    weights: Tensor
    groups: Tensor

    def __init__(self, recipe: CentreRecipe, centres: Tensor, weights: Tensor, groups: Tensor) -> None:
        super().__init__()
        self.recipe = recipe
        self.register_buffer("centres", centres.float())
        self.register_buffer("weights", weights)
        self.register_buffer("groups", groups)
        shares = {"centre": 1.0, "quantisation": recipe.quantisation}
        if recipe.sparsity or recipe.decorrelation:
            shares["sparse"] = 1.0
        if recipe.body != "vector":
            shares |= {"margin": recipe.margin, "reconstruction": recipe.reconstruction}
        self.shares = {name: share for name, share in shares.items() if share > 0}
        self.scales = centred.LearnedScales(self.shares) if recipe.fused else None

    def known_groups(self, batch: HashBatch) -> Tensor | None:
        """The class capsule of each mark, for the mask."""
        return self.groups[batch.families] if self.recipe.body != "vector" else None

    def forward(self, hashed: Hashed, batch: HashBatch) -> dict[str, Tensor]:
        """Parts by name, and the whole as "loss"."""
        r = self.recipe
        u = torch.tanh(hashed.raw)
        weights = self.weights[batch.families]
        parts = {
            "centre": centred.centre_loss(hashed.raw, self.centres[batch.families], weights),
            "quantisation": centred.quantisation(u),
        }
        if "sparse" in self.shares:
            sparse = r.sparsity * centred.sparsity(hashed.code)
            parts["sparse"] = sparse + r.decorrelation * centred.decorrelation(u)
        if "margin" in self.shares and hashed.lengths is not None:
            parts["margin"] = margin_loss(hashed.lengths, self.groups[batch.families], weights)
        if "reconstruction" in self.shares and hashed.made is not None and batch.thumbs is not None:
            parts["reconstruction"] = centred.reconstruction(hashed.made, batch.thumbs)
        return {**parts, LOSS: self._together(parts)}

    def _together(self, parts: Mapping[str, Tensor]) -> Tensor:
        if self.scales is not None:
            whole: Tensor = self.scales(parts)
            return whole
        return torch.stack([share * parts[name] for name, share in self.shares.items()]).sum()


class PairObjective(nn.Module):
    """Patent 001."""

    def __init__(self, recipe: PairRecipe) -> None:
        super().__init__()
        self.recipe = recipe

    def known_groups(self, batch: HashBatch) -> Tensor | None:
        return None

    def forward(self, hashed: Hashed, batch: HashBatch) -> dict[str, Tensor]:
        """Parts by name, and the whole as "loss"."""
        if batch.labels is None:
            raise ValueError("Pairs are compared by their labels, and this batch has none.")
        r = self.recipe
        found = pair_loss(
            softsign(hashed.raw),
            percentages(batch.labels),
            weak_alpha=r.weak_alpha,
            gamma=r.gamma,
            quantisation=r.quantisation,
            even=r.even,
            features=batch.vectors if r.consistent else None,
            consistent=r.consistent,
        )
        return found._asdict()
