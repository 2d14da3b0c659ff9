import numpy as np
import pytest

from search.retrieval.description import Description
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.similarity import Comparison, similarity_matrix
from search.retrieval.table import MarkTable
from tests.search.retrieval.pictures import random_description

X, Y, Z = np.eye(3, dtype=np.float32)


def mark(general: np.ndarray, *parts: np.ndarray, edges: np.ndarray | None = None) -> Description:
    vectors = {"general": general} | ({} if edges is None else {"edges": edges})
    boxes = np.array([[10 * i, 0, 10 * i + 10, 10] for i in range(len(parts))], np.int32).reshape(-1, 4)
    return Description(vectors, np.array(parts, np.float32).reshape(-1, 3), boxes, (60, 40))


def test_general_and_edges_are_cosines_and_a_missing_one_is_nan() -> None:
    diagonal = (X + Y) / np.sqrt(2)
    sims = similarity_matrix([mark(X, edges=Y)], [mark(diagonal, edges=Y), mark(-X)])[0]
    np.testing.assert_allclose(sims[0, :2], [np.sqrt(0.5), 1], rtol=1e-6)
    assert sims[1, 0] == -1 and np.isnan(sims[1, 1])


@pytest.mark.parametrize(
    ("query", "other"),
    [
        (mark(X), mark(Y, Z, X)),  # the whole query is a part of the mark
        (mark(Y, Z, X), mark(X)),  # a part of the query is the whole mark
        (mark(Y, X), mark(Z, X)),  # they share a part
        (mark(X, Y), mark(X, Z)),  # the wholes agree
    ],
)
def test_objects_is_the_best_match_of_any_element_with_any(query: Description, other: Description) -> None:
    assert similarity_matrix([query], [other])[0, 0, 2] == pytest.approx(1)


def test_objects_is_defined_without_parts_and_never_below_general() -> None:
    assert similarity_matrix([mark(X)], [mark(X)])[0, 0, 2] == 1
    rng = np.random.default_rng(2)
    queries = [random_description(rng, regions=i) for i in range(4)]
    marks = [random_description(rng, regions=i % 3) for i in range(9)]
    sims = similarity_matrix(queries, marks)
    assert not np.isnan(sims).any()
    assert np.all(sims[:, :, 2] >= sims[:, :, 0] - 1e-6)


def test_objects_equals_the_maximum_over_all_pairs() -> None:
    rng = np.random.default_rng(4)
    queries = [random_description(rng, regions=3), random_description(rng, regions=0)]
    marks = [random_description(rng, regions=r) for r in (0, 2, 0, 5, 1, 0)]
    sims = similarity_matrix(queries, marks)
    for q, query in enumerate(queries):
        for m, other in enumerate(marks):
            a = np.vstack([query.vectors["general"], query.regions])
            b = np.vstack([other.vectors["general"], other.regions])
            assert sims[q, m, 2] == pytest.approx((a @ b.T).max(), abs=1e-3)  # parts are kept in half precision


def test_no_marks_give_an_empty_matrix() -> None:
    assert similarity_matrix([mark(X)], []).shape == (1, 0, len(DESCRIPTORS))


def best_boxes(query: Description, found: Description) -> object:
    """Among others: what stands before them must not move them."""
    table = MarkTable.of(["", ""], [mark(Z, X, Y), found])
    return Comparison([mark(Z, Y), query], table).boxes(1, np.array([1, 0]))[0]


def test_best_boxes_name_the_matching_parts() -> None:
    assert best_boxes(mark(Y, Z, X), mark(-Y, X)) == ((10, 0, 20, 10), (0, 0, 10, 10))
    assert best_boxes(mark(X), mark(Y, Z, X)) == ((0, 0, 60, 40), (10, 0, 20, 10))
    assert best_boxes(mark(X, Y), mark(X, Z)) is None
    assert best_boxes(mark(X, Y), mark(X, Y)) is None
