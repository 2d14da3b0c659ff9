"""Weeks of feedback in the database, and a run over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from feedback.services import page_seen, search_conclude, selection_set
from search.models import Mark, ParameterSet, Search
from search.retrieval.descriptors import DESCRIPTORS
from tests import factories
from tuning import services
from tuning.models import TuningRun
from tuning.services import run_carry_out


def rows(rng: np.random.Generator, relevant: np.ndarray) -> np.ndarray:
    """Similarities in which `general` tells relevant marks and the other descriptors are noise."""
    count = len(relevant)
    general = np.where(relevant, rng.uniform(0.7, 0.95, count), rng.uniform(0.1, 0.6, count))
    noise = rng.uniform(0, 1, (count, len(DESCRIPTORS) - 1))
    return np.concatenate([general[:, None], noise], axis=1).astype(np.float32)


def week(
    make_user: Any,
    live: ParameterSet,
    *,
    searches: int = 40,
    examiners: int = 4,
    seed: int = 0,
    marks: Sequence[Mark] = (),
) -> None:
    """Concluded searches of examiners who always know."""
    rng = np.random.default_rng(seed)
    people = [make_user(f"e{seed}-{n}") for n in range(examiners)]
    parameters = live.unpack()
    weights = np.array(parameters.default.weight_vector(DESCRIPTORS))
    snapshot = services.engine.searcher().snapshot
    for number in range(searches):
        owner = people[number % examiners]
        relevant = np.arange(24) < 4
        table = rows(rng, relevant)
        order = np.argsort(-(table @ weights))
        table, relevant = table[order], relevant[order]
        search = factories.done_search(
            owner,
            scores=[float(v) for v in table @ weights],
            threshold=parameters.default.threshold,
            marks=marks,
            similarities=[dict(zip(DESCRIPTORS, map(float, row), strict=True)) for row in table],
        )
        Search.objects.filter(pk=search.pk).update(
            parameter_set=live, clusters_version=snapshot.clusters.version, image_sha256=f"{seed}-{number}"
        )
        search.refresh_from_db()
        page_seen(search=search, page=1, user=owner)
        for result in search.results.select_related("mark"):
            wanted = bool(relevant[result.rank - 1])
            if wanted != result.preselected:
                selection_set(search=search, number=result.mark.number, selected=wanted, user=owner)
        search_conclude(search=search, kind="done", user=owner)


def run(kind: str = "manual", **more: Any) -> TuningRun:
    made = TuningRun.objects.create(kind=kind, requested_by="test", **more)
    run_carry_out(run_id=made.pk)
    made.refresh_from_db()
    return made
