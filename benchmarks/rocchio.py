#!/usr/bin/env python
"""What "more like these, less like those" is worth, and the weights it is worth most with; prints JSON.

    .venv/bin/python benchmarks/rocchio.py --queries build/val/queries --pool build/val/pool [--limit-pool 6000]
        [--limit-queries 450]

DIRs in METU layout. For each query an examiner is simulated who looks at the first page: of the query's relatives on
it 1 to 3 are liked, of the strangers on it 1 to 3 are disliked, drawn by chance (one seed). The query, the liked and
the disliked marks are taken out of both lists (residual collection: Salton & Buckley, JASIS 1990), so that no gain
comes from marks that were pointed out. Figures: mAP@100 of the relatives that are left, in percent, without refining
(`before`) and the gain by it, with 95 % bootstrap intervals over families. Half of the families choose, the other
half tells: `choosing` is the half to choose by, `telling` the one to believe.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.leaderboard.measure import limited  # noqa: E402
from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.clusters import fit_clusters  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.description import Description  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.parameters import Parameters  # noqa: E402
from search.retrieval.records import MarkRecord  # noqa: E402
from search.retrieval.rocchio import CHOSEN, Rocchio, refined  # noqa: E402
from search.retrieval.searcher import Searcher  # noqa: E402
from search.retrieval.snapshot import SnapshotStore  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import VectorStore  # noqa: E402
from tuning.evaluation.bootstrap import mean_interval  # noqa: E402
from tuning.evaluation.described import DescribedFiles  # noqa: E402
from tuning.evaluation.metrics import score_query  # noqa: E402
from tuning.evaluation.metu import MetuLayout, load  # noqa: E402

PAGE, K, MOST = 24, 100, 3
TRIED: Mapping[str, Rocchio] = {
    "customary": Rocchio(1, 0.75, 0.15),
    "customary, no parts": Rocchio(1, 0.75, 0.15, parts=0),
    "beta 0.5": Rocchio(1, 0.5, 0.15),
    "beta 1": Rocchio(1, 1, 0.15),
    "beta 1, gamma 0.3": Rocchio(1, 1, 0.3),
    "beta 1.5": Rocchio(1, 1.5, 0.15),
    "beta 1.5, gamma 0.3": Rocchio(1, 1.5, 0.3),
    "beta 1.5, gamma 0.3, 24 parts": Rocchio(1, 1.5, 0.3, parts=24),
    "beta 2.5, gamma 0.3": Rocchio(1, 2.5, 0.3),
    "gamma 0": Rocchio(1, 1, 0),
    "gamma 0.5": Rocchio(1, 1, 0.5),
}


@dataclass(frozen=True)
class Told:
    """What one simulated examiner pointed out; numbers are rows of the table. left: relatives not pointed out."""

    query: int
    liked: tuple[int, ...]
    disliked: tuple[int, ...]
    left: frozenset[int]


def world(table: MarkTable, made_for: str, folder: Path) -> tuple[Searcher, Parameters]:
    """The table as a register with its first weights; a mark's number is its row."""
    numbers = [str(row) for row in range(len(table))]
    marks = MarkTable(np.array(numbers, dtype=object), table.sizes, table.vectors, table.regions, table.boxes,
                      table.offsets)  # fmt: skip
    store = SnapshotStore(folder)
    store.publish(
        records=marks, metadata=[MarkRecord(number) for number in numbers], calibration=Calibration.shipped(),
        descriptors_version=made_for, clusters=fit_clusters(table.vectors["general"], k=1),
    )  # fmt: skip
    return Searcher(store.open()), Parameters.initial(DESCRIPTORS, weights=FirstWeights.shipped().of(DESCRIPTORS))


def ranked(searcher: Searcher, parameters: Parameters, description: Description, top: int) -> list[int]:
    """Rows, best first."""
    return [int(hit.number) for hit in searcher.search(description, parameters, top=top).hits]


def told_by(query: int, first: Sequence[int], groups: Sequence[str], rng: np.random.Generator) -> Told | None:
    """None where the first page shows no relative to like, or leaves none to be found."""
    relatives = {row for row, group in enumerate(groups) if group == groups[query] and row != query}
    page = [row for row in first if row != query][:PAGE]
    good, bad = [row for row in page if row in relatives], [row for row in page if row not in relatives]
    liked = rng.permutation(good)[: min(rng.integers(1, MOST + 1), len(relatives) - 1)]
    disliked = rng.permutation(bad)[: rng.integers(1, MOST + 1)]
    if not len(liked):
        return None
    return Told(query, tuple(map(int, liked)), tuple(map(int, disliked)), frozenset(relatives - set(map(int, liked))))


def residual_ap(order: Sequence[int], told: Told, marks: int) -> float:
    """AP@100 of the relatives that are left; one that the list does not hold ranks last."""
    out = {told.query, *told.liked, *told.disliked}
    places = {row: rank for rank, row in enumerate((row for row in order if row not in out), start=1)}
    count = marks - len(out)
    return score_query([places.get(row, count) for row in told.left], count, "excluded", k=K).ap


def figures(aps: Mapping[str, np.ndarray], groups: np.ndarray) -> dict[str, Any]:
    before = aps["before"]
    rows: dict[str, Any] = {
        "queries": len(groups),
        "families": len(set(groups)),
        "before": round(100 * before.mean(), 2),
    }
    for name in aps:
        if name != "before":
            low, high = mean_interval(aps[name] - before, groups.tolist())
            gain = 100 * float((aps[name] - before).mean())
            rows[name] = {"gain": round(gain, 2), "interval": [round(100 * low, 2), round(100 * high, 2)]}
    return rows


def described(layout: MetuLayout, describer: Describer, cache: Path) -> MarkTable:
    def refused(path: Path, sentence: str) -> None:
        raise SystemExit(f"{path}: {sentence}")

    paths = [*layout.query_paths, *layout.pool_paths]
    with tqdm(total=len(paths), desc="described") as bar:
        files = DescribedFiles(describer, VectorStore(cache, describer.version), refused=refused, done=bar.update)
        return MarkTable.concatenate(files.chunks(paths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--limit-pool", type=int, help="only so many marks of the pool, by a hash of their names")
    parser.add_argument("--limit-queries", type=int, help="ask only so many of the queries, drawn by chance")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "rocchio")
    options = parser.parse_args()
    layout = limited(load(options.queries, options.pool), pool=options.limit_pool)
    describer = Describer()
    table = described(layout, describer, options.cache)
    rng = np.random.default_rng(1)
    asked = rng.permutation(len(layout.groups))[: options.limit_queries]
    aps: dict[str, list[float]] = {}
    groups = []
    with tempfile.TemporaryDirectory() as folder:
        searcher, parameters = world(table, describer.version, Path(folder))
        for query in tqdm(asked, desc="refined"):
            own = table.description(int(query))
            first = ranked(searcher, parameters, own, K + 1 + 2 * MOST)
            told = told_by(int(query), first, layout.groups, rng)
            if told is None:
                continue
            groups.append(layout.groups[told.query])
            aps.setdefault("before", []).append(residual_ap(first, told, len(table)))
            liked, disliked = ([table.description(row) for row in rows] for rows in (told.liked, told.disliked))
            for name, how in TRIED.items():
                order = ranked(searcher, parameters, refined(own, liked, disliked, how), K + 1 + 2 * MOST)
                aps.setdefault(name, []).append(residual_ap(order, told, len(table)))
            order = ranked(searcher, parameters, refined(own, [], disliked), K + 1 + 2 * MOST)
            aps.setdefault("only disliked, as chosen", []).append(residual_ap(order, told, len(table)))
    half = np.array([hashlib.sha256(group.encode()).digest()[0] % 2 == 0 for group in groups])
    columns = {name: np.array(values) for name, values in aps.items()}
    report = {
        "marks": len(table),
        "chosen": asdict(CHOSEN),
        **{
            name: figures({key: values[rows] for key, values in columns.items()}, np.array(groups)[rows])
            for name, rows in (("choosing", half), ("telling", ~half))
        },
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
