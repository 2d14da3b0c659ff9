"""An evaluation as a table for people and as JSON for programs. Pure."""

from __future__ import annotations

from typing import Any

from tuning.evaluation.evaluate import Evaluation, Measures

__all__ = ["measures_json", "to_json", "to_text"]

_TITLES = {
    "excluded": "Query excluded from its own list (ranks up to 100, divided by the relevant marks)",
    "official": "Official METU variant (query included, ranks below 100, ties worst case)",
}


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """{"marks", "queries", "groups", "descriptors": {NAME: {VARIANT: {"map100", "nar", ...}}}}."""
    return {
        "marks": evaluation.marks,
        "queries": evaluation.queries,
        "groups": evaluation.groups,
        "refused": evaluation.refused,
        "notes": list(evaluation.notes),
        "descriptors": {
            name: {variant: measures_json(m) for variant, m in variants.items()}
            for name, variants in evaluation.results.items()
        },
    }


def to_text(evaluation: Evaluation) -> str:
    """One table per variant; shares in percent, 95 % intervals over groups in brackets."""
    lines = [
        f"{evaluation.marks:,} marks, {evaluation.queries:,} queries in {evaluation.groups:,} groups; "
        "brackets: 95 % bootstrap intervals over groups."
    ]
    variants = dict.fromkeys(v for found in evaluation.results.values() for v in found)
    for variant in variants:
        lines += ["", _TITLES[variant]]
        head = f"{'descriptor':<12}{'mAP@100 %':>22}{'NAR':>26}{'median rank':>22}{'recall@100 %':>22}"
        lines += [head, "-" * len(head)]
        for name, found in evaluation.results.items():
            lines.append(_row(name, found[variant]))
        for name, found in evaluation.results.items():
            for kind, (queries, value) in found[variant].by_type.items():
                lines.append(f"{name}, {kind} queries ({queries}): mAP@100 {100 * value:.1f} %")
    if evaluation.notes:
        lines += ["", *evaluation.notes]
    return "\n".join(lines)


def _row(name: str, m: Measures) -> str:
    def cell(value: float, ci: tuple[float, float], scale: float, digits: int) -> str:
        return f"{scale * value:.{digits}f} [{scale * ci[0]:.{digits}f}, {scale * ci[1]:.{digits}f}]"

    return (
        f"{name:<12}{cell(m.map100, m.map100_ci, 100, 1):>22}{cell(m.nar, m.nar_ci, 1, 4):>26}"
        f"{cell(m.median_rank, m.median_rank_ci, 1, 0):>22}{cell(m.recall100, m.recall100_ci, 100, 1):>22}"
    )


def measures_json(m: Measures) -> dict[str, Any]:
    """{"map100", "map100_ci", "nar", ...} of one row in one variant."""
    found: dict[str, Any] = {
        "map100": m.map100,
        "nar": m.nar,
        "median_rank": m.median_rank,
        "recall100": m.recall100,
        "map100_ci": list(m.map100_ci),
        "nar_ci": list(m.nar_ci),
        "median_rank_ci": list(m.median_rank_ci),
        "recall100_ci": list(m.recall100_ci),
        "queries": m.queries,
    }
    if m.by_type:
        found["content_types"] = {t: {"queries": q, "map100": v} for t, (q, v) in m.by_type.items()}
    return found
