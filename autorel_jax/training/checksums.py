"""Checksums: the files of a folder -> one CRC-32 for each, kept beside them. Used by run_state.py and saved_state.py.

An item is a folder in that folder; its files are those anywhere below it.
"""

import json
from pathlib import Path

from autorel_jax.files import checksum

CHECKSUMS = "checksums.json"


def seal(folder: Path, *items: str) -> None:
    """Writes the checksums of these items, whose files are complete, into the folder."""
    (folder / CHECKSUMS).write_text(json.dumps(checksums(folder, *items)), encoding="utf-8")


def verify(folder: Path, *items: str) -> None:
    """Raises ValueError or OSError where the files of these items are not those that were sealed."""
    written = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    written = {name: value for name, value in written.items() if name.split("/")[0] in items}
    if not written:
        raise ValueError(f"{CHECKSUMS} is not what was written")
    present = checksums(folder, *items)
    for name, value in written.items():
        if present.get(name) != value:
            raise ValueError(f"{name} is {'not what was written' if name in present else 'missing'}")


def checksums(folder: Path, *items: str) -> dict[str, int]:
    """Of each file of the items; tensorstore itself sees missing and truncated files, but no changed bits of arrays."""
    files = (file for item in items for file in sorted((folder / item).rglob("*")) if file.is_file())
    return {file.relative_to(folder).as_posix(): checksum(file) for file in files}
