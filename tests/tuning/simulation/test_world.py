"""What a query keeps of the register, who is in which split, and what joins later."""

from pathlib import Path

import numpy as np
import pytest

from tests.tuning.simulation.worlds import small_world
from tuning.comparisons import scores
from tuning.simulation.world import kept_rows, load_world, save_world


def test_the_rows_that_are_kept_hold_the_top_of_the_list_under_weights_nobody_asked_about() -> None:
    rng = np.random.default_rng(3)
    sims = rng.beta(2, 5, (4000, 4)).astype(np.float32)
    sims[:, 1] = 0.7 * sims[:, 0] + 0.3 * sims[:, 1]
    sims[rng.random(4000) < 0.2, 3] = np.nan
    kept = set(kept_rows(sims, depth=100).tolist())
    assert len(kept) < 2500
    missed = []
    for w in rng.dirichlet(np.ones(4), 40):
        top = np.argsort(-scores(sims, w))[:50]
        missed.append(np.mean([row not in kept for row in top.tolist()]))
    assert max(missed) <= 0.02


def test_the_parts_share_no_group_and_are_dealt_anew_for_every_deal() -> None:
    world = small_world()
    parts = list(world.splits.values())
    assert sum(len(p) for p in parts) == 36 == len(frozenset().union(*parts))
    assert all(len(p) >= 5 for p in parts)
    assert world.dealt(1).splits != world.splits and world.dealt(1).splits == world.dealt(1).splits
    assert {q.group for q in world.of("test")} == world.splits["test"]


def test_before_the_late_marks_came_the_splits_are_the_same_and_the_marks_fewer() -> None:
    world = small_world()
    early = world.early()
    assert early.splits == world.splits
    assert {q.group for q in early.queries} == {str(g) for g in range(36) if g % 6 != 5}
    assert all(len(q.relevant) == 80 and not q.late.any() for q in early.queries)


def test_a_thinned_world_keeps_every_mark() -> None:
    thin = small_world().thinned(1)
    assert len(thin.queries) == 36 and thin.splits == small_world().splits
    assert all(len(q.relevant) == 90 for q in thin.queries)


def test_a_world_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    world = small_world()
    save_world(world, tmp_path / "deep" / "w.npz")
    again = load_world(tmp_path / "deep" / "w.npz")
    assert (again.names, again.marks, again.version) == (world.names, world.marks, world.version)
    for a, b in zip(world.queries, again.queries, strict=True):
        assert (a.name, a.group, a.cluster, a.late_query) == (b.name, b.group, b.cluster, b.late_query)
        np.testing.assert_array_equal(a.similarities, b.similarities)
        np.testing.assert_array_equal(a.relevant, b.relevant)


def test_another_file_is_no_world(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="delete it"):
        load_world(tmp_path / "w.npz")
