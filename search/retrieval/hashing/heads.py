"""The heads by name, and the check that one fits the vectors it is to be given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search.retrieval.describe import WEIGHTS
from search.retrieval.encoders import WeightsUnusable
from search.retrieval.hashing.head import HashHead

__all__ = ["FOLDER", "HASHES", "general_made_for", "load_head"]

FOLDER = "hash"
"""Under a directory of weights."""
SIZES = (32, 64, 128)
METHODS = ("itq", "hash-000", "hash-001")
HASHES: tuple[str, ...] = tuple(f"{method}-{bits}" for method in METHODS for bits in SIZES)
"""What TM_HASH and `evaluate --descriptor` know: unsupervised, the thesis's centres, the patent's pairs."""


def load_head(name: str, *, weights: Path = WEIGHTS, made_for: Mapping[str, str] | None = None) -> HashHead:
    """The head of that name beside the encoder in `weights`.

    made_for: what the vectors come from; None = that directory's own encoder. Raises ValueError for an unknown name,
    WeightsUnusable with a sentence for a head that is missing, damaged or made for another encoder.
    """
    if name not in HASHES:
        raise ValueError(f"There is no hash {name!r}; known are {', '.join(HASHES)}.")
    head = HashHead.load(weights / FOLDER / f"{name}.safetensors")
    wanted = general_made_for(weights) if made_for is None else made_for
    if dict(head.made_for) != dict(wanted):
        raise WeightsUnusable(
            f"The hash head {name} was made for the encoder {head.made_for.get('encoder', '?')}, not for "
            f"{wanted.get('encoder', '?')} as it is used here; train it again with `manage.py train_hash --write`."
        )
    return head


def general_made_for(weights: Path = WEIGHTS) -> dict[str, str]:
    """What `general` vectors of this directory's encoder come from."""
    from search.retrieval.describe import GENERAL_SIDE
    from search.retrieval.encoders.trademark import read_card
    from search.retrieval.whitening import Whitening

    encoder = f"trademark-{read_card(weights / 'encoder.safetensors')['sha256'][:12]}"
    whitening = Whitening.load(weights / "general.npz").version
    return {"encoder": encoder, "whitening": whitening, "side": str(GENERAL_SIDE)}
