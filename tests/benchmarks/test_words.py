"""The names and the measures of benchmarks/words.py."""

from itertools import islice

import pytest

from benchmarks.word_names import TRANSFORMATIONS, brands, made_names, variants
from benchmarks.words import average_precision, baselines, folded


def test_brands_are_names_of_families_that_nothing_else_is_measured_on() -> None:
    from benchmarks.iconify.families import load_final
    from benchmarks.iconify.names import brand_key

    final = {name for name, _ in load_final().groups.values()}
    names = brands("val")
    assert len(names) > 100 and "Adobe" in names
    assert not final & {brand_key(name.replace(" ", "-")) for name in names}


def test_each_transformation_makes_another_name_and_the_same_one_again() -> None:
    made = variants("Photo Queen", 1)
    assert made == variants("Photo Queen", 1) != variants("Photo Queen", 2)
    assert set(made) <= set(TRANSFORMATIONS) and len(made) >= 5
    assert len(set(made.values()) | {"Photo Queen"}) == len(made) + 1
    assert not made["other script"].isascii()


def test_made_names_are_words_of_letters() -> None:
    names = list(islice(made_names(["Adobe", "Red Hat", "Kwix"], 1), 50))
    assert names == list(islice(made_names(["Adobe", "Red Hat", "Kwix"], 1), 50))
    assert all(name.replace(" ", "").isalpha() for name in names)


@pytest.mark.parametrize(
    ("ranking", "expected"), [([1, 2, 3], 1.0), ([3, 1, 2], (1 / 2 + 2 / 3) / 2), ([3, 4, 1], 1 / 6), ([], 0.0)]
)
def test_average_precision_by_hand(ranking: list[int], expected: float) -> None:
    assert average_precision(ranking, {1, 2}) == pytest.approx(expected)


def test_both_baselines_find_the_name_itself_first() -> None:
    rank = baselines(["Adobe", "Red Hat", "Kwix", "Rédhat"])
    assert {ranking[0] for ranking in rank("red hat").values()} == {2}
    assert folded("Rédhat") == "redhat"
