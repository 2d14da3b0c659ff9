"""Where `texture` takes its patterns, how it pools them and how many numbers it keeps: measured; prints JSON.

    python benchmarks/texture.py --train DIR --val DIR [--docs FILE] [--cache DIR]

DIR as made by benchmarks/build_families.py. PCA, calibration and weights are fitted on `train` (families that the encoder
has not learnt), every figure is of `val` with the query left out of its own list. --docs writes the table as a page.
What was read and described is kept under --cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.fit_descriptors import Marks, similarities  # noqa: E402
from search.retrieval import lbp  # noqa: E402
from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.describe import GENERAL_SIDE, Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.descriptors.general import whole  # noqa: E402
from search.retrieval.descriptors.texture import NAME  # noqa: E402
from search.retrieval.descriptors.whole_pass import WholePass  # noqa: E402
from search.retrieval.encoders.efficientnet_lite import (  # noqa: E402
    EfficientNetLite0,
    batches,
    imagenet_weights,
    placed,
)
from search.retrieval.encoders.trademark import SHIPPED, load_parts  # noqa: E402
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
BATCH = 6

LAYERS: dict[str, tuple[str, bool]] = {
    "80 x 80, 32 maps": ("stem", True),
    "40 x 40, 144 maps": ("blocks.2.expand", True),
    "20 x 20, 240 maps": ("blocks.5.expand", True),
    "20 x 20, before ReLU": ("blocks.5.expand", False),
    "10 x 10, 480 maps": ("blocks.8.expand", True),
}
"""Name at 160 px -> module of the network, and whether its maps are taken after the activation."""
MIDDLE = "20 x 20, 240 maps"

POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "each map": lambda maps: lbp.histograms(maps).flatten(1),
    "each of 60 maps": lambda maps: lbp.histograms(maps[:, ::4]).flatten(1),
    "all maps together": lambda maps: lbp.cell_histograms(maps, 1).flatten(1),
    "2 x 2 cells": lambda maps: lbp.cell_histograms(maps, 2).flatten(1),
    "4 x 4 cells": lambda maps: lbp.cell_histograms(maps, 4).flatten(1),
}


@dataclass(frozen=True)
class Row:
    """One choice. root: square roots of the shares; power: of the PCA, 0.5 whitens."""

    layer: str = MIDDLE
    pooling: str = "2 x 2 cells"
    root: bool = True
    power: float = 0.5
    dim: int = 128
    network: str = "shipped"
    side: int = GENERAL_SIDE


PAPER = Row(pooling="each map", root=False, power=0.0, dim=256)
OURS = Row()
ROWS: tuple[tuple[str, Row], ...] = (
    ("paper: a histogram for each map, PCA", PAPER),
    ("paper, before the activation", replace(PAPER, layer="20 x 20, before ReLU")),
    ("paper, frozen ImageNet network", replace(PAPER, network="frozen")),
    ("paper + square root", replace(PAPER, root=True)),
    ("paper + square root + whitening", replace(PAPER, root=True, power=0.5)),
    ("paper + both, 128 numbers", replace(PAPER, root=True, power=0.5, dim=128)),
    ("paper + both, 128 numbers, every 4th map", replace(OURS, pooling="each of 60 maps")),
    ("all maps together, no place", replace(OURS, pooling="all maps together", dim=58)),
    ("2 x 2 cells (ships)", OURS),
    ("2 x 2 cells, 64 numbers", replace(OURS, dim=64)),
    ("2 x 2 cells, 235 numbers", replace(OURS, dim=235)),
    ("2 x 2 cells, not whitened", replace(OURS, power=0.0)),
    ("2 x 2 cells, no square root", replace(OURS, root=False)),
    ("4 x 4 cells", replace(OURS, pooling="4 x 4 cells")),
    ("2 x 2 cells, before the activation", replace(OURS, layer="20 x 20, before ReLU")),
    ("2 x 2 cells, stem", replace(OURS, layer="80 x 80, 32 maps")),
    ("2 x 2 cells, earlier layer", replace(OURS, layer="40 x 40, 144 maps")),
    ("2 x 2 cells, later layer", replace(OURS, layer="10 x 10, 480 maps")),
    ("2 x 2 cells, 224 px (a pass of its own)", replace(OURS, side=224)),
    ("2 x 2 cells, frozen ImageNet network (a pass of its own)", replace(OURS, network="frozen")),
)  # fmt: skip


def network_of(name: str) -> EfficientNetLite0:
    """The trained network that ships, or the one it started from."""
    if name == "shipped":
        network, _, _ = load_parts(SHIPPED)
    else:
        network = EfficientNetLite0()
        network.load_folded(imagenet_weights())
    return placed(network, torch.device("cpu"))


@contextmanager
def tapped(network: nn.Module, layers: Sequence[str], read: Callable[[str, Tensor], None]) -> Iterator[None]:
    """`read` is called with the maps of these layers in every pass."""

    def tap(layer: str, after: bool) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            read(layer, made if after else nn.Conv2d.forward(module, given[0]))  # type: ignore[arg-type]

        return hook

    handles = []
    for layer in layers:
        module, after = LAYERS[layer]
        handles.append(network.get_submodule(module).register_forward_hook(tap(layer, after)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def pooled(marks: Marks, network: str, side: int, wanted: set[tuple[str, str]], cache: Path) -> dict[str, np.ndarray]:
    """ "layer | pooling" -> shares (n, d) float16 of all marks, from one pass, or from the cache."""
    path = cache / f"{marks.split}-{len(marks.paths)}-{network}-{side}.npz"
    names = {f"{layer} | {pooling}" for layer, pooling in wanted}
    if path.exists():
        with np.load(path) as stored:
            if names <= set(stored):
                return {name: stored[name] for name in names}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def read(layer: str, maps: Tensor) -> None:
        for name, pooling in wanted:
            if name == layer:
                parts[f"{layer} | {pooling}"].append(POOLINGS[pooling](maps).numpy().astype(np.float16))

    model = network_of(network)
    with tapped(model, sorted({layer for layer, _ in wanted}), read), torch.inference_mode():
        for start in tqdm(range(0, len(marks.paths), BATCH), desc=f"{marks.split} {network} {side}"):
            content = [p.read_bytes() for p in marks.paths[start : start + BATCH]]
            views = np.stack([whole(normalise(decode_picture(data)), side) for data in content])
            for _, pixels in batches(views, torch.device("cpu")):
                model(pixels)
    found = {name: np.concatenate(rows) for name, rows in parts.items()}
    np.savez(path, **found)  # type: ignore[arg-type]
    return found


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
    files = DescribedFiles(describer, VectorStore(cache / "described", describer.version), refused=print)
    table = MarkTable.concatenate(files.chunks([*tqdm(marks.paths, desc=f"{marks.split} described")]))
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
    kinds: dict[str, Callable[[Sequence[Any]], object]] = {
        "normalise": lambda chunk: [normalise(picture.pixels) for picture in chunk],
        "texture alone": lambda chunk: texture.describe([normalise(p.pixels) for p in chunk]),
        "pass without": lambda chunk: WholePass(general, (semantic,)).describe([normalise(p.pixels) for p in chunk]),  # type: ignore[arg-type]
        "pass with": lambda chunk: WholePass(general, (semantic, texture)).describe([normalise(p.pixels) for p in chunk]),  # type: ignore[arg-type]
        "everything": describer.describe,
    }  # fmt: skip
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for at in range(0, len(pictures), 16):
        for name, describe in kinds.items():
            start = time.process_time()
            describe(pictures[at : at + 16])
            took[name].append(1000 * (time.process_time() - start) / len(pictures[at : at + 16]))
    return {name: round(float(np.median(times[1:])), 2) for name, times in took.items()}


def page(report: dict[str, Any]) -> str:
    """The table in Markdown."""
    lines = [
        "# What `texture` is made of",
        "",
        f"`benchmarks/texture.py`, {report['val_marks']:,} marks of `val` ({report['val_queries']:,} queries, each left "
        "out of its own list); PCA, calibration and weights fitted on `train`. Layers are named by their maps at 160 px. "
        f"*Fused* is the change of mAP@100 when `texture` gets {TRIED:.0%} of the weight beside the other five with their "
        f"first weights (without it: {report['without']['map100']}, NAR {report['without']['nar']}); *best* is the share "
        "that `train` would give it.",
        "",
        "| | layer | numbers | mAP@100 alone | NAR alone | fused | best |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in report["rows"].items():
        change = row[f"at_{TRIED}"]["map100"] - row["without"]["map100"]
        lines.append(
            f"| {name} | {row['layer']} | {row['from']:,} -> {row['dim']} | {row['alone']['map100']} "
            f"| {row['alone']['nar']} | {change:+.2f} | {row['best_share_on_train']:.0%} |"
        )
    took = report["speed_ms"]
    more = took["pass with"] - took["pass without"]
    return "\n".join(
        [
            *lines,
            "",
            "## What it costs",
            "",
            f"In the pass that `general` makes: {more:.1f} ms of processor time a mark, {more / took['everything']:.1%} of "
            f"describing a mark in full ({took['everything']} ms). By itself {took['texture alone']} ms, "
            f"{1000 / took['texture alone']:.0f} marks a second and core.",
            "",
        ]
    )


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
        "without": rows["2 x 2 cells (ships)"]["without"],
        "speed_ms": speed(val, describer),
    }
    if options.docs:
        options.docs.write_text(page(report), "utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
