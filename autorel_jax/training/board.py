"""Board: numbers by name -> an event file that TensorBoard reads. Used by log.py.

A file is TFRecords, each of them an Event, a protocol buffer:

    Event    1 wall_time double, 2 step int64, 3 file_version string, 5 summary Summary, 7 session_log SessionLog
    Summary  1 value, repeated: 1 tag string, 2 simple_value float
    SessionLog  1 status enum, where 1 is START: TensorBoard drops what came before with this step or a later one

Each event is one write(2) of its own: a full disk is noticed at once, and a kill costs nothing that was written.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from autorel_jax.files import append
from autorel_jax.weights import sstable

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # how a field is stored; its tag is 8 * its number + this

Board = Callable[[int, Mapping[str, float]], None]  # (step, values by name)


@contextlib.contextmanager
def open_board(folder: Path, step: int) -> Iterator[Board]:
    """A function that appends an event; TensorBoard drops those after `step` that other files of the folder hold."""
    folder.mkdir(exist_ok=True)
    name = f"events.out.tfevents.{time.time_ns() // 10**9:010}.{socket.gethostname()}.{os.getpid()}"
    with (folder / name).open("ab", buffering=0) as file:

        def write(at: int, content: bytes) -> None:
            head = field(1, DOUBLE, struct.pack("<d", time.time())) + field(2, VARINT, varint(at))
            append(file, record(head + content))

        write(0, field(3, BYTES, b"brain.Event:2"))
        write(step + 1, field(7, BYTES, field(1, VARINT, varint(1))))
        yield lambda at, values: write(at, summary(values))


def summary(values: Mapping[str, float]) -> bytes:
    """The field of an event that holds the values."""
    with np.errstate(over="ignore"):
        numbers = np.array(list(values.values()), "<f4")
    entries = (
        field(1, BYTES, field(1, BYTES, name.encode()) + field(2, FLOAT, number.tobytes()))
        for name, number in zip(values, numbers, strict=True)
    )
    return field(5, BYTES, b"".join(entries))


def field(number: int, kind: int, content: bytes) -> bytes:
    """A field of a protocol buffer."""
    return varint(8 * number + kind) + (varint(len(content)) if kind == BYTES else b"") + content


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first; all but the last have the eighth bit set."""
    head = b""
    while number >= 128:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])


def record(data: bytes) -> bytes:
    """A TFRecord: length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def checksum(data: bytes) -> bytes:
    """As TensorFlow stores it."""
    return struct.pack("<I", sstable.checksum(data))
