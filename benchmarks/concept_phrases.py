"""What is said of each icon, as sentence vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.iconify.concepts import Concept, telling_words
from search.retrieval.encoders.sentences import SentenceEncoder
from search.training.concepts import Said

# How often each kind of phrase is drawn; the words of a name share theirs. Words are what people search by.
_NAME, _ALIAS, _WORDS, _CATEGORY = 5.0, 1.5, 3.0, 0.5


class Phrases:
    """A sentence encoder that remembers what it encoded, in a file."""

    def __init__(self, path: Path, encoder: SentenceEncoder | None = None) -> None:
        self._encoder = encoder or SentenceEncoder()
        self.version = self._encoder.version
        self._path = path.with_name(f"{path.name}-{self.version}.npz")
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._path.is_file():
            with np.load(self._path, allow_pickle=False) as stored:
                self._known = dict(zip((str(t) for t in stored["texts"]), stored["vectors"], strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> float32 unit vectors (n, 384)."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known |= dict(zip(new, self._encoder.encode(new), strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._path, texts=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[text] for text in texts])


def said_of(concepts: Sequence[Concept], phrases: Phrases) -> Said:
    """Name, aliases, single words and category of each icon, with how often each is drawn."""
    places: dict[str, int] = {}
    rows, weights = [], []
    for concept in concepts:
        own = {concept.name: _NAME}
        words = telling_words(concept.name)
        for text, weight in (
            *((alias, _ALIAS) for alias in concept.phrases[1:]),
            *((word, _WORDS / len(words)) for word in words if " " in concept.name),
            *([(concept.category, _CATEGORY)] if concept.category else []),
        ):
            own.setdefault(text, weight)
        rows.append([places.setdefault(text, len(places)) for text in own])
        weights.append(list(own.values()))
    return Said(phrases.encode(list(places)), rows, weights)
