"""Image encoders behind one contract: a batch of square images in, feature maps out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Maps = NDArray[np.float32]


class WeightsUnusable(RuntimeError):  # noqa: N818  "off, and the page says so" (design section 2)
    """The weights of an encoder are missing or are not the ones expected; str(e) is a sentence."""


class Encoder(Protocol):
    """A frozen network that turns pictures into feature maps. Pooling and whitening come after it.

    name: what it is; version: changes whenever its output would; dim: channels of its maps.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def batch(self, side: int) -> int:
        """How many images of this side it is best given at a time, for speed and memory."""
        ...

    def encode(self, images: Images) -> Maps:
        """uint8 RGB (n, h, w, 3), all of one size -> float32 maps (n, dim, h', w')."""
        ...


__all__ = ["Encoder", "Images", "Maps", "WeightsUnusable"]
