"""Where `texture` takes its patterns, how it pools them and how many numbers it keeps: measured; prints JSON.

    python benchmarks/texture.py --train DIR --val DIR [--docs FILE] [--cache DIR]

DIR as made by benchmarks/build_families.py. PCA, calibration and weights are fitted on `train` (families that the
encoder has not learnt), every figure is of `val` with the query left out of its own list. --docs writes the table as a
page. What was read and described is kept under --cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.fit_descriptors import Marks, similarities  # noqa: E402
from benchmarks.texture_rows import ROWS, SHIPS, Row, pooled  # noqa: E402
from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.descriptors.texture import NAME  # noqa: E402
from search.retrieval.descriptors.whole_pass import WholePass  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.fitting import listed_pairs  # noqa: E402
from search.retrieval.fusion import fuse  # noqa: E402
from search.retrieval.imaging import decode_picture  # noqa: E402
from search.retrieval.normalise import normalise  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import VectorStore  # noqa: E402
from search.retrieval.whitening import Whitening  # noqa: E402
from tuning.evaluation.described import DescribedFiles  # noqa: E402
from tuning.evaluation.vectors import matrix_figures  # noqa: E402

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Weights of `texture` that are tried on `train`; the others keep their proportions."""
TRIED = 0.05


@dataclass(frozen=True)
class Others:
    """Similarities (q, n, descriptors) to be completed by a row's own; the marks' first rows are the queries."""

    marks: Marks
    sims: np.ndarray

    def figures(self, calibration: Calibration, weights: np.ndarray) -> dict[str, float]:
        return matrix_figures(fuse(calibration.apply(self.sims), weights), self.marks.groups)

    def with_texture(self, vectors: np.ndarray) -> Others:
        sims = self.sims.copy()
        queries, listed = vectors[: len(self.marks.groups)], vectors[: sims.shape[1]]
        sims[:, :, DESCRIPTORS.index(NAME)] = queries @ listed.T
        return replace(self, sims=sims)


def others(marks: Marks, describer: Describer, cache: Path) -> Others:
    store = VectorStore(cache / "described", describer.version)
    with tqdm(total=len(marks.paths), desc=f"{marks.split} described") as bar:
        files = DescribedFiles(describer, store, refused=print, done=bar.update)
        table = MarkTable.concatenate(files.chunks(marks.paths))
    return Others(marks, similarities(table, len(marks.groups)))


def with_share(weights: np.ndarray, share: float) -> np.ndarray:
    """The weights with `texture` at a share, the others in proportion."""
    own = np.arange(len(weights)) == DESCRIPTORS.index(NAME)
    rest = np.where(own, 0, weights)
    return np.where(own, share, rest / rest.sum() * (1 - share))


def measured(fit: np.ndarray, train: Others, test: np.ndarray, val: Others, row: Row) -> dict[str, Any]:
    """One row: alone and fused. fit, test: shares of all marks of train and of val."""
    prepared = [np.sqrt(x.astype(np.float32)) if row.root else x.astype(np.float32) for x in (fit, test)]
    pca = Whitening.fit(prepared[0][len(train.marks.groups) :], row.dim, power=row.power)
    ours, theirs = (pca.apply(x) for x in prepared)
    train, val = train.with_texture(ours), val.with_texture(theirs)
    groups = val.marks.groups
    alone = matrix_figures(val.sims[:, :, DESCRIPTORS.index(NAME)], groups)
    current = np.array(list(FirstWeights.shipped().of(DESCRIPTORS).values()))
    calibration = Calibration.fit(*listed_pairs(train.sims, train.marks.groups, with_share(current, 0.0)))
    calibrated = calibration.apply(train.sims)
    scores = {
        share: matrix_figures(fuse(calibrated, with_share(current, share)), train.marks.groups)["map100"]
        for share in SHARES
    }
    best = max(SHARES, key=lambda share: (scores[share], -share))
    return {
        **asdict(row),
        "from": int(fit.shape[1]),
        "alone": alone,
        "best_share_on_train": best,
        "without": val.figures(calibration, with_share(current, 0.0)),
        f"at_{TRIED}": val.figures(calibration, with_share(current, TRIED)),
        "at_best": val.figures(calibration, with_share(current, best)),
        "train": scores,
    }


def speed(marks: Marks, describer: Describer, count: int = 192) -> dict[str, float]:
    """Milliseconds of processor time a mark, medians over chunks of 16 marks that take turns."""
    paths = marks.paths[:: max(1, len(marks.paths) // count)][:count]
    pictures = [decode_picture(p.read_bytes()) for p in paths]
    general, semantic, texture = (describer.components[name] for name in ("general", "semantic", NAME))
    passes: dict[str, WholePass] = {
        "pass without": WholePass(general, (semantic,)),  # type: ignore[arg-type]
        "pass with": WholePass(general, (semantic, texture)),  # type: ignore[arg-type]
    }
    kinds: dict[str, Callable[[Sequence[Any]], object]] = {
        "texture alone": lambda chunk: texture.describe([normalise(p.pixels) for p in chunk]),
        "pass without": lambda chunk: passes["pass without"].describe([normalise(p.pixels) for p in chunk]),
        "pass with": lambda chunk: passes["pass with"].describe([normalise(p.pixels) for p in chunk]),
        "everything": describer.describe,
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for at in range(0, len(pictures), 16):
        for name, describe in kinds.items():
            start = time.process_time()
            describe(pictures[at : at + 16])
            took[name].append(1000 * (time.process_time() - start) / len(pictures[at : at + 16]))
    return {name: round(float(np.median(times[1:])), 2) for name, times in took.items()}


def page(report: dict[str, Any]) -> str:
    """The table in Markdown."""
    without, took = report["without"], report["speed_ms"]
    lines = []
    for name, row in report["rows"].items():
        change = row[f"at_{TRIED}"]["map100"] - row["without"]["map100"]
        lines.append(
            f"| {name} | {row['layer']} | {row['from']:,} -> {row['dim']} | {row['alone']['map100']} "
            f"| {row['alone']['nar']} | {change:+.2f} | {row['best_share_on_train']:.0%} |"
        )
    more = took["pass with"] - took["pass without"]
    return TEMPLATE.format(
        rows="\n".join(lines),
        marks=report["val_marks"],
        queries=report["val_queries"],
        tried=TRIED,
        more=more,
        share=more / took["everything"],
        everything=took["everything"],
        alone=took["texture alone"],
        speed=1000 / took["texture alone"],
        **without,
    )


TEMPLATE = """# What `texture` is made of

`benchmarks/texture.py`: {queries:,} queries of `val` among {marks:,} marks, query excluded; PCA, calibration and
weights fitted on `train`. Layers are named by their maps at 160 px. *Fused* is the change of mAP@100 when `texture`
gets {tried:.0%} of the weight beside the other five (without it {map100}, NAR {nar}); *best* is the share that `train`
gives it.

| | layer | numbers | mAP@100 alone | NAR alone | fused | best |
|---|---|---|---|---|---|---|
{rows}

In the pass that `general` makes it costs {more:.1f} ms of processor time a mark, {share:.1%} of describing a mark in
full ({everything:.1f} ms). By itself it takes {alone:.1f} ms: {speed:.0f} marks a second and core.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=Path, default=ROOT / "build" / "train")
    parser.add_argument("--val", type=Path, default=ROOT / "build" / "val")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "texture")
    parser.add_argument("--fit-marks", type=int, default=4000, help="pool marks of train to fit the PCA on")
    parser.add_argument("--calibration-marks", type=int, default=1500, help="of these, to calibrate and weigh among")
    parser.add_argument("--val-marks", type=int, default=3000, help="pool marks of val to measure among")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write the table, e.g. docs/texture.md")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    options.cache.mkdir(parents=True, exist_ok=True)
    train = Marks.load(options.train, "train", options.fit_marks)
    val = Marks.load(options.val, "val", options.val_marks)
    describer = Describer()
    known = others(train.first(options.calibration_marks), describer, options.cache)
    asked = others(val, describer, options.cache)
    rows: dict[str, Any] = {}
    for network, side in dict.fromkeys((row.network, row.side) for _, row in ROWS):
        of = {name: row for name, row in ROWS if (row.network, row.side) == (network, side)}
        wanted = {(row.layer, row.pooling) for row in of.values()}
        fit, test = (pooled(marks, network, side, wanted, options.cache) for marks in (train, val))
        for name, row in of.items():
            key = f"{row.layer} | {row.pooling}"
            rows[name] = measured(fit[key], known, test[key], asked, row)
            print(name, rows[name]["alone"], file=sys.stderr, flush=True)
    report = {
        "train_marks": len(train.paths),
        "val_marks": len(val.paths),
        "val_queries": len(val.groups),
        "rows": {name: rows[name] for name, _ in ROWS},
        "without": rows[SHIPS]["without"],
        "speed_ms": speed(val, describer),
    }
    if options.docs:
        options.docs.write_text(page(report), "utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
