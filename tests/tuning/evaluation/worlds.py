"""Tiny picture sets in METU layout, and a describer that needs no network."""

import numpy as np
from PIL import Image

from search.retrieval.description import Description
from search.retrieval.imaging import reduce_picture


class FakeDescriber:
    """Vectors straight from the pixels; counts what it described."""

    def __init__(self, version="fake-1"):
        self.version = version
        self.described = 0

    def describe(self, images):
        found = []
        for image in images:
            picture = reduce_picture(image)
            small = np.asarray(Image.fromarray(picture.pixels).convert("L").resize((8, 8)), dtype=np.float32)
            general = small.ravel() / 255 - 0.5
            vectors = {"general": general / (np.linalg.norm(general) + 1e-9)}
            edges = np.diff(small, axis=1).ravel()
            if np.abs(edges).sum() > 0:
                vectors["edges"] = np.resize(edges / np.linalg.norm(edges), 64).astype(np.float32)
                vectors["edges"] /= np.linalg.norm(vectors["edges"])
            found.append(Description(vectors, np.zeros((0, 64), np.float32), size=picture.pixels.shape[1::-1]))
            self.described += 1
        return found


def write_set(root, groups=3, members=3, pool=12, seed=0):
    """Groups of noisy copies of one random picture, and a pool of unrelated ones; returns (queries, pool)."""
    rng = np.random.default_rng(seed)
    queries, others = root / "queries", root / "pool"
    queries.mkdir(parents=True)
    others.mkdir()
    for g in range(1, groups + 1):
        base = rng.integers(0, 256, (16, 16, 3))
        for i in range(1, members + 1):
            noisy = np.clip(base + rng.normal(0, 40, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(queries / f"{i}-{g}.png")
    for p in range(pool):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(others / f"mark{p:03}.png")
    return queries, others
