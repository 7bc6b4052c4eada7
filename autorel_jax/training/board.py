"""Board: numbers by name -> an event file that TensorBoard reads. Used by log.py.

tensorboardX's records and protocol buffers, without its SummaryWriter: that writes from a thread of its own, which
dies on a full disk, and then its queue blocks the run for ever.
"""

import contextlib
import functools
import io
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autorel_jax.files import append

VERSION = "brain.Event:2"  # of the format, which the first event tells

Board = Callable[[int, Mapping[str, float]], None]  # (step, values by name)


@contextlib.contextmanager
def open_board(folder: Path, step: int) -> Iterator[Board]:
    """A function that appends an event; TensorBoard drops those after `step` that other files of the folder hold.

    An event is on its way to the disk when the function returns: a full disk is noticed at once, as an OSError, and
    a kill costs nothing that was written.
    """
    # Imports torch where that is installed, for tensors that it would take.
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary

    folder.mkdir(exist_ok=True)
    name = f"events.out.tfevents.{time.time_ns() // 10**9:010}.{socket.gethostname()}.{os.getpid()}"
    with (folder / name).open("ab", buffering=0) as file:
        records = record_writer(file)

        def write(**fields: Any) -> None:
            records.write(Event(wall_time=time.time(), **fields).SerializeToString())

        def show(at: int, values: Mapping[str, float]) -> None:
            entries = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            write(step=at, summary=Summary(value=entries))

        write(file_version=VERSION)
        write(step=step + 1, session_log=SessionLog(status=SessionLog.START))
        yield show


def record_writer(file: io.RawIOBase) -> Any:
    """Writes records with their checksums to a file without a buffer."""
    from tensorboardX import RecordWriter

    class Unbuffered(RecordWriter):
        def __init__(self) -> None:  # the library's own takes a path, and opens it with a buffer
            self._writer = SimpleNamespace(write=functools.partial(append, file))

    return Unbuffered()
