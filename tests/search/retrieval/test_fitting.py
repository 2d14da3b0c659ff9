"""What is fitted with an encoder, by hand."""

import numpy as np
import pytest

from search.retrieval import fitting
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.fitting import fit_whitenings, listed_pairs, whitened_dim
from search.retrieval.normalise import normalise
from tests import pictures


def test_pairs_are_all_relatives_and_the_nearest_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries of one group, three marks of the pool; of two listed places a query takes one itself."""
    monkeypatch.setattr(fitting, "LISTED", 2)
    general = np.array([[1.0, 0.2, 0.9, 0.1, 0.3], [0.2, 1.0, 0.0, 0.8, 0.7]])
    sims = np.zeros((2, 5, len(DESCRIPTORS)), np.float32)
    sims[:, :, 0] = general
    weights = np.eye(len(DESCRIPTORS))[0]
    pairs, same = listed_pairs(sims, ["g", "g"], weights)
    assert pairs[:, 0].tolist() == pytest.approx([0.2, 0.9, 0.2, 0.8])
    assert same.tolist() == [True, False, True, False]


@pytest.mark.parametrize(("rows", "width", "dim"), [(4000, 1280, 256), (4000, 64, 64), (400, 1280, 100), (3, 9, 0)])
def test_few_marks_bear_few_directions(rows: int, width: int, dim: int) -> None:
    assert whitened_dim(rows, width) == dim


class Blocks:
    """An encoder whose numbers are the means of a 4 x 4 grid."""

    name, version, dim = "blocks", "1", 16

    def encode(self, images: np.ndarray) -> np.ndarray:
        n, side = len(images), images.shape[1] // 4
        return images[..., 0].reshape(n, 4, side, 4, side).mean((2, 4)).reshape(n, 16).astype(np.float32)


def test_every_view_gets_its_own_whitening() -> None:
    marks = [normalise(np.asarray(pictures.mark(seed))) for seed in range(20)]
    found = fit_whitenings(Blocks(), iter(marks))
    assert set(found) == {"general", "edges"} and all(w.matrix.shape == (16, 5) for w in found.values())
    assert found["general"].version != found["edges"].version
    with pytest.raises(ValueError, match="3 marks are too few to fit the whitening of general"):
        fit_whitenings(Blocks(), marks[:3])
