#!/usr/bin/env python
"""`make bench-quality`: every descriptor, the frozen baselines and the fused scores in one table.

    python benchmarks/quality.py --queries DIR --pool DIR --train-queries DIR --train-pool DIR --json FILE
    python benchmarks/quality.py --render FILE

Directories in METU layout (METU itself is read by the same command). The first writes FILE (beside the page: they are
kept together), docs/quality.md and its two pictures; the second writes the page and the plot again from FILE. Without
--train-* no weights are tuned. What was described is kept under --cache: a run that was stopped goes on where it was.
Describing 100,000 marks takes hours on two cores; --limit-pool makes a smaller run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.kept import kept_families  # noqa: E402
from benchmarks.leaderboard.measure import limited  # noqa: E402
from benchmarks.leaderboard.page import bar_line, to_markdown  # noqa: E402
from benchmarks.leaderboard.picture import draw_bytes  # noqa: E402
from benchmarks.leaderboard.run import Run  # noqa: E402
from benchmarks.leaderboard.sheet import draw_sheet  # noqa: E402
from search.retrieval.encoders import WeightsUnusable  # noqa: E402
from tuning.evaluation import LayoutError, load  # noqa: E402


def write_pages(report: dict[str, Any], docs: Path) -> None:
    """The page and the plot, from the report alone."""
    docs.mkdir(parents=True, exist_ok=True)
    licences = (docs / "quality-licences.md").is_file()
    (docs / "quality.md").write_text(to_markdown(report, licences=licences), "utf-8")
    (docs / "quality-bytes.svg").write_text(draw_bytes(report["rows"]), "utf-8")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = ROOT / "build"
    parser.add_argument("--queries", type=Path, default=built / "final" / "queries")
    parser.add_argument("--pool", type=Path, default=built / "final" / "pool")
    parser.add_argument("--train-queries", type=Path)
    parser.add_argument("--train-pool", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE", default=ROOT / "docs" / "quality.json")
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
            kept_families(load(options.train_queries, options.train_pool)),
            pool=options.tune_pool,
            queries=options.tune_queries,
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
