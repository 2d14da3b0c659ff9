"""Starting a training run: the network on its ImageNet weights, or where a checkpoint left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from search.training.dataset import TrainingMarks
from search.training.network import TrademarkNetwork, whiten_projection
from search.training.recipes import Recipe
from search.training.trainer import Trainer

_FITTED_ON = 2000


def start(marks: TrainingMarks, recipe: Recipe, out: Path, *, device: str = "cpu") -> Trainer:
    """A trainer at step 0, or at the checkpoint in `out`. Raises ValueError for another recipe's checkpoint."""
    from search.retrieval.encoders.efficientnet_lite import imagenet_weights

    torch.manual_seed(recipe.seed)
    network = TrademarkNetwork()
    network.backbone.load_folded(imagenet_weights())
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "checkpoint.pt").exists():
        rng = np.random.default_rng(recipe.seed)
        rows = np.sort(rng.choice(len(marks), min(_FITTED_ON, len(marks)), replace=False))
        whiten_projection(network, _reduced(marks, rows, recipe.side(0)))
    trainer = Trainer(network, marks, recipe, device=device)
    trainer.load(out)
    return trainer


def _reduced(marks: TrainingMarks, rows: np.ndarray, side: int) -> np.ndarray:
    from search.retrieval.normalise import resized

    return np.stack([resized(np.asarray(marks.grey[row]), side)[:, :, 0] for row in rows])
