"""Measure concept search and Vienna suggestions on icon packs that were never trained on.

    python benchmarks/concepts.py [--json] [--weights DIR] [options of train_concepts.py]

Words: 500 words of the held-out names; relevant are the held-out marks whose name carries the word or a synonym (cosine
above 0.75 in the sentence space). Beside the shipped head: chance, and ridge regression from the same features to the
vectors of the names. Vienna: marks whose whole name is a word of benchmarks/data/vienna-words.txt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.concept_measure import figures, relevance  # noqa: E402
from benchmarks.concept_phrases import Phrases, said_of  # noqa: E402
from benchmarks.iconify.concepts import Concept  # noqa: E402
from benchmarks.iconify.select import seeded  # noqa: E402
from benchmarks.train_concepts import WEIGHTS, Data, load, parser  # noqa: E402
from search.retrieval.descriptors.semantic import FILE, SemanticHead  # noqa: E402
from search.retrieval.vienna import CODES, Vienna, category_shares  # noqa: E402
from search.retrieval.vienna import FILE as VIENNA_FILE  # noqa: E402
from search.retrieval.vienna_table import CATEGORIES  # noqa: E402
from search.training.concepts import ridge  # noqa: E402

WORDS_FILE = ROOT / "benchmarks" / "data" / "vienna-words.txt"
PLAIN = 200
_PER_WORD = 2


def word_figures(data: Data, head: SemanticHead, phrases: Phrases) -> dict[str, Any]:
    """Chance, ridge and head on the held-out marks, and the head's by pack."""
    names = [concept.name for concept in data.held_out]
    relevant = relevance(data.words, names, phrases.encode)
    asked = phrases.encode(data.words)
    said = said_of(data.train, phrases)
    named = said.vectors[[own[0] for own in said.phrases]]
    baseline = SemanticHead(ridge(data.features, named, 1.0), {})
    scores = asked @ head.apply(data.held_out_features).T
    packs = np.array([concept.member[0] for concept in data.held_out])
    by_pack = {}
    for pack in sorted(set(packs)):
        own = packs == pack
        some = relevant[:, own].any(axis=1)
        by_pack[pack] = {
            "marks": int(own.sum()),
            "words": int(some.sum()),
            **figures(scores[some][:, own], relevant[some][:, own]),
        }
    return {
        "words": len(data.words),
        "marks": len(names),
        "relevant_per_word": round(float(relevant.sum(axis=1).mean()), 1),
        "chance": figures(np.random.default_rng(0).random(relevant.shape), relevant),
        "ridge": figures(asked @ baseline.apply(data.held_out_features).T, relevant),
        "head": figures(scores, relevant),
        "head_by_pack": by_pack,
    }


def plain_marks(concepts: Sequence[Concept]) -> list[tuple[int, str]]:
    """Rows of up to PLAIN marks whose whole name is in the hand-made table, and their division; in seeded order."""
    table = {
        word: code
        for line in WORDS_FILE.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
        for code, *words in [line.split()]
        for word in words
    }
    found: list[tuple[int, str]] = []
    times: dict[str, int] = {}
    for row in sorted(range(len(concepts)), key=lambda n: seeded("vienna", *concepts[n].member)):
        name = concepts[row].name
        if name in table and times.get(name, 0) < _PER_WORD and len(found) < PLAIN:
            times[name] = times.get(name, 0) + 1
            found.append((row, table[name]))
    return found


def vienna_figures(data: Data, head: SemanticHead, vienna: Vienna) -> dict[str, Any]:
    """Hit rates in per cent, and what always naming the commonest codes of the test itself would give."""
    plain = plain_marks(data.held_out)
    shares = vienna.shares(head.apply(data.held_out_features[[row for row, _ in plain]]))
    totals = category_shares(shares)
    divisions = np.array([CODES.index(code) for _, code in plain])
    categories = np.array([list(CATEGORIES).index(int(code.split(".")[0])) for _, code in plain])
    return {
        "marks": len(plain),
        "category@1": _hits(totals, categories, 1),
        "category@3": _hits(totals, categories, 3),
        "division@1": _hits(shares, divisions, 1),
        "division@3": _hits(shares, divisions, 3),
        "chance": {
            "category@1": round(100 / len(CATEGORIES), 1), "category@3": round(300 / len(CATEGORIES), 1),
            "division@3": round(300 / len(CODES), 1),
        },
        "commonest": {
            "category@1": _commonest(categories, 1), "category@3": _commonest(categories, 3),
            "division@3": _commonest(divisions, 3),
        },
    }  # fmt: skip


def _hits(shares: NDArray[np.floating], right: NDArray[np.integer], depth: int) -> float:
    first = np.argsort(-shares, axis=1, kind="stable")[:, :depth]
    return round(100 * float((first == right[:, None]).any(axis=1).mean()), 1)


def _commonest(right: NDArray[np.integer], depth: int) -> float:
    counts = np.sort(np.bincount(right))[::-1]
    return round(100 * float(counts[:depth].sum() / len(right)), 1)


def main() -> None:
    options = parser()
    options.add_argument("--weights", type=Path, default=WEIGHTS)
    options.add_argument("--json", action="store_true")
    args = options.parse_args()
    data = load(args)
    phrases = Phrases(args.cache / "phrases")
    head = SemanticHead.load(args.weights / FILE, encoder=data.made_for["encoder"])
    report = {
        "made_for": head.made_for,
        "words": word_figures(data, head, phrases),
        "vienna": vienna_figures(data, head, Vienna.load(args.weights / VIENNA_FILE)),
    }
    if args.json:
        print(json.dumps(report, indent=1))
        return
    words, vienna = report["words"], report["vienna"]
    for row in ("chance", "ridge", "head"):
        print(f"{row:<8} recall@10 {words[row]['recall10']:5.1f} %   mAP {words[row]['map']:5.1f} %")
    for row in ("category@1", "category@3", "division@1", "division@3"):
        print(f"{row:<12} {vienna[row]:5.1f} %")


if __name__ == "__main__":
    main()
