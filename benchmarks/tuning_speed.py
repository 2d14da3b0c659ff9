#!/usr/bin/env python
"""Weight candidates a second in tuning, on the demo's held-out marks and a synthetic week of 60 searches. JSON.

    .venv/bin/python benchmarks/tuning_speed.py [--queries DIR --pool DIR]

"objective" evaluates a matrix of candidates and nothing else; "policy" is a whole week for one cluster:
decision, Optuna, shrinkage and gate.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from search.retrieval.calibration import Calibration  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS  # noqa: E402
from search.retrieval.imaging import decode_picture  # noqa: E402
from search.retrieval.parameters import Parameters  # noqa: E402
from search.retrieval.similarity import table_similarities  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from tuning.comparisons import Region, project  # noqa: E402
from tuning.decision_table import TableConfig  # noqa: E402
from tuning.evaluation.metu import MetuLayout, load  # noqa: E402
from tuning.evaluation.splits import split_groups  # noqa: E402
from tuning.feedback_objective import LoggedSearch  # noqa: E402
from tuning.objective import HeldOut, HeldOutObjective, HeldOutQuery  # noqa: E402
from tuning.policy import PolicyConfig, plan_week  # noqa: E402

SHOWN = 48


def held_out(layout: MetuLayout, limit: int) -> tuple[HeldOut, HeldOut]:
    paths = [*layout.query_paths, *layout.pool_paths][:limit]
    describer = Describer()
    found = []
    for start in range(0, len(paths), 64):
        found += describer.describe([decode_picture(path.read_bytes()) for path in paths[start : start + 64]])
    table = MarkTable.of([path.name for path in paths], found)
    calibration = Calibration.shipped()
    groups = np.array([*layout.groups, *[""] * len(layout.pool_paths)][:limit])
    splits = split_groups(layout)

    def of(wanted: frozenset[str]) -> HeldOut:
        queries = []
        for row, group in enumerate(groups[: len(layout.query_paths)]):
            relevant = groups == group
            relevant[row] = False
            if group in wanted and relevant.any():
                sims = calibration.apply(table_similarities([found[row]], table)[0])
                queries.append(HeldOutQuery(paths[row].name, group, 0, sims, relevant, row))
        return HeldOut(DESCRIPTORS, tuple(queries))

    return of(splits["fit"]), of(splits["validate"])


def week(fit: HeldOut, count: int) -> list[LoggedSearch]:
    """Examiners who select the group's other members among the first results and nothing else."""
    weights = np.full(len(DESCRIPTORS), 1 / len(DESCRIPTORS))
    searches = []
    for number in range(count):
        query = fit.queries[number % len(fit.queries)]
        scores = np.nan_to_num(query.similarities) @ weights
        scores[query.own] = -1
        order = np.argsort(-scores)[:SHOWN]
        searches.append(
            LoggedSearch(
                key=query.name, examiner=number % 4, cluster=0, similarities=query.similarities[order],
                scores=scores[order], preselected=scores[order] >= 0.5, selected=query.relevant[order],
                seen=np.ones(len(order), dtype=bool),
            )
        )  # fmt: skip
    return searches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, default=ROOT / "search" / "demo" / "queries")
    parser.add_argument("--pool", type=Path, default=ROOT / "search" / "demo" / "pool")
    parser.add_argument("--limit", type=int, default=2000, help="at most so many marks (queries first)")
    parser.add_argument("--candidates", type=int, default=4096)
    options = parser.parse_args()
    fit, validate = held_out(load(options.queries, options.pool), options.limit)
    centre = np.full(len(DESCRIPTORS), 1 / len(DESCRIPTORS))
    region = Region(centre, 0.15)
    rng = np.random.default_rng(0)
    candidates = project(centre + rng.uniform(-0.15, 0.15, (options.candidates, len(DESCRIPTORS))), region)
    objective = HeldOutObjective(fit, region, thresholds=(0.4, 0.6))
    began = time.perf_counter()
    objective.evaluate(candidates, 0.5)
    alone = options.candidates / (time.perf_counter() - began)
    config = PolicyConfig(table=TableConfig(min_searches=1, min_examiners=1))
    plan = plan_week(Parameters.initial(DESCRIPTORS, clusters_version="k"), week(fit, 60), fit, validate, config=config)
    figures = {
        "tuning_queries": len(fit.queries),
        "tuning_marks": int(fit.queries[0].similarities.shape[0]),
        "objective_candidates_per_s": round(alone),
        "policy_candidates": plan.candidates,
        "policy_candidates_per_s": round(plan.candidates_per_second),
        "policy_verdict": plan.reason,
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
