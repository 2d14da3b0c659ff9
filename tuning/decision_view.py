"""What the tuning pages show of parameters, decisions and the gate, ready for the templates.

Rows of older versions may lack a key: what is missing is left out, never an error on the page.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from django.utils.safestring import SafeString

from search.models import ParameterSet
from search.templatetags.portal import DESCRIPTOR_WORDS
from tuning.charts import before_after, change_interval, sparkline
from tuning.decision_table import UNDECIDED
from tuning.models import ClusterDecision
from tuning.tree_chart import tree_svg

ACTION_WORDS = {
    "no_data": "not enough evidence",
    "resting": "resting after a rollback",
    "none": "no change",
    "threshold": "threshold",
    "weights": "weights",
}
FIGURE_WORDS = {
    "map100": "Held-out mAP@100",
    "safety": "Conflicts pre-selected or on the first page",
    "recall": "Recall of the pre-selection",
    "precision": "Precision of the pre-selection",
    "f1": "F1 of the pre-selection",
    "feedback": "Agreement with examiners",
    "pc": "PC, share of the pre-selection that was changed",
    "accuracy": "Accuracy of the pre-selection (1 − PC)",
}
WORDS = {**DESCRIPTOR_WORDS, "threshold": "Threshold"}


class DecisionRow:
    """One cluster's decision with its drawings."""

    def __init__(self, decision: ClusterDecision) -> None:
        self.decision = decision

    @property
    def name(self) -> str:
        return _name(self.decision)

    @property
    def decided(self) -> bool:
        return self.decision.action not in UNDECIDED

    @property
    def action(self) -> str:
        words = ACTION_WORDS.get(self.decision.action, self.decision.action)
        return f"{words} within {100 * self.decision.step:g} %" if self.decision.step else words

    @cached_property
    def changes(self) -> SafeString:
        """Weights and threshold before and after; empty where nothing was looked for."""
        before, after = _shares(self.decision.before), _shares(self.decision.after)
        return before_after(before, after, WORDS) if before or after else SafeString("")

    @property
    def changed(self) -> bool:
        return _shares(self.decision.before) != _shares(self.decision.after)

    @property
    def tests(self) -> list[str]:
        return [str(step) for step in self.decision.path or []]

    @cached_property
    def trials(self) -> SafeString:
        best = [
            trial[-1] for trial in (self.decision.detail or {}).get("trials") or [] if isinstance(trial, list) and trial
        ]
        numbers = [float(value) for value in best if isinstance(value, int | float)]
        return sparkline(numbers, f"Best value over {len(numbers)} rounds of the search")

    @property
    def candidates(self) -> int:
        return int((self.decision.detail or {}).get("candidates") or 0)

    @property
    def replayed(self) -> list[tuple[str, float, float]]:
        """PC, DC, AC of the same searches under the old and the new parameters."""
        pair = (self.decision.detail or {}).get("replayed")
        if not isinstance(pair, list) or len(pair) != 2:
            return []
        return [
            (name.upper(), pair[0][name], pair[1][name])
            for name in ("pc", "dc", "ac")
            if name in pair[0] and name in pair[1]
        ]

    @cached_property
    def gate(self) -> list[dict[str, Any]]:
        return gate_rows((self.decision.detail or {}).get("gate") or {})


def parameter_rows(found: ParameterSet) -> dict[str, Any]:
    """The default and every cluster of its own, weights as shares, in one order of descriptors."""
    parameters = found.unpack()
    names = parameters.names

    def row(label: str, cluster: int | None, values: Any) -> dict[str, Any]:
        weights = [{"name": name, "share": values.weights.get(name, 0.0)} for name in names]
        return {
            "label": label,
            "cluster": cluster,
            "weights": weights,
            "threshold": values.threshold,
            "extension": values.extension,
        }

    rows = [row("Register", None, parameters.default)]
    rows += [row(f"Cluster {number}", number, values) for number, values in sorted(parameters.clusters.items())]
    return {
        "names": names,
        "rows": rows,
        "versions": [
            ("Descriptors", parameters.descriptors_version or "–"),
            ("Calibration", parameters.calibration_version or "–"),
            ("Clusters", parameters.clusters_version or "–"),
        ],
    }


@lru_cache(maxsize=1)
def _tree() -> Any:
    from tuning.decision_tree import fit_tree

    return fit_tree()


def plain_tree() -> SafeString:
    return tree_svg(_tree().to_json(), {})


def tree_of(decisions: Sequence[ClusterDecision]) -> SafeString:
    """The tree with the way of every cluster that had enough evidence to be decided by it."""
    ways = {}
    for decision in decisions:
        point = (decision.pc, decision.dc, decision.ac)
        if decision.action not in UNDECIDED and None not in point:
            ways[_name(decision)] = _tree().path(*point)
    return tree_svg(_tree().to_json(), ways)


def gate_rows(gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    figures = [figure for figure in gate.get("metrics") or [] if isinstance(figure, dict) and _whole(figure)]
    scale = max((abs(figure[key]) for figure in figures for key in ("low", "high", "difference")), default=0.0)
    return [
        {
            **figure,
            "label": FIGURE_WORDS.get(str(figure.get("name")), str(figure.get("name"))),
            "points": [100 * figure[key] for key in ("difference", "low", "high")],
            "chart": change_interval(figure["difference"], figure["low"], figure["high"], scale=max(scale, 0.01)),
        }
        for figure in figures
    ]


def metric_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures of the run as label, value and interval."""
    rows = []
    for name, figure in metrics.items():
        label = FIGURE_WORDS.get(name, name)
        if isinstance(figure, dict):
            rows.append(
                {
                    "label": label,
                    "value": figure.get("value"),
                    "low": figure.get("low"),
                    "high": figure.get("high"),
                }
            )
        elif isinstance(figure, int | float):
            rows.append({"label": label, "value": figure, "low": None, "high": None})
    return [row for row in rows if row["value"] is not None]


def deltas_of(gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The held-out queries with their change of AP@100, worst first as the gate stores them, `points` added."""
    keys = ("ap_before", "ap_after", "delta")
    return [
        {**one, "name": str(one.get("name", "")), "points": 100 * one["delta"]}
        for one in gate.get("deltas") or []
        if isinstance(one, dict) and all(isinstance(one.get(key), int | float) for key in keys)
    ]


def worst_queries(gate: Mapping[str, Any], limit: int = 5) -> list[dict[str, Any]]:
    """Held-out queries that lose most."""
    return [one for one in deltas_of(gate)[:limit] if one["delta"] < 0]


def _name(decision: ClusterDecision) -> str:
    return "register" if decision.cluster is None else f"cluster {decision.cluster}"


def _shares(values: Any) -> dict[str, float]:
    """Weights and threshold of `ClusterParameters.to_json` as one mapping."""
    if not isinstance(values, dict):
        return {}
    shares = {str(name): float(weight) for name, weight in (values.get("weights") or {}).items()}
    if isinstance(values.get("threshold"), int | float):
        shares["threshold"] = float(values["threshold"])
    return shares


def _whole(figure: Mapping[str, Any]) -> bool:
    return all(isinstance(figure.get(key), int | float) for key in ("before", "after", "difference", "low", "high"))
