"""Heads: the formula, the packing, the files and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing import HASHES, HashHead, load_head
from search.retrieval.hashing.heads import FOLDER, general_made_for
from search.retrieval.hashing.itq import fit_itq, fit_lsh, linear_head
from search.retrieval.pooling import unit

MADE_FOR = {"encoder": "e1", "whitening": "w1", "side": "160"}
VECTORS = unit(np.random.default_rng(0).normal(size=(400, 24)) * np.linspace(2, 0.1, 24))


def head(bits: int = 16) -> HashHead:
    rng = np.random.default_rng(1)
    parts = {
        "mean": rng.normal(size=24) / 10, "skip_weight": rng.normal(size=(bits, 24)), "bias": rng.normal(size=bits),
        "inner_weight": rng.normal(size=(5, 24)), "inner_bias": rng.normal(size=5),
        "outer_weight": rng.normal(size=(bits, 5)),
    }  # fmt: skip
    return HashHead("test-16", parts, MADE_FOR, {"data": "drawn here"})


def test_values_are_those_of_the_formula_and_bits_their_signs() -> None:
    h = head()
    p = h.parts
    x = VECTORS[7] - p["mean"]
    expected = (
        p["skip_weight"] @ x + p["bias"] + p["outer_weight"] @ np.maximum(p["inner_weight"] @ x + p["inner_bias"], 0)
    )
    np.testing.assert_allclose(h.values(VECTORS[7])[0], expected, atol=1e-5)
    codes = h.codes(VECTORS)
    assert codes.shape == (400, 2) and codes.dtype == np.uint8
    assert [int(codes[7, bit // 8]) >> bit % 8 & 1 for bit in range(16)] == (expected > 0).astype(int).tolist()


def test_saving_changes_no_bit(tmp_path: Path) -> None:
    h = head()
    sha = h.save(tmp_path / "h.safetensors")
    again = HashHead.load(tmp_path / "h.safetensors")
    np.testing.assert_array_equal(again.codes(VECTORS), h.codes(VECTORS))
    assert again.version == h.version and dict(again.made_for) == MADE_FOR and again.facts["data"] == "drawn here"
    assert json.loads((tmp_path / "h.json").read_text())["sha256"] == sha


def test_vectors_of_another_length_and_bits_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="takes vectors of 24 numbers, not of 16"):
        head().codes(np.ones((1, 16)))
    with pytest.raises(ValueError, match="whole bytes"):
        head(12)


@pytest.mark.parametrize("harm", ["weights", "card", "bytes", "text"])
def test_files_that_are_missing_or_changed_are_a_sentence(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "h.safetensors"
    head().save(path)
    if harm == "weights":
        path.unlink()
    elif harm == "card":
        path.with_suffix(".json").unlink()
    elif harm == "bytes":
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    else:
        path.with_suffix(".json").write_text("[]")
    with pytest.raises(WeightsUnusable, match=r"hash head.*manage\.py train_hash"):
        HashHead.load(path)


def test_a_head_for_another_encoder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    linear_head("itq-32", np.zeros(24), np.ones((32, 24)), MADE_FOR).save(tmp_path / FOLDER / "itq-32.safetensors")
    assert load_head("itq-32", weights=tmp_path, made_for=MADE_FOR).bits == 32
    with pytest.raises(WeightsUnusable, match=r"was made for the encoder e1, not for e2.*train it again"):
        load_head("itq-32", weights=tmp_path, made_for={**MADE_FOR, "encoder": "e2"})
    with pytest.raises(ValueError, match="known are itq-32"):
        load_head("itq-7", weights=tmp_path)


@pytest.mark.parametrize("name", HASHES)
def test_every_head_that_ships_fits_the_encoder_that_ships(name: str) -> None:
    shipped = load_head(name)
    assert shipped.name == name and shipped.bits == int(name.rsplit("-", maxsplit=1)[-1]) and shipped.dim == 256
    assert dict(shipped.made_for) == general_made_for()
    codes = shipped.codes(unit(np.random.default_rng(0).normal(size=(200, 256))))
    assert len(np.unique(codes, axis=0)) > 150


def test_itq_is_a_rotation_of_pca_and_keeps_neighbours_better_than_chance() -> None:
    itq, lsh = fit_itq(VECTORS, 16, MADE_FOR), fit_lsh(VECTORS, 16, MADE_FOR)
    weight = itq.parts["skip_weight"]
    np.testing.assert_allclose(weight @ weight.T, np.eye(16), atol=0.02)
    np.testing.assert_allclose(itq.parts["mean"], VECTORS.mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(itq.codes(VECTORS), fit_itq(VECTORS, 16, MADE_FOR).codes(VECTORS))
    truth = VECTORS @ VECTORS.T

    def agreement(h: HashHead) -> float:
        bits = np.where(h.values(VECTORS) > 0, 1.0, -1.0)
        return float(np.corrcoef((bits @ bits.T).ravel(), truth.ravel())[0, 1])

    assert agreement(itq) > 0.7 and agreement(itq) > agreement(lsh) > 0.3
    assert abs(float((lsh.values(VECTORS) > 0).mean()) - 0.5) < 0.02  # thresholds at the median
    with pytest.raises(ValueError, match="too few for 32 bits"):
        fit_itq(VECTORS, 32, MADE_FOR)
