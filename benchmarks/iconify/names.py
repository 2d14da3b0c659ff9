"""Which brand an icon's name speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words that tell one drawing of a brand from another, not one brand from another.
_VARIANTS = """
alt background badge black block bold box brand brands circle circled classic color colored colorful
colour dark duotone fill filled flat framed glyph horizontal icon icons inverse inverted legacy light
line linear logo logomark mark mono monochrome negative old original outline outlined plain regular
reverse reversed round rounded sharp solid square squared stroke symbolic text thin twotone vertical
white wordmark
"""
VARIANT_WORDS = frozenset(_VARIANTS.split())
# Some packs prefix every name.
_PREFIXES = re.compile(r"^(file-type|social|logo|brand|icon|devicon)-")
# A shorter name at the beginning of a word says little ("box" in "boxing"); a longer one is the brand's
# name run together with a product ("dockerhub").
_MIN_PREFIX = 5


def name_words(icon: str) -> list[str]:
    """The words of an icon's name, lower case, without a pack's own prefix."""
    return re.findall(r"[a-z0-9]+", _PREFIXES.sub("", icon.lower()))


def brand_key(icon: str) -> str:
    """The brand in an icon's name: lower case, run together, without variant words.

    `adobe-illustrator-logo-block` and `adobeillustrator` both give `adobeillustrator`.
    """
    words = name_words(icon)
    if "logo" in words[1:]:  # "drupal-logo-2-solid": what follows counts drawings
        words = words[: words.index("logo", 1)]
    kept = [word for word in words if word not in VARIANT_WORDS]
    return "".join(kept or words)


class BrandFilter:
    """Tells whether a name speaks of one of the given brands (then the mark would be a hidden positive)."""

    def __init__(self, brands: Iterable[str]) -> None:
        self._brands = frozenset(brands)
        self._long = frozenset(brand for brand in self._brands if len(brand) >= _MIN_PREFIX)
        self._longest = max((len(brand) for brand in self._brands), default=0)

    def hits(self, icon: str) -> bool:
        """True when the name is a brand, holds one as whole words, or begins a word with a long one."""
        words = name_words(icon)
        for start in range(len(words)):
            run = ""
            for word in words[start:]:
                run += word
                if run in self._brands:
                    return True
            if self._begins_with_brand(run):
                return True
        return brand_key(icon) in self._brands

    def _begins_with_brand(self, run: str) -> bool:
        return any(run[:n] in self._long for n in range(_MIN_PREFIX, min(len(run), self._longest) + 1))
