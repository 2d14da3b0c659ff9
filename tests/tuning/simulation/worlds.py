"""A small made-up world: one descriptor tells relatives well, one a little, one not at all."""

import numpy as np

from tuning.simulation.world import World, WorldQuery

NAMES = ("general", "edges", "colour")


def small_world(*, groups: int = 36, members: int = 3, marks: int = 90, clusters: int = 3, seed: int = 1) -> World:
    rng = np.random.default_rng(seed)
    queries = []
    for group in range(groups):
        for member in range(members):
            relevant = np.zeros(marks, dtype=bool)
            relevant[rng.choice(marks, 5, replace=False)] = True
            sims = rng.uniform(0.0, 0.6, (marks, 3))
            sims[relevant, 0] += rng.uniform(0.2, 0.5, 5)
            sims[relevant, 1] += rng.uniform(0.0, 0.4, 5)
            sims[:, 2] = rng.uniform(0.0, 1.0, marks)
            sims[rng.random(marks) < 0.1, 2] = np.nan
            late = np.zeros(marks, dtype=bool)
            late[rng.choice(np.flatnonzero(~relevant), 10, replace=False)] = True
            queries.append(
                WorldQuery(
                    name=f"{member}-{group}",
                    group=str(group),
                    cluster=group % clusters,
                    similarities=sims.astype(np.float32),
                    relevant=relevant,
                    late=late,
                    late_query=group % 6 == 5,
                )
            )
    return World(NAMES, tuple(queries), marks + 1, clusters, "made-up")
