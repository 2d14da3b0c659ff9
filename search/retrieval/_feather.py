"""A MarkTable with extra columns to and from one Feather file, uncompressed so that it reads at disk speed.

Vectors are fixed-size lists, which any Arrow reader understands; the parts of a mark, which vary in
number, are little-endian bytes (float16 vectors, int32 boxes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather

from search.retrieval.descriptors import VECTOR_DESCRIPTORS
from search.retrieval.table import MarkTable

_PREFIX = "vector_"
_BOX_BYTES = 16


def write_table(path: Path, table: MarkTable, extra: Mapping[str, pa.Array | Sequence[Any]]) -> None:
    """Write `table` and columns of the same length."""
    columns: dict[str, Any] = {"number": pa.array(list(table.numbers), pa.string())}
    for name, values in extra.items():
        columns[name] = values if isinstance(values, pa.Array) else pa.array(list(values))
    columns["width"] = pa.array(table.sizes[:, 0])
    columns["height"] = pa.array(table.sizes[:, 1])
    for name, vectors in table.vectors.items():
        if vectors.shape[1]:  # no mark of this table has the descriptor: nothing to keep
            flat = pa.array(np.ascontiguousarray(vectors, "<f4").ravel())
            columns[_PREFIX + name] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    columns["regions"] = _blobs(table.offsets, np.ascontiguousarray(table.regions, "<f2"))
    columns["boxes"] = _blobs(table.offsets, np.ascontiguousarray(table.boxes, "<i4"))
    made = pa.table(columns)
    feather.write_feather(made, str(path), compression="uncompressed", chunksize=max(len(table), 1))


def read_table(path: Path) -> tuple[MarkTable, dict[str, list[Any]]]:
    """The table and its extra columns. Raises OSError or ValueError for a file that is damaged."""
    # Not mapped: a file that is cut while it is mapped ends the process (SIGBUS).
    with pa.OSFile(str(path)) as source:
        stored = feather.read_table(source).combine_chunks()
        # Arrow believes the offsets that it reads: wrong ones would be followed out of the buffer.
        stored.validate(full=True)
        count = stored.num_rows
        dim = next(t.list_size for t in stored.schema.types if pa.types.is_fixed_size_list(t))
        boxes, box_offsets = _bytes(stored["boxes"])
        regions, _ = _bytes(stored["regions"])
        table = MarkTable(
            numbers=np.array(stored["number"].to_pylist(), dtype=object),
            sizes=np.stack([np.asarray(stored["width"]), np.asarray(stored["height"])], 1).astype(np.int32),
            vectors={name: _vectors(stored, name, count) for name in VECTOR_DESCRIPTORS},
            regions=np.frombuffer(regions, "<f2").reshape(-1, dim),
            boxes=np.frombuffer(boxes, "<i4").reshape(-1, 4),
            offsets=(box_offsets // _BOX_BYTES).astype(np.int64),
        )
        own = {"number", "width", "height", "regions", "boxes"}
        rest = [n for n in stored.schema.names if n not in own and not n.startswith(_PREFIX)]
        return table, stored.select(rest).to_pydict()


def read_columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Only these columns: the vectors are not read from disk. Raises OSError or ValueError for a damaged file."""
    stored = feather.read_table(str(path), columns=list(names))
    stored.validate(full=True)
    columns: dict[str, list[Any]] = stored.to_pydict()
    return columns


def _blobs(offsets: NDArray[np.int64], rows: NDArray[Any]) -> pa.LargeBinaryArray:
    """Rows offsets[i]:offsets[i + 1] as the bytes of value i."""
    width = rows.shape[1] * rows.itemsize
    starts = pa.py_buffer(np.ascontiguousarray(offsets * width, dtype="<i8"))
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, starts, pa.py_buffer(rows.tobytes())]
    )


def _bytes(column: pa.ChunkedArray) -> tuple[bytes, NDArray[np.int64]]:
    """All values joined, and where each begins."""
    values = column.combine_chunks()
    _, starts, data = values.buffers()
    offsets = np.frombuffer(starts, "<i8")[values.offset : values.offset + len(values) + 1]
    joined = b"" if data is None else data.to_pybytes()[offsets[0] : offsets[-1]]
    return joined, offsets - offsets[0]


def _vectors(stored: pa.Table, name: str, count: int) -> NDArray[np.float32]:
    if _PREFIX + name not in stored.schema.names:
        return np.zeros((count, 0), np.float32)
    values = stored[_PREFIX + name].combine_chunks()
    flat = values.flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, dtype=np.float32).reshape(count, -1)
