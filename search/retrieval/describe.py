"""From pixels to everything the engine compares: one call, all descriptors, batched."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from search.retrieval import normalise, progress
from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS, SET_OF
from search.retrieval.descriptors.colour import ColourDescriptor
from search.retrieval.descriptors.edges import edge_map
from search.retrieval.descriptors.general import whole
from search.retrieval.descriptors.objects import PartsDescriptor
from search.retrieval.descriptors.semantic import FILE as SEMANTIC_FILE
from search.retrieval.descriptors.semantic import SemanticDescriptor
from search.retrieval.descriptors.texture import FILE as TEXTURE_FILE
from search.retrieval.descriptors.texture import TextureDescriptor
from search.retrieval.descriptors.vector import DescribesMarks, VectorDescriptor
from search.retrieval.descriptors.whole_pass import Companion, WholePass
from search.retrieval.device import spare_threads
from search.retrieval.encoders import Encoder, WeightsUnusable
from search.retrieval.imaging import Picture, Pixels, reduce_picture
from search.retrieval.whitening import Whitening

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parent / "weights"
"""Fitted by benchmarks/fit_descriptors.py, shipped with the project."""

# Chosen by measurement on the held-out `val` families: benchmarks/fit_descriptors.py prints the tables.
GENERAL_SIDE = 160
EDGES_SIDE = 160
PARTS_SIDE = 128
PARTS_COUNT = 4

VIEWS: tuple[tuple[str, Callable[[normalise.Normalised, int], Pixels | None], int], ...] = (
    ("general", whole, GENERAL_SIDE),
    ("edges", edge_map, EDGES_SIDE),
)
"""What the encoder looks at: descriptor, view of the normalised mark, pixels. Each has a whitening, NAME.npz."""

__all__ = ["VIEWS", "WEIGHTS", "Describer", "Description", "encoder_in"]


class Component(Protocol):
    """One descriptor by itself."""

    def describe(self, marks: Sequence[normalise.Normalised]) -> Sequence[Any]:
        """One result per mark, in the descriptor's own kind."""


def encoder_in(weights: Path = WEIGHTS) -> Encoder:
    """The encoder of a directory of weights, by default the one that ships. Raises WeightsUnusable."""
    from search.retrieval.encoders.trademark import SHIPPED, TrademarkEncoder

    return TrademarkEncoder(weights=weights / SHIPPED.name)


class Describer:
    """Holds the encoder and the descriptors. Heavy to make, so make one per process and keep it.

    names: the descriptors it yields, in the order of DESCRIPTORS; one whose fitted weights are missing is off.
    whole: `general`, in whose space the parts lie. components: name -> descriptor of normalised marks, each by itself.
    weights: a directory with an encoder and its whitenings. encoder: another one that these whitenings fit.
    version: changes whenever a vector would; vectors of two versions must never be compared.
    Raises encoders.WeightsUnusable when the encoder's weights or those of `general` are missing.
    """

    def __init__(self, encoder: Encoder | None = None, *, weights: Path = WEIGHTS) -> None:
        encoder = encoder or encoder_in(weights)
        encoded = [
            VectorDescriptor(name, view, side, encoder, _whitening(weights / f"{name}.npz"))
            for name, view, side in VIEWS
            if (weights / f"{name}.npz").is_file()
        ]
        if not encoded or encoded[0].name != "general":
            raise WeightsUnusable(
                "The whitening of `general` is missing; fit it with benchmarks/fit_descriptors.py --write."
            )
        self._whole_pass = WholePass(encoded[0], tuple(_companions(encoded[0], weights)))
        self._vectors: tuple[DescribesMarks, ...] = (*encoded, ColourDescriptor(), *self._whole_pass.companions)
        on = {descriptor.name for descriptor in self._vectors}
        self.names = tuple(name for name in DESCRIPTORS if SET_OF.get(name, name) in on)
        self.whole = encoded[0]
        self._parts = PartsDescriptor(self.whole, PARTS_COUNT, PARTS_SIDE)
        self.components: Mapping[str, Component] = {d.name: d for d in self._vectors} | {"objects": self._parts}
        parts = [normalise.VERSION, *(d.version for d in self._vectors), self._parts.version]
        self._threads = spare_threads()
        self._pool = ThreadPoolExecutor(self._threads, "describe")
        self.version = "d" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]

    def describe(self, images: Sequence[Pixels | Picture]) -> list[Description]:
        """uint8 RGB (h, w, 3) images, or Pictures reduced by `decode_picture`, of any sizes.

        Boxes come back in the pixels of the array given, or of the Picture's original. Chunks of 32 or more
        make the best use of the encoder; memory grows by about 1 MB per image of the chunk.
        """
        marks = [normalise.normalise(reduce_picture(image)) for image in images]
        columns = self._columns(marks)
        parts = columns.pop(self._parts.name)
        described = []
        for row, (mark, part) in enumerate(zip(marks, parts, strict=True)):
            vectors = {
                name: np.asarray(vector, np.float32)
                for name, column in columns.items()
                if (vector := column[row]) is not None
            }
            boxes = mark.to_original(part.boxes)
            described.append(Description(vectors, part.vectors, boxes, (mark.width, mark.height)))
        return described

    def _columns(self, marks: Sequence[normalise.Normalised]) -> dict[str, list[Any]]:
        """Each descriptor's column; `general` and its companions take one pass of the encoder.

        Where an operation keeps to one core, the passes and parts of the batch take the others.
        """
        shared = (self._whole_pass.general.name, *(one.name for one in self._whole_pass.companions))
        alone = {name: one for name, one in self.components.items() if name not in shared}
        step = -(-len(marks) // self._threads) or 1
        chunks = [marks[start : start + step] for start in range(0, len(marks), step)]
        jobs: list[Callable[[], Mapping[str, Sequence[Any]]]] = []
        for chunk in chunks:
            jobs.append(partial(self._whole_pass.describe, chunk))
            jobs += [partial(_column_of, name, one, chunk) for name, one in alone.items()]
        columns: dict[str, list[Any]] = {name: [] for name in (*shared, *alone)}
        for found in self._pool.map(_called, jobs) if self._threads > 1 else map(_called, jobs):
            progress.step()  # this thread only waits for those of the pool
            for name, column in found.items():
                columns[name] += column
        return columns


def _column_of(name: str, component: Component, marks: Sequence[normalise.Normalised]) -> dict[str, Sequence[Any]]:
    return {name: component.describe(marks)}


def _called(job: Callable[[], Mapping[str, Sequence[Any]]]) -> Mapping[str, Sequence[Any]]:
    return job()


def _whitening(path: Path) -> Whitening:
    try:
        return Whitening.load(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as damage:
        raise WeightsUnusable(f"The whitening {path} is damaged ({damage}): bring it back from a backup.") from None


def _companions(general: VectorDescriptor, weights: Path) -> Iterator[Companion]:
    """The descriptors that share the pass of `general`; a line in the log for one that this encoder cannot have."""
    kinds: tuple[tuple[type[SemanticDescriptor | TextureDescriptor], str], ...] = (
        (SemanticDescriptor, SEMANTIC_FILE),
        (TextureDescriptor, TEXTURE_FILE),
    )
    for kind, file in kinds:
        try:
            yield kind.load(general, weights / file)
        except WeightsUnusable as reason:
            log.info("%s", reason)
