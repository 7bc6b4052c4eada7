"""Hugging Face data sets: the name of one on the hub, or a folder of the same layout -> Record after Record, streamed.

The only importer of datasets. Nothing is downloaded as a whole and nothing is kept: rows come as they are read. Used by
rows.py and sources.py.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autorel_jax.data.kinds import HF
from autorel_jax.data.silence import without_logs
from autorel_jax.data.tables import Record, Wanted, place
from autorel_jax.errors import InputError, one_line

if TYPE_CHECKING:
    from datasets import DatasetBuilder, IterableDataset

INSTALL = "pip install 'autorel-jax[hf]'"
NAMES = 2000  # characters of the names of configurations in a message; some sets have hundreds
SPLIT = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<start>\d*):(?P<end>\d*)\])?")


def check(made: DatasetBuilder, name: str, split: str, wanted: Wanted) -> None:
    """Raises InputError if the split or a column is not there."""
    rows = stream(made, name, split)
    with told(f"{HF}{name}"):
        columns = rows.column_names or list(next(iter(rows), {}))  # of some formats they are not known before a row
    for column in wanted:
        if column is not None:
            place(columns, column, f"{HF}{name}")


def examples(made: DatasetBuilder, name: str, split: str, wanted: Wanted) -> Iterator[Record]:
    """The wanted columns of each row of a split, as they are stored: a ClassLabel is a number.

    Args:
      made: from `builder`; it can be pickled, and in another process gives the same rows.
      name: NAME or NAME:CONFIG, NAME on the hub or a folder's path.
      split: for instance `validation`, or some of its rows, `train[:1000]`.
      wanted: names of columns.

    Raises:
      InputError: the split or a column is not there, or cannot be read.
    """
    stored = stream(made, name, split)
    named = dict.fromkeys(column for column in wanted if column is not None)
    rows = iter(stored.select_columns(list(named)))  # what is not asked for, pictures say, is not decoded
    where = f"{HF}{name} {split}"
    for number in itertools.count(1):
        with told(where):
            row = next(rows, None)
        if row is None:
            return
        values = tuple(None if column is None else row[column] for column in wanted)
        yield Record(f"{where}, row {number}", number, values, number)


def label_names(made: DatasetBuilder, column: str | None) -> tuple[str, ...]:
    """The names of the classes of a column; empty where it is no ClassLabel, or where that is not known beforehand."""
    feature = (made.info.features or {}).get(column)
    return tuple(getattr(feature, "names", None) or ())


def state(made: DatasetBuilder) -> list[Any]:
    """What tells another version of a data set: its configuration, and the commit or times of change of its files."""
    files = made.config.data_files or {}
    return [
        made.config.name,
        {str(split): [list(one) for one in of_split.origin_metadata] for split, of_split in files.items()},
    ]


def builder(name: str) -> DatasetBuilder:
    """The builder of a data set, NAME or NAME:CONFIG, or an InputError that says what there is."""
    path, _, config = name.partition(":")
    datasets = package(name)
    with without_logs(), told(f"{HF}{name}"):
        try:
            return datasets.load_dataset_builder(path, config or None)
        except ValueError:  # of the configuration, or of something else
            there = datasets.get_dataset_config_names(path)
            if config in there or (not config and len(there) < 2):
                raise
            problem = f"has no configuration {config!r}" if config else "has several configurations and no default"
            there = one_line(", ".join(there), NAMES)
            raise InputError(f"{HF}{path} {problem}; give {HF}{path}:CONFIG, CONFIG one of {there}.") from None


def stream(made: DatasetBuilder, name: str, split: str) -> IterableDataset:
    """The rows of a split, or of a stretch of it."""
    match = SPLIT.fullmatch(split)
    if match is None:
        raise InputError(f"--split {split}: expected a name, or a stretch of rows such as train[:1000].")
    with told(f"{HF}{name}"):
        rows = made.as_streaming_dataset(split=match["name"])
    start, end = int(match["start"] or 0), match["end"]
    rows = rows.skip(start) if start else rows
    return rows.take(max(int(end) - start, 0)) if end else rows


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
