import json
from pathlib import Path

import pytest

from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.first_weights import FirstWeights
from search.retrieval.parameters import Parameters

FIRST = FirstWeights({"general": 0.5, "objects": 0.25, "edges": 0.25, "colour": 0.0}, 0.45, made_for="d1")


def test_shares_of_descriptors_that_are_off_go_to_the_others_in_proportion() -> None:
    assert FIRST.of(("general", "objects", "colour")) == pytest.approx(
        {"general": 2 / 3, "objects": 1 / 3, "colour": 0}
    )
    assert FIRST.of(("general", "newcomer")) == {"general": 1, "newcomer": 0}


def test_without_any_weight_the_descriptors_are_equal() -> None:
    assert FIRST.of(("colour", "newcomer")) == {"colour": 0.5, "newcomer": 0.5}


def test_survives_a_file_and_notices_edits(tmp_path: Path) -> None:
    FIRST.save(tmp_path / "first.json")
    data = json.loads((tmp_path / "first.json").read_text())
    assert FirstWeights.from_json(data) == FIRST
    data["weights"]["general"], data["weights"]["objects"] = 0.25, 0.5
    with pytest.raises(ValueError, match="edited"):
        FirstWeights.from_json(data)
    with pytest.raises(ValueError, match="not first weights"):
        FirstWeights.from_json({"weights": [1]})


def test_refuses_what_parameters_refuse() -> None:
    with pytest.raises(ValueError, match="sum to"):
        FirstWeights({"general": 0.5}, 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        FirstWeights({"general": 1.0}, 1.5)


def test_the_shipped_ones_make_parameters_with_every_descriptor_on() -> None:
    shipped = FirstWeights.shipped()
    weights = shipped.of(DESCRIPTORS)
    made = Parameters.initial(DESCRIPTORS, weights=weights, threshold=shipped.threshold)
    assert made.names == DESCRIPTORS and made.default.weights["general"] > 0
    assert Parameters.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_first_weights_must_fit_the_descriptors() -> None:
    with pytest.raises(ValueError, match="Every descriptor"):
        Parameters.initial(("general", "edges"), weights={"general": 1.0})
