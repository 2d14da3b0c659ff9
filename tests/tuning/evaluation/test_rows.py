"""Rows that are no descriptors of the register: one vector per mark, from a source of their own."""

import json

import numpy as np
import pytest
import torch
from django.core.management import CommandError
from PIL import Image
from torch import nn

from search.retrieval.calibration import Calibration
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.efficientnet_lite import EfficientNetLite0
from search.retrieval.imaging import decode_picture
from search.retrieval.pooling import unit
from search.retrieval.whitening import Whitening
from search.training.export import save_encoder
from tests.tuning.evaluation.test_command import evaluate as run_command  # noqa: F401  a fixture
from tests.tuning.evaluation.worlds import FakeDescriber, write_set
from tuning.evaluation import LayoutError, evaluate, load, passes, to_json, to_text
from tuning.evaluation.rows import EncodedMarks, FrozenMarks, check, shares_general
from tuning.evaluation.whole import SegmentCache, WholeMarks, cosine_chunks


@pytest.fixture
def layout(tmp_path):
    return load(*write_set(tmp_path / "set"))


class PixelSource:
    """Vectors straight from the pixels; the row frozen-mac is whitened on the pool."""

    version = "pixels-1"

    def __init__(self):
        self.described, self.fitted_on = 0, []

    def vectors(self, images):
        small = [np.asarray(Image.fromarray(p.pixels).convert("L").resize((8, 8)), np.float32) for p in images]
        self.described += len(images)
        rows = np.stack([s.ravel() for s in small]) / 255 - 0.5
        return {"encoder": rows, "frozen-mac": rows.astype(np.float16)}

    def finish(self, sample):
        self.fitted_on.append(len(sample()))


def run(layout, names, source, **more):
    return evaluate(
        layout, FakeDescriber(), descriptors=names, calibration=Calibration(), sources=lambda name: source, **more
    )


class ChanceSource:
    """A random direction for every picture, the same each time."""

    version = "chance-1"

    def vectors(self, images):
        rows = [np.random.default_rng(int(p.pixels.sum())).normal(size=8) for p in images]
        return {"encoder": unit(np.stack(rows))}

    def finish(self, sample):
        return None


def test_a_row_of_its_own_is_ranked_by_cosine_among_all_marks(layout):
    found = run(layout, ["encoder", "general"], ChanceSource())
    assert list(found.results) == ["encoder", "general"]
    assert (found.marks, found.queries) == (21, 9)
    paths = [*layout.query_paths, *layout.pool_paths]
    vectors = ChanceSource().vectors([decode_picture(p.read_bytes()) for p in paths])["encoder"]
    sims = vectors[:9] @ vectors.T
    ap = []
    for q in range(9):
        order = [j for j in np.argsort(-sims[q]) if j != q]
        hits = [j < 9 and layout.groups[j] == layout.groups[q] for j in order]
        ap.append(sum(sum(hits[: i + 1]) / (i + 1) for i in range(len(order)) if hits[i]) / 2)
    assert 0 < np.mean(ap) < 0.9
    assert found.results["encoder"]["excluded"].map100 == pytest.approx(np.mean(ap))


def test_chunks_equal_the_plain_product_and_a_missing_vector_compares_with_nothing():
    vectors = unit(np.random.default_rng(0).normal(size=(5000, 16)))
    vectors[[1, 4000]] = 0
    chunks = list(cosine_chunks(vectors, 3))
    assert [c.shape for c in chunks[:2]] == [(3, 3, 1), (3, 2048, 1)]
    sims = np.concatenate(chunks, axis=1)[..., 0]
    plain = vectors[:3] @ vectors.T
    plain[1], plain[:, [1, 4000]] = np.nan, np.nan
    np.testing.assert_allclose(sims, plain, atol=1e-6)


def test_the_fused_row_without_a_register_has_the_weights_of_a_new_one(layout):
    found = to_json(run(layout, ["fused", "fused-equal"], PixelSource()))["descriptors"]
    assert list(found) == ["fused", "fused-equal"]
    weighted = to_json(
        run(layout, ["fused", "general"], PixelSource(), weights_for=lambda d: np.eye(len(DESCRIPTORS))[0])
    )
    assert weighted["descriptors"]["fused"] == weighted["descriptors"]["general"]


def test_images_are_described_once_for_all_rows_of_a_source_and_never_again(layout, tmp_path):
    first = PixelSource()
    before = to_json(run(layout, ["frozen-mac"], first, vectors=tmp_path / "cache"))
    assert first.described == 21 and first.fitted_on == [12]  # the pool alone
    second = PixelSource()
    after = to_json(run(layout, ["frozen-mac"], second, vectors=tmp_path / "cache"))
    assert second.described == 0 and after == before
    layout.pool_paths[0].write_bytes(layout.pool_paths[1].read_bytes())
    third = PixelSource()
    assert run(layout, ["frozen-mac"], third, vectors=tmp_path / "cache").marks == 21
    assert third.described == 0


def test_a_stopped_run_goes_on_and_another_version_starts_anew(layout, tmp_path):
    first = PixelSource()
    WholeMarks(first, tmp_path / "cache").digests(layout.pool_paths[:5], print)
    second = PixelSource()
    WholeMarks(second, tmp_path / "cache").digests(layout.pool_paths, print)
    assert (first.described, second.described) == (5, 7)
    third = PixelSource()
    third.version = "pixels-2"
    WholeMarks(third, tmp_path / "cache").digests(layout.pool_paths, print)
    assert third.described == 12


def test_segments_are_read_in_the_order_asked_for(tmp_path):
    cache = SegmentCache(tmp_path, "v")
    cache.append(["aa", "bb"], {"x": np.array([[1, 2], [3, 4]], np.float16)})
    cache.append(["cc"], {"x": np.array([[5, 6]], np.float16)})
    for reopened in (cache, SegmentCache(tmp_path, "v")):
        assert reopened.read(["cc", "aa", "cc"], "x").tolist() == [[5, 6], [1, 2], [5, 6]]
        assert reopened.read(["bb"], "x", lambda v: v[:, :1] * 10).tolist() == [[30]]
    assert "aa" not in SegmentCache(tmp_path, "w")
    with pytest.raises(KeyError):
        cache.read(["dd"], "x")


def test_unreadable_images_are_counted_in_the_pool_and_refused_among_queries(layout):
    for path in layout.pool_paths[3:5]:
        path.write_bytes(b"not an image")
    for names in (["encoder"], ["general"]):
        found = run(layout, names, PixelSource())
        assert (found.marks, found.refused) == (19, 2)
    layout.query_paths[0].write_bytes(b"broken")
    with pytest.raises(LayoutError, match=r"The query 1-1\.png cannot be used"):
        run(layout, ["encoder"], PixelSource())


def test_progress_counts_every_image_once_for_each_pass(layout):
    layout.pool_paths[0].write_bytes(layout.pool_paths[1].read_bytes())
    done = []
    run(layout, ["encoder", "general"], PixelSource(), done=done.append)
    assert sum(done) == 21 + 21  # a picture that is there twice as well


def test_rows_are_planned_in_as_few_passes_as_possible():
    names = ["frozen-mac", "general", "encoder", "fused", "frozen-gem"]
    assert passes(names) == {
        "described": ["general", "fused"],
        "frozen": ["frozen-mac", "frozen-gem"],
        "encoder": ["encoder"],
    }
    assert passes(names, encoder_is_general=True)["described"] == ["general", "fused", "encoder"]
    assert passes(["encoder"], encoder_is_general=True) == {"encoder": ["encoder"]}


def test_an_unknown_row_is_a_sentence_that_lists_the_known():
    with pytest.raises(
        LayoutError, match=r"no descriptor magic; known are fused, general.*encoder.*frozen-gem, itq-32.*hash-001-128\."
    ):
        check(["encoder", "magic"])


def test_the_frozen_rows_are_whitened_on_the_pool_and_the_report_says_so(layout):
    found = evaluate(layout, None, descriptors=["frozen-spoc", "frozen-rmac"])
    assert found.results["frozen-spoc"]["excluded"].map100 != found.results["frozen-rmac"]["excluded"].map100
    assert "transductive" in to_text(found) and "transductive" in to_json(found)["notes"][0]
    files = WholeMarks(FrozenMarks(), None)
    pool = files.digests(layout.pool_paths, print)
    vectors = files.matrix("frozen-mac", pool, pool)
    assert vectors.shape == (12, 11)  # no more directions than 12 marks span
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.fixture
def weights(tmp_path):
    """A folder with a random encoder and a whitening for it."""
    torch.manual_seed(0)
    save_encoder(tmp_path / "encoder.safetensors", EfficientNetLite0(), nn.Linear(1280, 256), p=3.0, metadata={})
    rng = np.random.default_rng(0)
    Whitening(np.zeros(256, np.float32), rng.normal(size=(256, 32)).astype(np.float32)).save(tmp_path / "general.npz")
    return tmp_path


def test_the_encoder_row_is_the_whitened_whole_mark(layout, weights):
    source = EncodedMarks(weights)
    files = WholeMarks(source, None)
    vectors = files.matrix("encoder", files.digests(layout.pool_paths[:3], print), [])
    assert vectors.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_whitening_of_another_encoder_is_refused(weights):
    Whitening(np.zeros(1280, np.float32), np.ones((1280, 4), np.float32)).save(weights / "general.npz")
    with pytest.raises(WeightsUnusable, match="not fitted for the trademark encoder"):
        EncodedMarks(weights)


def test_the_encoder_shares_the_pass_of_a_describer_with_the_same_general(monkeypatch, weights):
    monkeypatch.setattr("search.retrieval.describe.WEIGHTS", weights)
    describer = FakeDescriber()
    assert not shares_general(["encoder", "fused"], describer)
    describer.whole = EncodedMarks().descriptor
    assert shares_general(["encoder", "fused"], describer)
    assert not shares_general(["fused"], describer)


def test_the_command_takes_rows_and_keeps_their_vectors(run_command, tmp_path):  # noqa: F811
    data = json.loads(run_command("--json", "--descriptor", "frozen-mac", "--descriptor", "fused-equal").out)
    assert list(data["descriptors"]) == ["frozen-mac", "fused-equal"] and data["notes"]
    assert list((tmp_path / "data" / "evaluate-cache" / "vectors").glob("*/*.npz"))


def test_a_row_whose_weights_are_missing_is_a_sentence(run_command, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr("search.retrieval.describe.WEIGHTS", tmp_path)
    with pytest.raises(CommandError, match="trademark encoder is missing"):
        run_command("--descriptor", "encoder")
