"""Which marks may stand in a pool, and in which order they are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from benchmarks.iconify.families import Member
from benchmarks.iconify.names import BrandFilter, brand_key
from benchmarks.iconify.package import Pack

# Kept for acceptance tests: nothing is ever rendered, trained or tuned on them.
WITHHELD_PACKS = frozenset({"arcticons", "cbi"})

# Packs that draw brands; they come first, so that a pool looks like a register.
_BRANDS = """
bxl catppuccin cib cryptocurrency cryptocurrency-color devicon devicon-plain fa-brands fa7-brands
file-icons logos nonicons selfhst simple-icons skill-icons streamline-logos thesvg thesvg-color token
token-branded unjs vscode-icons
"""
BRAND_PACKS = frozenset(_BRANDS.split())
# What a model may be trained and measured on without asking: no share-alike, no non-commercial, no GPL.
POOL_LICENCES = frozenset(
    {"CC0-1.0", "MIT", "ISC", "Apache-2.0", "BSD-3-Clause", "Unlicense", "OFL-1.1", "CC-BY-3.0", "CC-BY-4.0"}
)
_NO_MARKS = frozenset({"Emoji", "Flags / Maps"})  # categories that hold nothing like a mark
_KEPT_SHARE = 6
_VAL_SHARE = 4  # one brand in four goes to the pool of `val`, the others to `train`


def seeded(*parts: str) -> int:
    """A stable number from text: the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def pool_split(icon: str) -> str:
    """The split whose pool an icon's brand belongs to; all drawings of a brand go to one."""
    return "val" if seeded("split", brand_key(icon)) % _VAL_SHARE == 0 else "train"


def kept_from_training(family: str) -> bool:
    """Whether a family of `train` is left out when the encoder is trained: one in six. Calibration and first weights
    are fitted on these; on families that it has learnt by heart the encoder looks better than it is."""
    return seeded("kept from training", family) % _KEPT_SHARE == 0


def brands_kept_out(families: Iterable[str], reserved: Iterable[Member]) -> BrandFilter:
    """The brands of all families, of any split, and of the reserved marks: a pool holds none of them."""
    return BrandFilter({*families, *(brand_key(icon) for _, icon in reserved)})


def pool_candidates(
    packs: Sequence[Pack],
    *,
    split: str,
    kept_out: BrandFilter,
    reserved: set[Member],
    licences: frozenset[str] = POOL_LICENCES,
) -> list[Member]:
    """Marks that may be distractors of `split`, brand packs first, each part in seeded order."""
    chosen: list[tuple[bool, int, Member]] = []
    for pack in packs:
        if pack.prefix in WITHHELD_PACKS or pack.licence not in licences or pack.category in _NO_MARKS:
            continue
        other = pack.prefix not in BRAND_PACKS
        for icon, entry in pack.icons.items():
            member = (pack.prefix, icon)
            # Upstream hides an icon that it withdrew; file themes draw hundreds of like folders.
            if entry.get("hidden") or icon.startswith(("folder-", "default-")) or member in reserved:
                continue
            if pool_split(icon) == split and not kept_out.hits(icon):
                chosen.append((other, seeded("order", *member), member))
    return [member for _, _, member in sorted(chosen)]
