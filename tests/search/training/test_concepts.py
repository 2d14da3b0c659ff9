import math

import numpy as np
import torch

from search.retrieval.descriptors.semantic import SemanticHead
from search.training.concepts import Said, Settings, alike, contrast, fit, ridge, same_meaning, standard


def test_contrast_is_the_mean_of_both_cross_entropies():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # Cosines [[1, .6], [0, .8]] at temperature 1: rows are images, columns texts.
    by_image = (math.log(1 + math.exp(0.6 - 1)) + math.log(1 + math.exp(0 - 0.8))) / 2
    by_text = (math.log(1 + math.exp(0 - 1)) + math.log(1 + math.exp(0.6 - 0.8))) / 2
    loss = contrast(images, texts, torch.zeros(2, 2, dtype=torch.bool), 1.0)
    assert math.isclose(float(loss), (by_image + by_text) / 2, rel_tol=1e-5)


def test_pairs_that_mean_the_same_are_no_negatives():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # Text 1 fits image 0 too: left out are image 0 against text 1, both ways.
    same = torch.tensor([[False, False], [True, False]])
    by_image = (0 + math.log(1 + math.exp(0 - 0.8))) / 2
    by_text = (math.log(1 + math.exp(0 - 1)) + 0) / 2
    assert math.isclose(float(contrast(images, texts, same, 1.0)), (by_image + by_text) / 2, rel_tol=1e-5)


def test_alike_looks_at_every_phrase_of_the_other_image():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    meaning = same_meaning(vectors, 0.7)
    assert meaning.tolist() == [[True, False, False], [False, True, True], [False, True, True]]
    found = alike(np.array([0, 1]), np.array([[0, 0], [0, 2]]), meaning)
    assert found.tolist() == [[True, True], [False, True]]


def test_phrases_are_drawn_by_their_weights():
    rows, chances = Said(np.zeros((3, 2), np.float32), [[0, 2], [1]], [[3, 1], [5]]).padded()
    assert rows.tolist() == [[0, 2], [1, 1]]
    assert chances.tolist() == [[0.75, 0.25], [1, 0]]


def test_a_dead_channel_does_not_count():
    _, scale = standard(np.array([[1, 0], [1, 0]], np.float32))
    assert scale.tolist() == [0, 0]


def world(seed=0, count=240, kinds=6):
    """Features in which each of six meanings is one direction, under noise."""
    draw = np.random.default_rng(seed)
    meanings = np.eye(kinds, 8, dtype=np.float32)
    directions = np.random.default_rng(7).normal(size=(kinds, 20))
    kind = draw.integers(kinds, size=count)
    features = directions[kind] + 0.7 * draw.normal(size=(count, 20))
    return features.astype(np.float32), kind, Said(meanings, [[int(k)] for k in kind], [[1]] * count)


def test_a_fitted_head_finds_the_meaning_of_new_images():
    features, _, said = world()
    settings = Settings(hidden=16, epochs=30, batch=48, drop=0.1, noise=0.1, rate=1e-2)
    losses = []
    head = SemanticHead(fit(features, said, settings, progress=lambda _, loss: losses.append(loss)), {})
    new, kind, _ = world(seed=1)
    assert (np.argmax(head.apply(new) @ said.vectors.T, axis=1) == kind).mean() > 0.9
    assert losses[-1] < losses[0]


def test_the_same_seed_gives_the_same_head():
    features, _, said = world()
    settings = Settings(hidden=8, epochs=2, batch=48)
    first, second = (SemanticHead(fit(features, said, settings), {}) for _ in range(2))
    assert first.version == second.version


def test_ridge_is_least_squares():
    features, kind, said = world()
    head = SemanticHead(ridge(features, said.vectors[kind], 0.01), {})
    new, kind, _ = world(seed=1)
    assert (np.argmax(head.apply(new) @ said.vectors.T, axis=1) == kind).mean() > 0.8
