"""Ranks counted chunk by chunk equal ranks from the whole list, ties and gaps included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from tuning.evaluation.ranking import fused_scorer, rank_queries, single_scorer

N = len(DESCRIPTORS)


def world(seed, q=9, pool=40):
    rng = np.random.default_rng(seed)
    sims = rng.integers(-4, 17, (q, q + pool, N)).astype(np.float32) / 16
    sims[rng.random(sims.shape) < 0.1] = np.nan
    sims[np.arange(q), np.arange(q)] = 1.0
    groups = [str(i // 3) for i in range(q - 1)] + ["alone"]
    return groups, sims


def chunked(sims, size):
    q = sims.shape[0]
    yield sims[:, :q]
    for at in range(q, sims.shape[1], size):
        yield sims[:, at : at + size]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 7, 100]), st.booleans())
def test_chunks_give_the_ranks_of_the_whole_list(seed, size, fused):
    groups, sims = world(seed)
    scorer = fused_scorer(Calibration(), np.eye(N)[0] / 2 + np.eye(N)[1] / 2) if fused else single_scorer("edges")
    found, marks = rank_queries(groups, chunked(sims, size), {"x": scorer})
    scores = np.nan_to_num(scorer(sims), nan=-1.0)
    assert marks == sims.shape[1]
    for i, group in enumerate(groups):
        relatives = [j for j in range(len(groups)) if groups[j] == group and j != i]
        others = np.delete(np.arange(marks), i)
        with_query = [int((scores[i] >= scores[i, j]).sum()) for j in [i, *relatives]]
        without = [int((scores[i, others] >= scores[i, j]).sum()) for j in relatives]
        assert found["x"].ranks(i, "official").tolist() == with_query
        assert found["x"].ranks(i, "excluded").tolist() == without


def test_noise_in_the_last_digits_is_a_tie_and_ties_are_worst_case():
    sims = np.full((2, 5, N), 0.5, np.float32)
    sims[0, 0] = sims[1, 1] = 1.0
    sims[:, 2:] = np.float32(0.5) * (1 - 1e-7)  # the same picture, computed in another chunk
    found, _ = rank_queries(["1", "1"], chunked(sims, 2), {"general": single_scorer("general")})
    assert found["general"].ranks(0, "excluded").tolist() == [4]
    assert found["general"].ranks(0, "official").tolist() == [1, 5]


def test_pairs_that_cannot_be_compared_come_last_together():
    sims = np.full((2, 4, N), -0.9, np.float32)
    sims[0, 0] = sims[1, 1] = 1.0
    sims[0, 1] = np.nan
    found, _ = rank_queries(["1", "1"], chunked(sims, 9), {"general": single_scorer("general")})
    assert found["general"].ranks(0, "excluded").tolist() == [3]


def test_each_query_may_have_weights_of_its_own():
    groups, sims = world(3)
    weights = np.random.default_rng(0).dirichlet(np.ones(N), len(groups))
    both, _ = rank_queries(groups, chunked(sims, 7), {"fused": fused_scorer(Calibration(), weights)})
    for i in range(len(groups)):
        alone, _ = rank_queries(groups, chunked(sims, 7), {"fused": fused_scorer(Calibration(), weights[i])})
        assert both["fused"].ranks(i, "excluded").tolist() == alone["fused"].ranks(i, "excluded").tolist()


def test_the_first_chunk_must_be_the_queries():
    with pytest.raises(ValueError, match="first chunk"):
        rank_queries(["1", "1"], [np.zeros((2, 5, N), np.float32)], {"general": single_scorer("general")})
