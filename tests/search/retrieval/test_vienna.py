import numpy as np
import pytest

from search.retrieval.encoders import WeightsUnusable
from search.retrieval.encoders.sentences import SentenceEncoder
from search.retrieval.vienna import CODES, Vienna, category_shares
from search.retrieval.vienna_table import CATEGORIES, DIVISIONS


class OneForEach:
    """Stands for the sentence encoder: every text has a direction of its own."""

    def encode(self, texts):
        return np.eye(len(texts), dtype=np.float32)


@pytest.fixture(scope="module")
def plain():
    size = sum(len(words) for _, words in DIVISIONS.values())
    marks = np.random.default_rng(0).normal(size=(200, size)).astype(np.float32)
    marks /= np.linalg.norm(marks, axis=1, keepdims=True)
    return Vienna.fit(OneForEach(), marks)


def test_the_table_has_every_category_and_each_keyword_once_in_a_division():
    assert sorted(CATEGORIES) == list(range(1, 30))
    assert {int(code.split(".")[0]) for code in DIVISIONS} == set(CATEGORIES)
    assert all(title and words and len(set(words)) == len(words) for title, words in DIVISIONS.values())


def test_shares_sum_to_one_and_categories_gather_their_divisions(plain):
    shares = plain.shares(plain.keywords[:3])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    totals = category_shares(shares)
    animals = [n for n, code in enumerate(CODES) if code.startswith("3.")]
    np.testing.assert_allclose(totals[:, 2], shares[:, animals].sum(axis=1), rtol=1e-5)


def test_a_keyword_s_own_vector_suggests_its_division(plain):
    row = next(n for n, owner in enumerate(plain.owners) if CODES[owner] == "5.1")
    found = plain.suggest(plain.keywords[row], top=2)
    assert len(found.divisions) == len(found.categories) == 2
    assert (found.divisions[0].code, found.categories[0].code) == ("5.1", "5")
    assert found.categories[0].title == CATEGORIES[5]


def test_a_keyword_near_every_mark_does_not_win(plain):
    size = plain.keywords.shape[1]
    marks = np.abs(np.random.default_rng(1).normal(size=(300, size))).astype(np.float32)
    marks[:, 0] += 20  # the first keyword is a hub
    marks /= np.linalg.norm(marks, axis=1, keepdims=True)
    fitted = Vienna.fit(OneForEach(), marks)
    row = next(n for n, owner in enumerate(fitted.owners) if CODES[owner] == "5.1")
    mark = marks.mean(axis=0)
    mark[row] += 0.3
    assert fitted.suggest(mark / np.linalg.norm(mark)).divisions[0].code == "5.1"


def test_saved_vectors_come_back(plain, tmp_path):
    plain.save(tmp_path / "vienna.safetensors")
    loaded = Vienna.load(tmp_path / "vienna.safetensors")
    np.testing.assert_allclose(loaded.mean, plain.mean)
    assert loaded.owners.tolist() == plain.owners.tolist()


def test_missing_damaged_and_older_files_end_in_a_sentence(plain, tmp_path):
    path = tmp_path / "vienna.safetensors"
    with pytest.raises(WeightsUnusable, match="missing"):
        Vienna.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsUnusable, match="damaged"):
        Vienna.load(path)
    Vienna(plain.keywords[1:], plain.owners[1:], plain.mean, plain.deviation).save(path)
    with pytest.raises(WeightsUnusable, match="another table"):
        Vienna.load(path)


def test_words_lead_to_their_divisions_in_the_real_space():
    sentences = SentenceEncoder(device="cpu")
    ordinary = sentences.encode(
        ["tiger", "table", "a red circle", "coffee", "arrow left", "queen", "file", "sailing boat"]
    )
    vienna = Vienna.fit(sentences, ordinary)
    for words, code in (
        ("a roaring lion", "3.1"),
        ("oak tree", "5.1"),
        ("cup of coffee", "11.3"),
        ("sailing ship", "18.3"),
    ):
        raw = vienna._raw(sentences.encode([words]))[0]
        assert CODES[int(raw.argmax())] == code
