import numpy as np
import torch

from benchmarks.fit_descriptors import Marks
from benchmarks.texture import OWN, Others, calibrated, page
from benchmarks.texture_rows import LAYERS, MIDDLE, ROWS, tapped
from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0
from search.retrieval.fusion import fuse
from tuning.evaluation.vectors import matrix_figures

GROUPS = np.array(["a", "a", "b", "b", "b", "c", "c"])


def marks_and_similarities():
    rng = np.random.default_rng(0)
    sims = rng.random((len(GROUPS), 60, len(DESCRIPTORS))).astype(np.float32)
    sims[:, ::7, 1] = np.nan
    own = sims[:, :, OWN].copy()
    sims[:, :, OWN] = np.nan
    return Marks("val", [], GROUPS), sims, own


def test_a_share_beside_the_others_is_eq_1():
    marks, sims, own = marks_and_similarities()
    weights = np.array([0.3, 0.2, 0.2, 0.0, 0.2, 0.1])
    others = Others.of(marks, sims, Calibration(), weights)
    full = sims.copy()
    full[:, :, OWN] = own
    expected = np.where(np.arange(len(weights)) == OWN, 0.25, weights * 0.75)
    assert others.figures(own, 0.25) == matrix_figures(fuse(full, expected), GROUPS)
    assert others.figures(own, 0.0) == matrix_figures(fuse(sims, weights), GROUPS)


def test_own_similarities_are_calibrated_on_train():
    marks, sims, own = marks_and_similarities()
    train = Others.of(marks, sims, Calibration(), np.array([0.3, 0.2, 0.2, 0.0, 0.2, 0.1]))
    related = np.zeros_like(own)
    related[:, : len(GROUPS)] = GROUPS[:, None] == GROUPS
    first, second = calibrated(train, np.clip(0.4 * related + 0.5 * own, 0, 1), np.array([[0.0, 0.5, 1.0]]))
    assert first.shape == own.shape and second[0, 0] == 0 and second[0, 2] == 1 and np.all(np.diff(second[0]) > 0)


def test_maps_are_tapped_after_and_before_the_activation():
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    seen = {}
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode(), tapped(network, list(LAYERS), lambda layer, maps: seen.update({layer: maps.clone()})):
        network(pixels)
    before, after = seen["20 x 20, before ReLU"], seen[MIDDLE]
    assert before.min() < 0 and after.min() == 0
    torch.testing.assert_close(after, before.clamp(0, 6))
    with torch.inference_mode():
        torch.testing.assert_close(after, network.middle(pixels))


def test_the_page_has_every_row_and_the_cost():
    figures = {"map100": 50.0, "nar": 0.1, "recall100": 60.0, "median_rank": 9.0}
    row = {"layer": "l", "from": 236, "dim": 128, "alone": figures, "best_share_on_train": 0.02}
    report = {
        "val_marks": 4401, "val_queries": 1401, "without": figures,
        "rows": {name: {**row, "at_0.05": {**figures, "map100": 50.25}} for name, _ in ROWS},
        "speed_ms": {"texture alone": 20.0, "pass without": 15.0, "pass with": 16.0, "everything": 50.0},
    }  # fmt: skip
    text = page(report)
    assert text.count("| 236 -> 128 | 50.0 | 0.1 | +0.25 | 2% |") == len(ROWS)
    assert "1.0 ms of processor time a mark, 2.0% of" in text and "50 marks a second" in text
