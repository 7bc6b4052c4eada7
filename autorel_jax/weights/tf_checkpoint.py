"""TensorFlow checkpoints: `bert_model.ckpt` (.index, .data-00000-of-00001) -> a NumPy array for each name.

TensorFlow's TensorBundle, read without TensorFlow: the index is a sorted table of protocol buffers, a header
and an entry for each tensor; the shards hold the tensors' bytes. Every checksum is verified.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.weights.disk import AGAIN, MAX_DIMS, Refused, naming, open_weights, read_span, shown, size_of
from autorel_jax.weights.sstable import checksum, damaged, read_table, varint_at

STRING = 7  # TensorFlow's number of the type of text: object graphs and the like, never a weight
DTYPES = {  # TensorFlow's numbers (types.proto)
    1: np.dtype("float32"),
    2: np.dtype("float64"),
    3: np.dtype("int32"),
    4: np.dtype("uint8"),
    5: np.dtype("int16"),
    6: np.dtype("int8"),
    8: np.dtype("complex64"),
    9: np.dtype("int64"),
    10: np.dtype("bool"),
    14: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype("uint16"),
    18: np.dtype("complex128"),
    19: np.dtype("float16"),
    22: np.dtype("uint32"),
    23: np.dtype("uint64"),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where a tensor lies: `size` bytes from `offset` in a shard."""

    dtype: np.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int  # masked


def read_tf(prefix: Path) -> dict[str, np.ndarray]:
    """Reads the checkpoint `prefix.index`, `prefix.data-?????-of-?????`; the names are those in the file.

    Text (a TF2 object graph) is left out. The arrays are read-only.

    Raises:
      InputError: the checkpoint cannot be used; one line that names the file and, where at fault, the tensor.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.exists():
        raise InputError(f"{index} does not exist; give the prefix of a TensorFlow checkpoint{example(prefix)}.")
    table = read_table(index)
    with naming(index):
        shards = shard_count(table)
        tensors = dict(tensor_entries(table, shards))
    arrays: dict[str, np.ndarray] = {}
    for shard in sorted({entry.shard for entry in tensors.values()}):
        path = prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")
        arrays |= read_shard(path, {name: entry for name, entry in tensors.items() if entry.shard == shard})
    return {name: arrays[name] for name in tensors}


def example(prefix: Path) -> str:
    """A checkpoint that does exist in the prefix itself, if it is a directory, or beside it."""
    folder = prefix if prefix.is_dir() else prefix.parent
    found = sorted(folder.glob("*.index")) if folder.is_dir() else []
    return f", such as {found[0].with_suffix('')}" if found else ", such as DIR/bert_model.ckpt"


# ---- the index ----


def shard_count(table: dict[bytes, bytes]) -> int:
    """The header's number of shards; its byte order must be little."""
    if b"" not in table:
        raise damaged("it has no header")
    header = dict(fields(table[b""]))
    if header.get(2, 0) != 0:
        raise Refused("is big-endian; save the checkpoint again on a little-endian machine.")
    return number(header.get(1, 1))


def tensor_entries(table: dict[bytes, bytes], shards: int) -> Iterator[tuple[str, Entry]]:
    """The entries of all tensors but text; a key that begins with 0 is a slice of a partitioned variable."""
    for key, value in table.items():
        if key and key[0]:
            name = key.decode(errors="backslashreplace")
            message = list(fields(value))
            if any(tag == 7 for tag, _ in message):
                raise Refused(f"has {shown(name)} in slices; save the checkpoint with partitioning switched off.")
            if dict(message).get(1) != STRING:
                yield name, tensor_entry(name, dict(message), shards)


def tensor_entry(name: str, message: dict[int, Any], shards: int) -> Entry:
    """One BundleEntryProto: 1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum."""
    kind = message.get(1, 0)
    if kind not in DTYPES:
        raise Refused(
            f"has tensor {shown(name)} of TensorFlow's type {kind!r}; "
            f"accepted: {', '.join(dtype.name for dtype in DTYPES.values())}."
        )
    shard, offset, size = (number(message.get(tag, 0)) for tag in (3, 4, 5))
    entry = Entry(DTYPES[kind], shape_of(message.get(2, b"")), shard, offset, size, number(message.get(6, 0)))
    if shard >= shards or len(entry.shape) > MAX_DIMS or math.prod(entry.shape) * entry.dtype.itemsize != size:
        raise damaged(f"the shape, size and shard of tensor {shown(name)} do not fit together")
    return entry


def shape_of(message: bytes) -> tuple[int, ...]:
    """A TensorShapeProto: 2 a dimension, in it 1 its size."""
    return tuple(number(dict(fields(value)).get(1, 0)) for tag, value in fields(message) if tag == 2)


def fields(message: Any) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: their tags, and whole numbers or bytes."""
    if not isinstance(message, bytes):
        raise damaged("a number stands where a message is due")
    position = 0
    while position < len(message):
        key, position = varint_at(message, position)
        if key & 7 == 0:
            value, position = varint_at(message, position)
        else:
            value, position = run_at(message, key & 7, position)
        yield key >> 3, value


def run_at(message: bytes, wire: int, position: int) -> tuple[Any, int]:
    """A field of 8 bytes (wire type 1), 4 (5), or bytes after their count (2), and the position after it."""
    if wire not in (1, 2, 5):
        raise damaged(f"a field has wire type {wire}")
    size, position = varint_at(message, position) if wire == 2 else ({1: 8, 5: 4}[wire], position)
    value = message[position : position + size]
    if len(value) != size:
        raise damaged("a field reaches beyond its message")
    return value if wire == 2 else int.from_bytes(value, "little"), position + size


def number(value: Any) -> int:
    """The value, which must be a count."""
    if not isinstance(value, int) or value >= 2**63:
        raise damaged("a count is negative or no number")
    return value


# ---- the shards ----


def read_shard(path: Path, tensors: dict[str, Entry]) -> dict[str, np.ndarray]:
    """The tensors of one shard, in the order of their bytes."""
    with open_weights(path) as file:
        arrays, end = {}, 0
        for name, entry in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].size)):
            if entry.offset < end:  # else a small file could claim any amount of memory
                raise damaged(f"tensor {shown(name)} overlaps the one before")
            arrays[name], end = read_tensor(file, name, entry), entry.offset + entry.size
        return arrays


def read_tensor(file: BinaryIO, name: str, entry: Entry) -> np.ndarray:
    """One tensor, once its checksum is verified."""
    if entry.offset + entry.size > size_of(file):
        raise Refused(f"is cut short: tensor {shown(name)} ends beyond byte {size_of(file)}; {AGAIN}")
    raw = read_span(file, entry.offset, entry.size)
    if checksum(raw) != entry.crc:
        raise damaged(f"the checksum of tensor {shown(name)} is wrong")
    try:
        array = raw.view(entry.dtype).reshape(entry.shape)
    except ValueError:  # no elements, and beside the 0 a dimension that NumPy cannot have
        raise damaged(f"tensor {shown(name)} has an impossible shape") from None
    array.setflags(write=False)
    return array
