"""Training data on disk: what is read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.training.dataset import INDEX, MARKS, DatasetError, TrainingMarks


def test_members_are_the_rows_of_families_of_two_or_more(marks: TrainingMarks) -> None:
    members = marks.members()
    assert sorted(members) == list(range(8))
    assert members[2].tolist() == [6, 7, 8]


def test_missing_data_is_a_sentence_that_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="build_training"):
        TrainingMarks.load(tmp_path)


def test_files_that_do_not_fit_each_other_are_refused(training_data: Path) -> None:
    np.save(training_data / MARKS, np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(DatasetError, match="do not belong together"):
        TrainingMarks.load(training_data)


def test_an_unknown_kind_is_refused(training_data: Path) -> None:
    index = json.loads((training_data / INDEX).read_text())
    index["kinds"][0] = "rumour"
    (training_data / INDEX).write_text(json.dumps(index))
    with pytest.raises(DatasetError):
        TrainingMarks.load(training_data)
