"""Sorted tables: the `.index` file of a TensorFlow checkpoint -> its keys and values.

LevelDB's format: blocks of entries, each key without the prefix that it shares with the one before; a block
of handles (offset, bytes) to them; a footer with that block's handle. Its checksum is TensorFlow's too. Used by
tf_checkpoint.py.
"""

from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np

from autorel_jax.weights.disk import AGAIN, Refused, open_weights

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
FOOTER = 48  # bytes
TRAILER = 5  # bytes after a block: its compression and its checksum
KEYS_LIMIT = 2**26  # bytes of all keys together; BERT-base's are about 10 kB
SNAPPY_RATIO = 64  # at most: snappy's longest copy is 64 bytes, written in 2 or 3


def read_table(path: Path) -> dict[bytes, bytes]:
    """Reads a whole table; the checksum of every block is verified."""
    with open_weights(path) as file:
        table = file.read()
        if table[-8:] != MAGIC or len(table) < FOOTER:
            raise Refused(f"is not the index of a TensorFlow checkpoint, or is cut short (no magic); {AGAIN}")
        footer = table[-FOOTER:]
        _, position = handle_at(footer, 0)  # of the metadata block, which is empty
        root, _ = handle_at(footer, position)
        return dict(all_entries(table, root))


def all_entries(table: bytes, root: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """The entries of all blocks."""
    last, keys = -1, 0
    for _, value in entries(block_at(table, root)):
        handle, _ = handle_at(value, 0)
        if handle[0] <= last:
            raise damaged("its blocks overlap")
        last = handle[0]
        for key, entry in entries(block_at(table, handle)):
            keys += len(key)
            if keys > KEYS_LIMIT:
                raise damaged(f"its names take more than {KEYS_LIMIT} bytes")
            yield key, entry


def block_at(table: bytes, handle: tuple[int, int]) -> bytes:
    """The content of a block, verified and decompressed."""
    offset, size = handle
    stop = offset + size
    if stop + TRAILER > len(table) - FOOTER:
        raise damaged(f"a block reaches beyond byte {len(table) - FOOTER}")
    stored = int.from_bytes(table[stop + 1 : stop + TRAILER], "little")
    if checksum(np.frombuffer(table, np.uint8, size + 1, offset)) != stored:
        raise damaged(f"the checksum of the block at byte {offset} is wrong")
    compression = table[stop]
    if compression > 1:
        raise damaged(f"compression {compression} is unknown; accepted: 0 (none), 1 (snappy)")
    return unsnapped(table[offset:stop]) if compression else table[offset:stop]


def checksum(data: bytes | np.ndarray) -> int:
    """The CRC-32C of some bytes in the form in which LevelDB and TensorFlow store it."""
    return masked(google_crc32c.value(data))


def masked(crc: int) -> int:
    """Rotated, plus a constant: so that the checksum of data that hold checksums is not one of theirs."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def unsnapped(block: bytes) -> bytes:
    """A snappy-compressed block -> its content."""
    try:
        import cramjam
    except ImportError:
        raise Refused("is compressed with snappy; run `pip install 'autorel-jax[snappy]'` and try again.") from None
    size, _ = varint_at(block, 0)
    if size > SNAPPY_RATIO * len(block):
        raise damaged("a snappy block claims more than it can hold")
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise damaged(f"a snappy block cannot be decompressed ({error})") from None


def entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block; the list of restart points at its end is for searches only."""
    restarts = int.from_bytes(block[-4:], "little")
    stop, position, key = len(block) - 4 - 4 * restarts, 0, b""
    if stop < 0:
        raise damaged("a block is shorter than its list of restart points")
    while position < stop:
        shared, position = varint_at(block, position)
        unshared, position = varint_at(block, position)
        size, position = varint_at(block, position)
        middle, end = position + unshared, position + unshared + size
        if shared > len(key) or end > stop:
            raise damaged("an entry reaches beyond its block")
        key = key[:shared] + block[position:middle]
        yield key, block[middle:end]
        position = end


def handle_at(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Offset and bytes of a block, and the position after them."""
    offset, position = varint_at(data, position)
    size, position = varint_at(data, position)
    return (offset, size), position


def varint_at(data: bytes, position: int) -> tuple[int, int]:
    """A whole number of at most 64 bits, seven to a byte from the lowest, and the position after it."""
    value = 0
    for i, byte in enumerate(data[position : position + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128 and value < 2**64:
            return value, position + i + 1
    raise damaged("a number does not end")


def damaged(what: str) -> Refused:
    """The refusal of a file that TensorFlow cannot have written."""
    return Refused(f"is damaged: {what}; {AGAIN}")
