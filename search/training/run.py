"""Starting a training run of any recipe: on ImageNet weights, a trained encoder's, or where a checkpoint left it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from search.training.backbones import PACKAGED
from search.training.dataset import TrainingMarks
from search.training.loop import CHECKPOINT
from search.training.momentum import MomentumRecipe, MomentumTrainer
from search.training.network import TrademarkNetwork, whiten_projection
from search.training.recipes import Recipe
from search.training.trainer import Trainer

_FITTED_ON = 2000


def start(
    marks: TrainingMarks,
    recipe: Recipe | MomentumRecipe,
    out: Path,
    *,
    device: str = "cpu",
    weights: Path | None = None,
    from_random: bool = False,
) -> Trainer | MomentumTrainer:
    """A run at step 0, or at the checkpoint in `out`. Raises ValueError for another recipe's checkpoint.

    weights: a file to start from, an encoder's .safetensors or for a recipe of the paper its backbone's; None starts
    from the ImageNet weights that come as a package. from_random: a backbone that has none may start by chance.
    Raises WeightsUnusable, and ValueError where a backbone has no weights and may not start by chance.
    """
    torch.manual_seed(recipe.seed)
    if isinstance(recipe, Recipe):
        return start_supervised(marks, recipe, out, device=device, weights=weights)
    recipe = replace(recipe, weights=weights or recipe.weights)
    if recipe.backbone not in PACKAGED and recipe.weights is None and not from_random:
        raise ValueError(
            f"The ImageNet weights of {recipe.backbone} come in no package: give a file with --weights, or say "
            "--from-random, which is not what the paper did."
        )
    run = MomentumTrainer(marks, recipe, device=device)
    run.load(out)
    return run


def start_supervised(
    marks: TrainingMarks, recipe: Recipe, out: Path, *, device: str = "cpu", weights: Path | None = None
) -> Trainer:
    """`start` for a recipe of supervised contrastive training."""
    torch.manual_seed(recipe.seed)
    network = _untrained(marks, recipe, fitted=(out / CHECKPOINT).exists()) if weights is None else trained(weights)
    run = Trainer(network, marks, recipe, device=device)
    run.load(out)
    return run


def trained(weights: Path) -> TrademarkNetwork:
    """The network of an encoder file (search/training/export.py), ready to be trained further."""
    from search.retrieval.encoders.trademark import load_parts

    backbone, projection, p = load_parts(weights)
    network = TrademarkNetwork(projection.out_features, p)
    network.backbone, network.projection = backbone, projection
    return network


def _untrained(marks: TrainingMarks, recipe: Recipe, *, fitted: bool) -> TrademarkNetwork:
    """ImageNet weights. fitted: a checkpoint will bring its own projection."""
    from search.retrieval.encoders.efficientnet_lite import imagenet_weights

    network = TrademarkNetwork()
    network.backbone.load_folded(imagenet_weights())
    if not fitted:
        rng = np.random.default_rng(recipe.seed)
        rows = np.sort(rng.choice(len(marks), min(_FITTED_ON, len(marks)), replace=False))
        whiten_projection(network, _reduced(marks, rows, recipe.side(0)))
    return network


def _reduced(marks: TrainingMarks, rows: np.ndarray, side: int) -> np.ndarray:
    from search.retrieval.normalise import resized

    return np.stack([resized(np.asarray(marks.grey[row]), side)[:, :, 0] for row in rows])
