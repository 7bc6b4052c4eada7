"""Hugging Face data sets: the name of one on the hub, or a folder of the same layout -> Record after Record, streamed.

The only importer of datasets. Nothing is downloaded as a whole and nothing is kept: rows come as they are read. Used by
rows.py and sources.py.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autorel_jax.data.tables import Record, Wanted, place
from autorel_jax.errors import InputError, one_line

if TYPE_CHECKING:
    from datasets import DatasetBuilder, IterableDataset

HF = "hf:"  # before NAME or NAME:CONFIG
INSTALL = "pip install 'autorel-jax[hf]'"
SPLIT = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<start>\d*):(?P<end>\d*)\])?")


def examples(name: str, split: str, wanted: Wanted) -> Iterator[Record]:
    """The wanted columns of each row of a split, as they are stored: a ClassLabel is a number.

    Args:
      name: NAME or NAME:CONFIG, NAME on the hub or a folder's path.
      split: for instance `validation`, or some of its rows, `train[:1000]`.
      wanted: names of columns.

    Raises:
      InputError: at once, if the package, the data set, the split or a column is not there.
    """
    found = stream(builder(name), name, split)
    with told(f"{HF}{name}"):
        columns = found.column_names or list(next(iter(found), {}))  # of some formats they are not known before a row
    named = [column for column in wanted if column is not None]
    for column in named:
        place(columns, column, f"{HF}{name}")
    found = found.select_columns(list(dict.fromkeys(named)))  # what is not asked for, pictures say, is not decoded
    where = f"{HF}{name} {split}"
    return records(found, where, wanted)


def records(found: IterableDataset, where: str, wanted: Wanted) -> Iterator[Record]:
    """The rows of a stream."""
    rows = iter(found)
    for number in range(1, 2**63):
        with told(where):
            row = next(rows, None)
        if row is None:
            return
        values = tuple(None if column is None else row[column] for column in wanted)
        yield Record(f"{where}, row {number}", number, values, number)


def state(name: str) -> list[Any]:
    """What tells another version of a data set: its configuration, and the commit or times of change of its files."""
    made = builder(name)
    files = made.config.data_files or {}
    return [made.config.name, {split: [list(one) for one in found.origin_metadata] for split, found in files.items()}]


def builder(name: str) -> DatasetBuilder:
    """The builder of a data set, or an InputError that says what there is."""
    path, _, config = name.partition(":")
    datasets = package(name)
    with quiet(), told(f"{HF}{name}"):
        return datasets.load_dataset_builder(path, config or None)


def stream(made: DatasetBuilder, name: str, split: str) -> IterableDataset:
    """The rows of a split, or of a stretch of it."""
    match = SPLIT.fullmatch(split)
    if match is None:
        raise InputError(f"--split {split}: expected a name, or a stretch of rows such as train[:1000].")
    with told(f"{HF}{name}"):
        found = made.as_streaming_dataset(split=match["name"])
    start, end = int(match["start"] or 0), match["end"]
    found = found.skip(start) if start else found
    return found.take(max(int(end) - start, 0)) if end else found


def package(name: str) -> Any:
    """The package datasets."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"{HF}{name} needs Hugging Face's datasets ({one_line(error)}): {INSTALL}.") from None
    return datasets


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Makes whatever the library raises an InputError."""
    try:
        yield
    except InputError:
        raise
    except ConnectionError as error:
        raise InputError(
            f"{where}: the hub cannot be reached ({one_line(error)}). Without a network, give a folder that holds the "
            f"data set: {HF}path/to/folder."
        ) from None
    except Exception as error:  # it raises ValueError, FileNotFoundError, ArrowInvalid, HfHubHTTPError and more
        raise InputError(f"{where} cannot be read: {one_line(error)}.") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the library logs of a hub that does not answer, of which our message tells."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
