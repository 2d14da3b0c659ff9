#!/usr/bin/env python
"""The search by words: how well copies of brands' names are found, and how long the database takes. JSON.

    .venv/bin/python benchmarks/words.py [--others 200000] [--marks 1000000] [--queries 300] [--folder DIR]
    .venv/bin/python benchmarks/words.py --no-quality --others 200000 --marks 200000 --times 5    # time only, sooner

Quality: each query is a brand's name (families of `val`, none of `final`); relevant are its copies of our own making:
respelled, misspelled, in another script, in look-alike letters, with digits, with added words. All stand among --others
made names. `fused` is what the portal shows; `fuzzy` and `sound` order the same candidates by one of them; `exact` is
equality of forms; `trigram` (Jaccard of padded trigrams) and `rapidfuzz` (ratio) read every name, case and accents
folded. R@k of a kind: the share of its copies among the first k; a kind's AP ignores the copies of the others.

Time: milliseconds of the statements that find candidates, and of the whole question, among --marks names on SQLite,
each of them --times times.
"""

import argparse
import json
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.office import empty_office
from benchmarks.word_names import brands, made_names, variants

SEED = 16
DEEPEST = 100
_BATCH = 20_000
Copies = dict[int, dict[str, int]]
"""query -> kind -> row of that copy."""


def folded(name: str) -> str:
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def multiply(count: int, times: int) -> None:
    """The marks that are there, 1 to `count`, so many times: a larger index without new names."""
    from django.db import connection

    from search.models import Mark

    own = [str(field.column) for field in Mark._meta.concrete_fields if field.name not in ("id", "number")]
    columns = ", ".join(own)
    with connection.cursor() as cursor:
        for turn in range(1, times):
            cursor.execute(
                f"INSERT INTO search_mark (id, number, {columns})"
                f" SELECT id + {turn * count}, number || '-{turn}', {columns} FROM search_mark WHERE id <= {count}"
            )


def fill(names: Iterable[str], start: int) -> None:
    """Marks with these names into the database, numbered from `start`."""
    from django.db import connection, transaction

    from search.models import Mark
    from search.words.fields import KeysField

    fields = [field for field in Mark._meta.get_fields() if isinstance(field, KeysField)]
    columns = ["id", "number", "name", "owner", *(str(field.column) for field in fields)]
    fixed = "'[]', '', '', '', '', 0, 0, '', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
    sql = (
        f"INSERT INTO search_mark ({', '.join(columns)}, nice_classes, jurisdiction, status, image, image_sha256,"
        f" width, height, source, licence, created_at, updated_at) VALUES ({', '.join(['%s'] * len(columns))}, {fixed})"
    )
    numbered = enumerate(names, start)
    while batch := list(islice(numbered, _BATCH)):
        rows = [Mark(pk=n, number=f"TM-{n:08}", name=name, owner=f"Owner {n % 5000}") for n, name in batch]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                sql, [[m.pk, m.number, m.name, m.owner, *(field.derive(m) for field in fields)] for m in rows]
            )
        print(f"{batch[-1][0]:,} marks", file=sys.stderr)


def portal_rankings(name: str) -> dict[str, list[int]]:
    """Rows, best first, of what the portal shows and of the orders that it is made of."""
    from search.models import Mark
    from search.retrieval.records import Filters
    from search.words.finding import candidates, words_find
    from search.words.match import read, sound, spelling, unbarred

    query = read(name)
    shown = [mark.pk for mark, _ in words_find(text=name, filters=Filters(), top=DEEPEST).hits]
    marks = list(Mark.objects.filter(pk__in=candidates(query)).values_list("pk", "spelled", "sounds"))
    spelled = [unbarred(mark[1]) or [""] for mark in marks]
    orders = {
        "fuzzy": spelling(query.forms, spelled),
        "sound": sound(query.sounds, [unbarred(mark[2]) or [""] for mark in marks]),
    }
    found = {
        kind: [marks[at][0] for at in np.argsort(-scores, kind="stable")[:DEEPEST]] for kind, scores in orders.items()
    }
    same = [mark[0] for mark, forms in zip(marks, spelled, strict=True) if set(forms) & set(query.forms)]
    return {"fused": shown, **found, "exact": same[:DEEPEST]}


def baselines(names: Sequence[str]) -> Callable[[str], dict[str, list[int]]]:
    """Rankings by methods that read every name; rows count from 1."""
    from rapidfuzz import fuzz, process
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [folded(name) for name in names]
    counter = CountVectorizer(
        analyzer=lambda text: {f"  {text} "[at : at + 3] for at in range(len(text) + 1)}, binary=True, dtype=np.float32
    )
    table = counter.fit_transform(texts)
    sizes = np.asarray(table.sum(axis=1)).ravel()

    def best(scores: NDArray[np.float32]) -> list[int]:
        return [int(at) + 1 for at in np.argsort(-scores, kind="stable")[:DEEPEST]]

    def rank(name: str) -> dict[str, list[int]]:
        asked = counter.transform([folded(name)])
        shared = np.asarray((table @ asked.T).todense()).ravel()
        ratios = process.cdist([folded(name)], texts, scorer=fuzz.ratio, dtype=np.float32, workers=1)[0]
        return {"trigram": best(shared / (sizes + asked.sum() - shared)), "rapidfuzz": best(ratios)}

    return rank


def average_precision(ranking: Sequence[int], relevant: set[int]) -> float:
    hits = [place for place, row in enumerate(ranking, start=1) if row in relevant]
    return sum(count / place for count, place in enumerate(hits, start=1)) / len(relevant)


def quality(queries: Sequence[str], copies: Copies, names: Sequence[str]) -> dict[str, Any]:
    rank_all = baselines(names)
    found: dict[str, dict[str, list[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(list))
    for at, name in enumerate(queries):
        for method, ranking in {**portal_rankings(name), **rank_all(name)}.items():
            every = set(copies[at].values())
            groups = {"all": every} | {kind: {row} for kind, row in copies[at].items()}
            for kind, relevant in groups.items():
                own = [row for row in ranking if row in relevant or row not in every]
                shares = [len(relevant & set(own[:k])) / len(relevant) for k in (10, DEEPEST)]
                found[method][kind].append((average_precision(own, relevant), *shares))
    return {
        method: {
            kind: dict(zip(("mAP", "R@10", "R@100"), (round(float(x), 3) for x in np.mean(rows, axis=0)), strict=True))
            for kind, rows in kinds.items()
        }
        for method, kinds in found.items()
    }


def speed(typed: Sequence[str]) -> dict[str, Any]:
    from django.db import connection

    from search.retrieval.records import Filters
    from search.words import index
    from search.words.finding import candidates, words_find
    from search.words.match import read

    queries = [read(text) for text in typed]
    first = milliseconds(candidates, queries)
    plan = {}
    with connection.cursor() as cursor:
        for column in ("spelled", "sounds"):
            keys = queries[0].forms if column == "spelled" else queries[0].sounds
            sql, parameters = index.sharing_sql(column, keys, 400)
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            plan[sql] = [row[-1] for row in cursor.fetchall()]
    return {
        "first": first,  # with the counts of trigrams, which are kept for an hour
        "candidates": milliseconds(candidates, queries),
        "sharing spelling": milliseconds(lambda query: index.sharing("spelled", query.forms, 400), queries),
        "sharing sound": milliseconds(lambda query: index.sharing("sounds", query.sounds, 400), queries),
        "whole question": milliseconds(lambda text: words_find(text=text, filters=Filters(), top=48), typed),
        "plan": plan,
    }


def milliseconds(work: Callable[[Any], object], over: Sequence[Any]) -> dict[str, float]:
    taken = []
    for one in over:
        began = time.perf_counter()
        work(one)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50": round(float(np.percentile(taken, 50)), 1), "p95": round(float(np.percentile(taken, 95)), 1)}


def assembled(queries: Sequence[str], others: Iterator[str], count: int) -> tuple[list[str], Copies]:
    """All names of the register, and which rows (from 1) are whose copies."""
    names: list[str] = []
    copies: Copies = {}
    for at, name in enumerate(queries):
        copies[at] = {}
        for kind, variant in variants(name, SEED).items():
            names.append(variant)
            copies[at][kind] = len(names)
    return names + list(islice(others, count)), copies


def measure(given: argparse.Namespace) -> dict[str, Any]:
    from search.words import index

    queries = brands(given.split)[: given.queries]
    others = made_names(brands("train"), SEED)
    names, copies = assembled(queries, others, given.others)
    index.remove()  # made at once afterwards, which is faster
    fill(names, 1)
    index.ensure()
    answer: dict[str, Any] = {
        "queries": len(queries),
        "split": given.split,
        "register": len(names),
        "quality": quality(queries, copies, names) if given.quality else None,
    }
    count = len(names)
    index.remove()
    if given.marks > count:
        fill(islice(others, given.marks - count), count + 1)
    count = max(given.marks, count)
    multiply(count, given.times)
    index.ensure()
    typed = [*queries, *(variant for at in queries for variant in variants(at, SEED).values())][: given.timed]
    return answer | {"marks": count * given.times, "timed": len(typed), "milliseconds": speed(typed)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--others", type=int, default=200_000)
    options.add_argument("--marks", type=int, default=1_000_000)
    options.add_argument(
        "--times", type=int, default=1, help="how often each of these marks is there when time is taken"
    )
    options.add_argument("--queries", type=int, default=300)
    options.add_argument("--timed", type=int, default=400)
    options.add_argument("--no-quality", dest="quality", action="store_false", help="take time only")
    options.add_argument("--split", choices=("train", "val"), default="val")
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    with empty_office(given.folder):
        print(json.dumps(measure(given), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
