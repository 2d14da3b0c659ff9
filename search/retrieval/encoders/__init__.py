"""Image encoders behind one contract: a batch of square images in, one vector per image out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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


__all__ = ["Encoder", "Images", "Vectors", "WeightsUnusable"]
