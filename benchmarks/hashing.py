#!/usr/bin/env python
"""Binary codes measured: quality, shortlist, cost and what each part of both papers is worth; docs/hashing.*.

    python benchmarks/hashing.py [--val DIR] [--part codes|shortlist|cost|ablation ...]
    python benchmarks/hashing.py --render

Heads come from search/retrieval/weights/hash (`manage.py train_hash --write`). Ablations train on the features that
`train_hash` keeps and are measured on families kept from training. What is measured is written to the JSON as it comes,
so a run that was stopped goes on; --render puts its tables into the page again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.hash_measure import code_rows, cost_rows, fused_top, seen_by_size, shortlist  # noqa: E402
from benchmarks.hash_page import render  # noqa: E402
from search.retrieval.describe import Describer  # noqa: E402
from search.retrieval.descriptors import DESCRIPTORS, SET_OF, VECTOR_DESCRIPTORS  # noqa: E402
from search.retrieval.encoders import WeightsUnusable  # noqa: E402
from search.retrieval.first_weights import FirstWeights  # noqa: E402
from search.retrieval.hashing import HASHES, HashHead, load_head  # noqa: E402
from search.retrieval.hashing.itq import fit_lsh  # noqa: E402
from search.retrieval.table import MarkTable  # noqa: E402
from search.retrieval.vector_store import VectorStore  # noqa: E402
from search.training.hashing.data import HashData  # noqa: E402
from search.training.hashing.recipes import RECIPES, SIZES, CentreRecipe, PairRecipe, Recipe  # noqa: E402
from search.training.hashing.run import itq_head, load_data, start  # noqa: E402
from tuning.evaluation import MetuLayout, load  # noqa: E402
from tuning.evaluation.described import DescribedFiles  # noqa: E402
from tuning.evaluation.hashed import code_similarities, signs  # noqa: E402
from tuning.evaluation.kept import code_figures, kept_figures, kept_order  # noqa: E402

JSON, PAGE = ROOT / "docs" / "hashing.json", ROOT / "docs" / "hashing.md"
PARTS = ("codes", "shortlist", "cost", "ablation")
Report = dict[str, Any]


def heads_of(data: HashData) -> dict[str, HashHead]:
    """LSH at every size, and the shipped heads that fit."""
    found = {f"lsh-{bits}": fit_lsh(data.vectors, bits, data.features.made_for) for bits in SIZES}
    for name in HASHES:
        try:
            found[name] = load_head(name)
        except WeightsUnusable as reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
    return dict(sorted(found.items(), key=lambda pair: (pair[1].bits, pair[0])))


def described(layout: MetuLayout, cache: Path) -> MarkTable:
    """The marks of a set, queries first; what was described before is read."""
    describer = Describer()
    with tqdm(total=len(layout.query_paths) + len(layout.pool_paths), desc="described", unit="mark") as bar:
        files = DescribedFiles(
            describer,
            VectorStore(cache, describer.version),
            refused=lambda *_: None,
            done=lambda n: bar.update(n) and None,
        )
        return MarkTable.concatenate(files.chunks([*layout.query_paths, *layout.pool_paths]))


def ablations(steps: int = 1000) -> dict[str, Recipe]:
    """Row -> recipe, at 64 bits, each with one part of its base changed; fewer steps than what ships."""
    centres, pairs, capsules = RECIPES["000-64"], RECIPES["001-64"], RECIPES["000-capsules-64"]
    assert isinstance(centres, CentreRecipe) and isinstance(pairs, PairRecipe) and isinstance(capsules, CentreRecipe)
    plain = replace(centres, fused=False)
    rows: dict[str, Recipe] = {
        "000": centres,
        "000, another seed": replace(centres, seed=1),
        "000, Hadamard centres of groups": replace(centres, centres="groups"),
        "000, centres kept near ITQ": replace(centres, centres="aligned"),
        "000, not class-balanced": replace(centres, balanced=False),
        "000, plain sum of all parts": plain,
        "000, centre and quantisation": replace(plain, sparsity=0.0, decorrelation=0.0),
        "000, centre alone": replace(plain, sparsity=0.0, decorrelation=0.0, quantisation=0.0),
        "capsules": capsules,
        "capsules, all of them kept": replace(capsules, keep="all"),
        "convolutions": replace(capsules, body="convolutions"),
        "convolutions, all groups kept": replace(capsules, body="convolutions", keep="all"),
        "001": pairs,
        "001, another seed": replace(pairs, seed=1),
        "001, weak pairs at a = 0.5 (the code's)": replace(pairs, weak_alpha=0.5),
        "001, feature consistency 0.1": replace(pairs, consistent=0.1),
        "001, all strong pairs alike (as printed)": replace(pairs, even=False),
    }
    return {name: replace(recipe, name=name, steps=steps) for name, recipe in rows.items()}


def ablate(recipe: Recipe, data: HashData) -> dict[str, Any]:
    """Train one row; figures on the kept families and on those that were learnt from."""
    with tempfile.TemporaryDirectory() as folder, tqdm(total=recipe.steps, desc=recipe.name, unit="step") as bar:
        begun = time.process_time()
        run = start(data, recipe, Path(folder))
        run.run(Path(folder), report=lambda *_: bar.update() and None, every=10**9)
        spent = time.process_time() - begun
        values = run.values(data.features, data.rows[data.in_families])
    weights = sum(p.numel() for name, p in run.network.named_parameters() if not name.startswith("decoder"))
    return {
        **kept_figures(run),
        "seen": seen_by_size(values, data.families[data.in_families]),
        "weights": weights,
        "seconds": round(spent),
    }


def baselines(data: HashData) -> dict[str, dict[str, Any]]:
    """The same figures of codes that learn nothing from families."""
    rows, families = kept_order(data)
    vectors = np.asarray(data.features.general[rows], np.float32)
    own = data.vectors[data.in_families]
    return {
        head.name: {
            **code_figures(head.values(vectors), families),
            "seen": seen_by_size(head.values(own), data.families[data.in_families]),
        }
        for head in (fit_lsh(data.vectors, 64, data.features.made_for), itq_head(data, 64))
    }


def shortlists(table: MarkTable, layout: MetuLayout, heads: Mapping[str, HashHead], most: int) -> dict[str, Any]:
    """Each first stage against the exact first hundred."""
    queries = np.unique(np.linspace(0, len(layout.groups) - 1, most).astype(int)).tolist()
    with tqdm(total=len(queries), desc="exact", unit="query") as bar:
        top = fused_top(table, queries, lambda n: bar.update(n) and None)
    marks = len(table)
    sizes = {"nearest 1 %": marks // 100, "nearest 1,000": 1000}
    weights = FirstWeights.shipped().of(DESCRIPTORS)

    def linear(query: int) -> np.ndarray:
        """The stage that codes stand in for: the weighted cosines; a set counts with its whole."""
        total = np.zeros(marks, np.float32)
        for name in VECTOR_DESCRIPTORS:
            weight = weights[name] + sum(weights[other] for other, whole in SET_OF.items() if whole == name)
            total += weight * (table.vectors[name] @ table.vectors[name][query])
        return total

    vectors = table.vectors["general"]
    stages: dict[str, Callable[[int], np.ndarray]] = {
        "linear score (float32)": linear,
        "general (float32)": lambda query: vectors @ vectors[query],
    }
    stages |= {name: _by_code(signs(head.values(vectors))) for name, head in heads.items()}
    rows = {name: shortlist(scores, queries, top, layout.groups, sizes) for name, scores in stages.items()}
    return {"queries": len(queries), "marks": marks, "sizes": sizes, "rows": rows}


def _by_code(codes: np.ndarray) -> Callable[[int], np.ndarray]:
    return lambda query: code_similarities(codes[query : query + 1], codes)[0]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--val", type=Path, default=ROOT / "build" / "val")
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "training")
    parser.add_argument("--kinds", nargs="+", default=["family", "brand", "kept"])
    parser.add_argument("--features", type=Path, default=ROOT / "build" / "hash" / "train")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "hash" / "described")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--steps", type=int, default=1000, help="of each ablation (1,000)")
    parser.add_argument("--only", nargs="+", help="names of ablations")
    parser.add_argument("--codes", type=int, default=1_000_000, help="random codes that the cost is measured on")
    parser.add_argument("--shortlist-queries", type=int, default=200)
    parser.add_argument("--json", type=Path, default=JSON)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--render", action="store_true", help="only put the tables into the page again")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    report: Report = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
    if not options.render:
        torch.set_num_threads(1)
        fill(report, options)
    render(report, options.page)


def fill(report: Report, options: argparse.Namespace) -> None:
    """Measure the parts asked for, each written down when it is done."""

    def keep() -> None:
        partial = options.json.with_suffix(".tmp")
        partial.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        partial.replace(options.json)

    data = load_data(options.data, options.features, kinds=options.kinds)
    if {"codes", "shortlist"} & set(options.part):
        layout = load(options.val / "queries", options.val / "pool")
        table, heads = described(layout, options.cache), heads_of(data)
        if "codes" in options.part:
            report["codes"] = {"queries": len(layout.groups), "groups": len(set(layout.groups)), "marks": len(table)}
            report["codes"]["rows"] = code_rows(table, layout.groups, heads)
            keep()
        if "shortlist" in options.part:
            report["shortlist"] = shortlists(table, layout, heads, options.shortlist_queries)
            keep()
    if "cost" in options.part:
        report["cost"] = {"codes": options.codes, "rows": cost_rows(options.codes, SIZES)}
        keep()
    if "ablation" in options.part:
        found = report.setdefault("ablation", {})
        found |= {"marks": len(data.rows), "families": data.related, "steps": options.steps}
        rows = found.setdefault("rows", {})
        rows.update(baselines(data))
        for name, recipe in ablations(options.steps).items():
            if name not in rows and (options.only is None or name in options.only):
                rows[name] = ablate(recipe, data)
                keep()


if __name__ == "__main__":
    main()
