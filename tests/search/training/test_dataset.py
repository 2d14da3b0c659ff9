"""Training data on disk: what is read, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search.training.dataset import ALONE, INDEX, MARKS, DatasetError, NewMark, TrainingMarks, write_marks


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


def test_marks_written_one_by_one_are_read_back(tmp_path: Path) -> None:
    rows = [np.full((8, 8), value, np.uint8) for value in range(3)]
    new = [
        NewMark(rows[0], "a", 0, "family"),
        NewMark(rows[1], "b", 0, "family"),
        NewMark(rows[2], "c", ALONE, "alone"),
    ]
    assert write_marks(tmp_path / "new", iter(new), side=8, source={"searches": 2}) == 3
    marks = TrainingMarks.load(tmp_path / "new")
    assert [int(marks.grey[row, 0, 0]) for row in range(3)] == [0, 1, 2] and list(marks.names) == ["a", "b", "c"]
    assert {number: rows.tolist() for number, rows in marks.members().items()} == {0: [0, 1]}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["index.json", "marks.npy"]


def test_a_writer_that_stops_half_way_leaves_no_data(tmp_path: Path) -> None:
    def broken() -> Iterator[NewMark]:
        yield NewMark(np.zeros((8, 8), np.uint8), "a", 0, "family")
        yield NewMark(np.zeros((4, 8), np.uint8), "b", 0, "family")

    with pytest.raises(ValueError, match="b is"):
        write_marks(tmp_path / "new", broken(), side=8, source={})
    with pytest.raises(DatasetError):
        TrainingMarks.load(tmp_path / "new")


def test_some_kinds_can_be_taken_alone(marks: TrainingMarks) -> None:
    brands = marks.of_kinds(["brand"])
    assert len(brands) == 12 and set(brands.families) == {4, 5, 6, 7}
    assert (np.asarray(brands.grey[0]) == np.asarray(marks.grey[12])).all() and brands.names[0] == marks.names[12]
    assert len(marks.of_kinds(["alone", "family"])) == 16
