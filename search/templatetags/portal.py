"""Small filters for the templates: words for what the database stores as names and shares."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from django import template

from search.media import thumbnail_url

register = template.Library()

# What an examiner reads instead of the engine's names.
DESCRIPTOR_WORDS = {
    "general": "Whole mark",
    "edges": "Outline",
    "objects": "Parts",
    "texture": "Texture",
    "semantic": "Meaning",
    "colour": "Colour",
}
DESCRIPTOR_MEANINGS = {
    "general": "the mark as a whole: its shape, whatever the colours",
    "edges": "the lines only, whether filled or not",
    "objects": "the best match between any part of the query and any part of the mark",
    "texture": "the pattern of the surface",
    "semantic": "what the mark shows",
    "colour": "the colours, whatever the shape",
}


@register.filter
def descriptor(name: str) -> str:
    return DESCRIPTOR_WORDS.get(name, str(name).replace("_", " ").capitalize())


@register.filter
def descriptor_meaning(name: str) -> str:
    return DESCRIPTOR_MEANINGS.get(name, "a further comparison")


@register.filter
def percent(share: Any, digits: int = 0) -> str:
    """0.876 -> "88 %"; what is missing is a dash."""
    if share is None or share == "":
        return "–"
    try:
        return f"{100 * float(share):.{int(digits)}f} %"
    except (TypeError, ValueError):
        return "–"


@register.filter
def milliseconds(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "–"
    return f"{number / 1000:.1f} s" if number >= 1000 else f"{number:.0f} ms"


@register.filter
def end_to_end(weights: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shares laid side by side, for a bar: each with its `start` and its `middle`, as shares of the bar."""
    rows = list(weights)
    starts = accumulate((row["share"] for row in rows), initial=0.0)
    return [
        {**row, "start": start, "middle": start + row["share"] / 2} for row, start in zip(rows, starts, strict=False)
    ]


@register.filter
def age(seconds: Any) -> str:
    """Seconds in the largest unit that fits: 7200 -> "2 hours"."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(float(seconds) // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{float(seconds):.0f} seconds"


@register.simple_tag
def descriptor_words() -> dict[str, str]:
    return DESCRIPTOR_WORDS


@register.filter
def thumbnail(number: str) -> str:
    """The address of a mark's thumbnail."""
    return thumbnail_url(number)
