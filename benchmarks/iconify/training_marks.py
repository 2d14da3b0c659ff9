"""Which marks make the training data of the encoder, and what family each belongs to."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.iconify.families import Member
from benchmarks.iconify.names import brand_key
from benchmarks.iconify.select import BRAND_PACKS, kept_from_training, seeded

VARIANTS, CONCEPTS, ALONE_MARKS = 12_000, 6000, 8000
"""How many families of one drawing, families of one subject, and marks alone the shipped encoder was trained on."""

_MOST = 6  # members of one family: large ones are much the same drawing again
_SPECIFIC = 6  # letters in a name below which it says too little ("up", "home2")


@dataclass(frozen=True)
class Chosen:
    """One mark, its family (a name, "" for none) and the kind of family."""

    member: Member
    family: str
    kind: str


def choose(
    families: Iterable[tuple[str, Sequence[Member]]],
    pool: Sequence[Member],
    *,
    variants: int = VARIANTS,
    concepts: int = CONCEPTS,
    alone: int = ALONE_MARKS,
) -> list[Chosen]:
    """The marks of the training data, in a stable order; each mark once."""
    chosen = [
        Chosen(m, f"family {name}", "kept" if kept_from_training(name) else "family")
        for name, members in families
        for m in members
    ]
    brands = [m for m in pool if m[0] in BRAND_PACKS]
    others = [m for m in pool if m[0] not in BRAND_PACKS]
    chosen += _groups(brands, lambda m: brand_key(m[1]), "brand", len(brands), per_pack=len(brands))
    chosen += _groups(
        others, lambda m: f"{m[0]} {brand_key(m[1])}", "variant", variants, per_pack=max(variants // 12, 1)
    )
    taken = {one.member for one in chosen}
    left = [m for m in others if m not in taken and len(brand_key(m[1])) >= _SPECIFIC]
    chosen += _groups(left, lambda m: brand_key(m[1]), "concept", concepts, per_pack=concepts, apart=True)
    taken = {one.member for one in chosen}
    rest = [m for m in [*brands, *others] if m not in taken]
    return chosen + [Chosen(m, "", "alone") for m in rest[:alone]]


def _groups(
    pool: Sequence[Member],
    key: Callable[[Member], str],
    kind: str,
    most: int,
    *,
    per_pack: int,
    apart: bool = False,
) -> list[Chosen]:
    """Up to `most` groups of marks with one key. apart: at most one mark of a pack in each."""
    found: dict[str, list[Member]] = collections.defaultdict(list)
    for member in pool:
        group = found[key(member)]
        if not apart or all(member[0] != other[0] for other in group):
            group.append(member)
    chosen: list[Chosen] = []
    packs: collections.Counter[str] = collections.Counter()
    count = 0
    for name in sorted((n for n, group in found.items() if len(group) > 1), key=lambda n: seeded("training", kind, n)):
        group = sorted(found[name], key=lambda m: seeded("member", *m))[:_MOST]
        if count == most or packs[group[0][0]] >= per_pack:
            continue
        packs[group[0][0]] += 1
        count += 1
        chosen += [Chosen(member, f"{kind} {name}", kind) for member in group]
    return chosen
