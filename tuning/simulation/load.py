"""A world from a set in METU layout, kept on disk once it is made. Pure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from search.retrieval.describe import Describer
from search.retrieval.vector_store import VectorStore
from tuning.evaluation.metu import MetuLayout
from tuning.simulation.world import World, build_world, load_world, save_world, world_version

__all__ = ["world_of"]


def world_of(
    layout: MetuLayout, cache: Path, *, done: Callable[[int, int], None] = lambda *_: None
) -> tuple[World, Path]:
    """The world of a set in METU layout, and the file it is kept in.

    cache: where described marks and worlds are kept. done: called with (done, total); describing is most of it.
    Raises LayoutError with a sentence for a query that cannot be read, WeightsUnusable without weights.
    """
    describer = Describer()
    path = cache / "worlds" / f"{world_version(layout, describer)}.npz"
    if path.is_file():
        return load_world(path), path
    total = 2 * len(layout.query_paths) + len(layout.pool_paths)
    finished = 0

    def count(more: int) -> None:
        nonlocal finished
        finished += more
        done(finished, total)

    world = build_world(layout, describer, VectorStore(cache / "described", describer.version), done=count)
    save_world(world, path)
    return world, path
