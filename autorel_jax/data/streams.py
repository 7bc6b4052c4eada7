"""Streams: a file, compressed or not by its suffix -> its bytes. Used by rows.py, splits.py and assumed.py."""

import contextlib
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from autorel_jax.data.kinds import COMPRESSED
from autorel_jax.errors import InputError, one_line


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A stream of the file's bytes, decompressed if its name ends in one of COMPRESSED.

    Raises:
      InputError: it is not compressed as its name says, or cut off.
    """
    with open(path, "rb") as raw, unpacked(raw, Path(path).suffix.lower()) as stream:
        try:
            yield stream
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if Path(path).suffix.lower() not in COMPRESSED:
                raise
            raise InputError(f"{path} is cut off or damaged: {one_line(error)}; copy it again.") from None


def unpacked(raw: BinaryIO, suffix: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """The stream, decompressed as the suffix says."""
    if suffix == ".gz":
        import gzip

        return gzip.open(raw)
    if suffix == ".bz2":
        import bz2

        return bz2.open(raw)
    if suffix == ".xz":
        return lzma.open(raw)
    if suffix == ".zst":
        import pyarrow

        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd"))
    return contextlib.nullcontext(raw)
