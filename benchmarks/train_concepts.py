"""Fit the semantic head (and the Vienna vectors) on what icon packs say their icons show; prints JSON.

    python benchmarks/train_concepts.py [--encoder MODULE:CLASS] [--pictures DIR] [--write]

The packs of benchmarks/iconify/concepts.py HELD_OUT_PACKS are never trained on; benchmarks/concepts.py measures there.
Pictures, features and phrases are kept in --cache, so that another fit takes a minute and another encoder only its own
pass. --pictures takes further marks from training data made by benchmarks/build_training.py, which are drawn already.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.concept_marks import FROZEN, ConceptMarks, Source, draw, encode, gather, gather_drawn  # noqa: E402
from benchmarks.concept_phrases import Phrases, said_of  # noqa: E402
from benchmarks.iconify.concepts import Concept  # noqa: E402
from search.retrieval.descriptors.semantic import FILE, SemanticHead  # noqa: E402
from search.retrieval.vienna import FILE as VIENNA_FILE  # noqa: E402
from search.retrieval.vienna import Vienna  # noqa: E402
from search.training.concepts import Settings, fit  # noqa: E402

WEIGHTS = ROOT / "search" / "retrieval" / "weights"
TRAIN, HELD_OUT, DRAWN = 9000, 3000, 12000


@dataclass(frozen=True)
class Data:
    """Marks with their features, those that show nothing left out. made_for: where the features come from."""

    train: list[Concept]
    features: NDArray[np.float32]
    held_out: list[Concept]
    held_out_features: NDArray[np.float32]
    words: list[str]
    made_for: dict[str, str]


def load(args: argparse.Namespace) -> Data:
    """Choose, draw and encode; what an earlier run did is taken from the cache."""
    source = Source(args.encoder, args.side)
    marks = gather(args.package, ROOT / "build", train=args.train, held_out=args.held_out)
    grey, drawn = draw(marks, args.cache / "marks")
    pooled = encode(grey, drawn, source, args.cache, part="marks")
    here = np.flatnonzero(drawn)
    learnt, kept = here[here < len(marks.train)], here[here >= len(marks.train)]
    train, features = [marks.train[row] for row in learnt], pooled[learnt]
    if args.pictures:
        more, more_features = _drawn_already(args, marks, source)
        train, features = [*train, *more], np.concatenate([features, more_features])
    encoder = source.load()
    return Data(
        train=train,
        features=features,
        held_out=[marks.held_out[row - len(marks.train)] for row in kept],
        held_out_features=pooled[kept],
        words=marks.words,
        made_for={"encoder": encoder.version, "side": str(args.side)},
    )


def _drawn_already(
    args: argparse.Namespace, marks: ConceptMarks, source: Source
) -> tuple[list[Concept], NDArray[np.float32]]:
    names = json.loads((args.pictures / "index.json").read_text("utf-8"))["names"]
    chosen = gather_drawn(marks, names, most=args.drawn)
    grey = np.load(args.pictures / "marks.npy", mmap_mode="r")[[row for row, _ in chosen]]
    features = encode(grey, np.ones(len(grey), bool), source, args.cache, part="drawn")
    return [concept for _, concept in chosen], features


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--package", type=Path, help="the icon package; fetched with npm when left out")
    made.add_argument("--cache", type=Path, default=ROOT / "build" / "semantic")
    made.add_argument("--encoder", default=FROZEN, metavar="MODULE:CLASS")
    made.add_argument("--side", type=int, default=192)
    made.add_argument("--pictures", type=Path, help="training data of the encoder, to learn from too")
    made.add_argument("--train", type=int, default=TRAIN)
    made.add_argument("--held-out", type=int, default=HELD_OUT)
    made.add_argument("--drawn", type=int, default=DRAWN, help="marks taken from --pictures")
    return made


def main() -> None:
    options = parser()
    options.add_argument("--epochs", type=int, default=Settings.epochs)
    options.add_argument("--seed", type=int, default=Settings.seed)
    options.add_argument("--write", type=Path, nargs="?", const=WEIGHTS, help="store the head (with the weights)")
    args = options.parse_args()
    data = load(args)
    phrases = Phrases(args.cache / "phrases")
    said = said_of(data.train, phrases)
    start = time.perf_counter()
    losses: list[float] = []
    settings = replace(Settings(), epochs=args.epochs, seed=args.seed)
    parts = fit(data.features, said, settings, progress=lambda _, loss: losses.append(loss))
    head = SemanticHead(parts, {**data.made_for, "sentences": phrases.version})
    report = {
        "marks": len(data.train), "phrases": len(said.vectors), "packs": len({c.member[0] for c in data.train}),
        "seconds": round(time.perf_counter() - start, 1), "loss": [round(loss, 3) for loss in losses],
        "version": head.version,
    }  # fmt: skip
    if args.write:
        args.write.mkdir(parents=True, exist_ok=True)
        head.save(args.write / FILE)
        # One mark in three is enough for means and deviations.
        Vienna.fit(phrases, head.apply(data.features[::3])).save(args.write / VIENNA_FILE)
        report["bytes"] = {name: (args.write / name).stat().st_size for name in (FILE, VIENNA_FILE)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
