#!/usr/bin/env python
"""Region finders on one test: what `objects` gains by each, and what its regions cost.

    .venv/bin/python benchmarks/regions.py --queries DIR --pool DIR [--limit-pool N] [--finders NAME ...] [--json]

DIRs in METU layout. Every figure is with the query left out of its own list: mAP@100 in percent and NAR of

    set, set+whole     `objects` set-to-set alone, and 0.5/0.5 with the whole mark (Eq 1 on raw cosines)
    mean, mean+whole   the paper's reading: one vector, the mean of the regions' unit vectors; a mark without
                       regions lacks it, so that it ranks last alone, and counts by its whole mark when fused

together with regions and bytes per mark as stored (float16 vector and box). What was described is kept under --cache.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from search.retrieval.describe import PARTS_SIDE, Describer  # noqa: E402
from search.retrieval.description import Description  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.descriptors.objects import PartsDescriptor  # noqa: E402
from search.retrieval.fusion import fuse  # noqa: E402
from search.retrieval.imaging import decode_picture, reduce_picture  # noqa: E402
from search.retrieval.normalise import normalise  # noqa: E402
from search.retrieval.pooling import unit  # noqa: E402
from search.retrieval.regions import FINDERS  # noqa: E402
from search.retrieval.similarity import table_similarities  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import DescribedMark, VectorStore  # noqa: E402
from tuning.evaluation.evaluate import measure  # noqa: E402
from tuning.evaluation.metu import MetuLayout, load  # noqa: E402
from tuning.evaluation.ranking import Scorer, rank_queries  # noqa: E402

ENCODED, COMPARED = 32, 256
_BOX_BYTES = 16
Key = tuple[str, str]

# The last axis of what is compared here: whole to whole, set to set, mean to mean.
_ALONE = {"whole": (1.0, 0.0, 0.0), "set": (0.0, 1.0, 0.0), "mean": (0.0, 0.0, 1.0)}
_FUSED = {"set+whole": (0.5, 0.5, 0.0), "mean+whole": (0.5, 0.0, 0.5)}


def described(layout: MetuLayout, finders: Sequence[str], cache: Path) -> tuple[dict[str, VectorStore], list[Key]]:
    """A vector store per finder with every mark in it. Each image is opened, and its whole mark encoded, once."""
    describer = Describer()
    found = {name: PartsDescriptor(describer.whole, FINDERS[name].count, PARTS_SIDE, FINDERS[name]) for name in finders}
    version = describer.version
    stores = {name: VectorStore(cache, f"{version}-{p.version.replace(':', '-')}") for name, p in found.items()}
    paths = [*layout.query_paths, *layout.pool_paths]
    keys = [(path.name, path.parent.name) for path in paths]
    lacking = {name: set(store.missing(keys)) for name, store in stores.items()}
    todo = [(key, path) for key, path in zip(keys, paths, strict=True) if any(key in left for left in lacking.values())]
    for start in tqdm(range(0, len(todo), ENCODED), desc="describing", disable=not todo):
        chunk = todo[start : start + ENCODED]
        marks = [normalise(reduce_picture(decode_picture(path.read_bytes()))) for _, path in chunk]
        wholes = describer.whole.describe(marks)
        for name, parts in found.items():
            segment = []
            for (key, _), mark, whole, part in zip(chunk, marks, wholes, parts.describe(marks), strict=True):
                if key in lacking[name] and whole is not None:
                    size = (mark.width, mark.height)
                    one = Description({"general": whole}, part.vectors, mark.to_original(part.boxes), size)
                    segment.append(DescribedMark(*key, one))
            stores[name].append(segment)
    return stores, keys


def mean_regions(table: MarkTable) -> np.ndarray:
    """(m, d) unit mean of each mark's regions; a zero row where it has none."""
    sums = np.zeros((len(table), table.regions.shape[1]), np.float32)
    np.add.at(sums, table.owners, table.regions.astype(np.float32))
    return np.asarray(unit(sums), dtype=np.float32)


def compared(queries: MarkTable, table: MarkTable) -> Iterator[np.ndarray]:
    """Chunks (q, m, 3) of raw similarities: whole, set, mean; NaN where a mean is missing. Queries come first."""
    axes = [DESCRIPTORS.index("general"), DESCRIPTORS.index("objects")]
    descriptions = [queries.description(row) for row in range(len(queries))]
    own = mean_regions(queries)
    steps = [(0, len(queries)), *((at, at + COMPARED) for at in range(len(queries), len(table), COMPARED))]
    for start, end in steps:
        part = table.take(np.arange(start, min(end, len(table))))
        theirs = mean_regions(part)
        means = own @ theirs.T
        means[~own.any(axis=1)] = np.nan
        means[:, ~theirs.any(axis=1)] = np.nan
        sims = table_similarities(descriptions, part)[:, :, axes]
        yield np.concatenate([sims, means[:, :, None]], axis=2)


def figures(layout: MetuLayout, table: MarkTable) -> dict[str, Any]:
    """One finder's row."""

    def scorer(weights: Sequence[float]) -> Scorer:
        return lambda sims: fuse(sims, np.array(weights))

    scorers = {name: scorer(weights) for name, weights in {**_ALONE, **_FUSED}.items()}
    queries = table.take(np.arange(len(layout.groups)))
    rankings, marks = rank_queries(layout.groups, compared(queries, table), scorers)
    row: dict[str, Any] = {}
    for name, ranking in rankings.items():
        found = measure(ranking, layout.groups, marks, "excluded")
        row[name] = {"map100": round(100 * found.map100, 2), "nar": round(found.nar, 4)}
    per_mark = len(table.regions) / len(table)
    row["regions_per_mark"] = round(per_mark, 2)
    row["bytes_per_mark"] = round(per_mark * (table.regions.shape[1] * table.regions.itemsize + _BOX_BYTES))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--limit-pool", type=int, help="only so many marks of the pool, evenly spread")
    parser.add_argument("--finders", nargs="+", choices=FINDERS, default=list(FINDERS))
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "regions")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    full = load(options.queries, options.pool)
    count = len(full.pool_paths)
    wanted = min(count, options.limit_pool or count)
    spread = tuple(full.pool_paths[at * count // wanted] for at in range(wanted))
    layout = replace(full, pool_paths=spread)
    stores, keys = described(layout, options.finders, options.cache)
    rows = {name: figures(layout, store.read(keys)) for name, store in stores.items()}
    report = {"queries": len(layout.groups), "marks": len(keys), "finders": rows}
    if options.json:
        print(json.dumps(report, indent=1))
        return
    kinds = [*_ALONE, *_FUSED]
    print(f"{len(layout.groups)} queries, {len(keys)} marks; mAP@100 / NAR")
    print(f"{'':12}" + "".join(f"{kind:>15}" for kind in kinds) + f"{'regions':>9}{'bytes':>7}")
    for name, row in rows.items():
        cells = "".join(f"{row[kind]['map100']:8.1f} /{row[kind]['nar']:.3f}" for kind in kinds)
        print(f"{name:12}{cells}{row['regions_per_mark']:9.2f}{row['bytes_per_mark']:7}")


if __name__ == "__main__":
    main()
