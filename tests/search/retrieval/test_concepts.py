from dataclasses import replace

import numpy as np
import pytest

from search.retrieval.concepts import column, find
from search.retrieval.filtering import MetadataColumns
from search.retrieval.records import Filters, MarkRecord
from search.retrieval.table import MarkTable
from tests.search.retrieval.pictures import random_description

MEANINGS = np.array([[1, 0], [0.8, 0.6], [0, 0], [0, 1], [1, 0]], np.float32)
RECORDS = [MarkRecord(str(n), nice=(9,) if n < 4 else (25,)) for n in range(5)]
ALL = Filters()


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    plain = MarkTable.of([r.number for r in RECORDS], [random_description(rng, regions=0) for _ in RECORDS])
    return replace(plain, vectors={**plain.vectors, "semantic": MEANINGS})


def numbers(answer):
    return [hit.number for hit in answer.hits]


def test_the_nearest_meaning_comes_first_and_equal_ones_in_the_register_s_order(table):
    answer = find(table, MetadataColumns.of(RECORDS), np.array([1, 0], np.float32), filters=ALL, top=9)
    assert numbers(answer) == ["0", "4", "1", "3"]
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4]
    assert answer.hits[2].cosine == pytest.approx(0.8)
    assert answer.scanned == 4  # mark 2 has no meaning


def test_filters_act_inside_the_search(table):
    nine = Filters(nice=(9,))
    answer = find(table, MetadataColumns.of(RECORDS), np.array([0, 1], np.float32), filters=nine, top=2)
    assert numbers(answer) == ["3", "1"] and answer.scanned == 3
    nothing = find(table, MetadataColumns.of(RECORDS), np.array([0, 1], np.float32), filters=Filters(nice=(1,)), top=2)
    assert nothing.hits == () and nothing.scanned == 0


@pytest.mark.parametrize("vectors", [{}, {"semantic": np.zeros((5, 0), np.float32)}, {"semantic": np.zeros((5, 2))}])
def test_a_register_described_without_meanings_has_no_column(table, vectors):
    assert column(vectors) is None
    without = replace(table, vectors={"general": table.vectors["general"], **vectors})
    with pytest.raises(ValueError, match="no semantic vectors"):
        find(without, MetadataColumns.of(RECORDS), np.array([0, 1], np.float32), filters=ALL, top=2)
