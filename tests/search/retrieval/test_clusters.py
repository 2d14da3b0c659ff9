import numpy as np
import pytest

from search.retrieval.clusters import Clusters, fit_clusters, silhouettes
from search.retrieval.pooling import unit


@pytest.fixture(scope="module")
def four_groups() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 40)
    centres = np.eye(8)[:4] * 3
    return unit(centres[labels] + rng.normal(0, 0.25, (160, 8))), labels


def test_silhouette_by_hand() -> None:
    # Points 0, 1 and 10, 12 on a line fall into two clusters of two.
    rows = np.array([[0.0, 0], [1, 0], [10, 0], [12, 0]], np.float32)
    scores = [(11 - 1) / 11, (10 - 1) / 10, (9.5 - 2) / 9.5, (11.5 - 2) / 11.5]
    assert silhouettes(rows, [2]) == {2: pytest.approx(np.mean(scores), abs=1e-5)}


def test_marks_that_are_all_the_same_are_one_cluster() -> None:
    rows = np.tile(unit(np.ones((1, 8))), (30, 1)).astype(np.float32)
    assert silhouettes(rows, range(2, 6)) == {}
    assert len(fit_clusters(rows)) == 1


def test_the_same_marks_give_the_same_clusters(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = four_groups
    assert fit_clusters(rows).version == fit_clusters(rows).version


def test_silhouette_chooses_the_true_number(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, labels = four_groups
    scores = silhouettes(rows, range(2, 9))
    assert max(scores, key=lambda k: scores[k]) == 4
    found = fit_clusters(rows)
    assert len(found) == 4
    assigned = found.assign(rows)
    assert all(len(set(assigned[labels == group])) == 1 for group in range(4))


def test_fixed_k_and_more_clusters_than_marks(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = four_groups
    assert len(fit_clusters(rows, k=21)) == 21
    assert len(fit_clusters(rows[:3], k=21)) == 3
    assert len(fit_clusters(rows[:1])) == 1
    with pytest.raises(ValueError, match="no marks"):
        fit_clusters(rows[:0])


def test_same_data_give_the_same_clusters(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = four_groups
    assert fit_clusters(rows, k=5).version == fit_clusters(rows, k=5).version


def test_assign_is_the_nearest_centroid(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = four_groups
    found = fit_clusters(rows, k=6)
    distances = np.linalg.norm(rows[:, None] - found.centroids, axis=2)
    np.testing.assert_array_equal(found.assign(rows), distances.argmin(axis=1))


def test_extension_rules() -> None:
    line = Clusters(np.array([[0.0], [1.0], [3.0], [7.0]], np.float32), np.full(4, 0.25))
    assert line.near(1, 0.5) == (1,)
    assert line.near(1, 2.0) == (1, 0, 2)
    assert line.near(0, 100.0) == (0, 1, 2, 3)
    # Clusters within 3: 3, 3, 3, 1, on average 2.5; within 4: 3, 3, 4, 2, on average 3.
    assert line.extension_for(3) == pytest.approx(4.0)
    assert line.extension_for(1) == 0.0
    assert line.extension_for(50) == pytest.approx(7.0)


def test_one_cluster_on_average_needs_no_extension_whatever_the_shares_round_to() -> None:
    rng = np.random.default_rng(0)
    for k in range(2, 40):
        shares = rng.random(k)
        clusters = Clusters(rng.normal(size=(k, 3)).astype(np.float32), shares / shares.sum())
        assert clusters.extension_for(1) == 0.0


def test_extension_rule_counts_by_how_many_marks_search_there() -> None:
    crowded = Clusters(np.array([[0.0], [1.0], [50.0]], np.float32), np.array([0.5, 0.5, 0.0]))
    assert crowded.extension_for(2) == pytest.approx(1.0)


def test_version_depends_on_centroids_only(four_groups: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = four_groups
    found = fit_clusters(rows, k=4)
    assert found.with_members(np.array([0, 1])).version == found.version
    assert Clusters(found.centroids + 0.01, found.shares).version != found.version
