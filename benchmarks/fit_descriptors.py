"""Measure the descriptors' choices on held-out families and fit what ships with them; prints JSON.

    python benchmarks/fit_descriptors.py --train DIR --val DIR [--write] [--cache DIR]

DIR as made by benchmarks/build_families.py: queries/<instance>-<group>.png and pool/. Whitening is fitted on
the pool of `train`, calibration and first weights on its families; every figure is of `val`, with the query left
out of its own list (mAP@100, NAR, recall@100). --write stores the fits under search/retrieval/weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.kept import kept_families  # noqa: E402
from search.retrieval import describe  # noqa: E402
from search.retrieval.calibration import SHIPPED, Calibration  # noqa: E402
from search.retrieval.clusters import silhouettes  # noqa: E402
from search.retrieval.crowding import cut_shift  # noqa: E402
from search.retrieval.describe import WEIGHTS, Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.descriptors.texture import FILE as TEXTURE  # noqa: E402
from search.retrieval.descriptors.texture import TextureWeights, made_for, pattern_rows  # noqa: E402
from search.retrieval.encoders.efficientnet_lite import EfficientNetLiteEncoder  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.fitting import CENTRED, DIM, POWER, listed_pairs  # noqa: E402
from search.retrieval.fusion import fuse  # noqa: E402
from search.retrieval.imaging import Pixels, decode_picture  # noqa: E402
from search.retrieval.normalise import normalise  # noqa: E402
from search.retrieval.pooling import POOLINGS, unit  # noqa: E402
from search.retrieval.similarity import table_similarities  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import DescribedMark, VectorStore  # noqa: E402
from search.retrieval.whitening import Whitening  # noqa: E402
from tuning.evaluation import metu  # noqa: E402
from tuning.evaluation.simplex import climb  # noqa: E402
from tuning.evaluation.vectors import matrix_figures  # noqa: E402
from tuning.objective import HeldOut, HeldOutQuery, evaluate_each  # noqa: E402

ENCODED = 4
CHUNK = 32


@dataclass(frozen=True)
class Marks:
    """Paths of one split, queries first; groups of the queries."""

    split: str
    paths: Sequence[Path]
    groups: np.ndarray

    @classmethod
    def load(cls, folder: Path, split: str, most: int) -> Marks:
        """`train`: only the families that the encoder has not learnt."""
        layout = metu.load(folder / "queries", folder / "pool")
        if split == "train":
            layout = kept_families(layout)
        return cls(split, [*layout.query_paths, *layout.pool_paths[:most]], np.array(layout.groups))

    def first(self, pool: int) -> Marks:
        """The queries and the first `pool` marks of the pool."""
        return Marks(self.split, self.paths[: len(self.groups) + pool], self.groups)


def pooled(
    marks: Marks, view: str, side: int, cache: Path, encode: Callable[[Pixels], Mapping[str, np.ndarray]], name: str
) -> dict[str, np.ndarray]:
    """Whatever `encode` makes of every mark, key -> (n, d), from the cache where it was computed before.

    name: tells apart what the cache holds; it changes with the encoder.
    """
    path = cache / f"{marks.split}-{len(marks.paths)}-{view}-{side}-{name.replace(':', '-')}.npz"
    if path.exists():
        with np.load(path) as stored:
            return {key: stored[key].astype(np.float32) for key in stored}
    make = {name: made for name, made, _ in describe.VIEWS}[view]
    rows: dict[str, np.ndarray] = {}
    for start in tqdm(range(0, len(marks.paths), ENCODED), desc=f"{marks.split} {view} {side}"):
        normal = [normalise(decode_picture(p.read_bytes())) for p in marks.paths[start : start + ENCODED]]
        blank = np.full((side, side, 3), 255, np.uint8)
        views = [made if (made := make(mark, side)) is not None else blank for mark in normal]
        for key, vectors in encode(np.stack(views)).items():
            column = rows.setdefault(key, np.empty((len(marks.paths), vectors.shape[1]), np.float16))
            column[start : start + ENCODED] = vectors
    np.savez(path, **rows)  # type: ignore[arg-type]
    return {key: values.astype(np.float32) for key, values in rows.items()}


def pooling_table(train: Marks, val: Marks, sides: Sequence[int], cache: Path) -> list[dict[str, Any]]:
    """Every pooling at every side, plain and whitened."""
    encoder = EfficientNetLiteEncoder()
    encode = partial(encoder.encode_each, poolings=list(POOLINGS))
    rows = []
    for side in sides:
        fit, test = (pooled(marks, "general", side, cache, encode, "imagenet-each") for marks in (train, val))
        for name in POOLINGS:
            whitening = Whitening.fit(fit[name][len(train.groups) :], DIM)
            for kind, vectors in (("plain", unit(test[name])), ("whitened", whitening.apply(test[name]))):
                scores = vectors[: len(val.groups)] @ vectors.T
                rows.append({"pooling": name, "side": side, "kind": kind, **matrix_figures(scores, val.groups)})
    return rows


def fit_whitening(train: Marks, cache: Path, out: Path) -> None:
    """The whitenings of the encoder's views that ship, on the pool of `train`."""
    encoder = describe.encoder_in()
    for view, _, side in describe.VIEWS:
        found = pooled(train, view, side, cache, lambda images: {"pooled": encoder.encode(images)}, encoder.version)
        vectors = found["pooled"]
        Whitening.fit(vectors[len(train.groups) :], DIM, power=POWER, centred=CENTRED).save(out / f"{view}.npz")


def fit_texture(train: Marks, out: Path) -> None:
    """The PCA of `texture`, on the pool of `train`."""
    pool = train.paths[len(train.groups) :]
    marks = (normalise(decode_picture(p.read_bytes())) for p in tqdm(pool, desc="train texture"))
    whole = Describer(weights=out).whole
    TextureWeights.fit(pattern_rows(whole, marks), made_for(whole)).save(out / TEXTURE)


def described(marks: Marks, describer: Describer, cache: Path) -> MarkTable:
    """The marks as a table; what was described before with the same descriptors is taken from the cache."""
    store = VectorStore(cache / marks.split, describer.version)
    keys = [(p.stem, p.parent.name) for p in marks.paths]
    paths = dict(zip(keys, marks.paths, strict=True))
    left = store.missing(keys)
    for at in tqdm(range(0, len(left), CHUNK), desc=f"{marks.split} described"):
        chunk = left[at : at + CHUNK]
        found = describer.describe([decode_picture(paths[key].read_bytes()) for key in chunk])
        store.append([DescribedMark(*key, one) for key, one in zip(chunk, found, strict=True)])
    return store.read(keys)


def bulk_speed(marks: Marks, describer: Describer, count: int = 320) -> float:
    """Marks per second with decoding and all views, in chunks."""
    paths = marks.paths[:: max(1, len(marks.paths) // count)][:count]
    start = time.perf_counter()
    for at in range(0, len(paths), CHUNK):
        describer.describe([decode_picture(p.read_bytes()) for p in paths[at : at + CHUNK]])
    return len(paths) / (time.perf_counter() - start)


def similarities(table: MarkTable, queries: int) -> np.ndarray:
    """Raw similarities (q, n, descriptors) of the first rows to all."""
    return table_similarities([table.description(row) for row in range(queries)], table)


def fit_first_weights(sims: np.ndarray, groups: np.ndarray, current: np.ndarray, most: int) -> np.ndarray:
    """Weights with the best mAP@100 on `most` of the queries, by climbing from the current and from equal ones.

    sims: (q, n, descriptors) calibrated, the queries being the first marks.
    """
    queries = []
    for row in np.unique(np.linspace(0, len(groups) - 1, most).astype(int)):
        relevant = np.zeros(sims.shape[1], bool)
        relevant[: len(groups)] = groups == groups[row]
        relevant[row] = False
        if relevant.any():
            queries.append(HeldOutQuery(str(row), groups[row], None, sims[row], relevant, int(row)))
    held_out = HeldOut(DESCRIPTORS, tuple(queries))
    equal = np.full(len(DESCRIPTORS), 1 / len(DESCRIPTORS))
    best, _ = climb(lambda w: float(evaluate_each(held_out, w, 0.5).ap100.mean()), [current, equal])
    return best


def best_threshold(scores: np.ndarray, groups: np.ndarray, beta: float = 2.0) -> dict[str, float]:
    """The cut with the best mean F-beta of the pre-selections of all queries. With 2 recall counts double.

    scores: (q, n), each query's from its own cut: without what the crowd around it adds to a cut.
    """
    relative = np.zeros(scores.shape, bool)
    relative[:, : len(groups)] = groups[:, None] == groups
    own = np.arange(len(groups))
    relative[own, own] = False
    scores = scores.copy()
    scores[own, own] = -1
    wanted = relative.sum(axis=1)
    best = {"f": 0.0}
    for cut in np.arange(0.05, 0.96, 0.01):
        chosen = scores >= cut
        hits, size = (chosen & relative).sum(axis=1), chosen.sum(axis=1)
        f = ((1 + beta**2) * hits / np.maximum(size + beta**2 * wanted, 1))[wanted > 0].mean()
        if f > best["f"]:
            best = {"beta": beta, "f": round(float(f), 3), "threshold": round(float(cut), 2)}
            best |= {"precision": round(float(hits.sum() / max(size.sum(), 1)), 3)}
            best |= {"recall": round(float(hits.sum() / wanted.sum()), 3)}
    return best


def fused_table(sims: np.ndarray, groups: np.ndarray, calibration: Calibration, weights: np.ndarray) -> dict[str, Any]:
    """Each descriptor alone, equal weights on raw and calibrated similarities, and the first weights."""
    equal = np.full(len(DESCRIPTORS), 1 / len(DESCRIPTORS))
    table: dict[str, Any] = {name: matrix_figures(sims[:, :, axis], groups) for axis, name in enumerate(DESCRIPTORS)}
    table["fused raw"] = matrix_figures(fuse(sims, equal), groups)
    table["fused calibrated"] = matrix_figures(fuse(calibration.apply(sims), equal), groups)
    table["fused first weights"] = matrix_figures(fuse(calibration.apply(sims), weights), groups)
    return table


def query_latency(marks: Marks, describer: Describer, count: int = 100) -> dict[str, float]:
    """Milliseconds to describe one picture with all views."""
    pictures = [decode_picture(p.read_bytes()) for p in marks.paths[:: max(1, len(marks.paths) // count)]]
    took = []
    for picture in pictures:
        start = time.perf_counter()
        describer.describe([picture])
        took.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(took[5:], [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "fit")
    parser.add_argument("--fit-marks", type=int, default=8000, help="pool marks of train to fit on")
    parser.add_argument("--calibration-marks", type=int, default=2500, help="of these, to calibrate among")
    parser.add_argument("--val-marks", type=int, default=4000, help="pool marks of val to measure among")
    parser.add_argument("--weight-queries", type=int, default=400, help="queries of train to fit the weights on")
    parser.add_argument("--sides", type=int, nargs="*", default=[], help="also print the pooling table")
    parser.add_argument("--silhouettes", type=int, nargs="*", default=[], help="K to try on the pool of val")
    parser.add_argument("--write", action="store_true", help="store the fits that ship")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    train = Marks.load(options.train, "train", options.fit_marks)
    val = Marks.load(options.val, "val", options.val_marks)
    report: dict[str, Any] = {"train_marks": len(train.paths), "val_marks": len(val.paths)}
    if options.sides:
        report["pooling"] = pooling_table(train, val, options.sides, options.cache)
    if options.write:
        fit_whitening(train, options.cache, WEIGHTS)
        fit_texture(train, WEIGHTS)
    describer = Describer()
    fit = train.first(options.calibration_marks)
    table = described(fit, describer, options.cache)
    sims = similarities(table, len(train.groups))
    current = np.array(list(FirstWeights.shipped().of(DESCRIPTORS).values()))
    calibration = Calibration.fit(*listed_pairs(sims, train.groups, current), made_for=describer.version)
    if options.write:
        SHIPPED.write_text(json.dumps(calibration.to_json(), indent=1) + "\n", "utf-8")
    calibrated = calibration.apply(sims)
    weights = fit_first_weights(calibrated, train.groups, current, options.weight_queries)
    # The first page shows what a cut leaves out, so a miss of the pre-selection costs no more than a false mark.
    shifts = [cut_shift(np.delete(of_one, own, axis=0)) for own, of_one in enumerate(calibrated)]
    from_cut = fuse(calibrated, weights) - np.array(shifts, dtype=np.float32)[:, None]
    cuts = [best_threshold(from_cut, train.groups, beta) for beta in (1.0, 2.0)]
    threshold = cuts[0]["threshold"]
    named = {name: float(weight) for name, weight in zip(DESCRIPTORS, weights, strict=True)}
    first = FirstWeights(named, threshold, made_for=describer.version)
    if options.write:
        first.save()
    report["thresholds"], report["first_weights"] = cuts, first.to_json()
    table = described(val, describer, options.cache)
    report["val"] = fused_table(similarities(table, len(val.groups)), val.groups, calibration, weights)
    report["calibration"] = calibration.to_json()
    report["marks_per_second"] = round(bulk_speed(val, describer), 1)
    report["parts_per_mark"] = round(len(table.regions) / len(table), 2)
    report["query"] = query_latency(val, describer)
    if options.silhouettes:
        scores = silhouettes(table.vectors["general"][len(val.groups) :], options.silhouettes)
        report["silhouettes"] = {k: round(score, 4) for k, score in scores.items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
