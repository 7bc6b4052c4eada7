"""Npz: rows and their explanations -> arrays of NumPy in a .npz file, part by part, and the parts -> the file.

docs/output.md says what the arrays are. Used by formats.py. N explanations.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from autorel_jax.corpus import nested
from autorel_jax.corpus.columns import COLUMNS, FILE, Pairs, column_of, in_json
from autorel_jax.corpus.contents import Contents, chosen
from autorel_jax.errors import InputError
from autorel_jax.report import fields as kinds

LISTS = (kinds.TEXTS, kinds.COUNTS, kinds.NUMBERS, kinds.SPANS)  # kinds of columns that are lists
LENGTHS, OFFSETS = "_lengths", "_offsets"  # after the name of a list
PREFIXES = tuple(f"{kind}_" for kind in nested.KINDS)  # before the name of an array that is a part of a column


class Npz:
    """Arrays for NumPy: a list for each row is one array of all items, with the offsets where each row's begin."""

    def __init__(self, contents: Contents):
        names = tuple(name for name, column in COLUMNS.items() if column.numpy)
        default = tuple(name for name in names if name != FILE or contents.files)
        self.names, self.numbered, self.kept = chosen(names, contents, default), contents.numbered, contents.kept
        for name in self.kept:
            if name.startswith(PREFIXES) or name.endswith((LENGTHS, OFFSETS)):
                raise InputError(
                    f"--keep-columns {name}: in .npz, names that begin with {', '.join(PREFIXES)} or end with "
                    f"{LENGTHS}, {OFFSETS} are those of its own arrays; rename the column, or use .parquet."
                )

    def write(self, path: Path, pairs: Pairs) -> None:
        """Writes a part: as the whole, but with lengths in place of offsets."""
        with open(path, "wb") as target, zipfile.ZipFile(target, "w") as archive:
            for name, array in self.arrays(pairs):
                store(archive, name, array.shape, array.dtype, [array])

    def arrays(self, pairs: Pairs) -> Iterator[tuple[str, np.ndarray]]:
        """The arrays of a part by name."""
        for name in self.names:
            column = column_of(name)
            kind, values = column.kind, column.values(pairs)
            if kind in nested.KINDS:
                for part, items, lengths in nested.numpy_arrays(values, kind):
                    if lengths is not None:
                        yield f"{part}{LENGTHS}", lengths
                    yield part, items
                continue
            if kind in LISTS:
                lists = [() if value is None else value for value in values]
                yield f"{name}{LENGTHS}", np.array([len(value) for value in lists], np.int64)
                values = [item for value in lists for item in value]
            yield name, packed(values, kind, self.numbered)
        for place, name in enumerate(self.kept):
            kept = [row.kept[place] for row, _ in pairs]
            yield name, np.array([value if isinstance(value, str) else in_json(value) for value in kept], "U")

    def merge(self, parts: Sequence[Path], target: BinaryIO) -> None:
        """Writes the whole, one array of one part in memory at a time."""
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            named = [names_in(path) for path in parts]
            empty = dict(self.arrays(()))
            for name in max(named, key=len, default=tuple(empty)):  # a part without rows has no array of read-outs
                having = [path for path, names in zip(parts, named, strict=True) if name in names]
                headers = [header(path, name) for path in having] or [(empty[name].shape, empty[name].dtype)]
                shape = (sum(shape[0] for shape, _ in headers), *headers[0][0][1:])
                dtype = max((dtype for _, dtype in headers), key=lambda dtype: dtype.itemsize)
                arrays = (loaded(path, name) for path in having)
                if name.endswith(LENGTHS):
                    offsets = np.concatenate([np.zeros(1, np.int64), *arrays]).cumsum()
                    store(archive, name.removesuffix(LENGTHS) + OFFSETS, offsets.shape, offsets.dtype, [offsets])
                else:
                    store(archive, name, shape, dtype, arrays)


def packed(values: list[Any], kind: str, numbered: bool) -> np.ndarray:
    """The values of a column, or the items of its lists, as one array."""
    if kind in (kinds.SPAN, kinds.SPANS):
        return np.array([(-1, -1) if span is None else span for span in values], np.int32).reshape(-1, 2)
    if kind in (kinds.NUMBER, kinds.NUMBERS):
        return np.array(values, np.float64 if kind == kinds.NUMBER else np.float32)  # None becomes NaN
    if kind in (kinds.COUNT, kinds.COUNTS):
        return np.array(values, np.int32)
    if kind == kinds.ID and numbered:
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
    with np.load(path) as arrays:
        return arrays[name]


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
