"""A run of a recipe from its data, and what it leaves: a head that can serve, with what it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.retrieval.describe import WEIGHTS
from search.retrieval.hashing import HashHead
from search.retrieval.hashing.itq import fit_itq
from search.training.dataset import KINDS, TrainingMarks
from search.training.hashing.data import HashData
from search.training.hashing.features import precompute
from search.training.hashing.networks import VectorHash
from search.training.hashing.recipes import Recipe
from search.training.hashing.trainer import HashTrainer

__all__ = ["finished_head", "itq_head", "load_data", "start"]


def load_data(
    folder: Path,
    features: Path,
    *,
    kinds: Sequence[str] = KINDS,
    weights: Path = WEIGHTS,
    device: str = "cpu",
    done: Callable[[int], None] = lambda _: None,
) -> HashData:
    """Training marks and their features, computed into `features` where they are not there yet.

    kinds: only marks of these; "kept" ones are never learnt from. Raises DatasetError, WeightsUnusable.
    """
    marks = TrainingMarks.load(folder).of_kinds(kinds)
    return HashData.of(marks, precompute(marks.grey, features, weights=weights, device=device, done=done))


def start(data: HashData, recipe: Recipe, out: Path, *, device: str = "cpu") -> HashTrainer:
    """A run at step 0, or at the checkpoint in `out`. Raises ValueError for another recipe's checkpoint."""
    run = HashTrainer(data, recipe, device=device)
    run.load(out)
    return run


def finished_head(run: HashTrainer) -> HashHead | None:
    """What serves, named hash-RECIPE; None for a network that needs more than the stored vector."""
    if not isinstance(run.network, VectorHash):
        return None
    facts = {"recipe": run.recipe.to_json(), "steps": run.step, "data": _source(run.data)}
    return run.network.head(f"hash-{run.recipe.name}", dict(run.data.features.made_for), facts)


def itq_head(data: HashData, bits: int) -> HashHead:
    """ITQ on the vectors of all marks that may be learnt from."""
    head = fit_itq(data.vectors, bits, data.features.made_for)
    return HashHead(head.name, head.parts, head.made_for, {"data": _source(data)})


def _source(data: HashData) -> dict[str, Any]:
    marks = data.marks
    return {
        "marks": len(data.rows),
        "families": data.related,
        "kept": len(marks) - len(data.rows),
        "kinds": sorted({KINDS[kind] for kind in np.unique(marks.kinds[data.rows])}),
        "source": dict(marks.source),
    }
