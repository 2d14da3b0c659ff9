"""What the encoder must reach, computed from the rows of one run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["bars"]

CLOCK_NOISE = 0.02
"""Share by which two timings of the same work differ from round to round."""


def bars(rows: Mapping[str, Mapping[str, Any]], time_ratio: float | None) -> list[dict[str, Any]]:
    """[{"what", "value", "bar", "passed"}]; value and passed are None where a row was not measured.

    time_ratio: describing time of the encoder over that of frozen-mac, both at the same size.
    """

    def measured(row: str, name: str) -> float | None:
        return float(rows[row]["variants"]["excluded"][name]) if row in rows else None

    def over(name: str) -> float | None:
        ours, frozen = measured("encoder", name), measured("frozen-mac", name)
        return ours / frozen if ours is not None and frozen else None

    fused, alone = measured("fused-tuned", "map100"), measured("encoder", "map100")
    gain = 100 * (fused - alone) if fused is not None and alone is not None else None
    return [
        _bar("encoder / frozen-mac, mAP@100", over("map100"), 1.75, at_least=True),
        _bar("encoder / frozen-mac, NAR", over("nar"), 0.40, at_least=False),
        _bar("fused-tuned - encoder, points of mAP@100", gain, 4.0, at_least=True),
        _bar(
            f"encoder / frozen-mac, time to describe at the same size ({CLOCK_NOISE:.0%} noise)",
            time_ratio,
            1 + CLOCK_NOISE,
            at_least=False,
        ),
    ]


def _bar(what: str, value: float | None, bar: float, *, at_least: bool) -> dict[str, Any]:
    value = None if value is None else round(value, 6)
    passed = None if value is None else bool(value >= bar if at_least else value <= bar)
    return {"what": what, "value": value, "bar": bar, "at_least": at_least, "passed": passed}
