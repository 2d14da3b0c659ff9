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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.fit_descriptors import Marks, similarities  # noqa: E402
from benchmarks.texture_rows import ROWS, Row, pooled  # noqa: E402
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
OWN = DESCRIPTORS.index(NAME)


@dataclass(frozen=True)
class Others:
    """The other descriptors with the first weights, to which a row's own similarities are added.

    sims: (q, n, descriptors) raw, without `texture`; fused (q, n): Eq 1 of them calibrated; present (q, n): the share
    of their weight that is not missing. The marks' first rows are the queries.
    """

    marks: Marks
    sims: np.ndarray
    fused: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, marks: Marks, sims: np.ndarray, calibration: Calibration, weights: np.ndarray) -> Others:
        present = (~np.isnan(sims)) @ weights / weights.sum()
        return cls(marks, sims, fuse(calibration.apply(sims), weights), present)

    def own(self, vectors: np.ndarray) -> np.ndarray:
        """A row's own similarities (q, n)."""
        return np.asarray(vectors[: len(self.marks.groups)] @ vectors[: self.sims.shape[1]].T)

    def figures(self, own: np.ndarray, share: float) -> dict[str, float]:
        """own: (q, n) calibrated, weighed with a share; the others share the rest."""
        rest = (1 - share) * self.present
        return matrix_figures((rest * self.fused + share * own) / np.maximum(rest + share, 1e-9), self.marks.groups)


def raw_similarities(marks: Marks, describer: Describer, cache: Path) -> np.ndarray:
    """(q, n, descriptors), `texture` blanked out."""
    store = VectorStore(cache / "described", describer.version)
    with tqdm(total=len(marks.paths), desc=f"{marks.split} described") as bar:
        files = DescribedFiles(describer, store, refused=print, done=bar.update)
        table = MarkTable.concatenate(files.chunks(marks.paths))
    sims = similarities(table, len(marks.groups))
    sims[:, :, OWN] = np.nan
    return sims


def both_others(train: Marks, val: Marks, describer: Describer, cache: Path) -> tuple[Others, Others]:
    """Calibrated on `train`, at the first weights."""
    weights = np.array(list(FirstWeights.shipped().of(DESCRIPTORS).values()))
    weights[OWN] = 0
    fit, test = (raw_similarities(marks, describer, cache) for marks in (train, val))
    calibration = Calibration.fit(*listed_pairs(fit, train.groups, weights))
    return Others.of(train, fit, calibration, weights), Others.of(val, test, calibration, weights)


def calibrated(train: Others, own: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row's own similarities in `train` and in `val`, calibrated on the pairs that the others list in `train`."""
    weights = np.array(list(FirstWeights.shipped().of(DESCRIPTORS).values()))
    weights[OWN] = 0
    sims = train.sims.copy()
    sims[:, :, OWN] = own
    calibration = Calibration.fit(*listed_pairs(sims, train.marks.groups, weights))

    def apply(values: np.ndarray) -> np.ndarray:
        full = np.full((*values.shape, len(DESCRIPTORS)), np.nan, np.float32)
        full[..., OWN] = values
        return np.asarray(calibration.apply(full)[..., OWN])

    return apply(own), apply(other)


def measured(fit: np.ndarray, train: Others, test: np.ndarray, val: Others, row: Row) -> dict[str, Any]:
    """One row: alone and fused. fit, test: shares of all marks of train and of val."""
    prepared = [np.sqrt(x.astype(np.float32)) if row.root else x.astype(np.float32) for x in (fit, test)]
    pca = Whitening.fit(prepared[0][len(train.marks.groups) :], row.dim, power=row.power)
    own, other = train.own(pca.apply(prepared[0])), val.own(pca.apply(prepared[1]))
    alone = matrix_figures(other, val.marks.groups)
    own, other = calibrated(train, own, other)
    scores = {share: train.figures(own, share)["map100"] for share in SHARES}
    return {
        **asdict(row),
        "from": int(fit.shape[1]),
        "alone": alone,
        "train": scores,
        "best_share_on_train": max(SHARES, key=lambda share: (scores[share], -share)),
        f"at_{TRIED}": val.figures(other, TRIED),
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
        change = row[f"at_{TRIED}"]["map100"] - without["map100"]
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
    known, asked = both_others(train.first(options.calibration_marks), val, describer, options.cache)
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
        "without": asked.figures(np.zeros_like(asked.fused), 0.0),
        "speed_ms": speed(val, describer),
    }
    if options.docs:
        options.docs.write_text(page(report), "utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
