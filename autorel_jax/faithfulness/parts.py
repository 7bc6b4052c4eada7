"""Parts: what was found, by the hash of all that it depends on, in a file of JSON lines.

A run that was stopped goes on from there, and one with more methods, protocols or texts computes only what is new.
Used by evaluator.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.files import append, disk_faults, locked, writable

Found = Mapping[str, Any]
START = b'{"key": '  # of a line


def key_of(*facts: Any) -> str:
    """The key of what depends on these facts, JSON each."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


class Parts:
    """What was found, in memory and, if there is one, in a file.

    Attributes:
      before: how many were in the file when it was opened.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._found: dict[str, Found] = {}
        if path is not None and path.exists():
            self._found = dict(lines_of(path))
        self.before = len(self._found)

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def __getitem__(self, key: str) -> Found:
        return self._found[key]

    def add(self, found: Mapping[str, Found]) -> None:
        """Keeps what was found; on the disk before it returns."""
        self._found |= found
        if self.path is None or not found:
            return
        text = "".join(json.dumps({"key": key, "found": dict(value)}) + "\n" for key, value in found.items())
        with disk_faults(self.path), open(self.path, "ab", buffering=0) as stream:
            append(stream, text.encode())


def lines_of(path: Path) -> Iterator[tuple[str, Found]]:
    """The keys and what was found; a last line that was not finished is taken off the file.

    Raises:
      InputError: it is another file.
    """
    with disk_faults(path):
        data = path.read_bytes()
    *lines, last = data.split(b"\n")
    for number, line in enumerate([*lines, *([] if START.startswith(last[: len(START)]) else [last])], start=1):
        try:
            record = json.loads(line)
            yield record["key"], record["found"]
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{path}, line {number}: this is no file of finished parts; move it away, or give another --output."
            ) from None
    if last:
        with disk_faults(path), open(path, "r+b") as stream:
            stream.truncate(len(data) - len(last))


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[Parts]:
    """The Parts of a file, which no other process has meanwhile."""
    if path is None:
        yield Parts()
        return
    writable(path)
    with locked(path, f"{path} is in use by another run; wait for it, or give another --output.", required=False):
        yield Parts(path)
