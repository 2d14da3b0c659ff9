"""Simulated years on disk, so that a long campaign can be stopped and goes on. Pure."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

from tuning.simulate import Year
from tuning.simulation.campaign import Task
from tuning.simulation.world import World

__all__ = ["kept_year", "year_key"]


def year_key(world: World) -> str:
    """Changes with the world and with the code that years come from."""
    digest = hashlib.sha256(world.version.encode())
    root = Path(__file__).resolve().parents[2]
    for folder in ("tuning", "tuning/simulation", "feedback", "search/retrieval"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept_year(store: Path, task: Task, year: Year | None = None) -> Year | None:
    """Keep a year, or read one that was kept; None where there is none."""
    name = hashlib.sha256(repr(task).encode()).hexdigest()[:24]
    path = store / f"{name}.pickle"
    if year is not None:
        store.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_bytes(pickle.dumps(year))
        partial.replace(path)
        return year
    try:
        # Only what this very program wrote: the folder is named after the bytes of its code.
        return pickle.loads(path.read_bytes())  # noqa: S301
    except (OSError, pickle.PickleError, EOFError, AttributeError):
        return None
