"""Region finders behind one contract: a normalised mark in, its parts out; `objects` compares those.

benchmarks/regions.py measures them on the same test. One of them ships; the others are there to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search.retrieval.normalise import Grey
from search.retrieval.regions.components import components
from search.retrieval.regions.crops import crops
from search.retrieval.regions.ink_groups import ink_groups
from search.retrieval.regions.part import Box, Part, cut
from search.retrieval.regions.text_symbol import text_symbol
from search.retrieval.regions.watershed import watershed


@dataclass(frozen=True)
class Finder:
    """find: (grey of the normalised square, count) -> at most `count` parts, the most telling first.

    count: how many of them it is meant to give. version: changes whenever a part would.
    """

    name: str
    version: str
    count: int
    find: Callable[[Grey, int], list[Part]]


FINDERS: Mapping[str, Finder] = {
    finder.name: finder
    for finder in (
        Finder("ink-groups", "parts-2", 4, ink_groups),
        Finder("watershed", "1", 8, watershed),
        Finder("components", "1", 4, components),
        Finder("text-symbol", "1", 4, text_symbol),
        Finder("crops", "1", 5, crops),
    )
}
SHIPPED = FINDERS["ink-groups"]

__all__ = ["FINDERS", "SHIPPED", "Box", "Finder", "Part", "cut"]
