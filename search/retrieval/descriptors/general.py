"""`general`: the whole normalised mark through the encoder (seeds 003 and 004)."""

from __future__ import annotations

from search.retrieval.imaging import Pixels
from search.retrieval.normalise import Normalised, resized


def whole(mark: Normalised, side: int) -> Pixels:
    """The normalised mark as encoder input, uint8 (side, side, 3). A blank mark is a picture too."""
    return resized(mark.grey, side)
