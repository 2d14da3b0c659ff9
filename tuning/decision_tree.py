"""A scikit-learn tree of depth <= 5 that equals the decision table everywhere, as plain data for drawing.

Three details make the agreement exact, borders included:
- it is fitted on the corners of the table's 27 cells, so its thresholds land on the borders;
- scikit-learn asks `value <= threshold` in single precision, while the table has both `<` and `>`: the
  sample is laid so that a threshold lies 1e-6 on the open side of its border, and `features` moves a value
  within 2e-6 of a border to its own side before it is rounded;
- greedy fitting does not find the shallow tree by itself: the cell where both levels are lowest (or, for
  min, highest) weighs more, which makes the third test split it off and leaves depth 5 instead of 6.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuning.decision_table import Action, TableConfig, decide

__all__ = ["DecisionTree", "TreeNode", "fit_tree"]

FEATURES = ("pc", "dc", "ac")
MAX_DEPTH = 5
_GAP = 1e-6
_CORNER_WEIGHT = 30.0
_OUTER_WEIGHT = 1000.0  # cells decided by PC alone: PC is tested first, as in the printed table


@dataclass(frozen=True)
class TreeNode:
    """One node for the drawing. Leaves have an `action` label; inner nodes test `feature operator border`.

    yes / no: ids of the children for a test that holds / fails.
    """

    id: int
    depth: int
    feature: str | None = None
    operator: Literal["<", "<="] | None = None
    border: float | None = None
    yes: int | None = None
    no: int | None = None
    action: str | None = None

    @property
    def text(self) -> str:
        """What to write in the box, e.g. "PC < 8 %"."""
        if self.action is not None:
            return self.action
        return f"{str(self.feature).upper()} {self.operator} {100 * float(self.border or 0):g} %"


class DecisionTree:
    """The fitted estimator with its borders. Made by `fit_tree`."""

    def __init__(self, estimator: Any, config: TableConfig) -> None:
        self.estimator = estimator
        self.config = config
        self._actions = _actions(config)

    @property
    def depth(self) -> int:
        """Number of tests on the longest way down."""
        return int(self.estimator.get_depth())

    def features(self, points: ArrayLike) -> NDArray[np.float32]:
        """(k, 3) PC, DC, AC -> what the estimator is asked with; never crosses a border by rounding."""
        x = np.array(points, dtype=np.float64).reshape(-1, 3)
        for column, (low, high) in enumerate(_borders(self.config)):
            v = x[:, column]
            v = np.where(v < low, np.minimum(v, low - 2 * _GAP), v)
            x[:, column] = np.where(v > high, np.maximum(v, high + 2 * _GAP), v)
        return x.astype(np.float32)

    def predict(self, points: ArrayLike) -> list[Action]:
        """The actions for (k, 3) points of PC, DC, AC (enough searches taken for granted)."""
        codes = self.estimator.predict(self.features(points))
        return [self._actions[int(code)] for code in codes]

    def path(self, pc: float, dc: float, ac: float) -> tuple[int, ...]:
        """Ids of the nodes from the root to the leaf of this point, to be highlighted."""
        found = self.estimator.decision_path(self.features([[pc, dc, ac]]))
        # A node's children have larger ids than the node itself, so ascending order is root to leaf.
        return tuple(sorted(int(i) for i in found.indices))

    def nodes(self) -> list[TreeNode]:
        """All nodes, root first, ids equal to their place in the list."""
        tree = self.estimator.tree_
        depth = {0: 0}
        nodes = []
        for i in range(int(tree.node_count)):
            left, right = int(tree.children_left[i]), int(tree.children_right[i])
            if left < 0:
                action = self._actions[int(self.estimator.classes_[int(np.argmax(tree.value[i][0]))])]
                nodes.append(TreeNode(i, depth[i], action=action.label))
                continue
            depth[left] = depth[right] = depth[i] + 1
            column = int(tree.feature[i])
            low, high = _borders(self.config)[column]
            at_low = abs(float(tree.threshold[i]) - low) < abs(float(tree.threshold[i]) - high)
            nodes.append(
                TreeNode(
                    i,
                    depth[i],
                    feature=FEATURES[column],
                    operator="<" if at_low else "<=",
                    border=low if at_low else high,
                    yes=left,
                    no=right,
                )
            )
        return nodes

    def to_json(self, point: Sequence[float] | None = None) -> dict[str, Any]:
        """Plain data for a drawing: nodes, depth, and the path of `point` (PC, DC, AC) where given."""
        return {
            "depth": self.depth,
            "nodes": [
                {
                    "id": n.id,
                    "depth": n.depth,
                    "text": n.text,
                    "feature": n.feature,
                    "operator": n.operator,
                    "threshold": n.border,
                    "yes": n.yes,
                    "no": n.no,
                    "action": n.action,
                }
                for n in self.nodes()
            ],
            "path": list(self.path(*point)) if point is not None else [],
        }


def fit_tree(config: TableConfig | None = None) -> DecisionTree:
    """Fit the tree to the table of `config`.

    Raises ValueError should the tree be deeper than 5 or differ from the table in a corner of a cell.
    """
    from sklearn.tree import DecisionTreeClassifier

    c = config or TableConfig()
    actions = _actions(c)
    points, codes, weights = [], [], []
    for cell in itertools.product(range(3), repeat=3):
        corners = [_ends(level, *border) for level, border in zip(cell, _borders(c), strict=True)]
        for point in itertools.product(*corners):
            points.append(point)
            codes.append(actions.index(_action(point, c)))
            weights.append(_weight(cell, c))
    estimator = DecisionTreeClassifier(random_state=0)
    estimator.fit(np.array(points, dtype=np.float32), codes, sample_weight=weights)
    tree = DecisionTree(estimator, c)
    if tree.depth > MAX_DEPTH or [actions.index(a) for a in tree.predict(points)] != codes:
        raise ValueError("No tree of depth 5 agrees with this decision table.")
    return tree


def _borders(c: TableConfig) -> tuple[tuple[float, float], ...]:
    return (c.pc_low, c.pc_high), (c.dc_low, c.dc_high), (c.ac_low, c.ac_high)


def _ends(level: int, low: float, high: float) -> tuple[float, float]:
    """Lowest and highest sample value of a level; level 1 is closed at both borders."""
    return ((0.0, low - 2 * _GAP), (low, high), (high + 2 * _GAP, 1.0))[level]


def _weight(cell: tuple[int, ...], c: TableConfig) -> float:
    pc, dc, ac = cell
    if pc != 1:
        return _OUTER_WEIGHT
    corner = 2 if c.combiner == "min" else 0
    return _CORNER_WEIGHT if (dc, ac) == (corner, corner) else 1.0


def _action(point: Sequence[float], c: TableConfig) -> Action:
    pc, dc, ac = point
    enough = {"searches": max(1, c.min_searches), "examiners": c.min_examiners}
    found = decide(pc=pc, dc=dc, ac=ac, config=c, **enough)
    return Action(found.kind, found.radius, found.label)


def _actions(c: TableConfig) -> list[Action]:
    """The distinct actions of the table, without their words; one centre of a cell for each cell."""
    centres = [(low / 2, (low + high) / 2, (1 + high) / 2) for low, high in _borders(c)]
    found: list[Action] = []
    for point in itertools.product(*centres):
        action = _action(point, c)
        if action not in found:
            found.append(action)
    return found
