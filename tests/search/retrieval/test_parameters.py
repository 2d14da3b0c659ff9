import json

import pytest

from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.parameters import ClusterParameters, Parameters, reweighed


def make() -> Parameters:
    initial = Parameters.initial(DESCRIPTORS, clusters_version="k1", descriptors_version="d1")
    weights = dict.fromkeys(DESCRIPTORS, 0.0) | {"general": 0.6, "edges": 0.3, "objects": 0.1}
    own = ClusterParameters(weights, 0.7, 0.4)
    return Parameters(initial.default, {4: own}, "k1", "d1", "c1")


def test_initial_weights_are_equal_and_sum_to_one() -> None:
    weights = Parameters.initial(DESCRIPTORS).default.weights
    assert sum(weights.values()) == pytest.approx(1)
    assert len(set(weights.values())) == 1


def test_a_cluster_without_own_parameters_gets_the_default() -> None:
    parameters = make()
    assert parameters.for_cluster(4).threshold == 0.7
    assert parameters.for_cluster(5) is parameters.default
    assert parameters.for_cluster(None) is parameters.default


def test_survives_json() -> None:
    parameters = make()
    assert Parameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": {"general": 0.5, "edges": 0.2, "objects": 0.2}}, "sum to 1"),
        ({"weights": {"general": 1.5, "edges": -0.5, "objects": 0}}, "at least 0"),
        ({"weights": {"general": "much", "edges": 0, "objects": 0}}, "must be a number"),
        ({"weights": {}}, "at least one"),
        ({"threshold": 1.2}, "between 0 and 1"),
        ({"extension": -1}, "at least 0"),
        ({"extension": None}, "must be a number"),
    ],
)
def test_refuses_values_out_of_range_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    data = make().to_json()
    data["default"] = {**data["default"], **change}
    with pytest.raises(ValueError, match=sentence):
        Parameters.from_json(data)


def test_refuses_clusters_that_weigh_other_descriptors_or_no_clustering() -> None:
    default = Parameters.initial(DESCRIPTORS).default
    with pytest.raises(ValueError, match="other descriptors"):
        Parameters(default, {1: ClusterParameters({"general": 1.0}, 0.5, 0.1)}, "k1")
    with pytest.raises(ValueError, match="version of the clustering"):
        Parameters(default, {1: default})


def test_refuses_json_that_is_no_parameters() -> None:
    for wrong in (
        [],
        {"clusters": {}},
        {"default": 3},
        {"default": make().default.to_json(), "clusters": [1]},
    ):
        with pytest.raises(ValueError):
            Parameters.from_json(wrong)


def test_changing_the_mapping_afterwards_does_not_change_the_parameters() -> None:
    weights = {"general": 1.0}
    parameters = ClusterParameters(weights, 0.5, 0.1)
    weights["general"] = 0.0
    assert parameters.weights["general"] == 1.0


def test_a_weight_given_by_hand_takes_from_the_others_in_proportion_in_every_scope() -> None:
    default = ClusterParameters({"general": 0.6, "edges": 0.4, "colour": 0.0}, 0.5, 0.1)
    own = ClusterParameters({"general": 0.0, "edges": 0.5, "colour": 0.5}, 0.7, 0.2)
    made = reweighed(Parameters(default, {3: own}, "k1"), {"colour": 0.2})
    assert made.default.weights == pytest.approx({"general": 0.48, "edges": 0.32, "colour": 0.2})
    assert made.for_cluster(3).weights == pytest.approx({"general": 0.0, "edges": 0.8, "colour": 0.2})
    assert made.for_cluster(3).threshold == 0.7 and made.clusters_version == "k1"
    only = reweighed(Parameters(ClusterParameters({"a": 1.0, "b": 0.0, "c": 0.0}, 0.5, 0.1)), {"a": 0.5})
    assert only.default.weights == {"a": 0.5, "b": 0.25, "c": 0.25}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"smell": 0.1}, "no descriptor smell; known are general"),
        ({"colour": 1.2}, "must sum to 1"),
        ({"colour": -0.1}, "at least 0"),
        (dict.fromkeys(DESCRIPTORS, 0.1), "must sum to 1"),
    ],
)
def test_weights_by_hand_are_refused_with_a_sentence(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        reweighed(Parameters.initial(DESCRIPTORS), given)
