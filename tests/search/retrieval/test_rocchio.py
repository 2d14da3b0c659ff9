import numpy as np
import pytest

from search.retrieval.description import Description
from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.pooling import unit
from search.retrieval.rocchio import Rocchio, refined
from tests.search.retrieval.pictures import random_description

HOW = Rocchio(alpha=1, beta=0.5, gamma=0.25, parts=3)


def marks(count: int, seed: int = 3, regions: int = 2) -> list[Description]:
    rng = np.random.default_rng(seed)
    return [random_description(rng, regions=regions) for _ in range(count)]


def plain(x: float, y: float) -> Description:
    return Description({"general": np.array([x, y], np.float32)})


def test_a_hand_computed_case() -> None:
    # 1 (1, 0) + 0.5 mean{(0, 1), (0.6, 0.8)} - 0.25 (-1, 0) = (1.4, 0.45)
    found = refined(plain(1, 0), [plain(0, 1), plain(0.6, 0.8)], [plain(-1, 0)], HOW)
    np.testing.assert_allclose(found.vectors["general"], np.array([1.4, 0.45]) / np.hypot(1.4, 0.45), atol=1e-6)


def test_it_comes_closer_to_what_is_liked_and_farther_from_what_is_not_in_every_descriptor() -> None:
    query, liked, disliked = marks(3)
    found = refined(query, [liked], [disliked])
    for name in VECTOR_DESCRIPTORS:
        before, after = query.vectors[name], found.vectors[name]
        assert np.linalg.norm(after) == pytest.approx(1, abs=1e-6) and after.dtype == np.float32
        assert after @ liked.vectors[name] > before @ liked.vectors[name]
        away = refined(query, [], [disliked]).vectors[name]
        assert away @ disliked.vectors[name] < before @ disliked.vectors[name]


def test_many_liked_marks_have_no_more_say_than_one() -> None:
    query, liked, disliked = marks(3)
    once, often = refined(query, [liked], [disliked]), refined(query, [liked] * 5, [disliked] * 7)
    for name in VECTOR_DESCRIPTORS:
        np.testing.assert_allclose(once.vectors[name], often.vectors[name], atol=1e-6)


def test_without_any_mark_it_is_the_query() -> None:
    (query,) = marks(1)
    found = refined(query, [], [])
    for name in VECTOR_DESCRIPTORS:
        np.testing.assert_allclose(found.vectors[name], query.vectors[name], atol=1e-6)
    assert found.regions is query.regions and found.size == query.size


def test_what_the_query_lacks_comes_from_liked_marks_only() -> None:
    query, liked, disliked = marks(3)
    del query.vectors["colour"]
    assert "colour" not in refined(query, [], [disliked]).vectors
    del liked.vectors["colour"]
    assert "colour" not in refined(query, [liked], [disliked]).vectors
    other = marks(1, seed=8)[0]
    found = refined(query, [liked, other], [disliked])
    expected = unit(0.75 * other.vectors["colour"] - 0.15 * disliked.vectors["colour"])
    how = Rocchio(beta=0.75, gamma=0.15)
    np.testing.assert_allclose(
        refined(query, [liked, other], [disliked], how).vectors["colour"], expected, atol=1e-6
    )  # the mark without colour has no say in it
    assert found.vectors["colour"].shape == (16,)


def test_a_mark_that_lacks_a_descriptor_does_not_dilute_the_mean() -> None:
    query, liked, bare = marks(3)
    del bare.vectors["semantic"]
    one, two = refined(query, [liked], []), refined(query, [liked, bare], [])
    np.testing.assert_allclose(one.vectors["semantic"], two.vectors["semantic"], atol=1e-6)


def test_what_cancels_itself_out_leaves_the_query_as_it_was() -> None:
    query = plain(1, 0)
    found = refined(query, [], [plain(1, 0)], Rocchio(alpha=1, beta=1, gamma=1))
    np.testing.assert_allclose(found.vectors["general"], [1, 0])


def test_parts_of_liked_marks_join_in_turn_up_to_a_number_and_those_of_disliked_ones_do_not() -> None:
    query, first, second, disliked = marks(4)
    found = refined(query, [first, second], [disliked], HOW)
    assert found.regions.shape == (2 + 3, 16) and found.boxes.shape == (5, 4)
    np.testing.assert_array_equal(found.regions[:2], query.regions)
    np.testing.assert_array_equal(found.regions[2:], [first.regions[0], second.regions[0], first.regions[1]])
    assert not found.boxes[2:].any()
    assert len(refined(query, [], [disliked], HOW).regions) == 2
    bare = plain(1, 0)
    assert refined(bare, [plain(0, 1)], []).regions.shape == bare.regions.shape


def test_a_query_without_parts_takes_those_of_the_liked() -> None:
    query = marks(1, regions=0)[0]
    liked = marks(1, seed=5)[0]
    found = refined(query, [liked], [], HOW)
    np.testing.assert_array_equal(found.regions, liked.regions)


def test_nothing_that_was_given_is_changed() -> None:
    query, liked, disliked = marks(3)
    kept = [{name: vector.copy() for name, vector in one.vectors.items()} for one in (query, liked, disliked)]
    refined(query, [liked], [disliked])
    for one, before in zip((query, liked, disliked), kept, strict=True):
        for name, vector in before.items():
            np.testing.assert_array_equal(one.vectors[name], vector)


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"beta": -1}, {"gamma": float("nan")}, {"parts": -1}])
def test_values_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Rocchio(**wrong)  # type: ignore[arg-type]
