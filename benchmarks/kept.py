"""The families of a `train` test set that the encoder has not learnt: weights and calibration are fitted on these."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.iconify import kept_from_training
from tuning.evaluation.metu import LayoutError, MetuLayout


def kept_families(layout: MetuLayout) -> MetuLayout:
    """The layout with the queries of these families only.

    The names of the groups are in the manifest.json that benchmarks/build_families.py writes; a directory without
    one is somebody's own, which nothing was trained on, and stays as it is. LayoutError when nothing is left.
    """
    manifest = Path(layout.queries).parent / "manifest.json"
    if not manifest.is_file():
        return layout
    names = {
        group: str(family["name"]) for group, family in json.loads(manifest.read_text("utf-8"))["families"].items()
    }
    rows = [i for i, group in enumerate(layout.groups) if group not in names or kept_from_training(names[group])]
    if not rows:
        raise LayoutError(f"All families of {layout.queries} were learnt by the encoder; nothing is left to fit on.")
    return replace(
        layout,
        query_paths=tuple(layout.query_paths[i] for i in rows),
        groups=tuple(layout.groups[i] for i in rows),
    )
