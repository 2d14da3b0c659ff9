"""What each part of a training recipe is worth: the same small budget, one part changed at a time; prints JSON.

    python benchmarks/ablation.py --data build/training --val build/val [--steps 120] [--side 96] [--only NAME ...]

Every run starts from the same ImageNet weights (ResNet50: from a file, --weights, else from chance) and sees the same
number of pictures. Figures are of the held-out `val` families, whitened to 256, the query left out of its own list.
At such budgets the differences are small: read them with the spread of the repeated rows (`again`, another seed).
Results are kept as they come (--out): a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from search.retrieval.whitening import Whitening  # noqa: E402
from search.training.augment import COPYIST  # noqa: E402
from search.training.dataset import TrainingMarks  # noqa: E402
from search.training.momentum import MomentumRecipe  # noqa: E402
from search.training.recipes import RECIPES, SHARES, Recipe  # noqa: E402
from search.training.run import start  # noqa: E402
from tuning.evaluation.vectors import grey_pictures, vector_figures  # noqa: E402


def variants(steps: int, side: int) -> dict[str, Recipe | MomentumRecipe]:
    """Name of a row -> recipe, each with one part of its base changed."""
    ours, paper = RECIPES["shipped"], RECIPES["paper-lite0"]
    assert isinstance(ours, Recipe) and isinstance(paper, MomentumRecipe)
    base = replace(ours, steps=steps, sides=((0, side),), warm_up=steps // 6, hard_from=steps // 3, average=0.95)
    momentum = replace(paper, steps=2 * steps, cycle=2 * steps // 3, warm_up=steps // 3, pixels=side, queue=2048)

    def without(*names: str) -> Recipe:
        return replace(base, odds={name: 0.0 if name in names else odds for name, odds in COPYIST.items()})

    rows: dict[str, Recipe | MomentumRecipe] = {
        "families": base,
        "families, again": replace(base, seed=1),
        "families, no augmentation": without(*COPYIST),
        "families, no outline, fill or strokes": without("outline", "fill", "strokes"),
        "families, no box, ring or reversal": without("reverse_in_shape", "frame"),
        "families, no word added, no part cut": without("add_word", "one_part", "cut_off", "move_parts"),
        "families, no bend, skew or turn": without("bend", "skew", "turn", "mirror"),
        "families, cleaned families only": replace(base, shares={"family": 1.0}),
        "families, no variants, no concepts": replace(base, shares={**SHARES, "variant": 0.0, "concept": 0.0}),
        "families, no marks alone": replace(base, shares={**SHARES, "alone": 0.0}),
        "families, no look-alike batches": replace(base, hard=0.0),
        "families, no averaging": replace(base, average=0.0),
        "families, all blocks trained": replace(base, frozen=0),
        "families, memory of 2,048": replace(base, memory=2048),
        "families, KoLeo 0.05": replace(base, koleo=0.05),
        "paper": momentum,
        "paper, again": replace(momentum, seed=1),
        "paper, no hard-negative selection": replace(momentum, threshold=None),
        "paper, no CO2": replace(momentum, co2=0.0),
        "paper, no KoLeo": replace(momentum, koleo=0.0),
        "paper, no ECA": replace(momentum, eca=False),
        "paper, no coordinate attention": replace(momentum, ca=False),
        "paper, no AWFF": replace(momentum, awff=False),
        "paper, no LAFF": replace(momentum, laff=False),
        "paper, AdamW for CAME": replace(momentum, optimiser="adamw"),
        "paper, no shuffled BN": replace(momentum, sub_batches=1),
        "paper, copyist augmentation": replace(momentum, augmentation="copyist"),
        "paper, ResNet50": replace(momentum, backbone="resnet50", channels=(256, 512, 1024)),
    }
    return {name: replace(recipe, name=name) for name, recipe in rows.items()}


def figures(vectors: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Whitened on the pool, as every descriptor is."""
    white = Whitening.fit(vectors[len(groups) :], min(256, vectors.shape[1])).apply(vectors)
    return vector_figures(white, groups)


def run(recipe: Recipe | MomentumRecipe, marks: TrainingMarks, grey: np.ndarray, groups: Sequence[str]) -> Any:
    """Train one row and measure it."""
    with tempfile.TemporaryDirectory() as folder, tqdm(total=recipe.steps, desc=recipe.name, unit="step") as bar:
        trainer = start(marks, recipe, Path(folder))
        seconds = 0.0

        def report(step: int, found: Mapping[str, float]) -> None:
            nonlocal seconds
            seconds += found["seconds"]
            bar.update()

        trainer.run(Path(folder), report=report, every=10**9)
        return {**figures(trainer.vectors(grey), groups), "seconds": round(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "training")
    parser.add_argument("--val", type=Path, default=ROOT / "build" / "val")
    parser.add_argument("--val-pool", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of ResNet50")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ablation.json")
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = variants(options.steps, options.side)
    setting = {"steps": options.steps, "side": options.side, "val_pool": options.val_pool}
    report: dict[str, Any] = {"setting": setting, "rows": {}}
    if options.out.exists():
        earlier = json.loads(options.out.read_text("utf-8"))
        report = earlier if earlier["setting"] == setting else report
    marks = TrainingMarks.load(options.data)
    grey, groups = grey_pictures(options.val, options.val_pool, options.side)
    for name in options.only or rows:
        if name not in report["rows"]:
            recipe = rows[name]
            if isinstance(recipe, MomentumRecipe) and recipe.backbone == "resnet50":
                recipe = replace(recipe, weights=options.weights)
            report["rows"][name] = run(recipe, marks, grey, groups)
            options.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
