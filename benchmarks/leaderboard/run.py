"""One run of the leaderboard: every row of one set ranked, timed and written down."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.leaderboard import speed
from benchmarks.leaderboard.bars import bars
from benchmarks.leaderboard.measure import TUNED, code_cost, costs, frozen_cost, rank_fused, tune_on
from benchmarks.leaderboard.results import FirstResults, query_aps, telling_queries
from benchmarks.leaderboard.sheet import Shown
from search.retrieval.calibration import Calibration
from search.retrieval.describe import Describer
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.first_weights import FirstWeights
from search.retrieval.hashing import HASHES, HashHead, load_head
from search.retrieval.imaging import decode_picture
from search.retrieval.table import MarkTable
from search.retrieval.vector_store import VectorStore
from tuning.evaluation import VARIANTS, MetuLayout
from tuning.evaluation.bootstrap import mean_interval
from tuning.evaluation.evaluate import DESCRIBED, Ranked, measure, rank_whole
from tuning.evaluation.ranking import Ranking
from tuning.evaluation.report import measures_json
from tuning.evaluation.rows import ENCODER, FROZEN, FROZEN_SIDE, TRANSDUCTIVE, EncodedMarks, FrozenMarks

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
        self.heads = self._heads()
        off = [name for name in DESCRIPTORS if name not in self.describer.names]
        if off:
            self.notes.append(f"{', '.join(off)}: off, because the weights are missing.")
        if self.encoder is not None:
            self.notes.append(
                f"Marks a second: frozen-* at {FROZEN_SIDE} pixels, the encoder at {self.encoder.descriptor.side}; the"
                " time of the two in the first table is at the encoder's size."
            )
        self.notes.append(f"fused: the weights that a register starts with ({FirstWeights.shipped().version}).")
        if Calibration.shipped().made_for != self.describer.version:
            self.notes.append("The shipped calibration was fitted for other descriptors than those measured here.")

    def _encoder(self) -> EncodedMarks | None:
        try:
            return EncodedMarks()
        except WeightsUnusable as error:
            self.notes.append(f"encoder: not measured. {error}")
            return None

    def _heads(self) -> dict[str, HashHead]:
        """Binary codes that fit the encoder; what is missing is noted."""
        found: dict[str, HashHead] = {}
        for name in HASHES:
            try:
                found[name] = load_head(name)
            except WeightsUnusable as reason:
                self.notes.append(f"{name}: not measured. {reason}")
        return found

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
                heads=self.heads,
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
                "sheet": TUNED if train is not None else "the fused score with equal weights",
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
        spent |= {name: code_cost(head) for name, head in self.heads.items()}
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
        """Fill in marks per second; the encoder's time over that of frozen-mac at the same size."""
        describing = speed.describing(list(rows), self.describer, self.encoder)
        images, rounds = self._sample(), self.options.speed_rounds
        with self._bar("speed", len(images) * rounds) as done:
            took = speed.time_rows(describing, images, rounds, done)
        for name, row in rows.items():
            made_from = "general" if name in self.heads else name  # a code costs microseconds more than its vector
            row["marks_per_second"] = round(1 / float(np.median(took.get(made_from, took[DESCRIBED]))), 2)
        return speed.ratio(took, ENCODER, speed.SAME_SIZE) if ENCODER in took else None

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
