"""Which encoder serves: the shipped one, or one of the office's own under TM_DATA_DIR/encoders.

    encoders/
      CURRENT             the name of the directory in use, replaced atomically; absent: the shipped weights
      20260101T120000-7/  encoder.safetensors and .json, general.npz, edges.npz, calibration.json, first_weights.json

A directory is complete and is never changed once the pointer has named it.
"""

import re
from pathlib import Path

from django.conf import settings

from search.errors import NotThere, Unavailable
from search.retrieval.calibration import Calibration
from search.retrieval.describe import WEIGHTS
from search.retrieval.durable import remove_whole, write_whole
from search.retrieval.first_weights import FirstWeights

SHIPPED = "shipped"
POINTER = "CURRENT"
FILE = "encoder.safetensors"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*")


def folder() -> Path:
    return Path(settings.TM_DATA_DIR) / "encoders"


def directory(encoder_id: str) -> Path:
    """Where an encoder of the office lies; NotThere for a name that is none."""
    path = folder() / encoder_id
    if not _NAME.fullmatch(encoder_id) or not path.is_dir():
        raise NotThere(f"There is no encoder {encoder_id!r} in {folder()}.")
    return path


def current() -> str | None:
    """The office's own encoder that is in use; None: the shipped one. Cheap enough to ask at every search."""
    try:
        return (folder() / POINTER).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def weights() -> Path:
    """The directory of the weights in use. Unavailable when the pointer names one that is gone."""
    name = current()
    if name is None:
        return WEIGHTS
    try:
        return directory(name)
    except NotThere:
        raise Unavailable(
            f"The encoder {name} that shall serve is missing; bring it back, or run "
            "`manage.py train_encoder --activate shipped`."
        ) from None


def all_weights() -> list[Path]:
    """Every directory of weights that is here: the shipped one, then the office's own, newest first."""
    own = [path.parent for path in folder().glob(f"*/{FILE}") if _NAME.fullmatch(path.parent.name)]
    return [WEIGHTS, *sorted(own, reverse=True)]


def calibration() -> Calibration:
    """The calibration that belongs to the weights in use."""
    try:
        return Calibration.load(weights() / "calibration.json")
    except (OSError, ValueError) as error:
        raise Unavailable(f"The calibration of the encoder in use cannot be read: {error}") from None


def first_weights() -> FirstWeights:
    """The weights and threshold to start with under the weights in use."""
    try:
        return FirstWeights.load(weights() / "first_weights.json")
    except (OSError, ValueError) as error:
        raise Unavailable(f"The first weights of the encoder in use cannot be read: {error}") from None


def activate(encoder_id: str | None) -> None:
    """Point at an encoder of the office, or back at the shipped one (None); durable when this returns."""
    pointer = folder() / POINTER
    if encoder_id is None:
        remove_whole(pointer)
        return
    directory(encoder_id)
    write_whole(pointer, encoder_id + "\n")
