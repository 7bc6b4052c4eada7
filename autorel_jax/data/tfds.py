"""TensorFlow Datasets: a data set's name -> Record after Record, without TensorFlow.

The only importer of tensorflow_datasets. Data are read where they have been prepared and never downloaded: without a
network that takes minutes to fail. Used by splits.py and rows.py.
"""

import difflib
import itertools
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax.data.label_ids import class_number
from autorel_jax.data.silence import without_logs
from autorel_jax.data.tables import Record, Wanted, place
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError, one_line
from autorel_jax.model.config import REGRESSION

INSTALL = "pip install 'autorel-jax[tfds]'"
PREPARE = (
    'python -c "import tensorflow_datasets.text, tensorflow_datasets as t; '
    "t.builder({name!r}, data_dir={folder!r}, file_format='array_record').download_and_prepare()\""
)
LENGTH = struct.Struct("<Q4x")  # before a TFRECORD: its bytes, and their checksum
CHECKSUM = 4  # bytes after a TFRECORD


def records(task: TaskConfig, split: str, wanted: Wanted, folder: Path) -> Iterator[Record]:
    """The wanted features of each example of a split, such as `validation` or `train[:90%]`; text as str.

    A ClassLabel is given by what the task calls it; of a regression, by its name.

    Raises:
      InputError: the package, the data set, the split or a feature is not there; says how to get it.
    """
    stored = examples(task.tfds, split, wanted, folder)
    names = _names_to_use(task, class_names(prepared(task.tfds, folder).info.features[task.label]))
    for record in stored:
        text, pair, label, row = record.values
        label = _named(label, names)
        if names and task.problem == REGRESSION and isinstance(label, int):
            label = None  # -1: withheld
        yield record._replace(values=(text, pair, label, row))


def examples(name: str, split: str, wanted: Wanted, folder: Path) -> Iterator[Record]:
    """The wanted features of each example of a split, as they are stored: a ClassLabel is a number.

    Raises:
      InputError: at once, if the package, the data set or a feature is not there.
    """
    builder = prepared(name, folder)
    for column in wanted:
        if column is not None:
            place(list(builder.info.features), column, name)

    def rows() -> Iterator[Record]:
        for number, example in enumerate(_examples(builder, name, split), 1):
            where = f"{name} {split}, row {number}"
            values = tuple(None if column is None else _plain(example[column], where) for column in wanted)
            yield Record(where, number, values, number)

    return rows()


def label_names(task: TaskConfig, folder: Path) -> tuple[str, ...]:
    """The names of the label's classes; empty where it is no ClassLabel."""
    return feature_names(task.tfds, task.label, folder)


def feature_names(name: str, column: str, folder: Path) -> tuple[str, ...]:
    """The names of a feature's classes, likewise."""
    features = prepared(name, folder).info.features
    place(list(features), column, name)
    return class_names(features[column])


def prepared(name: str, folder: Path) -> Any:
    """The builder of a data set that is in the folder, or an InputError that says how to get it there."""
    with without_logs():
        tensorflow_datasets = _package(name)
        try:
            builder = tensorflow_datasets.builder(name, data_dir=str(folder))
            there = builder.is_prepared()
        except Exception as error:  # it raises ValueError, AssertionError, RuntimeError and more
            raise InputError(f"tfds = {name!r}: {_complaint(tensorflow_datasets, name, error)}") from None
    if not there:
        raise InputError(
            f"{name} is not in {folder}: there is no {builder.data_path}. Give the folder that it is in (--data-dir), "
            f"or get it, once: {PREPARE.format(name=name, folder=str(folder))}"
        )
    return builder


def data_path(name: str, folder: Path) -> Path:
    """The folder of the files of a data set that is there."""
    return Path(prepared(name, folder).data_path)


def _package(name: str) -> Any:
    try:
        import tensorflow_datasets

        # Without it, glue and others are "not found"; and the first import hides that a dependency is missing.
        import tensorflow_datasets.text
    except ImportError as error:
        raise InputError(f"tfds = {name!r} needs TensorFlow Datasets ({one_line(error)}): {INSTALL}.") from None
    return tensorflow_datasets


def class_names(feature: Any) -> tuple[str, ...]:
    """The names of a ClassLabel, or of a sequence of them; empty for another feature."""
    return tuple(getattr(getattr(feature, "feature", feature), "names", None) or ())


def _names_to_use(task: TaskConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    """What a class is called in the task, or the number that its name is; empty where the numbers stand as they are."""
    if not names or (task.problem == REGRESSION and all(_is_number(name) for name in names)):
        return names
    has = f"{task.tfds} has the labels {one_line(', '.join(names))}"
    if task.problem == REGRESSION:
        raise InputError(f"{has}, which are not numbers; a regression needs numbers.")
    wanted = task.values or task.labels
    if not wanted:
        return ()
    places = [class_number((name, f"id:{i}"), wanted) for i, name in enumerate(names)]
    if None in places or len({*places}) < len(places):
        raise InputError(
            f"{has}, the task {one_line(', '.join(wanted))}: which is which is not certain. Leave out [task] labels to "
            "use the data set's, or give its names as [task] values, in the order of [task] labels."
        )
    return tuple(wanted[place] for place in places)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _named(label: Any, names: tuple[str, ...]) -> Any:
    if isinstance(label, list):
        return [_named(one, names) for one in label]
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else label


def _complaint(tfds: Any, name: str, error: Exception) -> str:
    """What is wrong with the name of a data set, in the place of TFDS's list of all of them."""
    base = name.split(":")[0].split("/")[0]
    if isinstance(error, tfds.core.DatasetNotFoundError):
        close = difflib.get_close_matches(base, tfds.list_builders(with_community_datasets=False), n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        return f"there is no such data set, neither in TensorFlow Datasets nor in the data folder.{hint}"
    try:
        configs = getattr(tfds.builder_cls(base), "builder_configs", {})
    except Exception:  # a name that cannot be one
        return f"{one_line(error)}."
    config = name.split(":")[0].partition("/")[2]
    if config and config not in configs:
        return f"{base} has no {config!r}; there are: {', '.join(configs) or 'none'}."
    return f"{one_line(str(error).split(': ', 1)[-1]).rstrip('.')}."


def _examples(builder: Any, name: str, split: str) -> Iterable[dict[str, Any]]:
    """The decoded examples of a split; a split that is not there or cannot be read is an InputError."""
    try:
        instructions = builder.info.splits[split].file_instructions
    except (ValueError, KeyError):
        there = ", ".join(f"{part} ({info.num_examples} rows)" for part, info in builder.info.splits.items())
        raise InputError(
            f"{name} has no split {split!r}; there are: {there}, and parts of these rows such as train[:90%]."
        ) from None
    if not instructions:
        return ()
    stored = builder.info.file_format.value
    if stored == "tfrecord":  # what TFDS writes by default; its own reader of it needs TensorFlow
        return map(builder.info.features.deserialize_example_np, _tfrecords(instructions))
    if stored != "array_record":
        again = PREPARE.format(name=name, folder="NEW FOLDER")
        raise InputError(f"{name} is stored as {stored}, which is not read here. Prepare it again: {again}")
    try:
        return builder.as_data_source(split)
    except ImportError as error:
        raise InputError(f"{name} is stored as array_record ({one_line(error)}): {INSTALL}.") from None


def _tfrecords(instructions: Iterable[Any]) -> Iterator[bytes]:
    """The records of the shards; checksums are not checked."""
    for part in instructions:
        try:
            with open(part.filename, "rb") as stream:
                yield from itertools.islice(_shard(stream, part.filename), part.skip, part.skip + part.take)
        except OSError as error:
            raise InputError(f"{part.filename} cannot be read: {error.strerror}.") from None


def _shard(stream: Any, name: str) -> Iterator[bytes]:
    while head := stream.read(LENGTH.size):
        size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else -1
        record = stream.read(size + CHECKSUM) if 0 <= size < 2**31 else b""
        if len(record) != size + CHECKSUM:
            raise InputError(f"{name} is cut off or no TFRECORD file; prepare the data set again.")
        yield record[:size]


def _plain(value: Any, where: str) -> Any:
    """A feature's value as Python's own types; bytes as the text that they are in UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not utf-8 ({one_line(error)}).") from None
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one, where) for key, one in value.items()}
    return [_plain(one, where) for one in value] if isinstance(value, list) else value
