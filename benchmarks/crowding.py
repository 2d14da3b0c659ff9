#!/usr/bin/env python
"""What the shift of the cut by the crowd around a query is worth, and at which size of the register. Markdown.

    python benchmarks/crowding.py [--queries DIR --pool DIR [--limit-pool N]]

Mean F1 of the pre-selection at the best tau, first weights, without and with the shift; and the F1 that the tau which
is best among all marks has among a share of them. Strangers are left out by chance, the same for both ways. Uses the
world of benchmarks/loop.py, and builds it where it is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.leaderboard.measure import limited  # noqa: E402
from benchmarks.loop import add_world_options, build_default, check_world_options  # noqa: E402
from search.retrieval.crowding import cut_shift  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.fusion import fuse  # noqa: E402
from tuning.comparisons import Floats  # noqa: E402
from tuning.evaluation import load  # noqa: E402
from tuning.simulation.load import world_of  # noqa: E402
from tuning.simulation.world import WorldQuery  # noqa: E402

Shift = Callable[[ArrayLike], float]
SHARES = (1.0, 0.5, 0.25, 0.125)
TAUS = np.round(np.arange(0.2, 0.96, 0.01), 2)


def f1_by_tau(queries: Sequence[WorldQuery], weights: Floats, share: float, shift: Shift) -> Floats:
    """(taus,) mean F1 with `share` of the strangers of each query."""
    rng = np.random.default_rng(0)
    total = np.zeros(len(TAUS))
    for query in queries:
        kept = query.relevant | (rng.random(len(query.relevant)) < share)
        sims, relevant = query.similarities[kept], query.relevant[kept]
        scores = np.nan_to_num(fuse(sims, weights), nan=0.0) - shift(sims)
        chosen, right = (len(s) - np.searchsorted(np.sort(s), TAUS) for s in (scores, scores[relevant]))
        total += 2 * right / (chosen + relevant.sum())
    return np.asarray(total / len(queries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_world_options(parser)
    options = parser.parse_args()
    check_world_options(parser, options)
    build_default(options)
    world, _ = world_of(limited(load(options.queries, options.pool), pool=options.limit_pool), options.cache)
    weights = np.array(list(FirstWeights.shipped().of(world.names).values()))
    ways: dict[str, Shift] = {"one cut for all": lambda _: 0.0, "shifted by the crowd": cut_shift}
    print(f"{len(world.queries)} queries, {world.marks} marks.\n")
    print("| cut | share of the strangers | best tau | its F1 % | F1 % at the tau that is best among all |")
    print("|---|---:|---:|---:|---:|")
    for name, shift in ways.items():
        first = None
        for share in SHARES:
            f1 = f1_by_tau(world.queries, weights, share, shift)
            first = int(f1.argmax()) if first is None else first
            print(f"| {name} | {share:g} | {TAUS[f1.argmax()]:.2f} | {100 * f1.max():.1f} | {100 * f1[first]:.1f} |")


if __name__ == "__main__":
    main()
