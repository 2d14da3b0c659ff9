"""The parts of benchmarks/hashing.py by hand, and the page that its tables go into."""

import numpy as np
import pytest

from benchmarks.hash_measure import code_rows, cost_rows, fused_top, seen_by_size, shortlist
from benchmarks.hash_page import render
from benchmarks.hashing import ablations
from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.first_weights import FirstWeights
from search.retrieval.fusion import fuse
from search.retrieval.hashing.itq import fit_itq
from search.retrieval.similarity import similarity_matrix
from search.retrieval.table import MarkTable
from tests.search.retrieval.pictures import random_description
from tuning.evaluation.vectors import vector_figures


@pytest.fixture(scope="module")
def descriptions():
    """Three groups of two relatives and sixty strangers."""
    rng = np.random.default_rng(0)
    made = [random_description(rng) for _ in range(66)]
    for query in range(0, 6, 2):
        near = made[query].vectors["general"] + 0.1 * rng.normal(size=16)
        made[query + 1].vectors["general"] = (near / np.linalg.norm(near)).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def table(descriptions):
    return MarkTable.of([str(i) for i in range(len(descriptions))], descriptions)


GROUPS = ["a", "a", "b", "b", "c", "c"]


def test_rows_hold_the_vectors_and_every_head_at_its_size(table):
    head = fit_itq(table.vectors["general"], 16, {})
    found = code_rows(table, GROUPS, {"itq-16": head})
    plain = vector_figures(table.vectors["general"], GROUPS)
    assert found["general (float32)"]["map100"] == pytest.approx(plain["map100"], abs=0.05)
    assert (found["general (float32)"]["bytes"], found["itq-16"]["bytes"]) == (64, 2)
    assert 20 < found["itq-16"]["map100"] <= found["general (float32)"]["map100"]


def test_the_exact_first_hundred_is_eq_1_without_the_query(table, descriptions):
    (top,) = fused_top(table, [4])
    weights = list(FirstWeights.shipped().of(DESCRIPTORS).values())
    scores = fuse(Calibration.shipped().apply(similarity_matrix([descriptions[4]], descriptions)[0]), weights)
    order = [i for i in np.argsort(-scores, kind="stable") if i != 4]
    assert top[:20].tolist() == order[:20] and 4 not in top[:65]


def test_a_tie_at_the_edge_of_the_shortlist_helps_nobody():
    # Marks 1 and 2 are level at the edge of two, and mark 3 is behind.
    scores = np.array([9.0, 0.5, 0.5, 0.1, 0.9], np.float32)
    found = shortlist(lambda _: scores, [0], [np.array([4, 1, 3])], ["a", "a"], {"two": 2, "three": 3})
    assert found["top100 in two"] == pytest.approx(33.3)
    assert found["top100 in three"] == pytest.approx(66.7)
    assert (found["relatives in two"], found["relatives in three"]) == (0.0, 100.0)


def test_seen_families_by_size():
    values = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, -1]] + [[-1] * 8] * 3 + [[1, -1] * 4] * 4)
    found = seen_by_size(values.astype(np.float32), np.array([0, 0, 1, 1, 1, 2, 2, 2, 2]))
    assert {size: row["map100"] for size, row in found.items()} == {"2": 100.0, "3": 75.0, "4 and more": 66.7}


def test_costs_are_measured_for_both_indexes():
    rows = cost_rows(3000, [32, 64], repeats=2)
    assert [(row["bits"], row["index"]) for row in rows] == [
        (32, "flat"), (32, "inverted lists"), (64, "flat"), (64, "inverted lists")
    ]  # fmt: skip
    assert all(row["ms"] >= 0 for row in rows)


def test_ablations_change_one_part_and_have_names_of_their_own():
    rows = ablations()
    assert all(recipe.name == name and recipe.bits == 64 for name, recipe in rows.items())
    assert {recipe.body for name, recipe in rows.items() if name.startswith("conv")} == {"convolutions"}


def test_tables_go_between_their_markers_and_leave_the_words(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Words.\n<!-- cost -->\nold\n<!-- /cost -->\nMore words, 10 %.\n")
    row = {"bits": 64, "mebibytes": 7.6, "index": "flat", "ms": 3.2}
    render({"cost": {"codes": 1_000_000, "rows": [row]}}, page)
    text = page.read_text()
    assert text.startswith("Words.\n<!-- cost -->\n| bits |") and "| 64 | 7.6 | flat | 3.2 |" in text
    assert "old" not in text and text.endswith("<!-- /cost -->\nMore words, 10 %.\n")
    render({"cost": {"codes": 1_000_000, "rows": [row]}}, page)
    assert page.read_text() == text
