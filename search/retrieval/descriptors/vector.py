"""One unit vector per mark: a view of the normalised mark, an encoder, a whitening."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.retrieval.encoders import Encoder
from search.retrieval.imaging import Pixels
from search.retrieval.normalise import Normalised
from search.retrieval.whitening import Whitening

Vector = NDArray[np.float32]


class DescribesMarks(Protocol):
    """What any descriptor with one vector per mark offers. Its name stands in descriptors.DESCRIPTORS.

    version: changes whenever a vector would.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def describe(self, marks: Sequence[Normalised]) -> list[Vector | None]:
        """Unit vectors (d,), None where the mark lacks what is compared."""
        ...


@dataclass(frozen=True)
class VectorDescriptor:
    """A descriptor with one vector per mark.

    view: the normalised mark -> encoder input uint8 (side, side, 3), or None where the mark has no such view.
    """

    name: str
    view: Callable[[Normalised, int], Pixels | None]
    side: int
    encoder: Encoder
    whitening: Whitening

    @property
    def version(self) -> str:
        """Everything that changes the vector, in words."""
        return f"{self.name}:{self.encoder.version}:{self.side}:{self.whitening.version}"

    def describe(self, marks: Sequence[Normalised]) -> list[Vector | None]:
        """Unit vectors (d,), None where the mark lacks this view."""
        views = [self.view(mark, self.side) for mark in marks]
        present = [view for view in views if view is not None]
        vectors = iter(self.encode(np.stack(present)) if present else ())
        return [None if view is None else next(vectors) for view in views]

    def encode(self, images: Pixels) -> Vector:
        """Encoder inputs (n, s, s, 3) to whitened unit vectors (n, d)."""
        return self.whitening.apply(self.encoder.encode(images))
