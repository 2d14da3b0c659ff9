"""The table of kinds of copies: what is changed, what is counted, and the page that says it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kinds import Found, kinds, page
from search.training.surroundings import Material
from tests.search.training.conftest import shape

DOCS = Path(__file__).resolve().parents[2] / "docs"


def word() -> np.ndarray:
    text = np.full((30, 120), 255, np.uint8)
    text[5:25, 4:116:6] = 40
    return text


@pytest.mark.parametrize("kind", kinds(Material()))
def test_every_kind_changes_a_mark(kind: str) -> None:
    change = kinds(Material([word()], np.stack([shape(2, 20)])))[kind]
    mark = shape(4, 22)
    changed = [change(mark, np.random.default_rng(seed)) for seed in range(4)]
    assert any(one.shape != mark.shape or not np.array_equal(one, mark) for one in changed)


def test_a_longer_mark_is_much_longer_than_one_with_a_word() -> None:
    both = kinds(Material([word()], np.stack([shape(2, 20)])))
    for seed in range(6):
        long, usual = (
            both[kind](shape(4, 22), np.random.default_rng(seed)) for kind in ("inside a longer mark", "with a word")
        )
        assert max(long.shape) >= 2.5 * 64 > max(usual.shape)


def test_shares_are_of_the_marks_that_were_changed() -> None:
    found = Found(["a", "b"], np.array([[1, 1, 24, 25], [2, 2, 2, 2]]), np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool))
    assert found.rows() == [
        {"kind": "a", "first": 50.0, "page": 75.0, "selected": 75.0, "median": 12.5},
        {"kind": "b", "first": 0.0, "page": 100.0, "selected": 0.0, "median": 2.0},
    ]


def test_the_page_is_that_of_its_json() -> None:
    assert (DOCS / "kinds.md").read_text("utf-8") == page(json.loads((DOCS / "kinds.json").read_text("utf-8")))
