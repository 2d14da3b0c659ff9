"""Vienna codes suggested for a query: what is kept with a search and shown beside its results."""

import functools
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.retrieval.describe import WEIGHTS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.vienna import FILE, Suggestion, Vienna

log = logging.getLogger(__name__)

SHOWN = 3


@functools.cache
def _vienna() -> Vienna | None:
    try:
        return Vienna.load(WEIGHTS / FILE)
    except WeightsUnusable as reason:
        log.info("%s", reason)
        return None


def vienna_suggested(meaning: NDArray[np.float32] | None) -> dict[str, list[dict[str, Any]]]:
    """{"categories": [{code, title, share}], "divisions": [...]}, best first; {} where nothing can be suggested."""
    vienna = _vienna()
    if meaning is None or vienna is None or vienna.dim != len(meaning):
        return {}
    found = vienna.suggest(meaning, SHOWN)
    return {"categories": [_row(s) for s in found.categories], "divisions": [_row(s) for s in found.divisions]}


def _row(suggestion: Suggestion) -> dict[str, Any]:
    return {"code": suggestion.code, "title": suggestion.title, "share": round(suggestion.share, 4)}
