"""Marks per second of every row on the same images, side by side.

Content in memory -> decoded, normalised, encoded, whitened; what rows have in common is computed anew for each. A few
images at a time go through one row after the other, in several rounds, so that a machine that is busy for a while slows
all rows alike; figures are medians over these turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from search.retrieval.describe import Describer
from search.retrieval.descriptors import SET_OF
from search.retrieval.descriptors.general import whole
from search.retrieval.encoders.efficientnet_lite import EfficientNetLiteEncoder
from search.retrieval.imaging import Picture, decode_picture, reduce_picture
from search.retrieval.normalise import normalise
from search.retrieval.whitening import Whitening
from tuning.evaluation.evaluate import DESCRIBED
from tuning.evaluation.rows import ENCODER, FROZEN, FROZEN_DIM, FROZEN_SIDE, EncodedMarks

CHUNK = 16
SAME_SIZE = "frozen-mac at the encoder's size"
"""What the encoder's time is compared with: pixels cost both networks alike, and the rows have different numbers."""
Describe = Callable[[Sequence[Picture]], object]


def time_rows(
    rows: Mapping[str, Describe], images: Sequence[bytes], rounds: int, done: Callable[[int], None] = lambda _: None
) -> dict[str, list[float]]:
    """Row -> seconds a mark, one figure for each turn. done: called with the images that passed through all rows."""
    for describe in rows.values():
        describe([decode_picture(data) for data in images[:CHUNK]])
    took: dict[str, list[float]] = {name: [] for name in rows}
    for at in [at for _ in range(rounds) for at in range(0, len(images), CHUNK)]:
        turn = images[at : at + CHUNK]
        for name, describe in rows.items():
            start = time.perf_counter()
            describe([decode_picture(data) for data in turn])
            took[name].append((time.perf_counter() - start) / len(turn))
        done(len(turn))
    return took


def ratio(took: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """How many times as long `one` takes: the median over the turns, each compared within itself."""
    return float(np.median(np.divide(took[one], took[other])))


def describing(names: Sequence[str], describer: Describer, encoder: EncodedMarks | None) -> dict[str, Describe]:
    """What describes the marks of each row and nothing more; DESCRIBED stands for every fused row.

    The encoder's neighbour is SAME_SIZE, with which it is compared.
    """
    frozen = [name for name in names if name in FROZEN]
    rest = [name for name in names if name not in FROZEN and name != ENCODER]
    made: dict[str, Describe] = {name: _frozen(FROZEN[name]) for name in frozen}
    if encoder is not None and ENCODER in names:
        made[SAME_SIZE] = _frozen(FROZEN["frozen-mac"], encoder.descriptor.side)
        made[ENCODER] = encoder.vectors
    for name in rest:
        if name in describer.components:
            made[name] = _component(name, describer)
    made[DESCRIBED] = describer.describe
    return made


def _frozen(pooling: str, side: int = FROZEN_SIDE) -> Describe:
    encoder = EfficientNetLiteEncoder(pooling)
    # Its numbers do not matter for the time it takes.
    whitening = Whitening(np.zeros(encoder.dim, np.float32), np.eye(encoder.dim, FROZEN_DIM, dtype=np.float32))

    def describe(pictures: Sequence[Picture]) -> object:
        views = np.stack([whole(normalise(reduce_picture(picture)), side) for picture in pictures])
        return whitening.apply(encoder.encode(views))

    return describe


def _component(name: str, describer: Describer) -> Describe:
    """One descriptor, with the one whose space its elements live in."""
    parts = [describer.components[part] for part in (SET_OF.get(name), name) if part is not None]

    def describe(pictures: Sequence[Picture]) -> object:
        marks = [normalise(reduce_picture(picture)) for picture in pictures]
        return [part.describe(marks) for part in parts]

    return describe
