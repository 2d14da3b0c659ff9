"""The rows of a leaderboard by name, and where the vectors of each come from. Pure.

fused, fused-equal    Eq 1 over all descriptors, with the weights given or with equal ones
general, edges, ...   one descriptor of the describer
itq-64, hash-000-64   binary codes of `general`, ranked by Hamming distance (search/retrieval/hashing)
encoder               the shipped trademark encoder alone: the whole mark, whitened as the service does it
frozen-spoc|mac|...   EfficientNet-Lite0 as trained on ImageNet at 192 px with the normaliser, PCA-whitening to 256
                      fitted on the pool that is evaluated (science.md 2.4), all poolings from one pass
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.retrieval import normalise
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.descriptors.general import whole
from search.retrieval.descriptors.vector import VectorDescriptor
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing import HASHES
from search.retrieval.imaging import Picture, reduce_picture
from search.retrieval.normalise import Normalised
from search.retrieval.pooling import POOLINGS
from search.retrieval.whitening import Whitening
from tuning.evaluation.described import Describes
from tuning.evaluation.metu import LayoutError

__all__ = [
    "ENCODER",
    "FROZEN",
    "FUSED",
    "FUSED_EQUAL",
    "ROWS",
    "Source",
    "check",
    "shares_general",
    "source_key",
    "source_of",
    "uses_describer",
]

Vectors = NDArray[np.floating]
FUSED, FUSED_EQUAL, ENCODER = "fused", "fused-equal", "encoder"
FROZEN: Mapping[str, str] = {f"frozen-{pooling}": pooling for pooling in POOLINGS}
"""Row -> pooling."""
ROWS: tuple[str, ...] = (FUSED, *DESCRIPTORS, FUSED_EQUAL, ENCODER, *FROZEN, *HASHES)

FROZEN_SIDE = 192
FROZEN_DIM = 256
FIT_MARKS = 20_000
"""How many pool marks the frozen rows' whitening is fitted on, at most (science.md 2.4)."""
TRANSDUCTIVE = (
    "frozen-*: the whitening is fitted on marks of the pool that is evaluated (up to 20,000, never on queries), as in "
    "the papers; this is transductive and favours these rows a little."
)


class Source(Protocol):
    """Where the whole-mark vectors of one or more rows come from, all from one pass over the images."""

    @property
    def version(self) -> str:
        """Changes whenever a vector would."""
        ...

    def vectors(self, images: Sequence[Picture]) -> Mapping[str, Vectors]:
        """Row -> (n, d); a zero row for a mark that has no vector."""
        ...

    def finish(self, sample: Callable[[], Vectors]) -> Whitening | None:
        """What a row's vectors pass through before they are compared, fitted on the row's vectors of pool marks.

        sample: asked only where there is something to fit. None = they are compared as they are.
        """
        ...


def check(names: Sequence[str]) -> None:
    """Raises LayoutError with a sentence for a row that there is not, or none at all."""
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        raise LayoutError(f"There is no descriptor {', '.join(unknown) or 'named'}; known are {', '.join(ROWS)}.")


def uses_describer(name: str) -> bool:
    """Whether a row comes from described marks; the others have a source of their own."""
    return name in (FUSED, FUSED_EQUAL) or name in DESCRIPTORS or name in HASHES


def source_of(name: str) -> Source:
    """A new source for a row.

    Raises WeightsUnusable with a sentence where the weights are missing.
    """
    return FrozenMarks() if name in FROZEN else EncodedMarks()


def source_key(name: str) -> str:
    """Rows with the same key share a source."""
    return "frozen" if name in FROZEN else name


def shares_general(names: Sequence[str], describer: Describes) -> bool:
    """Whether the row `encoder` is asked for and the describer's `general` holds the very same vectors."""
    ours = getattr(describer, "whole", None)
    return ENCODER in names and ours is not None and EncodedMarks().descriptor.version == ours.version


class EncodedMarks:
    """The trademark encoder's whitened vectors of the whole mark, as `general` uses them."""

    def __init__(self, weights: Path | None = None) -> None:
        from search.retrieval.describe import GENERAL_SIDE, WEIGHTS
        from search.retrieval.encoders.trademark import TrademarkEncoder

        folder = weights or WEIGHTS
        encoder = TrademarkEncoder(weights=folder / "encoder.safetensors")
        whitening = Whitening.load(folder / "general.npz")
        if whitening.mean.shape != (encoder.dim,):
            raise WeightsUnusable(
                "The whitening of `general` is not fitted for the trademark encoder; "
                "fit it with benchmarks/fit_descriptors.py --write."
            )
        self.descriptor = VectorDescriptor("general", whole, GENERAL_SIDE, encoder, whitening)

    @property
    def version(self) -> str:
        return f"{normalise.VERSION}:{self.descriptor.version}"

    def vectors(self, images: Sequence[Picture]) -> Mapping[str, Vectors]:
        marks = _normalised(images)
        return {ENCODER: self.descriptor.encode(np.stack([whole(m, self.descriptor.side) for m in marks]))}

    def finish(self, sample: Callable[[], Vectors]) -> Whitening | None:
        return None


class FrozenMarks:
    """Pooled maps of the ImageNet network, kept in half precision (10 KB a mark for all poolings)."""

    def __init__(self) -> None:
        from search.retrieval.encoders.efficientnet_lite import VERSION, EfficientNetLiteEncoder

        self.encoder = EfficientNetLiteEncoder()
        self.version = f"{normalise.VERSION}:{VERSION}:{FROZEN_SIDE}:{'+'.join(POOLINGS)}"

    def vectors(self, images: Sequence[Picture]) -> Mapping[str, Vectors]:
        views = np.stack([whole(mark, FROZEN_SIDE) for mark in _normalised(images)])
        pooled = self.encoder.encode_each(views, list(POOLINGS))
        return {row: pooled[pooling].astype(np.float16) for row, pooling in FROZEN.items()}

    def finish(self, sample: Callable[[], Vectors]) -> Whitening | None:
        """Fewer than 256 directions where there are too few marks to fit so many."""
        vectors = sample()
        return Whitening.fit(vectors, min(FROZEN_DIM, len(vectors) - 1))


def _normalised(images: Iterable[Picture]) -> list[Normalised]:
    return [normalise.normalise(reduce_picture(image)) for image in images]
