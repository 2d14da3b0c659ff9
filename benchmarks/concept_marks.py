"""The marks that the semantic head is fitted and measured on: chosen, drawn and encoded once, kept under build/."""

from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.iconify import (
    RECIPE_VERSION,
    WITHHELD_PACKS,
    Pack,
    load_reserved,
    open_package,
    render_mark,
    svg_document,
)
from benchmarks.iconify.concepts import (
    HELD_OUT_PACKS,
    KIN_PACKS,
    Concept,
    choose,
    choose_held_out,
    concept_words,
    concepts_of,
    permitted,
)
from search.retrieval.encoders import Encoder, look
from search.retrieval.normalise import normalise, resized

SIDE = 192
"""Side of the pictures that are kept; an encoder that takes another is given them resized."""
WORDS = 500
FROZEN = "search.retrieval.encoders.efficientnet_lite:EfficientNetLiteEncoder"
_CHUNK = 16
_DRAWN, _NOTHING = 1, 2


@dataclass(frozen=True)
class ConceptMarks:
    """train: what the head learns from; held_out: marks of packs it never sees; words: what they are searched by."""

    train: list[Concept]
    held_out: list[Concept]
    words: list[str]
    packs: dict[str, Pack]

    @property
    def all(self) -> list[Concept]:
        return [*self.train, *self.held_out]


def gather(package: Path | None, cache: Path, *, train: int, held_out: int) -> ConceptMarks:
    """Choose `train` and `held_out` marks from the icon package; the same ones every time."""
    reserved = load_reserved()
    packs = {p.prefix: p for p in open_package(package, cache=cache).packs(without=WITHHELD_PACKS) if permitted(p)}
    learnt, kept = [], []
    for prefix, pack in packs.items():
        if prefix in HELD_OUT_PACKS:
            kept += concepts_of(pack, reserved)
        elif prefix not in KIN_PACKS:
            learnt += concepts_of(pack, reserved)
    words = concept_words(kept, most=WORDS)
    return ConceptMarks(
        train=choose(learnt, most=train, per_name=5, per_word=40, per_pack=220),
        held_out=choose_held_out(kept, words, most=held_out, per_word=8),
        words=words,
        packs=packs,
    )


def gather_drawn(marks: ConceptMarks, names: Sequence[str], *, most: int) -> list[tuple[int, Concept]]:
    """Marks that are drawn already, by name `pack:icon` (the encoder's training pictures): the row and the concept of
    up to `most` that may be learnt from and are not among `marks`."""
    reserved, taken = load_reserved(), {c.member for c in marks.train}
    known = {
        c.member: c
        for prefix, pack in marks.packs.items()
        if prefix not in KIN_PACKS and prefix not in HELD_OUT_PACKS
        for c in concepts_of(pack, reserved, every=True)
    }
    members = [(pack, icon) for pack, _, icon in (name.partition(":") for name in names)]
    rows = {m: row for row, m in enumerate(members) if m in known and m not in taken}
    chosen = choose([known[m] for m in rows], most=most, per_name=5, per_word=70, per_pack=len(rows))
    return sorted((rows[c.member], c) for c in chosen)


def draw(marks: ConceptMarks, out: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Normalised grey pictures uint8 (n, SIDE, SIDE) of all marks, and which show something. Goes on where it was."""
    chosen = marks.all
    print_ = hashlib.sha256(repr([RECIPE_VERSION, SIDE, *(c.member for c in chosen)]).encode()).hexdigest()[:12]
    out.mkdir(parents=True, exist_ok=True)
    grey = _open(out / f"{print_}-grey.npy", (len(chosen), SIDE, SIDE))
    state = _open(out / f"{print_}-drawn.npy", (len(chosen),))
    todo = [
        (row, svg_document(marks.packs[c.member[0]], c.member[1], 256))
        for row, c in enumerate(chosen)
        if not state[row]
    ]
    if todo:
        with multiprocessing.Pool(os.cpu_count()) as workers:
            drawn = workers.imap_unordered(_draw, todo, chunksize=16)
            for row, picture in tqdm(drawn, total=len(todo), unit="mark", desc="draw"):
                if picture is not None:
                    grey[row] = picture
                state[row] = _NOTHING if picture is None else _DRAWN
    return grey, np.asarray(state == _DRAWN)


def _open(path: Path, shape: tuple[int, ...], kind: Any = np.uint8) -> NDArray[Any]:
    mode = "r+" if path.is_file() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=kind, shape=None if mode == "r+" else shape)


def _draw(job: tuple[int, str]) -> tuple[int, NDArray[np.uint8] | None]:
    row, svg = job
    picture = render_mark(svg, 256)
    if picture is None:
        return row, None
    mark = normalise(np.asarray(picture))
    return row, None if mark.blank else resized(mark.grey, SIDE)[:, :, 0]


def names_of(chosen: Sequence[Concept]) -> list[str]:
    """`pack:icon` of each."""
    return [":".join(concept.member) for concept in chosen]


@dataclass(frozen=True)
class Source:
    """Where features come from: `module:Class` of an encoder that needs no arguments; its input's side in pixels."""

    encoder: str = FROZEN
    side: int = 192

    def load(self) -> Encoder:
        module, _, kind = self.encoder.partition(":")
        encoder: Encoder = getattr(importlib.import_module(module), kind)()
        return encoder


def encode(
    grey: NDArray[np.uint8], drawn: NDArray[np.bool_], source: Source, cache: Path, *, part: str
) -> NDArray[np.float32]:
    """Features (n, d) of the drawn pictures, kept in `cache` under `part`. Goes on where it was.

    One process a core with one thread each: with other work on the machine twice as fast as threads (measured).
    """
    encoder = source.load()
    dim = features_of(encoder, np.full((1, source.side, source.side, 3), 255, np.uint8)).shape[1]
    print_ = f"{part}-{encoder.version.replace(':', '-')}-{source.side}-{len(grey)}.npy"
    rows = _open(cache / print_, (len(grey), dim), np.float16)
    # A row of zeros was not encoded yet: the features of a picture are never all zero.
    todo = np.flatnonzero(drawn & ~rows[:, ::16].any(axis=1))
    chunks = [todo[start : start + _CHUNK] for start in range(0, len(todo), _CHUNK)]
    jobs = (np.stack([resized(grey[row], source.side) for row in chunk]) for chunk in chunks)
    if chunks:
        with multiprocessing.get_context("spawn").Pool(os.cpu_count(), _start, (source,)) as workers:
            made = workers.imap(_encode, jobs)
            for chunk, features in zip(chunks, tqdm(made, total=len(chunks), desc="encode", unit="batch"), strict=True):
                rows[chunk] = features
    return np.asarray(rows, dtype=np.float32)


def features_of(encoder: Encoder, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the semantic head is given of an encoder: its pooled features where it hands them out, else its vectors."""
    return look(encoder, images).features


_worker: dict[str, Encoder] = {}


def _start(source: Source) -> None:
    import torch

    torch.set_num_threads(1)
    _worker["encoder"] = source.load()


def _encode(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return features_of(_worker["encoder"], images)
