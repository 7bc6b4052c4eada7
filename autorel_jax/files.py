"""Files: written whole or not at all; a disk's faults as one line; locks; TOML.

Paths and content go in, files and folders come out. Used wherever something is written: report/, corpus/, weights/,
export/, training/ and the commands.
"""

import contextlib
import fcntl
import io
import json
import os
import secrets
import shutil
import stat
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from autorel_jax.errors import InputError, one_line
from autorel_jax.foreign import fault_in

# A lone surrogate, which UTF-8 cannot hold, becomes \udXXX: inside a JSON string that is its very escape.
TEXT = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
LARGEST_SETTINGS = 2**26  # bytes; the largest in use, the index of a model in shards, has some 10 MB
LONGEST_NAME = 240  # bytes of a file's name that leave room for more in the name beside it; systems allow 255


def read_toml(path: Path, instead: str = "give a TOML file") -> dict[str, Any]:
    """The tables of a TOML file, or an InputError; where there is none it says what to do `instead`."""
    try:
        return tomllib.loads(read_settings(path).decode("utf-8-sig"))  # some editors write a byte order mark
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {instead}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a TOML file that can be read: {reason(error)}.") from None


def read_json(path: Path, instead: str = "give a JSON file") -> dict[str, Any]:
    """The object in a JSON file of settings, or an InputError; where there is none it says what to do `instead`."""
    try:
        value = json.loads(read_settings(path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {instead}.") from None
    except RecursionError:
        raise InputError(f"{path} is not a JSON file that can be read: it is nested too deep.") from None
    except (OSError, ValueError) as error:  # ValueError: also bytes that are not UTF-8, and numbers of 4,300 digits
        raise InputError(f"{path} is not a JSON file that can be read: {reason(error)}.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}; expected an object ({{...}}).")
    if fault := fault_in(value):
        raise InputError(f"{path} has {fault}, which no program writes; repair it.")
    return value


def reason(error: Exception) -> str:
    """Why something failed, without the file's name, which the message has already."""
    return getattr(error, "strerror", None) or one_line(error)


def read_settings(path: Path) -> bytes:
    """The bytes of a file of settings; a pipe, a device or a file above 64 MiB is refused.

    Raises:
      OSError: it cannot be read, or is no such file.
    """
    if is_pipe(path):
        raise OSError("it is no regular file")
    with open(path, "rb") as stream:
        if os.fstat(stream.fileno()).st_size > LARGEST_SETTINGS:
            raise OSError(f"it has more than {LARGEST_SETTINGS} bytes")
        return stream.read()


@contextlib.contextmanager
def disk_faults(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turns a fault of the disk, such as a full one, into an InputError that names `path`.

    `more` are a library's own errors that mean the same. A pipe whose reader has left is no fault.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, *more) as error:
        raise InputError(f"{path} cannot be written: {reason(error)}.") from None


def is_pipe(path: Path) -> bool:
    """Whether there is a pipe or a device."""
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def version_of(path: Path) -> tuple[int, int]:
    """Size and time of change of a file; (-1, -1) where it is no more."""
    try:
        there = path.stat()
    except OSError:
        return -1, -1
    return there.st_size, there.st_mtime_ns


# ---- one file


def check_name(path: Path) -> None:
    """Raises InputError for what cannot be the name of a file."""
    if "\0" in str(path):
        raise InputError(f"{path} holds a NUL character, which no file's name does; give another name.")


def writable(path: Path) -> Path:
    """The file that `path` leads to through links, or InputError where no file can be written there."""
    check_name(path)
    with disk_faults(path):
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise InputError(f"{path} is a directory; give the name of a file in it.")
        if not target.parent.is_dir():
            raise InputError(f"{path}: there is no directory {target.parent}; make it first.")
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"{path} is write-protected; give another name.")
    return target


def beside(path: Path) -> Path:
    """A new hidden name in the same folder, for what will replace `path`."""
    name = path.name if len(os.fsencode(path.name)) <= LONGEST_NAME else ""
    return path.with_name(f".{name}.{secrets.token_hex(4)}")


def put(draft: Path, target: Path) -> None:
    """Gives a finished file its name, and the permissions of the file that it replaces.

    It is on the disk before it is renamed, so that a loss of power leaves the old file or the new one.
    """
    with open(draft, "rb") as stream:
        os.fsync(stream.fileno())
    if target.exists():
        shutil.copymode(target, draft)
    os.replace(draft, target)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The name of a draft, which becomes the file at `path` when the block ends without an exception."""
    target = writable(path)
    draft = beside(target)
    try:
        yield draft
        with disk_faults(path):
            put(draft, target)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def new_text(path: Path) -> Iterator[TextIO]:
    """A stream whose text becomes the file at `path` when the block ends; a pipe or a device is written directly."""
    with disk_faults(path):
        direct = path.exists() and not path.is_file() and not path.is_dir()
    with contextlib.nullcontext(path) if direct else new_file(path) as draft:
        with disk_faults(path):
            stream = open(draft, "w" if direct else "x", **TEXT)  # noqa: SIM115 - closed below
        try:
            yield stream
            with disk_faults(path):
                stream.close()
        finally:
            with contextlib.suppress(OSError):  # what failed to be written fails again
                stream.close()


def write_text(path: Path, text: str) -> None:
    """Writes a file of text."""
    with new_text(path) as stream, disk_faults(path):
        stream.write(text)


def checksum(path: Path) -> int:
    """CRC-32 of a file of any size."""
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            value = zlib.crc32(block, value)
    return value


def append(file: io.RawIOBase, data: bytes) -> None:
    """Writes all of the data to a file without a buffer: on a full disk write(2) may take a part and say nothing."""
    while data:
        data = data[file.write(data) :]


# ---- a folder


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new folder, which becomes `path` when the block ends without an exception; the old one is deleted last."""
    new = beside(path)
    new.mkdir()
    try:
        yield new
        replace_folder(path, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def replace_folder(path: Path, new: Path) -> None:
    """Renames a folder to `path`; where that fails, what was there comes back."""
    old = new.with_name(f"{new.name}.old")
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, in_use: str, required: bool = True) -> Iterator[None]:
    """Holds a file, which is made, or a folder for this process; the system lets go when the process ends.

    Args:
      path: of the file or folder.
      in_use: what to say where another process holds it.
      required: whether a file system without locks, as some network ones are, is refused; else the block is entered.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT
    with disk_faults(path):
        file = os.open(path, flags, 0o666)
    try:
        lock(file, path, in_use, required)
        yield
    finally:
        os.close(file)


def lock(file: int, path: Path, in_use: str, required: bool) -> None:
    """Takes the lock, or raises InputError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(in_use) from None
    except OSError as error:
        if required:
            raise InputError(f"{path} cannot be locked: {one_line(error.strerror)}; use another file system.") from None
