"""Three disjoint splits of the query groups: fit, validate, test. The tuner never reads the last. Pure.

`splits.json` beside the queries directory decides where it is present: {"fit": [groups], "validate": [...],
"test": [...]}. Otherwise groups are dealt by a hash of their name: the same groups fall the same way on
every machine, and a group added later moves few of the others.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tuning.evaluation.metu import LayoutError, MetuLayout

__all__ = ["SPLITS", "split_groups"]

SPLITS = ("fit", "validate", "test")
_SHARES = (0.4, 0.3)  # fit, validate; test is the rest


def split_groups(layout: MetuLayout, *, path: Path | None = None, seed: int = 0) -> dict[str, frozenset[str]]:
    """Split name -> groups. path: another splits file than the one beside the queries.

    Raises LayoutError when the file is unreadable, names a group twice, or leaves a group of the layout out.
    """
    groups = set(layout.groups)
    file = path or layout.queries.parent / "splits.json"
    if path is not None and not path.is_file():
        raise LayoutError(f"The splits file {path} does not exist.")
    if file.is_file():
        return _read(file, groups)
    ordered = sorted(groups, key=lambda g: hashlib.sha256(f"{seed}:{g}".encode()).hexdigest())
    cuts = [round(len(ordered) * share) for share in (_SHARES[0], sum(_SHARES))]
    if len(ordered) >= len(SPLITS):  # three groups or more: no split stays empty
        cuts[0] = min(max(cuts[0], 1), len(ordered) - 2)
        cuts[1] = min(max(cuts[1], cuts[0] + 1), len(ordered) - 1)
    parts = ordered[: cuts[0]], ordered[cuts[0] : cuts[1]], ordered[cuts[1] :]
    return {name: frozenset(part) for name, part in zip(SPLITS, parts, strict=True)}


def _read(file: Path, groups: set[str]) -> dict[str, frozenset[str]]:
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
        found = {name: [str(g) for g in data[name]] for name in SPLITS}
    except (OSError, ValueError, KeyError, TypeError):
        raise LayoutError(
            f'The splits file {file} is not readable as {{"fit": [...], "validate": [...], "test": [...]}}.'
        ) from None
    listed = [g for part in found.values() for g in part]
    twice = {g for g in listed if listed.count(g) > 1}
    if twice:
        raise LayoutError(f"The splits file {file} names group {min(twice)} more than once.")
    missing = groups - set(listed)
    if missing:
        raise LayoutError(f"The splits file {file} leaves out group {min(missing)}.")
    return {name: frozenset(part) & groups for name, part in found.items()}
