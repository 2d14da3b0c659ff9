"""Training of a hash head on features computed before: minutes on a core, resumable, the same each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.retrieval.hashing.itq import fit_itq
from search.training.hashing.centre_losses import class_balanced
from search.training.hashing.centres import aligned_centres, hash_centres
from search.training.hashing.data import HashData, HashFeatures
from search.training.hashing.networks import CapsuleHash, HashNetwork, VectorHash
from search.training.hashing.objectives import LOSS, CentreObjective, HashBatch, PairObjective
from search.training.hashing.recipes import CentreRecipe, PairRecipe, Recipe
from search.training.loop import Drawn, TrainingRun

__all__ = ["HashTrainer"]

_SCALE_RATE = 10.0
"""Learned scales move this many times as fast as weights: they have orders of magnitude to go."""
_TOGETHER = 8
"""Families that share a word and are drawn together."""


class HashTrainer(TrainingRun[HashBatch]):
    """Trains a head by a recipe. With the same seed, data and threads, the CPU gives the same bits."""

    def __init__(self, data: HashData, recipe: Recipe, *, device: str = "cpu") -> None:
        super().__init__(recipe.name, recipe.steps, device)
        torch.manual_seed(recipe.seed)
        self.data, self.recipe = data, recipe
        self.network = _network(data, recipe).to(self.device).train()
        self.objective = _objective(data, recipe).to(self.device)
        scales = list(self.objective.parameters())
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters()), "lr": recipe.rate}]
        if scales:
            groups.append({"params": scales, "lr": _SCALE_RATE * recipe.rate, "weight_decay": 0.0})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, [group["lr"] for group in groups], total_steps=recipe.steps + 1, pct_start=0.1
        )

    def draw(self, step: int) -> Drawn:
        """Places in the data's rows. Centres: marks of families, evenly, since weights see to the balance. Pairs:
        families, two marks of each, some of them with a word in common, and strangers to fill the batch."""
        rng = np.random.default_rng((self.recipe.seed, step))
        if isinstance(self.recipe, CentreRecipe):
            pool = self.data.in_families
            places = rng.choice(pool, min(self.recipe.batch, len(pool)), replace=False)
        else:
            places = self._pairs(rng)
        return Drawn(places, self.data.families[places])

    def _pairs(self, rng: np.random.Generator) -> NDArray[np.int64]:
        recipe, data = self.recipe, self.data
        assert isinstance(recipe, PairRecipe)  # noqa: S101  for the type checker
        wanted = min(recipe.batch // 2, data.related)
        chosen: dict[int, None] = {}
        while data.by_word and len(chosen) < round(wanted * recipe.related):
            sharing = data.by_word[int(rng.integers(len(data.by_word)))]
            few = rng.choice(sharing, min(_TOGETHER, len(sharing)), replace=False)
            chosen.update(dict.fromkeys(few.tolist()))
        while len(chosen) < wanted:
            chosen[int(rng.integers(data.related))] = None
        two = [rng.choice(data.members[family], 2, replace=False) for family in list(chosen)[:wanted]]
        return np.concatenate(two).astype(np.int64)

    def batch(self, step: int, drawn: Drawn) -> HashBatch:
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        vectors = self.data.vectors[drawn.rows]
        x = vectors if self.network.takes == "general" else _taken(self.data.features, self.data.rows[drawn.rows])
        step_size = self.recipe.noise / (np.sqrt(vectors.shape[1]) if self.network.takes == "general" else 1.0)
        noisy = x + step_size * rng.standard_normal(x.shape, dtype=np.float32)
        thumbs = labels = None
        if isinstance(self.recipe, PairRecipe):
            labels = torch.from_numpy(self.data.labels.rows(self.data.rows[drawn.rows]))
        elif self.recipe.body != "vector":
            pictures = self.data.features.thumbs[self.data.rows[drawn.rows]]
            thumbs = torch.from_numpy(pictures.reshape(len(x), -1).astype(np.float32) / 255)
        families = torch.from_numpy(drawn.families)
        return HashBatch(
            torch.from_numpy(noisy.astype(np.float32)), torch.from_numpy(vectors), families, thumbs, labels
        )

    def train(self, batch: HashBatch) -> dict[str, float]:
        batch = _moved(batch, self.device)
        parts = self.objective(self.network(batch.x, self.objective.known_groups(batch)), batch)
        self.optimiser.zero_grad(set_to_none=True)
        parts[LOSS].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.inference_mode()
    def values(self, features: HashFeatures, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Numbers (n, K) whose signs are the bits, of these features (or of some of their rows)."""
        self.network.eval()
        wanted = np.arange(len(features)) if rows is None else rows
        source = features.general if self.network.takes == "general" else features.maps
        found = [
            self.network(torch.from_numpy(np.asarray(source[part], np.float32)).to(self.device)).raw.cpu().numpy()
            for part in np.array_split(wanted, max(1, len(wanted) // 256))
        ]
        self.network.train()
        return np.concatenate(found)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])


def _network(data: HashData, recipe: Recipe) -> HashNetwork:
    if recipe.body == "vector":
        network = VectorHash(recipe.bits, dim=data.vectors.shape[1], hidden=recipe.hidden)
        if recipe.start == "itq":
            head = fit_itq(data.vectors, recipe.bits, data.features.made_for)
            network.start_from(head, torch.from_numpy(data.vectors[:: max(1, len(data.vectors) // 2000)]))
        return network
    _, channels, side, _ = data.features.maps.shape
    groups = recipe.groups if isinstance(recipe, CentreRecipe) else 32
    return CapsuleHash(
        recipe.bits,
        channels=channels,
        side=side,
        groups=groups,
        keep=recipe.keep,
        capsules=recipe.body == "capsules",
        decode=isinstance(recipe, CentreRecipe) and recipe.reconstruction > 0,
    )


def _objective(data: HashData, recipe: Recipe) -> CentreObjective | PairObjective:
    if isinstance(recipe, PairRecipe):
        return PairObjective(recipe)
    if recipe.centres == "groups":
        centres = hash_centres(2 * recipe.bits, recipe.bits)[data.groups(2 * recipe.bits, recipe.seed)]
    elif recipe.centres == "aligned":
        itq = fit_itq(data.vectors, recipe.bits, data.features.made_for)
        centres = aligned_centres(itq.values(data.means), seed=recipe.seed)
    else:
        centres = hash_centres(data.related, recipe.bits, seed=recipe.seed)
    marks = torch.from_numpy(data.families[data.in_families])
    each = class_balanced(marks) if recipe.balanced else torch.ones(len(marks))
    weights = torch.zeros(data.related).index_put_((marks,), each)
    capsules = data.groups(recipe.groups, recipe.seed) if recipe.body != "vector" else np.zeros(data.related, np.int64)
    return CentreObjective(recipe, torch.from_numpy(centres), weights, torch.from_numpy(capsules))


def _taken(features: HashFeatures, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    order = np.argsort(rows)  # a memory map is read in order
    out = np.empty((len(rows), *features.maps.shape[1:]), np.float32)
    out[order] = features.maps[rows[order]]
    return out


def _moved(batch: HashBatch, device: torch.device) -> HashBatch:
    def to(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device)

    return HashBatch(
        batch.x.to(device), batch.vectors.to(device), batch.families.to(device), to(batch.thumbs), to(batch.labels)
    )
