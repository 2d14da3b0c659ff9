"""Simulated years on disk, so that a long campaign can be stopped and goes on. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.retrieval.durable import write_whole
from search.retrieval.parameters import Parameters
from tuning.simulate import Scenario, Week, Year
from tuning.simulation.campaign import Task
from tuning.simulation.referee import Ceiling, Figures
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
    path = store / f"{name}.json"
    if year is not None:
        write_whole(path, json.dumps(_packed(year), default=_plain))
        return year
    try:
        return _unpacked(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _packed(year: Year) -> dict[str, Any]:
    parameters = year.parameters.to_json() if year.parameters else None
    return {
        "arm": year.arm,
        "scenario": asdict(year.scenario),
        "ceiling": asdict(year.ceiling),
        "weeks": [asdict(week) for week in year.weeks],
        "parameters": parameters,
    }


def _unpacked(data: dict[str, Any]) -> Year:
    """Raises one of the errors of looking into a structure for what `_packed` did not make."""
    ceiling: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data["ceiling"].items()
    }
    weeks = [
        Week(**{**week, "figures": Figures(**week["figures"]), "begun": Figures(**week["begun"])})
        for week in data["weeks"]
    ]
    parameters = Parameters.from_json(data["parameters"]) if data["parameters"] else None
    return Year(data["arm"], Scenario(**data["scenario"]), Ceiling(**ceiling), tuple(weeks), parameters)


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own number."""
    return value.item()
