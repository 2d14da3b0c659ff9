"""The split `final`: what it holds, and that only the leaderboard's set is built of it."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np

from benchmarks.carve_final import drawn, groups
from benchmarks.iconify.families import DATA, load_families, load_final

ROOT = Path(__file__).resolve().parents[2]
READERS = {
    "benchmarks/build_families.py": "draws the set of the leaderboard",
    "benchmarks/build_training.py": "leaves out what looks like it",
    "benchmarks/iconify/families.py": "reads it",
    "tests/benchmarks/test_final.py": "this test",
    "tests/benchmarks/test_words.py": "sees that names of words leave it out",
}


def test_a_fifth_of_the_families_is_in_no_other_split() -> None:
    final, splits = load_final(), load_families()
    rest = [name for split in splits.values() for name, _ in split.groups.values()]
    names = [name for name, _ in final.groups.values()]
    assert not set(names) & set(rest)
    assert not final.members() & (splits["train"].members() | splits["val"].members())
    assert 0.18 < len(names) / (len(names) + len(rest)) < 0.22


def test_no_mark_of_it_is_in_the_demonstration_register() -> None:
    with (ROOT / "search/demo/register.csv").open(encoding="utf-8", newline="") as file:
        shown = {tuple(row["source"].split(":", 1)) for row in csv.DictReader(file)}
    assert not shown & load_final().members()


def test_nothing_else_reads_it() -> None:
    found = set()
    rooms = ("benchmarks", "feedback", "search", "tests", "tmportal", "tools", "tuning")
    for path in (file for room in rooms for file in (ROOT / room).rglob("*.py")):
        text = path.read_text("utf-8")
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        names |= {a.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) for a in node.names}
        if "load_final" in names or "final.json" in text:
            found.add(str(path.relative_to(ROOT)))
    assert found == {*READERS, "benchmarks/carve_final.py"}
    assert (DATA / "final.json").is_file()


def test_look_alike_families_are_drawn_together_and_barred_ones_bar_their_group() -> None:
    vectors = np.array([[1, 0, 0], [0.95, 0.31, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], np.float32)
    number = groups(["a", "b", "c", "d", "d"], vectors)
    assert number[0] == number[1] != number[2] != number[3]
    names = ["a", "b", "c", "d"]
    assert drawn(names, number, {"b"}, 4) == ["c", "d"]
    assert set(drawn(names, number, set(), 1)) in ({"a", "b"}, {"c"}, {"d"})
