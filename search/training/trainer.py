"""Supervised contrastive training: draw, augment, encode in chunks, compare the whole batch, step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search.training.augment import Copyist
from search.training.batches import Bank, PairSampler
from search.training.dataset import UNKNOWN, TrainingMarks
from search.training.distillation import similarity_distillation
from search.training.loop import Drawn, TrainingRun
from search.training.losses import koleo
from search.training.network import TrademarkNetwork, even_rows, plain, vectors_of
from search.training.recipes import Recipe
from search.training.supcon import Memory, near_duplicates, supervised_contrastive
from search.training.surroundings import Material


@dataclass(frozen=True)
class Batch:
    """pictures: uint8 (n, side, side), augmented; originals: uint8 (n, 32, 32); families, subjects: (n,)."""

    pictures: Tensor
    originals: Tensor
    families: Tensor
    subjects: Tensor

    def to(self, device: torch.device) -> Batch:
        parts = (self.pictures, self.originals, self.families, self.subjects)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


Teacher = Callable[[Tensor], Tensor]


class Trainer(TrainingRun[Batch]):
    """Trains a TrademarkNetwork by a recipe. With the same seed, data and threads, the CPU gives the same bytes."""

    def __init__(
        self,
        network: TrademarkNetwork,
        marks: TrainingMarks,
        recipe: Recipe,
        *,
        device: str = "cpu",
        teacher: Teacher | None = None,
    ) -> None:
        """teacher: pictures uint8 (n, s, s) -> unit vectors (n, e) that the network learns relations from."""
        super().__init__(recipe.name, recipe.steps, device)
        torch.manual_seed(recipe.seed)
        self.recipe, self.marks, self.teacher = recipe, marks, teacher
        self.material = Material(marks.words, marks.grey)
        self.network = network.to(self.device).train()
        if recipe.frozen:
            self.network.freeze(recipe.frozen)
        even_rows(self.network.backbone)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.sampler = PairSampler(marks, recipe.shares, pairs=recipe.pairs, hard=recipe.hard)
        self.bank = Bank()
        self.memory = Memory(recipe.memory, network.projection.out_features)
        self.optimiser = _optimiser(self.network, recipe)
        peaks = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, peaks, total_steps=recipe.steps + 1, pct_start=recipe.warm_up / recipe.steps
        )

    def draw(self, step: int) -> Drawn:
        bank = self.bank if step >= self.recipe.hard_from else None
        return self.sampler.draw(np.random.default_rng((self.recipe.seed, step)), bank)

    def batch(self, step: int, drawn: Drawn) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        change = Copyist(self.recipe.side(step), self.recipe.odds, self.material)
        pictures = np.stack([change(self.marks.grey[row], rng) for row in drawn.rows])
        originals = np.stack([_thumb(self.marks.grey[row]) for row in drawn.rows])
        known = self.marks.subjects
        subjects = np.full(len(drawn.rows), UNKNOWN) if known is None else known[drawn.rows]
        return Batch(*(torch.from_numpy(part) for part in (pictures, originals, drawn.families, subjects)))

    def train(self, batch: Batch) -> dict[str, float]:
        """One step. A batch of several chunks is encoded twice, once for the vectors, once with the gradient that
        the loss gives each (gradient caching: Gao et al., RepL4NLP 2021), so that memory does not grow with it."""
        batch = batch.to(self.device)
        frozen = self.recipe.frozen
        chunks = list(torch.split(batch.pictures, self.recipe.chunk))
        if frozen:  # computed once, it serves both passes
            with torch.no_grad(), self._precision():
                chunks = [self.network.early(chunk, frozen) for chunk in chunks]
        self.optimiser.zero_grad(set_to_none=True)
        if len(chunks) == 1:
            with self._precision():
                vectors = self._encode(chunks[0])
            loss = self._loss(vectors, batch)
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            with torch.no_grad(), self._precision():
                vectors = torch.cat([self._encode(chunk) for chunk in chunks])
            loss = self._loss(vectors.requires_grad_(), batch)
            (gradient,) = torch.autograd.grad(loss, vectors)
            for chunk, slope in zip(chunks, torch.split(gradient, self.recipe.chunk), strict=True):
                with self._precision():
                    found = self._encode(chunk)
                found.backward(slope)  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        self._follow()
        self._remember(vectors.detach(), batch)
        figures = {"loss": float(loss.detach()), "norm": float(norm), "rate": self.optimiser.param_groups[0]["lr"]}
        return figures | _cosines(vectors.detach(), batch.families)

    def _loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        loss = supervised_contrastive(
            vectors,
            batch.families,
            temperature=self.recipe.temperature,
            ignored=near_duplicates(batch.originals),
            subjects=batch.subjects,
            memory=self.memory if self.step >= self.recipe.hard_from else None,
        )
        if self.recipe.koleo:
            loss = loss + self.recipe.koleo * koleo(vectors)
        if self.teacher is not None:
            with torch.no_grad():
                known = torch.cat([self.teacher(chunk) for chunk in torch.split(batch.pictures, self.recipe.chunk)])
            loss = loss + self.recipe.distillation * similarity_distillation(vectors, known)
        return loss

    def _encode(self, chunk: Tensor) -> Tensor:
        """A chunk of pictures, or of what the frozen blocks made of them, to unit vectors."""
        frozen = self.recipe.frozen
        vectors: Tensor = self.network.late(chunk, frozen) if frozen else self.network(chunk)
        return vectors.float()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    @torch.no_grad()
    def _follow(self) -> None:
        """Averaged weights; early ones average over fewer steps."""
        decay = min(self.recipe.average, self.step / (self.step + 10))
        for kept, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(now, 1 - decay)

    def _remember(self, vectors: Tensor, batch: Batch) -> None:
        self.bank.update(batch.families, vectors)
        if self.recipe.memory:
            self.memory.add(vectors, batch.families, batch.subjects)

    def vectors(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        return vectors_of(plain(self.average), grey)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "bank": self.bank.state_dict(),
            "memory": (self.memory.vectors.cpu(), self.memory.families.cpu(), self.memory.subjects.cpu()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.bank.load_state_dict(state["bank"])
        self.memory.vectors, self.memory.families, self.memory.subjects = state["memory"]


def _optimiser(network: TrademarkNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    groups = [
        {"params": list(network.backbone.parameters()), "lr": recipe.rate},
        {"params": list(network.projection.parameters()), "lr": recipe.projection_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def _thumb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at a sixth of its size, 32 pixels of 192: enough to tell near-duplicates."""
    step = max(1, len(grey) // 32)
    return np.ascontiguousarray(grey[step // 2 :: step, step // 2 :: step][:32, :32])


def _cosines(vectors: Tensor, families: Tensor) -> dict[str, float]:
    """Mean cosine of relatives, mean of each mark's nearest stranger, and the share of those above 0.9."""
    sims = vectors @ vectors.T
    same = families[:, None] == families[None, :]
    own = torch.eye(len(sims), dtype=torch.bool, device=sims.device)
    nearest = sims.masked_fill(same, -1.0).max(dim=1).values
    return {
        "relatives": float(sims[same & ~own].mean()),
        "nearest": float(nearest.mean()),
        "above 0.9": float((nearest > 0.9).float().mean()),
    }
