"""Starting a training run of any recipe: on ImageNet weights, or where a checkpoint left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from search.training.dataset import TrainingMarks
from search.training.loop import CHECKPOINT
from search.training.momentum import MomentumRecipe, MomentumTrainer
from search.training.network import TrademarkNetwork, whiten_projection
from search.training.recipes import Recipe
from search.training.trainer import Trainer

_FITTED_ON = 2000


def start(
    marks: TrainingMarks, recipe: Recipe | MomentumRecipe, out: Path, *, device: str = "cpu"
) -> Trainer | MomentumTrainer:
    """A run at step 0, or at the checkpoint in `out`. Raises ValueError for another recipe's checkpoint."""
    run = (
        MomentumTrainer(marks, recipe, device=device)
        if isinstance(recipe, MomentumRecipe)
        else _supervised(marks, recipe, out, device)
    )
    run.load(out)
    return run


def _supervised(marks: TrainingMarks, recipe: Recipe, out: Path, device: str) -> Trainer:
    from search.retrieval.encoders.efficientnet_lite import imagenet_weights

    torch.manual_seed(recipe.seed)
    network = TrademarkNetwork()
    network.backbone.load_folded(imagenet_weights())
    if not (out / CHECKPOINT).exists():
        rng = np.random.default_rng(recipe.seed)
        rows = np.sort(rng.choice(len(marks), min(_FITTED_ON, len(marks)), replace=False))
        whiten_projection(network, _reduced(marks, rows, recipe.side(0)))
    return Trainer(network, marks, recipe, device=device)


def _reduced(marks: TrainingMarks, rows: np.ndarray, side: int) -> np.ndarray:
    from search.retrieval.normalise import resized

    return np.stack([resized(np.asarray(marks.grey[row]), side)[:, :, 0] for row in rows])
