"""Self-supervised training after Hu et al. (seed 004): MoCo v2 on single marks, in its parts and switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.training.augment import Copyist
from search.training.augment_paper import PaperAugmentation
from search.training.came import CAME
from search.training.dataset import TrainingMarks
from search.training.loop import Drawn, TrainingRun
from search.training.moco import MoCo
from search.training.paper_encoder import PaperEncoder, ProjectedEncoder
from search.training.schedule import cosine_restarts


@dataclass(frozen=True)
class MomentumRecipe:
    """Hyper-parameters of section 4.2 of the paper as defaults (science 2.3); steps stand for its epochs.

    cycle, warm_up: steps of a cosine cycle and of the warm-up inside the first; peaks fall by 0.9 from cycle to
    cycle. threshold None, co2 0, koleo 0 and the four switches turn single parts off. augmentation: paper | copyist.
    weights: a file for a backbone whose weights do not come as a package (resnet50).
    """

    name: str
    steps: int
    cycle: int
    warm_up: int
    backbone: str = "resnet50"
    eca: bool = True
    ca: bool = True
    awff: bool = True
    laff: bool = True
    channels: tuple[int, int, int] = (256, 512, 1024)
    threshold: float | None = 0.4
    co2: float = 0.02
    koleo: float = 0.05
    queue: int = 65_536
    momentum: float = 0.999
    sub_batches: int = 8
    optimiser: str = "came"
    rate: float = 2.5e-4
    batch: int = 256
    pixels: int = 160
    augmentation: str = "paper"
    seed: int = 0
    weights: Path | None = None

    def side(self, step: int) -> int:
        """Pixels of the pictures, the same at every step."""
        return self.pixels


@dataclass(frozen=True)
class Views:
    """Two augmented views of the same marks, uint8 (n, side, side)."""

    query: Tensor
    key: Tensor


class MomentumTrainer(TrainingRun[Views]):
    """Trains a PaperEncoder by MoCo v2 with the paper's terms. Family names are not looked at."""

    def __init__(self, marks: TrainingMarks, recipe: MomentumRecipe, *, device: str = "cpu") -> None:
        super().__init__(recipe.name, recipe.steps, device)
        torch.manual_seed(recipe.seed)
        self.recipe, self.marks = recipe, marks
        encoder = PaperEncoder(
            recipe.backbone,
            eca=recipe.eca, ca=recipe.ca, awff=recipe.awff, laff=recipe.laff,
            channels=recipe.channels, weights=recipe.weights,
        )  # fmt: skip
        self.encoder = encoder
        query = ProjectedEncoder(encoder, dim=encoder.dim)
        self.moco = MoCo(
            query,
            queue=recipe.queue, momentum=recipe.momentum, threshold=recipe.threshold,
            co2_weight=recipe.co2, koleo_weight=recipe.koleo, sub_batches=recipe.sub_batches,
        ).to(self.device)  # fmt: skip
        self.optimiser = _optimiser(query, recipe)
        self._change = PaperAugmentation(recipe.pixels) if recipe.augmentation == "paper" else Copyist(recipe.pixels)

    def draw(self, step: int) -> Drawn:
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.choice(len(self.marks), min(self.recipe.batch, len(self.marks)), replace=False)
        return Drawn(rows, rows)

    def batch(self, step: int, drawn: Drawn) -> Views:
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        views = [[self._change(np.asarray(self.marks.grey[row]), rng) for row in drawn.rows] for _ in range(2)]
        return Views(*(torch.from_numpy(np.stack(view)) for view in views))

    def train(self, batch: Views) -> dict[str, float]:
        recipe = self.recipe
        rate = recipe.rate * cosine_restarts(self.step, cycle=recipe.cycle, warmup=recipe.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            query, key = (view[:, None].to(self.device) for view in (batch.query, batch.key))
            loss, figures = self.moco.step(query, key)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.moco.after_step()
        self.step += 1
        return {**figures, "rate": rate}

    def vectors(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """z of the query encoder, without the projection head (science 2.4), as unit vectors."""
        self.encoder.eval()
        found = []
        with torch.no_grad():
            for at in range(0, len(grey), 16):
                z = self.encoder(torch.from_numpy(grey[at : at + 16].copy())[:, None].to(self.device))
                found.append(torch.nn.functional.normalize(z.float(), dim=1).cpu().numpy())
        self.encoder.train()
        return np.concatenate(found)

    def state(self) -> dict[str, Any]:
        return {
            "moco": self.moco.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": torch.get_rng_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.moco.load_state_dict(state["moco"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["generator"].cpu())


def _optimiser(query: torch.nn.Module, recipe: MomentumRecipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "came":
        return CAME(query.parameters(), lr=recipe.rate)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(query.parameters(), lr=recipe.rate)
    raise ValueError(f"There is no optimiser {recipe.optimiser!r}; known are came and adamw.")
