"""Named recipes: everything that decides what comes out of a training run, besides the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from search.training.augment import COPYIST
from search.training.momentum import MomentumRecipe

SHARES: Mapping[str, float] = MappingProxyType(
    {"family": 0.45, "brand": 0.25, "variant": 0.12, "concept": 0.06, "alone": 0.12}
)
"""Of the pairs in a batch. The cleaned families are most like what an examiner meets, so they come most often."""

LONG_SHARES: Mapping[str, float] = MappingProxyType(
    {"family": 0.12, "brand": 0.34, "variant": 0.24, "concept": 0.1, "alone": 0.14, "word": 0.06}
)
"""For a long run, which would learn the few cleaned families by heart."""


@dataclass(frozen=True)
class Recipe:
    """A run of supervised contrastive training.

    sides: (first step, pixels) in order: small pictures first, the full size at the end. pairs: families in a
    batch, two marks of each. hard_from: step from which look-alike families share a batch. memory: vectors of
    earlier steps as further strangers, from `hard_from` on. average: decay of the averaged weights, which are
    what is kept. frozen: blocks that keep their ImageNet weights. chunk: pictures in one pass; the loss is over
    the whole batch all the same. koleo, distillation: weights of those terms, the latter where there is a teacher.
    """

    name: str
    steps: int
    sides: tuple[tuple[int, int], ...] = ((0, 128),)
    pairs: int = 64
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    odds: Mapping[str, float] = field(default_factory=lambda: COPYIST)
    temperature: float = 0.07
    rate: float = 2e-4
    projection_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: int = 40
    hard: float = 0.5
    hard_from: int = 150
    memory: int = 0
    koleo: float = 0.0
    distillation: float = 1.0
    average: float = 0.99
    frozen: int = 0
    chunk: int = 16
    seed: int = 0

    def side(self, step: int) -> int:
        """Pixels of the pictures at a step."""
        return [pixels for first, pixels in self.sides if first <= step][-1]

    def to_json(self) -> dict[str, Any]:
        plain = replace(self, shares=dict(self.shares), odds=dict(self.odds))
        return asdict(plain)


_LITE = MomentumRecipe(
    "paper-lite0",
    steps=600,
    cycle=200,
    warm_up=100,
    backbone="efficientnet-lite0",
    channels=(64, 128, 256),
    queue=8192,
    batch=64,
    pixels=128,
)
"""The paper on a small backbone and a budget for two cores: a cycle is 200 steps, the queue an eighth."""

FEEDBACK = Recipe(
    "feedback",
    steps=400,
    sides=((0, 128), (300, 160)),
    pairs=32,
    shares=MappingProxyType({"family": 0.6, "alone": 0.4}),
    rate=5e-5,
    projection_rate=1e-4,
    warm_up=40,
    hard_from=100,
    frozen=6,
    chunk=32,
)
"""An office's own feedback: from the weights in use, gently, on few families among many strangers."""

_MARKS, _EPOCHS, _CYCLE, _WARM_UP = 922_926, 30, 10, 5
_PER_EPOCH = _MARKS // 256

RECIPES: Mapping[str, Recipe | MomentumRecipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                "shipped",
                steps=1450,
                sides=((0, 128), (1250, 160)),
                rate=3e-4,
                projection_rate=5e-4,
                frozen=2,
                chunk=32,
            ),
            # For one GPU. With more than twice the rate, half of a batch hard and a memory of earlier strangers, all
            # vectors fell together once hard batches began.
            Recipe(
                "gpu",
                steps=2039,
                sides=((0, 128), (917, 160)),
                pairs=512,
                shares=LONG_SHARES,
                rate=2e-4,
                projection_rate=4e-4,
                warm_up=200,
                hard=0.3,
                hard_from=700,
                average=0.998,
                chunk=1024,
            ),
            Recipe("smoke", steps=4, sides=((0, 64),), pairs=8, warm_up=1, hard_from=2, average=0.5),
            # Seed 004 as printed: METU's 922,926 marks, 30 epochs, batches of 256.
            MomentumRecipe(
                "paper-resnet50",
                steps=_EPOCHS * _PER_EPOCH,
                cycle=_CYCLE * _PER_EPOCH,
                warm_up=_WARM_UP * _PER_EPOCH,
            ),
            _LITE,
            replace(
                _LITE, name="paper-smoke", steps=3, cycle=2, warm_up=1, queue=64, batch=8, sub_batches=2, pixels=64
            ),
            FEEDBACK,
        )
    }
)
