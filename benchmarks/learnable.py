#!/usr/bin/env python
"""How much any learner could know about the test groups: the best set by the true labels of other groups. Markdown.

    python benchmarks/learnable.py [--seeds 8] [--queries DIR --pool DIR [--limit-pool N]]

For each seed the groups are dealt as in benchmarks/loop.py. The set with the highest sum of mAP@100 and F1 on a part,
or on several, is judged on the test groups: which share of the gap from equal weights to the oracle it closes, summed
over seeds. Uses the world of benchmarks/loop.py, and builds it where it is missing. Half a minute a seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.leaderboard.measure import limited  # noqa: E402
from benchmarks.loop import add_world_options, build_default, check_world_options, open_world, opened_world  # noqa: E402
from tuning.comparisons import Floats  # noqa: E402
from tuning.evaluation import load  # noqa: E402
from tuning.simulate import start_of  # noqa: E402
from tuning.simulation.load import world_of  # noqa: E402
from tuning.simulation.referee import Referee, best_set  # noqa: E402
from tuning.simulation.world import Part  # noqa: E402

LEARNED_ON: dict[str, tuple[Part, ...]] = {
    "fit": ("fit",),
    "fit and validate": ("fit", "validate"),
    "traffic": ("traffic",),
    "fit and traffic": ("fit", "traffic"),
    "all but test": ("fit", "validate", "traffic"),
    "test (the oracle)": ("test",),
}


def gains(seed: int) -> Floats:
    """(parts, 2) gain of mAP@100 and F1 on the test groups over equal weights, for each of LEARNED_ON."""
    world = opened_world().dealt(seed)
    test = Referee(world.of("test"), world.names)
    begun = test.parameters(start_of(world, "equal"))
    found = []
    for parts in LEARNED_ON.values():
        weights, cut = best_set(Referee([q for part in parts for q in world.of(part)], world.names), seed=seed)
        reached = test.weights(weights, np.array(cut))
        found.append((reached.map100 - begun.map100, reached.f1 - begun.f1))
    return np.array(found)


def main() -> None:
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    add_world_options(parser)
    options = parser.parse_args()
    check_world_options(parser, options)
    if min(options.seeds, options.jobs) < 1:
        parser.error("--seeds and --jobs are at least 1")
    build_default(options)
    world, path = world_of(limited(load(options.queries, options.pool), pool=options.limit_pool), options.cache)
    with multiprocessing.get_context("spawn").Pool(options.jobs, open_world, (path,)) as pool:
        done = list(tqdm(pool.imap(gains, range(options.seeds)), total=options.seeds, unit="seed", file=sys.stderr))
    total = np.sum(done, axis=0)
    gap = total[-1]
    points = 100 * gap / options.seeds
    print(f"{options.seeds} seeds; gaps of {points[0]:.1f} points of mAP@100 and {points[1]:.1f} of F1.\n")
    print("| learned on | groups | mAP@100 closed | F1 closed |")
    print("|---|---:|---:|---:|")
    for (name, parts), gained in zip(LEARNED_ON.items(), total, strict=True):
        groups = sum(len(world.splits[part]) for part in parts)
        print(f"| {name} | {groups} | {gained[0] / gap[0]:.0%} | {gained[1] / gap[1]:.0%} |")


if __name__ == "__main__":
    main()
