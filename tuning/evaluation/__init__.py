"""Evaluation on directories in METU layout, in both variants of the metric. Pure: no Django.

load(queries, pool) -> MetuLayout        split_groups(layout) -> fit / validate / test groups
evaluate(layout, describer, ...) -> Evaluation        ROWS: the names it knows        to_text, to_json -> the report
"""

from tuning.evaluation.evaluate import Evaluation, Measures, evaluate, passes
from tuning.evaluation.metrics import VARIANTS, Variant
from tuning.evaluation.metu import LayoutError, MetuLayout, load
from tuning.evaluation.report import to_json, to_text
from tuning.evaluation.rows import FUSED, ROWS, uses_describer
from tuning.evaluation.splits import SPLITS, split_groups

__all__ = [
    "FUSED",
    "ROWS",
    "SPLITS",
    "VARIANTS",
    "Evaluation",
    "LayoutError",
    "Measures",
    "MetuLayout",
    "Variant",
    "evaluate",
    "load",
    "passes",
    "split_groups",
    "to_json",
    "to_text",
    "uses_describer",
]
