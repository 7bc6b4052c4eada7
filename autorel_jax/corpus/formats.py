"""Formats: rows and their explanations -> a part of an output file, and the parts -> the file.

A format is made for one output: with the columns that were asked for, and the names of those that pass through. Used
by job.py.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from autorel_jax.corpus import columns
from autorel_jax.corpus import nested as inside
from autorel_jax.corpus.columns import COLUMNS, Pairs
from autorel_jax.errors import InputError
from autorel_jax.files import TEXT
from autorel_jax.report import output
from autorel_jax.report.explanation import FIELDS, plain

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".parquet"  # of an output that has none
ROW_GROUP = 2**16  # rows of a .parquet file that are compressed together, about 30 MB of short texts
GROUP_BYTES = 2**28  # of a group of rows in memory; read-outs reach it long before its rows
FILE = "file"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What goes into an output.

    Attributes:
      columns: names, in their order; empty for all of the format.
      kept: names of the input's columns that pass through, behind the others.
      level: "word" or "token", of .csv.
      files: whether there is more than one input file, so that each row tells its own.
      numbered: whether ids are numbers of rows.
      types: Arrow types of the columns that pass through, where they are known.
      about: JSON, the same for all rows.
      audit: whether there are ledgers to write.
      readouts: names of the read-outs that there are to write.
    """

    columns: Sequence[str] = ()
    kept: Sequence[str] = ()
    level: str = "word"
    files: bool = False
    numbered: bool = True
    types: Mapping[str, pyarrow.DataType] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    audit: bool = False
    readouts: Sequence[str] = ()


class Text:
    """Lines of text, written by a class of report/output.py: a file is its head and its parts one after the other."""

    def __init__(self, writer: Callable[..., Any], names: Sequence[str], choice: Choice, more: Sequence[str] = ()):
        default = (*names, FILE) if choice.files else names
        self.names = chosen((*names, *more, FILE), choice, default)
        self.make = functools.partial(writer, level=choice.level, columns=self.names, kept=choice.kept)

    def write(self, path: Path, pairs: Pairs) -> None:
        """Writes a part."""
        with open(path, "w", **TEXT) as stream:
            writer = self.make(stream)
            for row, explanation in pairs:
                writer.write(explanation, row.file, [plain(value) for value in row.kept])

    def merge(self, parts: Sequence[Path], target: BinaryIO) -> None:
        """Writes the whole."""
        head = io.StringIO()
        self.make(head).begin()
        target.write(head.getvalue().encode())
        for path in parts:
            with open(path, "rb") as part:
                shutil.copyfileobj(part, target, 2**20)


class Parquet:
    """One row for each explanation, lists nested, compressed with zstd."""

    def __init__(self, choice: Choice):
        import pyarrow as pa

        default = tuple(name for name in COLUMNS if name != FILE or choice.files)
        self.names, self.kept = chosen(COLUMNS, choice, default), choice.kept
        types = {name: choice.types.get(name, pa.string()) for name in choice.kept}
        self.schema = columns.schema(self.names, types, choice.numbered, choice.about)

    def write(self, path: Path, pairs: Pairs) -> None:
        """Writes a part."""
        from pyarrow import parquet

        parquet.write_table(columns.table(pairs, self.schema, self.kept), path, compression="zstd")

    def merge(self, parts: Sequence[Path], target: BinaryIO) -> None:
        """Writes the whole, ROW_GROUP rows or a little more at a time."""
        import pyarrow as pa
        from pyarrow import parquet

        with parquet.ParquetWriter(target, self.schema, compression="zstd") as writer:
            for tables in groups(parquet.read_table(path, memory_map=False) for path in parts):
                made = pa.concat_tables(tables).combine_chunks()
                writer.write_table(made, row_group_size=max(1, made.num_rows))


class Npz:
    """Arrays for NumPy: a list for each row is one array of all items, with the offsets where each row's begin."""

    LEFT_OUT = ("text", "text_pair", "warnings", "windows")  # NumPy gives every string the room of the longest

    def __init__(self, choice: Choice):
        names = tuple(name for name in COLUMNS if name not in self.LEFT_OUT)
        default = tuple(name for name in names if name != FILE or choice.files)
        self.names, self.numbered, self.kept = chosen(names, choice, default), choice.numbered, choice.kept
        for name in self.kept:
            if name.startswith(MADE) or name.endswith((LENGTHS, OFFSETS)):
                raise InputError(
                    f"--keep-columns {name}: in .npz, names that begin with {', '.join(MADE)} or end with {LENGTHS}, "
                    f"{OFFSETS} are those of its own arrays; rename the column, or use .parquet."
                )

    def write(self, path: Path, pairs: Pairs) -> None:
        """Writes a part: as the whole, but with lengths in place of offsets."""
        with open(path, "wb") as target, zipfile.ZipFile(target, "w") as archive:
            for name, array in self.arrays(pairs):
                store(archive, name, array.shape, array.dtype, [array])

    def arrays(self, pairs: Pairs) -> Iterator[tuple[str, np.ndarray]]:
        """The arrays of a part by name."""
        for name in self.names:
            kind = COLUMNS[name][0]
            values = [COLUMNS[name][1](row, made) for row, made in pairs]
            if kind in inside.KINDS:
                for part, items, lengths in inside.numpy_arrays(values, kind):
                    if lengths is not None:
                        yield f"{part}{LENGTHS}", lengths
                    yield part, items
                continue
            if kind in (columns.TEXTS, columns.COUNTS, columns.NUMBERS, columns.SPANS):
                lists = [() if value is None else value for value in values]
                yield f"{name}{LENGTHS}", np.array([len(value) for value in lists], np.int64)
                values = [item for value in lists for item in value]
            yield name, packed(values, kind, self.numbered)
        for place, name in enumerate(self.kept):
            kept = [row.kept[place] for row, _ in pairs]
            yield name, np.array([value if isinstance(value, str) else columns.in_json(value) for value in kept], "U")

    def merge(self, parts: Sequence[Path], target: BinaryIO) -> None:
        """Writes the whole, one array of one part in memory at a time."""
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            named = [names_in(path) for path in parts]
            empty = dict(self.arrays(()))
            for name in max(named, key=len, default=tuple(empty)):  # a part without rows has no array of read-outs
                having = [path for path, names in zip(parts, named, strict=True) if name in names]
                found = [header(path, name) for path in having] or [(empty[name].shape, empty[name].dtype)]
                shape = (sum(shape[0] for shape, _ in found), *found[0][0][1:])
                dtype = max((dtype for _, dtype in found), key=lambda dtype: dtype.itemsize)
                arrays = (loaded(path, name) for path in having)
                if name.endswith(LENGTHS):
                    offsets = np.concatenate([np.zeros(1, np.int64), *arrays]).cumsum()
                    store(archive, name.removesuffix(LENGTHS) + OFFSETS, offsets.shape, offsets.dtype, [offsets])
                else:
                    store(archive, name, shape, dtype, arrays)


LENGTHS, OFFSETS = "_lengths", "_offsets"  # after the name of a list
MADE = tuple(f"{kind}_" for kind in inside.KINDS)  # before the name of a part of a column


def packed(values: list[Any], kind: str, numbered: bool) -> np.ndarray:
    """The values of a column, or the items of its lists, as one array."""
    if kind == columns.SPANS:
        return np.array([(-1, -1) if span is None else span for span in values], np.int32).reshape(-1, 2)
    if kind in (columns.NUMBER, columns.NUMBERS):
        return np.array(values, np.float64 if kind == columns.NUMBER else np.float32)  # None becomes NaN
    if kind in (columns.COUNT, columns.COUNTS):
        return np.array(values, np.int32)
    if kind == columns.ID and numbered:
        return np.array(values, np.int64)
    return np.array(["" if value is None else str(value) for value in values], "U")


def names_in(path: Path) -> tuple[str, ...]:
    """The names of the arrays in an .npz file, in their order."""
    with zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array in an .npz file, without the array."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)  # as `store` writes it
        return shape, dtype


def loaded(path: Path, name: str) -> np.ndarray:
    """An array of an .npz file."""
    with np.load(path) as found:
        return found[name]


def store(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype, parts: Iterable[np.ndarray]
) -> None:
    """Writes an array of that shape and type, given in parts, into an .npz file."""
    # A ZipInfo of its own has a fixed date, so that the same arrays give the same bytes.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = archive.compression
    with archive.open(entry, "w", force_zip64=True) as stream:
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype).tobytes())


def groups(tables: Iterator[pyarrow.Table]) -> Iterator[list[pyarrow.Table]]:
    """Tables in groups of at least ROW_GROUP rows or GROUP_BYTES; the last may have fewer."""
    group: list[pyarrow.Table] = []
    for made in tables:
        group.append(made)
        if sum(one.num_rows for one in group) >= ROW_GROUP or sum(one.nbytes for one in group) >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def chosen(names: Sequence[str], choice: Choice, default: Sequence[str]) -> tuple[str, ...]:
    """The columns that an output has, of `names` that it can have.

    Raises:
      InputError: a column that there is not, or that is asked for twice, or a kept one whose name is taken; or what
        was computed at one's wish has no column.
    """
    for name in choice.columns:
        if name not in names:
            raise InputError(f"--columns {name}: there is no such column; available: {', '.join(names)}.")
    found = tuple(choice.columns) or tuple(default)
    everything = (*found, *choice.kept)
    twice = next((name for name in everything if everything.count(name) > 1), None)
    if twice is not None:
        if twice in choice.kept and twice in found:
            raise InputError(
                f"--keep-columns {twice}: the output has a column of this name already; leave that out (--columns)."
            )
        raise InputError(f"The column {twice} is asked for twice.")
    for flag, asked, name in (
        ("--audit", choice.audit, inside.LEDGER),
        ("--readout", choice.readouts, inside.READOUTS),
    ):
        if asked and name not in names:
            raise inside.not_in(flag, name, inside.SHOWN_IN[name])
        if asked and name not in found:
            raise InputError(f"{flag}: --columns leaves out what it asks for; add {name}.")
    return found


FORMATS: dict[str, Callable[[Choice], Any]] = {
    ".parquet": Parquet,
    ".jsonl": lambda choice: Text(output.Jsonl, FIELDS, choice),
    ".csv": lambda choice: Text(output.Csv, output.csv_columns(choice.level), choice, output.CSV_MORE),
    ".npz": Npz,
}
