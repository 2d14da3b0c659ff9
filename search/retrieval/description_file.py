"""One description to and from bytes: what is kept of a query, so that it need not be described again.

An npz without pickles: the vectors by name, parts, boxes, the size, and the descriptors' version they were made by.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from search.retrieval.description import Description

_VECTOR = "vector_"


def pack(description: Description, descriptors_version: str) -> bytes:
    """About 1 kB for each vector and part."""
    columns = {_VECTOR + name: vector.astype(np.float32) for name, vector in description.vectors.items()}
    out = io.BytesIO()
    np.savez(
        out,
        version=np.array(descriptors_version),
        size=np.array(description.size, np.int32),
        regions=description.regions.astype(np.float32),
        boxes=description.boxes.astype(np.int32),
        **columns,  # type: ignore[arg-type]
    )
    return out.getvalue()


def unpack(data: bytes, descriptors_version: str) -> Description | None:
    """Inverse of `pack`; None when it was made by other descriptors, or is damaged: then describe again."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if str(stored["version"]) != descriptors_version:
                return None
            width, height = (int(value) for value in stored["size"])
            return Description(
                vectors={name.removeprefix(_VECTOR): stored[name] for name in stored.files if name.startswith(_VECTOR)},
                regions=stored["regions"],
                boxes=stored["boxes"],
                size=(width, height),
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
