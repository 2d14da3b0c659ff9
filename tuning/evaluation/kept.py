"""How well codes find the relatives of the families that nothing was learnt from: choices are made by this. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.training.hashing.data import HashData, kept_rows
from search.training.hashing.trainer import HashTrainer
from tuning.evaluation.hashed import code_similarities, signs
from tuning.evaluation.vectors import matrix_figures

__all__ = ["code_figures", "kept_figures", "kept_order"]


def kept_order(data: HashData, others: int = 10_000) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the features, the kept marks first and then `others` more, evenly; and the families of the kept ones."""
    kept = kept_rows(data.marks)
    rest = data.rows[np.unique(np.linspace(0, len(data.rows) - 1, min(others, len(data.rows))).astype(int))]
    return np.concatenate([kept, rest]), data.marks.families[kept]


def kept_figures(run: HashTrainer, others: int = 10_000) -> dict[str, float]:
    """mAP@100 (%) and the rest on the kept families, ties at their worst rank; nothing where none was kept."""
    rows, families = kept_order(run.data, others)
    if not len(families):
        return {}
    return code_figures(run.values(run.data.features, rows), families)


def code_figures(values: NDArray[np.floating], groups: NDArray[np.generic]) -> dict[str, float]:
    """Of values (n, K) whose signs are the bits, the queries being the first rows. groups: (q,)."""
    codes = signs(values)
    return matrix_figures(code_similarities(codes[: len(groups)], codes), groups)
