"""Formats: rows and their explanations -> a part of an output file, and the parts -> the file.

A format is made for one output, with its Contents. Used by job.py.
"""

from __future__ import annotations

import functools
import io
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from autorel_jax.corpus import columns
from autorel_jax.corpus.columns import COLUMNS, FILE, Pairs
from autorel_jax.corpus.contents import Contents, chosen
from autorel_jax.corpus.npz import Npz
from autorel_jax.files import TEXT
from autorel_jax.report import output
from autorel_jax.report.explanation import FIELDS
from autorel_jax.report.json_values import plain

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".parquet"  # of an output that has none
ROW_GROUP = 2**16  # rows of a .parquet file that are compressed together, about 30 MB of short texts
GROUP_BYTES = 2**28  # of a group of rows in memory; read-outs reach it long before ROW_GROUP


class Text:
    """Lines of text, written by a class of report/output.py: the file is a head, then the parts one after the other."""

    def __init__(
        self,
        writer: Callable[..., Any],
        names: Sequence[str],
        contents: Contents,
        more: Sequence[str] = (),
        reserved: Collection[str] = (),
    ):
        default = (*names, FILE) if contents.files else names
        self.names = chosen((*names, *more, FILE), contents, default, reserved=reserved)
        self.make = functools.partial(writer, level=contents.level, columns=self.names, kept=contents.kept)

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

    def __init__(self, contents: Contents):
        import pyarrow as pa

        default = tuple(name for name in COLUMNS if name != FILE or contents.files)
        self.names, self.kept = chosen(COLUMNS, contents, default, reserved=(*COLUMNS, *FIELDS)), contents.kept
        types = {name: contents.types.get(name, pa.string()) for name in contents.kept}
        self.schema = columns.schema(self.names, types, contents.numbered, contents.about)

    def write(self, path: Path, pairs: Pairs) -> None:
        """Writes a part."""
        from pyarrow import parquet

        with open(path, "wb") as stream:  # the library takes no name that is not UTF-8
            parquet.write_table(columns.table(pairs, self.schema, self.kept), stream, compression="zstd")

    def merge(self, parts: Sequence[Path], target: BinaryIO) -> None:
        """Writes the whole, ROW_GROUP rows or a little more at a time."""
        import pyarrow as pa
        from pyarrow import parquet

        with parquet.ParquetWriter(target, self.schema, compression="zstd") as writer:
            for tables in groups(map(read_table, parts)):
                whole = pa.concat_tables(tables).combine_chunks()
                writer.write_table(whole, row_group_size=max(1, whole.num_rows))


def read_table(path: Path) -> pyarrow.Table:
    """A part of a .parquet file."""
    from pyarrow import parquet

    with open(path, "rb") as stream:
        return parquet.read_table(stream)


def groups(tables: Iterator[pyarrow.Table]) -> Iterator[list[pyarrow.Table]]:
    """Tables in groups of at least ROW_GROUP rows or GROUP_BYTES; the last may have fewer."""
    group: list[pyarrow.Table] = []
    for table in tables:
        group.append(table)
        if sum(each.num_rows for each in group) >= ROW_GROUP or sum(each.nbytes for each in group) >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


FORMATS: dict[str, Callable[[Contents], Any]] = {
    ".parquet": Parquet,
    ".jsonl": lambda contents: Text(output.Jsonl, FIELDS, contents, reserved=(*FIELDS, FILE)),
    ".csv": lambda contents: Text(output.Csv, output.csv_columns(contents.level), contents, output.CSV_MORE),
    ".npz": Npz,
}
