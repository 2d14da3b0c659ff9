"""The components of the fused similarity, one per file (design section 2).

A descriptor is either a *vector* (one unit vector per mark, compared by cosine) or a *set* (the best match
between any element of two sets). A set's elements live in the space of one vector descriptor, so its
similarity is defined wherever that one is, and is never below it.
"""

from __future__ import annotations

from collections.abc import Mapping

DESCRIPTORS: tuple[str, ...] = ("general", "edges", "objects", "texture", "colour", "semantic")
"""Fixed order of the last axis of every similarity array and weight vector. Nothing stored
depends on it: weights are kept by name, and an index belongs to one version of the descriptors. A new descriptor is one
more name here, one more in the Describer, a weight in weights/first_weights.json, and a word and a colour for it on the
pages."""

SET_OF: Mapping[str, str] = {"objects": "general"}
"""Set descriptor -> the vector descriptor whose space its elements live in."""

VECTOR_DESCRIPTORS: tuple[str, ...] = tuple(name for name in DESCRIPTORS if name not in SET_OF)
"""The descriptors with one vector per mark: what the candidate index holds side by side."""

__all__ = ["DESCRIPTORS", "SET_OF", "VECTOR_DESCRIPTORS"]
