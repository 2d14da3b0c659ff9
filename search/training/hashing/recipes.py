"""Named recipes of hash heads: everything that decides what comes out, besides the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["RECIPES", "CentreRecipe", "PairRecipe"]

SIZES = (32, 64, 128)


@dataclass(frozen=True)
class _Common:
    """start: from ITQ's codes, or from chance. noise: length of a random step added to each unit vector, or its like
    for maps. body: what gives the codes (networks.py); "vector" is what can serve. hidden: of "vector"."""

    name: str
    bits: int
    steps: int = 2000
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 1e-3
    noise: float = 0.3
    start: Literal["itq", "chance"] = "itq"
    body: Literal["vector", "capsules", "convolutions"] = "vector"
    hidden: int = 256
    keep: Literal["longest", "all"] = "longest"
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CentreRecipe(_Common):
    """Thesis 000. centres: of each family, by coin flips ("families", the literal reading for more families than 2K);
    Hadamard rows, one for each of 2K groups of look-alike families ("groups"); or kept near where ITQ puts the family
    ("aligned", ours). balanced: class-balanced weights. The rest are weights of parts, 0 leaves one out;
    fused: scales that are learned, else these weights. groups: class capsules.
    """

    centres: Literal["families", "groups", "aligned"] = "families"
    balanced: bool = True
    quantisation: float = 1e-4
    sparsity: float = 1.0
    decorrelation: float = 1.0
    margin: float = 1.0
    reconstruction: float = 5e-4
    fused: bool = True
    groups: int = 32


@dataclass(frozen=True)
class PairRecipe(_Common):
    """Patent 001. weak_alpha: 0.5 as in the code, 1 the consistent variant. even: see `pair_loss`. consistent: weight
    of the feature-consistency term, 0 = off. related: share of a batch drawn so that families share a word."""

    weak_alpha: float = 0.5
    gamma: float = 0.1
    quantisation: float = 0.1
    even: bool = True
    consistent: float = 0.0
    related: float = 0.5


Recipe = CentreRecipe | PairRecipe


def _named(recipe: Recipe, method: str) -> list[Recipe]:
    return [replace(recipe, name=f"{method}-{bits}", bits=bits) for bits in SIZES]


_CENTRES = CentreRecipe("000-64", 64)
_CAPSULES = replace(_CENTRES, body="capsules", start="chance", noise=0.2)
_PAIRS = PairRecipe("001-64", 64, weak_alpha=1.0)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            *_named(_CENTRES, "000"),
            *_named(_CAPSULES, "000-capsules"),
            *_named(replace(_CAPSULES, body="convolutions"), "000-convolutions"),
            *_named(_PAIRS, "001"),
            replace(_CENTRES, name="smoke-000", bits=16, steps=4, batch=16, hidden=16),
            replace(_CAPSULES, name="smoke-capsules", bits=16, steps=3, batch=8, groups=4),
            replace(_PAIRS, name="smoke-001", bits=16, steps=4, batch=16, hidden=16),
        )
    }
)
"""000-K and 001-K make the heads hash-000-K and hash-001-K; capsules and convolutions are measured, not served."""
