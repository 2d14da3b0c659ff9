"""Image encoders behind one contract: a batch of square images in, one vector per image out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]


class WeightsUnusable(RuntimeError):  # noqa: N818  "off, and the page says so" (design section 2)
    """The weights of an encoder are missing or are not the ones expected; str(e) is a sentence."""


class Encoder(Protocol):
    """A network with its pooling: pictures in, one vector each out. Whitening and unit length come after it.

    name: what it is; version: changes whenever its output would, the pooling included; dim: numbers per vector.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, images: Images) -> Vectors:
        """uint8 RGB (n, h, w, 3), all of one size, any n -> float32 (n, dim), not normalised.

        It batches by itself, as speed and memory want it.
        """
        ...


Reader = Callable[["Tensor"], "Tensor"]
"""Mid-level maps (b, c, h, w) of one batch -> one row for each image, float32 (b, k)."""


@dataclass(frozen=True)
class Seen:
    """All that one pass gives. vectors (n, dim): as `encode`; features (n, d): pooled, what the vectors are made from;
    read (n, k): what a reader made of the mid-level maps, None where none was asked for or the encoder shows none.
    """

    vectors: Vectors
    features: Vectors
    read: Vectors | None = None


@runtime_checkable
class ShowsPass(Protocol):
    """An encoder that hands out more of a pass than its vectors."""

    def look(self, images: Images, reader: Reader | None = None) -> Seen:
        """uint8 RGB (n, h, w, 3), batched as `encode` does. reader: sees the mid-level maps of every batch."""
        ...


def look(encoder: Encoder, images: Images, reader: Reader | None = None) -> Seen:
    """`look` of an encoder; one that shows nothing gives its vectors for features."""
    if isinstance(encoder, ShowsPass):
        return encoder.look(images, reader)
    vectors = encoder.encode(images)
    return Seen(vectors, vectors)


__all__ = ["Encoder", "Images", "Reader", "Seen", "ShowsPass", "Vectors", "WeightsUnusable", "look"]
