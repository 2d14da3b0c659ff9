"""What a ParameterSet holds: per cluster the weights W of Eq 1, the pre-selection cut and the extension d."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

_SUM_TOLERANCE = 1e-6
FIRST_THRESHOLD = 0.5
"""Where precision and recall of the pre-selection balance on the training families at equal weights: the calibration
is made so (calibration.py)."""


@dataclass(frozen=True)
class ClusterParameters:
    """Parameters of one cluster, or of the whole register.

    weights: descriptor name -> W_n, each >= 0, together 1 (DarwinGSE Eq 1).
    threshold: pre-selection cut tau on the calibrated fused score, 0..1.
    extension: d, the Euclidean distance between centroids up to which depth "cluster" also searches.

    Raises ValueError with a sentence when a value is out of range.
    """

    weights: Mapping[str, float]
    threshold: float
    extension: float

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("Parameters need at least one descriptor weight.")
        for name, weight in self.weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f"The weight of {name} is {weight}; weights are numbers of at least 0.")
        total = sum(self.weights.values())
        if abs(total - 1) > _SUM_TOLERANCE:
            raise ValueError(f"The weights sum to {total:.6f}; they must sum to 1.")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"The threshold is {self.threshold}; it must lie between 0 and 1.")
        if not math.isfinite(self.extension) or self.extension < 0:
            raise ValueError(f"The extension is {self.extension}; it is a distance of at least 0.")
        # A private, plain copy: whoever made the mapping cannot change a frozen object through it.
        object.__setattr__(self, "weights", dict(self.weights))

    def weight_vector(self, names: Sequence[str]) -> list[float]:
        """W in the order of `names`; a descriptor without a weight counts 0."""
        return [float(self.weights.get(name, 0.0)) for name in names]

    def to_json(self) -> dict[str, Any]:
        return {
            "weights": dict(self.weights),
            "threshold": self.threshold,
            "extension": self.extension,
        }

    @classmethod
    def from_json(cls, data: Any) -> ClusterParameters:
        """Inverse of `to_json`; ValueError with a sentence on anything else."""
        data = _mapping(data, "Cluster parameters")
        weights = _mapping(_required(data, "weights"), "The weights")
        return cls(
            weights={str(name): _number(value, f"The weight of {name}") for name, value in weights.items()},
            threshold=_number(_required(data, "threshold"), "The threshold"),
            extension=_number(_required(data, "extension"), "The extension"),
        )


@dataclass(frozen=True)
class Parameters:
    """The content of a ParameterSet: a default, and the clusters that differ from it.

    clusters_version names the clustering the ids belong to ("" = none); descriptors_version and
    calibration_version name what the weights and thresholds were made for.
    """

    default: ClusterParameters
    clusters: Mapping[int, ClusterParameters] = field(default_factory=dict)
    clusters_version: str = ""
    descriptors_version: str = ""
    calibration_version: str = ""

    def __post_init__(self) -> None:
        names = set(self.default.weights)
        for cluster, values in self.clusters.items():
            if cluster < 0:
                raise ValueError(f"{cluster} is not a cluster number.")
            if set(values.weights) != names:
                raise ValueError(f"Cluster {cluster} weighs other descriptors than the default does.")
        if self.clusters and not self.clusters_version:
            raise ValueError("Parameters per cluster need the version of the clustering they belong to.")
        object.__setattr__(self, "clusters", dict(self.clusters))

    @property
    def names(self) -> tuple[str, ...]:
        """The descriptors that are weighed, in the order of the default."""
        return tuple(self.default.weights)

    def for_cluster(self, cluster: int | None) -> ClusterParameters:
        """The parameters of a cluster; the default where the cluster has none of its own."""
        return self.default if cluster is None else self.clusters.get(cluster, self.default)

    def to_json(self) -> dict[str, Any]:
        return {
            "default": self.default.to_json(),
            "clusters": {str(number): values.to_json() for number, values in sorted(self.clusters.items())},
            "clusters_version": self.clusters_version,
            "descriptors_version": self.descriptors_version,
            "calibration_version": self.calibration_version,
        }

    @classmethod
    def from_json(cls, data: Any) -> Parameters:
        """Inverse of `to_json`; ValueError with a sentence on anything else."""
        data = _mapping(data, "Parameters")
        clusters = _mapping(data.get("clusters", {}), "The clusters")
        return cls(
            default=ClusterParameters.from_json(_required(data, "default")),
            clusters={
                _cluster_number(number): ClusterParameters.from_json(values) for number, values in clusters.items()
            },
            clusters_version=str(data.get("clusters_version", "")),
            descriptors_version=str(data.get("descriptors_version", "")),
            calibration_version=str(data.get("calibration_version", "")),
        )

    @classmethod
    def initial(
        cls,
        descriptors: Sequence[str],
        *,
        weights: Mapping[str, float] | None = None,
        threshold: float = FIRST_THRESHOLD,
        extension: float = 0.15,
        clusters_version: str = "",
        descriptors_version: str = "",
        calibration_version: str = "",
    ) -> Parameters:
        """No cluster of its own yet. weights: of `descriptors`, such as FirstWeights.of; None = equal (science 1.2).

        d = 0.15 is the paper's (science 1.3).
        """
        if not descriptors:
            raise ValueError("Parameters need at least one descriptor.")
        if weights is None:
            weights = dict.fromkeys(descriptors, 1 / len(descriptors))
        if set(weights) != set(descriptors):
            raise ValueError("Every descriptor needs a first weight, and nothing else does.")
        default = ClusterParameters({name: weights[name] for name in descriptors}, threshold, extension)
        return cls(
            default=default,
            clusters_version=clusters_version,
            descriptors_version=descriptors_version,
            calibration_version=calibration_version,
        )


def reweighed(parameters: Parameters, given: Mapping[str, float]) -> Parameters:
    """The same parameters with these weights in every scope; the other descriptors share the rest as before.

    Where the others have no weight at all, they share the rest equally. Raises ValueError with a sentence for an
    unknown descriptor, for weights below 0, and for weights that cannot be made to sum to 1.
    """
    unknown = sorted(set(given) - set(parameters.names))
    if unknown:
        raise ValueError(f"There is no descriptor {', '.join(unknown)}; known are {', '.join(parameters.names)}.")
    rest = 1 - sum(given.values())
    others = [name for name in parameters.names if name not in given]
    if rest < -_SUM_TOLERANCE or (not others and abs(rest) > _SUM_TOLERANCE):
        raise ValueError(f"The weights given sum to {1 - rest:.4g}; together all weights must sum to 1.")

    def one(values: ClusterParameters) -> ClusterParameters:
        total = sum(values.weights[name] for name in others)
        shares = {name: values.weights[name] / total if total else 1 / len(others) for name in others}
        weights = {name: given.get(name, max(rest, 0.0) * shares.get(name, 0.0)) for name in parameters.names}
        return replace(values, weights=weights)

    clusters = {number: one(values) for number, values in parameters.clusters.items()}
    return replace(parameters, default=one(parameters.default), clusters=clusters)


def _mapping(value: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a JSON object, not {type(value).__name__}.")
    return value


def _required(data: Mapping[Any, Any], key: str) -> Any:
    if key not in data:
        raise ValueError(f"The parameters lack '{key}'.")
    return data[key]


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} must be a number, not {value!r}.")
    return float(value)


def _cluster_number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a cluster number.") from None
