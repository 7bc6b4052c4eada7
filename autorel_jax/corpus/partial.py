"""Partial: the work in progress of an OUTPUT, in the folder OUTPUT.partial until it becomes OUTPUT by a rename.

The folder holds numbered parts, each with a .json beside it that is written last and says that the part is done, with
the size and checksum of its data, and a manifest of what the command was. Whatever is in it was given its name after it
was complete, so that a process that is killed leaves nothing half written. Used by job.py.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from autorel_jax.data.by_products import partial_of, rejected_of
from autorel_jax.data.row import Rejected
from autorel_jax.errors import InputError
from autorel_jax.files import checksum, disk_faults, locked, put, writable

MANIFEST, LOCK, DRAFT = "manifest.json", "lock", "draft-"
NUMBER = re.compile(r"[0-9]{6,12}")  # of a part, in its file's name
REJECTED = Rejected(None, None, "").record.keys()  # of a row that was left out
DISCARD = "--restart (restart=True) discards it"


def write_rejected(path: Path, records: Iterable[Mapping[str, Any]], folder: Path | None = None) -> None:
    """Writes a line for each row that was left out, by way of the folder; without any, there is no file."""
    draft, none = (folder or path.parent) / f"{DRAFT}{path.name}", True
    with open(draft, "w", encoding="utf-8", errors="backslashreplace") as stream:
        for record in records:
            stream.write(f"{json.dumps(record, ensure_ascii=False)}\n")
            none = False
    if none:
        draft.unlink()
        path.unlink(missing_ok=True)
    else:
        put(draft, path)


@contextlib.contextmanager
def open_partial(
    output: Path, settings: Mapping[str, Any], again: bool = True, restart: bool = False
) -> Iterator[Partial]:
    """The Partial of an output, which nobody else has in use; without a finished part it is gone afterwards.

    Args:
      output: the file in the making; its folder exists.
      settings: JSON, what the command is; work that was begun with others is not continued.
      again: whether the input can be read again; if not, what was done before is discarded, and so is this work if
        it does not come to its end.
      restart: discards what was done before, of whatever command.

    Raises:
      InputError: the output cannot be written, or the work is another process's or another command's.
    """
    target = writable(output)
    with disk_faults(output):
        folder = partial_of(target)
        check_folder(folder)
        folder.mkdir(exist_ok=True)
    in_use = f"{folder} is in use by another process; wait for it, or give another output."
    with locked(folder / LOCK, in_use):
        made = Partial(target, folder)
        with disk_faults(output):
            made.begin(settings, again, restart)
        try:
            yield made
        finally:
            if made.open and (not again or not made.done()):
                made.discard()


def check_folder(folder: Path) -> None:
    """Raises InputError where something else than work in progress has the folder's name."""
    if not folder.exists():
        return
    if folder.is_dir():
        names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(DRAFT)} - {LOCK}
        if not names or MANIFEST in names:
            return
    raise InputError(f"{folder} is no work in progress of this program; remove it, or give another output.")


def refuse_other_schema(folder: Path, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raises InputError where a version with another schema of results began the work; its parts cannot be used.

    Args:
      folder: of the work.
      before: the settings that it was begun with; schema 1 did not write its number.
      settings: those of this command.
    """
    schema, current = before.get("schema", 1), settings.get("schema", 1)
    if before and schema != current:
        version = next(iter(before.get("version", ())), "an unknown version")
        raise InputError(
            f"{folder} was begun by autorel-jax {version} with results of schema {schema}; this version writes schema "
            f"{current} and cannot go on from it. {DISCARD}; or finish it with the version that began it."
        )


class Partial:
    """The finished parts of an output, by number."""

    def __init__(self, output: Path, folder: Path):
        self.output, self.folder, self.suffix = output, folder, output.suffix
        self.open = True  # until the folder is gone

    def begin(self, settings: Mapping[str, Any], again: bool, restart: bool) -> None:
        """Takes over what was done with the same settings, or begins anew."""
        path = self.folder / MANIFEST
        before = read_json(path)
        settings = json.loads(json.dumps(settings, default=str))
        if self.numbers() and before != settings and not restart:
            before = before or {}
            refuse_other_schema(self.folder, before, settings)
            others = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
            known = " A file of the input is known by its size and its time of change." if "input" in others else ""
            raise InputError(
                f"{self.folder} holds unfinished work of another command (other: {', '.join(others)}).{known} The same "
                f"command goes on from it; {DISCARD}."
            )
        for entry in self.entries():
            if entry.name.startswith(DRAFT) or (entry.name != LOCK and (restart or not again)):
                remove(entry)
        self.write(path, json.dumps(settings, indent=1))

    def done(self, check: bool = False) -> dict[int, tuple[int, int]]:
        """Of each finished part that is there and whole, in order: how many rows were explained, and how many left out.

        It is whole if its record can be read and its data have the size that was written; with `check`, which reads
        them all, also the checksum.
        """
        records = {number: self.known(number, check) for number in self.numbers()}
        return {number: (one["rows"], len(one["rejected"])) for number, one in records.items() if one is not None}

    def numbers(self) -> list[int]:
        """Of the parts that have a record, readable or not."""
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if NUMBER.fullmatch(path.stem))

    def known(self, number: int, check: bool) -> dict[str, Any] | None:
        """The record of a part that is there and whole; None if it is not."""
        record = read_json(self.record(number))
        if not is_record(record):
            return None
        data = self.data(number)
        try:
            same = data.stat().st_size == record["bytes"] and (not check or checksum(data) == record["crc32"])
        except FileNotFoundError:
            return None
        return record if same else None

    def rejected(self, number: int) -> list[dict[str, Any]]:
        """The rows of a finished part that were left out."""
        return read_json(self.record(number))["rejected"]

    def told(self, number: int, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """What the record of a finished part holds under those names, else the default."""
        record = read_json(self.record(number))
        return {name: record.get(name, default) for name, default in defaults.items()}

    def data(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"{number:06d}{self.suffix}"

    def record(self, number: int) -> Path:
        """What is known of a part; it is there if and only if the part is done."""
        return self.folder / f"{number:06d}.json"

    def add(self, number: int, write: Callable[[Path], Mapping[str, Any]]) -> None:
        """Adds a part: `write` puts its data into a file and returns its record, at least `rows` and `rejected`."""
        with disk_faults(self.output):
            data = self.data(number)
            draft = data.with_name(f"{DRAFT}{data.name}")
            record = {**write(draft), "bytes": draft.stat().st_size, "crc32": checksum(draft)}
            put(draft, data)
            self.write(self.record(number), json.dumps(record))

    def write(self, path: Path, text: str) -> None:
        """A file that is there as a whole or not at all, also after a loss of power."""
        draft = path.with_name(f"{DRAFT}{path.name}")
        draft.write_text(text, "utf-8")
        put(draft, path)

    def finish(self, numbers: Sequence[int], merge: Callable[[Sequence[Path], BinaryIO], None]) -> None:
        """Makes the output of those parts, which are all done, and removes the folder.

        A process that is killed meanwhile can do it again: until the manifest goes, which is last, the work is known.
        """
        with disk_faults(self.output):
            draft = self.folder / f"{DRAFT}whole{self.suffix}"
            with open(draft, "wb") as stream:
                merge([self.data(number) for number in numbers], stream)
            lines = (line for number in numbers for line in self.rejected(number))
            write_rejected(rejected_of(self.output), lines, self.folder)
            put(draft, self.output)
            self.discard()

    def entries(self) -> list[Path]:
        """What is in the folder, in the order in which it may go: a part is no longer done before its data go."""
        return sorted(
            self.folder.iterdir(), key=lambda path: (path.name == LOCK, path.name == MANIFEST, path.suffix != ".json")
        )

    def discard(self) -> None:
        """Removes the folder; something else may have done so."""
        with contextlib.suppress(FileNotFoundError):
            for entry in self.entries():
                remove(entry)
            self.folder.rmdir()
        self.open = False


def is_record(value: Any) -> bool:
    """Whether this is the record of a part, as `add` writes it."""
    if not isinstance(value, dict) or any(type(value.get(name)) is not int for name in ("rows", "bytes", "crc32")):
        return False
    rejected = value.get("rejected")
    return isinstance(rejected, list) and all(isinstance(one, dict) and one.keys() == REJECTED for one in rejected)


def read_json(path: Path) -> Any:
    """The content of a file, None where there is none or no JSON in it."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def remove(path: Path) -> None:
    """Removes a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
