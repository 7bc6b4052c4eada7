"""Labels: what the files say -> the numbers that a head is trained on. Used by splits.py and label_names.py.

N rows, C labels.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from autorel_jax.data.label_ids import NO, YES, known_labels, label_number, whole
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import LARGEST_FLOAT, InputError, one_line
from autorel_jax.model.config import MULTI, REGRESSION

# Python's own reading would also take 1_000 and the digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SHOWN = 10  # accepted labels that a message lists

Labelled = Sequence[tuple[str, Any]]  # of each row: where it stands, for messages, and its label as read


def encode(task: TaskConfig, labelled: Labelled) -> np.ndarray:
    """int32 [N]; multi-label: float32 [N, C] of 0 and 1; regression: float32 [N].

    Raises:
      InputError: a label that the task does not have, or that is empty; with the line.
    """
    if task.problem == REGRESSION:
        return np.array([number(value, where) for where, value in labelled], np.float32)
    known = accepted(task)
    if task.problem != MULTI:
        return np.array([index(value, known, where) for where, value in labelled], np.int32)
    labels = np.zeros((len(labelled), len(task.labels)), np.float32)
    for row, (where, value) in enumerate(labelled):
        labels[row, chosen(value, known, len(task.labels), task.separator, where)] = 1
    return labels


def chosen(value: Any, known: dict[str, int], count: int, separator: str, where: str) -> list[int]:
    """The numbers of the labels of one multi-label row; `count` is C. A list of C zeros and ones is multi-hot.

    Raises:
      InputError: a label twice; or zeros and ones that may as well be the numbers of labels.
    """
    entries, flags = several(value, separator, where), flags_of(value, separator)
    hot = [place for place, entry in enumerate(flags) if entry] if flags and len(flags) == count else None
    if hot is not None and isinstance(value, list) and not may_be_labels(flags, known):
        return hot
    if isinstance(value, str) and re.fullmatch("0[01]+", value.strip()) and value.strip() not in known:
        raise InputError(
            f"{where}: {one_line(value)} may be a 0 or 1 for each label; put {separator!r} between them, or write the "
            "labels' names."
        )
    numbers = [index(entry, known, where) for entry in entries]
    if hot is not None and set(hot) != set(numbers):
        raise InputError(
            f"{where}: {one_line(value)} may be the numbers of labels, or a 0 or 1 for each of the {count} labels; "
            "write the labels' names."
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(
            f"{where}: {one_line(value)} names one label twice; a row has the names or numbers of different labels, "
            f"or a list with a 0 or 1 for each of the {count} labels."
        )
    return numbers


def flags_of(value: Any, separator: str) -> list[Any] | None:
    """The zeros and ones of a row that may be multi-hot: a list, or a string of two at least; None of any other."""
    if isinstance(value, str):
        parts = [whole(part) for part in value.split(separator)]
        return list(map(int, parts)) if len(parts) > 1 and set(parts) <= {"0", "1"} else None
    return value if is_hot(value) else None


def is_hot(value: Any) -> bool:
    """Whether it is a list of zeros and ones, or booleans: what may be multi-hot."""
    return isinstance(value, list) and bool(value) and all(isinstance(x, int | float) and x in (0, 1) for x in value)


def may_be_labels(value: list[Any], known: dict[str, int]) -> bool:
    """Whether zeros and ones may name different labels. Booleans do only where labels are spelled so."""
    if len(set(value)) < len(value):
        return False
    if any(isinstance(entry, bool) for entry in value):
        return any(name.lower() in (YES[0], NO[0]) for name in known)
    return all(str(int(entry)) in known for entry in value)


def accepted(task: TaskConfig) -> dict[str, int]:
    """How a file may write a label -> its number: by `values` if given, else by name or number."""
    return known_labels(task.values or task.labels, ids=not task.values)


def index(value: Any, known: dict[str, int], where: str) -> int:
    """The number of one label."""
    number = label_number(value, known, where)
    if number is not None:
        return number
    hint = " A test set whose labels are withheld has -1 for all." if str(value).strip() == "-1" else ""
    listed = ", ".join(map(repr, list(known)[:SHOWN])) + (", …" if len(known) > SHOWN else "")
    raise InputError(f"{where}: the label {one_line(value)!r} is unknown; accepted: {listed}.{hint}")


def several(value: Any, separator: str, where: str) -> list[Any]:
    """The labels of one multi-label row: a list, or a string in which `separator` stands between them."""
    if isinstance(value, str):
        return [part for part in value.split(separator) if part.strip()]
    return value if isinstance(value, list) else [value]


def number(value: Any, where: str) -> float:
    """The finite number of one row of a regression."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_FLOAT:
        raise InputError(f"{where}: the label {one_line(value)!r} is not a finite number, which a regression needs.")
    return float(value)
