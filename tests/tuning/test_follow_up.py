"""After a change: contradicted only where examiners agree less than they would have with the old set."""

from dataclasses import replace

import numpy as np
import pytest

from search.retrieval.parameters import ClusterParameters, Parameters
from tuning.feedback_objective import LoggedSearch
from tuning.follow_up import follow_up

NAMES = ("general", "edges")


def made(general: float, threshold: float = 0.5) -> ClusterParameters:
    return ClusterParameters({"general": general, "edges": 1 - general}, threshold, 0.1)


GOOD, BAD = made(0.9), made(0.1)
OLD = Parameters(default=made(0.5), clusters={1: GOOD, 2: made(0.4)}, clusters_version="k")
WORSE = replace(OLD, clusters={1: BAD, 2: made(0.4)})


def served(parameters: Parameters, *, cluster: int = 1, searches: int = 40, examiners: int = 4, seed: int = 0):
    """Searches whose examiners want what `general` tells apart, corrected by hand each time."""
    rng = np.random.default_rng(seed)
    logged = []
    for number in range(searches):
        relevant = np.arange(24) < 4
        general = np.where(relevant, rng.uniform(0.6, 0.95, 24), rng.uniform(0.05, 0.45, 24))
        table = np.stack([general, rng.random(24)], axis=1).astype(np.float32)
        own = parameters.for_cluster(cluster)
        fused = table @ np.array(own.weight_vector(NAMES))
        order = np.argsort(-fused)
        logged.append(
            LoggedSearch(
                key=f"q{seed}-{number}", examiner=f"e{number % examiners}", cluster=cluster, similarities=table[order],
                scores=fused[order].astype(float), preselected=fused[order] >= own.threshold,
                selected=relevant[order], seen=np.ones(24, bool),
            )
        )  # fmt: skip
    return logged


def test_a_change_for_the_worse_is_contradicted() -> None:
    verdict = follow_up(served(WORSE), OLD, WORSE, NAMES)
    assert verdict.state == "contradicted" and verdict.high < 0 and verdict.clusters == (1,)
    assert "40 searches by 4 examiners agreed better with the old parameters" in verdict.reason


def test_a_change_for_the_better_holds() -> None:
    verdict = follow_up(served(OLD), WORSE, OLD, NAMES)
    assert verdict.state == "holds" and verdict.low > 0 and verdict.difference > 0


def test_searches_of_clusters_that_did_not_change_do_not_count() -> None:
    verdict = follow_up(served(WORSE, cluster=2, searches=200), OLD, WORSE, NAMES)
    assert verdict.state == "wait" and verdict.searches == 0 and verdict.clusters == ()
    moved = replace(OLD, default=made(0.1))
    assert follow_up(served(moved, cluster=9), OLD, moved, NAMES).clusters == (9,)  # 9 follows the default


@pytest.mark.parametrize(("searches", "examiners"), [(19, 4), (60, 1)])
def test_with_too_little_it_waits(searches: int, examiners: int) -> None:
    verdict = follow_up(served(WORSE, searches=searches, examiners=examiners), OLD, WORSE, NAMES)
    assert verdict.state == "wait" and "20 by 2" in verdict.reason


def test_one_examiner_against_the_rest_does_not_roll_back() -> None:
    angry = served(WORSE, searches=160, examiners=1)
    # The others agree with what was served: everything is kept.
    content = [
        replace(s, examiner=f"o{i % 3}", key=f"o{i}", selected=s.preselected)
        for i, s in enumerate(served(WORSE, searches=60, seed=1))
    ]
    verdict = follow_up([*angry, *content], OLD, WORSE, NAMES)
    assert verdict.state == "holds" and verdict.high < 0 and verdict.examiners == 4
    assert "only because of one of them" in verdict.reason
    # Nor when there is only one other, who is content.
    two = [replace(s, examiner="o") for s in content]
    assert follow_up([*angry, *two], OLD, WORSE, NAMES).state == "holds"
    # Two more of the same mind are no longer one against the rest.
    many = [replace(s, examiner=f"e{i % 3}") for i, s in enumerate(angry)]
    assert follow_up([*many, *content], OLD, WORSE, NAMES).state == "contradicted"


def test_a_hair_s_difference_is_chance() -> None:
    nearly = replace(OLD, clusters={1: made(0.899), 2: made(0.4)})
    assert follow_up(served(nearly), OLD, nearly, NAMES).state == "holds"
