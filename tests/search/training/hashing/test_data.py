"""What is learnt from, and what marks have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.training.dataset import KINDS, DatasetError, TrainingMarks
from search.training.hashing.data import HashData, kept_rows
from search.training.hashing.features import HashFeatures
from search.training.hashing.labels import mark_labels, name_words


def test_kept_families_are_never_learnt_from(data: HashData) -> None:
    assert data.related == 7 and len(data.rows) == 23
    assert set(data.rows) & set(kept_rows(data.marks)) == set() and len(kept_rows(data.marks)) == 3
    assert not (data.marks.kinds[data.rows] == KINDS.index("kept")).any()
    assert data.families.max() == 8  # seven families, two alone
    assert [len(m) for m in data.members] == [3] * 7 and len(data.in_families) == 21


def test_groups_hold_families_that_look_alike(data: HashData) -> None:
    groups = data.groups(3)
    assert groups.shape == (7,) and set(groups) <= {0, 1, 2} and len(set(groups)) > 1
    np.testing.assert_array_equal(groups, data.groups(3))


def test_data_that_does_not_fit_is_a_sentence(folder: Path, features: HashFeatures) -> None:
    marks = TrainingMarks.load(folder)
    half = replace(features, general=features.general[:5])
    with pytest.raises(DatasetError, match="features of 5 marks"):
        HashData.of(marks, half)
    with pytest.raises(DatasetError, match="fewer than two families"):
        HashData.of(replace(marks, kinds=np.full(len(marks), KINDS.index("kept"))), features)


def test_words_say_what_is_drawn_and_not_how() -> None:
    assert name_words("tabler:credit-card-outline") == ["credit", "card"]
    assert name_words("logos:aws-icon") == ["aws"]
    assert name_words("mdi:home-24-filled") == ["home"]


def test_relatives_share_all_labels_and_families_with_a_word_share_some(data: HashData) -> None:
    labels = mark_labels(data.marks)
    rows = labels.rows(np.array([0, 2, 3, 6, 24]))  # red-arrow twice, arrow, star, leaf-blower
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    s = unit @ unit.T
    assert s[0, 1] == pytest.approx(1)
    # {family, red, arrow} and {family, arrow}: one in common.
    assert s[0, 2] == pytest.approx(1 / np.sqrt(3 * 2))
    assert s[0, 3] == 0 and s[4, 3] == 0
    together = [set(families) for families in data.by_word]
    assert {0, 1} in together and {2, 4} in together  # arrow; star
