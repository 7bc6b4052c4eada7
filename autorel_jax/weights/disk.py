"""Disk: the path of a weight file -> an open file or its bytes, with one InputError for each usual mishap.

Used by files.py, torch_file.py, tf_checkpoint.py and sstable.py.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from autorel_jax.errors import InputError

Tensors = dict[str, np.ndarray]  # what every reader returns, by the names in the file
MAX_DIMS = 32  # more axes than any weight has; NumPy allows 64
GIT_LFS = b"version https://git-lfs"
AGAIN = "copy or download it again."


class Refused(Exception):
    """A fault of the file: the rest of a sentence that begins with the file's name."""


@contextlib.contextmanager
def open_weights(path: Path) -> Iterator[BinaryIO]:
    """Opens a weight file; what is refused or fails while it is read becomes an InputError that names it."""
    with naming(path):
        refuse_what_is_no_file(path)
        with path.open("rb") as file:
            refuse_what_holds_no_weights(file)
            yield file


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns what is refused, or fails on disk, into an InputError that names the file."""
    try:
        yield
    except Refused as fault:
        raise InputError(f"{path} {fault}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def refuse_what_is_no_file(path: Path) -> None:
    """A missing path, a directory, a device."""
    if not path.exists():
        raise Refused("does not exist; give the path of a file of weights.")
    if not path.is_file():
        raise Refused(f"is {'a directory' if path.is_dir() else 'no regular file'}; give a file of weights.")


def refuse_what_holds_no_weights(file: BinaryIO) -> None:
    """An empty file, a git-lfs pointer."""
    head = file.read(len(GIT_LFS))
    if not head:
        raise Refused(f"is empty; {AGAIN}")
    if head == GIT_LFS:
        raise Refused("is a git-lfs pointer, not the weights themselves; run `git lfs pull` first.")
    file.seek(0)


def size_of(file: BinaryIO) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def read_span(file: BinaryIO, offset: int, count: int) -> np.ndarray:
    """Reads `count` bytes, known to be in the file, into a fresh array; fewer only at the file's end."""
    raw = np.empty(count, np.uint8)
    file.seek(offset)
    return raw[: file.readinto(memoryview(raw))]


def shown(text: object) -> str:
    """Text from the file, safe to print in one line."""
    quoted = ascii(text) if isinstance(text, str) else f"of type {type(text).__name__}"
    return quoted if len(quoted) <= 160 else quoted[:156] + " ..."
