#!/usr/bin/env python
"""`make bench-quality`: every descriptor, the frozen baselines and the fused scores in one table.

    python benchmarks/quality.py --queries DIR --pool DIR --train-queries DIR --train-pool DIR --json FILE
    python benchmarks/quality.py --render FILE

Directories in METU layout (METU itself is read by the same command). The first writes FILE, docs/quality.md and its
two pictures; the second writes the page and the plot again from FILE. Without --train-* no weights are tuned. What was
described is kept under --cache: a run that was stopped goes on where it was. Describing 100,000 marks takes hours on
two cores; --limit-pool makes a smaller run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.leaderboard import speed  # noqa: E402
from benchmarks.leaderboard.bars import bars  # noqa: E402
from benchmarks.leaderboard.measure import TUNED, costs, frozen_cost, limited, rank_fused, tune_on  # noqa: E402
from benchmarks.leaderboard.page import bar_line, to_markdown  # noqa: E402
from benchmarks.leaderboard.picture import draw_bytes  # noqa: E402
from benchmarks.leaderboard.results import FirstResults, query_aps, telling_queries  # noqa: E402
from benchmarks.leaderboard.sheet import Shown, draw_sheet  # noqa: E402
from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.encoders import WeightsUnusable  # noqa: E402
from search.retrieval.imaging import decode_picture  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import VectorStore  # noqa: E402
from tuning.evaluation import VARIANTS, LayoutError, MetuLayout, load  # noqa: E402
from tuning.evaluation.bootstrap import mean_interval  # noqa: E402
from tuning.evaluation.evaluate import Ranked, measure, rank_whole  # noqa: E402
from tuning.evaluation.ranking import Ranking  # noqa: E402
from tuning.evaluation.report import measures_json  # noqa: E402
from tuning.evaluation.rows import ENCODER, FROZEN, TRANSDUCTIVE, EncodedMarks, FrozenMarks  # noqa: E402

SHOWN = 8
Done = Callable[[int], None]


class Run:
    """One run over one set: what it needs, and the report that it fills."""

    def __init__(self, layout: MetuLayout, options: argparse.Namespace) -> None:
        self.layout, self.options = layout, options
        self.images = len(layout.query_paths) + len(layout.pool_paths)
        self.describer = Describer()
        self.store = VectorStore(options.cache / "described", self.describer.version)
        self.vectors = options.cache / "vectors"
        self.notes = [TRANSDUCTIVE]
        self.encoder = self._encoder()
        self.shared = self.encoder is not None and self.encoder.descriptor.version == self.describer.whole.version
        off = [name for name in DESCRIPTORS if name not in self.describer.names]
        if off:
            self.notes.append(f"{', '.join(off)}: off, because the weights are missing.")
        if Calibration.shipped().made_for != self.describer.version:
            self.notes.append("The shipped calibration was fitted for other descriptors than those measured here.")

    def _encoder(self) -> EncodedMarks | None:
        try:
            return EncodedMarks()
        except WeightsUnusable as error:
            self.notes.append(f"encoder: not measured. {error}")
            return None

    def report(self, train: MetuLayout | None) -> tuple[dict[str, Any], dict[str, list[Shown]]]:
        """The report as JSON, and what the contact sheet shows."""
        start = time.perf_counter()
        weights, tuning = self._tuned(train)
        rankings, frozen = self._own_rows()
        with self._bar("described") as done:
            fused = rank_fused(
                self.layout,
                self.describer,
                weights,
                names=self.describer.names,
                encoder_is_general=self.shared,
                store=self.store,
                shown=SHOWN,
                done=done,
            )
        rankings |= fused.ranked.rankings
        if train is None:
            del rankings[TUNED]
        rows = self._rows(rankings, fused.ranked.marks)
        for name, found in fused.weights.items():
            if name in rows:
                rows[name]["weights"] = found
        time_ratio = self._time(rows)
        sections = self._sections(fused.ranked, fused.first)
        report: dict[str, Any] = {
            "run": {
                "set": f"{self.layout.queries.parent.name or self.layout.queries}",
                "queries": len(self.layout.groups),
                "groups": len(set(self.layout.groups)),
                "marks": fused.ranked.marks,
                "refused": len(frozen.refused),
                "descriptors": list(self.describer.names),
                "describer": self.describer.version,
                "encoder": self.encoder.version if self.encoder else None,
                "threads": self.options.threads,
                "sheet": "fused-tuned" if train is not None else "the fused score with equal weights",
                "seconds": round(time.perf_counter() - start),
            },
            "rows": rows,
            "bars": bars(rows, time_ratio),
            "gain": self._gain(rankings, fused.ranked.marks),
            "tuning": tuning,
            "notes": self.notes,
        }
        return report, sections

    def _tuned(self, train: MetuLayout | None) -> tuple[list[float], dict[str, Any] | None]:
        on = [1.0 * (name in self.describer.names) for name in DESCRIPTORS]
        if train is None:
            return [value / sum(on) for value in on], None
        total = len(train.query_paths) + len(train.pool_paths)
        with self._bar("train described", total) as done, tqdm(desc="weights tried", file=sys.stderr) as tries:
            return tune_on(
                train, self.describer, names=self.describer.names, store=self.store, done=done, tried=tries.update
            )

    def _own_rows(self) -> tuple[dict[str, Ranking], Ranked]:
        with self._bar("frozen") as done:
            frozen = rank_whole(self.layout, FrozenMarks(), list(FROZEN), root=self.vectors, done=done)
        rankings = dict(frozen.rankings)
        if self.encoder is not None and not self.shared:
            with self._bar(ENCODER) as done:
                found = rank_whole(self.layout, self.encoder, [ENCODER], root=self.vectors, done=done)
            rankings |= found.rankings
        return rankings, frozen

    def _rows(self, rankings: dict[str, Ranking], marks: int) -> dict[str, dict[str, Any]]:
        spent = costs(self._sample_table(), self.describer.names)
        return {
            name: {
                "variants": {v: measures_json(measure(ranking, self.layout.groups, marks, v)) for v in VARIANTS},
                **(frozen_cost() if name in FROZEN else spent[name]),
            }
            for name, ranking in rankings.items()
        }

    def _sample(self) -> list[bytes]:
        paths = self.layout.pool_paths
        step = max(1, len(paths) // self.options.speed_images)
        readable = []
        for path in paths[::step][: self.options.speed_images]:
            data = path.read_bytes()
            try:
                decode_picture(data)
            except ValueError:
                continue
            readable.append(data)
        return readable

    def _sample_table(self) -> MarkTable:
        described = self.describer.describe([decode_picture(data) for data in self._sample()])
        return MarkTable.of([""] * len(described), described)

    def _time(self, rows: dict[str, dict[str, Any]]) -> float | None:
        """Fill in marks per second; the encoder's time over that of frozen-mac."""
        describing = speed.describing(list(rows), self.describer, self.encoder)
        rounds = self.options.speed_rounds
        with self._bar("speed", len(describing) * rounds) as done:
            took = speed.time_rows(describing, self._sample(), rounds, lambda: done(1))
        for name, seconds in took.items():
            rows[name]["marks_per_second"] = round(1 / float(np.median(seconds)), 2)
        return speed.ratio(took, ENCODER, "frozen-mac") if ENCODER in took else None

    def _gain(self, rankings: dict[str, Ranking], marks: int) -> dict[str, Any] | None:
        """fused-tuned over the encoder, query by query, in points, with its paired interval over groups."""
        if TUNED not in rankings or ENCODER not in rankings:
            return None
        groups = self.layout.groups
        ours, alone = (query_aps(rankings[name], groups, marks) for name in (TUNED, ENCODER))
        usable = np.flatnonzero(~np.isnan(ours))
        differences = 100 * (ours - alone)[usable]
        interval = mean_interval(differences, [groups[i] for i in usable])
        return {"points": float(differences.mean()), "ci": list(interval)}

    def _sections(self, ranked: Ranked, first: FirstResults) -> dict[str, list[Shown]]:
        paths = [*self.layout.query_paths, *(p for p in self.layout.pool_paths if p not in ranked.refused)]
        groups = self.layout.groups
        aps = query_aps(ranked.rankings[TUNED], groups, ranked.marks)
        found: dict[str, list[Shown]] = {}
        for title, queries in telling_queries(aps, groups, self.options.show).items():
            found[title] = [
                Shown(
                    query=paths[i],
                    ap=float(aps[i]),
                    relatives=groups.count(groups[i]) - 1,
                    results=[(paths[m], m < len(groups) and groups[m] == groups[i]) for m in first.order[i]],
                )
                for i in queries
            ]
        return found

    @contextmanager
    def _bar(self, what: str, total: int | None = None) -> Iterator[Done]:
        with tqdm(total=total or self.images, desc=what, file=sys.stderr, mininterval=1) as bar:
            yield lambda count: bar.update(count) and None


def write_pages(report: dict[str, Any], docs: Path) -> None:
    """The page and the plot, from the report alone."""
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "quality.md").write_text(to_markdown(report), "utf-8")
    (docs / "quality-bytes.svg").write_text(draw_bytes(report["rows"]), "utf-8")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = ROOT / "build"
    parser.add_argument("--queries", type=Path, default=built / "quality" / "queries")
    parser.add_argument("--pool", type=Path, default=built / "quality" / "pool")
    parser.add_argument("--train-queries", type=Path)
    parser.add_argument("--train-pool", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE", default=built / "quality.json")
    parser.add_argument("--render", type=Path, metavar="FILE", help="only write the pages again from this JSON")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page and its pictures go")
    parser.add_argument("--cache", type=Path, default=built / "quality-cache")
    parser.add_argument(
        "--limit-pool", type=int, metavar="N", help="only N marks of the pool, by a hash of their names"
    )
    parser.add_argument("--tune-queries", type=int, default=600, help="queries of train to tune on (600)")
    parser.add_argument("--tune-pool", type=int, default=10_000, help="marks of the train pool among them (10,000)")
    parser.add_argument("--speed-images", type=int, default=256, help="images that every row is timed on (256)")
    parser.add_argument("--speed-rounds", type=int, default=3)
    parser.add_argument("--show", type=int, default=4, help="queries of each kind on the contact sheet (4)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    if (options.train_queries is None) != (options.train_pool is None):
        parser.error("--train-queries and --train-pool belong together")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Measure or render; the bars on stdout. Exit status 1 with a sentence when nothing could be measured."""
    options = arguments(argv)
    try:
        report = json.loads(options.render.read_text("utf-8")) if options.render else measured(options)
        write_pages(report, options.docs)
    except (LayoutError, WeightsUnusable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for bar in report["bars"]:
        print(bar_line(bar))
    return 0


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, write the JSON and the contact sheet."""
    import cv2
    import torch

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    layout = limited(load(options.queries, options.pool), pool=options.limit_pool)
    train = None
    if options.train_queries:
        train = limited(
            load(options.train_queries, options.train_pool), pool=options.tune_pool, queries=options.tune_queries
        )
    report, sections = Run(layout, options).report(train)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    partial = options.json.with_suffix(".tmp")
    partial.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    partial.replace(options.json)
    options.docs.mkdir(parents=True, exist_ok=True)
    draw_sheet(sections, options.docs / "quality-queries.png")
    return dict(report)


if __name__ == "__main__":
    sys.exit(main())
