"""Labels: what the files say -> the numbers that a head is trained on. Used by tasks.py. N rows, C labels."""

import contextlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autorel_jax.config import MULTI, REGRESSION
from autorel_jax.errors import InputError, one_line
from autorel_jax.train_config import TaskConfig

LARGEST = float(np.finfo(np.float32).max)
SHOWN = 10  # accepted labels that a message lists

Found = Sequence[tuple[str, Any]]  # of each row: where it stands, for messages, and its label as read


def encode(task: TaskConfig, found: Found) -> np.ndarray:
    """int32 [N]; multi-label: float32 [N, C] of 0 and 1; regression: float32 [N].

    Raises:
      InputError: a label that the task does not have, or that is empty; with the line.
    """
    if task.problem == REGRESSION:
        return np.array([number(value, where) for where, value in found], np.float32)
    known = accepted(task)
    if task.problem != MULTI:
        return np.array([index(value, known, where) for where, value in found], np.int32)
    labels = np.zeros((len(found), len(task.labels)), np.float32)
    for row, (where, value) in enumerate(found):
        labels[row, [index(one, known, where) for one in several(value, task.separator, where)]] = 1
    return labels


def accepted(task: TaskConfig) -> dict[str, int]:
    """How a file may write a label -> its number: by `values` if given, else by name or number."""
    names = {name: i for i, name in enumerate(task.values or task.labels)}
    # Names such as 1 to 5 would be mixed up with the numbers 0 to 4.
    if task.values or any(is_whole(name) for name in names):
        return names
    return names | {str(i): i for i in range(len(names))}


def index(value: Any, known: dict[str, int], where: str) -> int:
    """The number of one label."""
    for spelling in spellings(value, where):
        if spelling in known:
            return known[spelling]
    hint = " A test set whose labels are withheld has -1 for all." if spellings(value, where)[-1] == "-1" else ""
    listed = ", ".join(map(repr, list(known)[:SHOWN])) + (", …" if len(known) > SHOWN else "")
    raise InputError(f"{where}: the label {one_line(value)!r} is unknown; accepted: {listed}.{hint}")


def spellings(value: Any, where: str) -> tuple[str, ...]:
    """How a label may be written in a config: as it stands, and as the whole number that it is."""
    if isinstance(value, str):
        text = value.strip()
        if text:
            return (text, str(int(float(text)))) if is_whole(text) else (text,)
    elif isinstance(value, bool):
        return json.dumps(value), str(int(value))
    elif isinstance(value, int):
        return (str(value),)
    elif isinstance(value, float) and not math.isnan(value):
        return (str(int(value)), str(value)) if value.is_integer() else (str(value),)
    raise InputError(f"{where}: {described(value)}; every row needs one.")


def described(value: Any) -> str:
    """For messages: what a label is that is none."""
    if value is None or isinstance(value, float):
        return f"the label is {'null' if value is None else value}"
    return "the label is empty" if isinstance(value, str) else f"{one_line(value)} is no label"


def is_whole(text: str) -> bool:
    """Whether a string is a whole number, 3.0 too."""
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def several(value: Any, separator: str, where: str) -> list[Any]:
    """The labels of one multi-label row: a list, or a string in which `separator` stands between them."""
    if isinstance(value, str):
        return [part for part in value.split(separator) if part.strip()]
    if value is None:
        raise InputError(f"{where}: {described(value)}; a row without labels has an empty list or string.")
    return value if isinstance(value, list) else [value]


def number(value: Any, where: str) -> float:
    """The finite number of one row of a regression."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise InputError(f"{where}: the label {one_line(value)!r} is not a finite number, which a regression needs.")
    return float(value)


def distinct(found: Found, separator: str | None) -> tuple[str, ...]:
    """All labels that occur, as the files write them: numbers in their order, else sorted as strings.

    `separator` is None where each row has one label.

    Raises:
      InputError: numbers that are not whole, as those of a regression are.
    """
    values: dict[str, str] = {}  # label -> where it occurs first
    for where, value in found:
        for one in [value] if separator is None else several(value, separator, where):
            text = spellings(one, where)[0]
            if text.lower() == "nan":  # what some tables have where there is nothing
                raise InputError(f"{where}: the label is {text}; every row needs one.")
            values.setdefault(text, where)
    numbers = as_numbers(values)
    fraction = next((text for text, number in numbers.items() if not number.is_integer()), None)
    if len(numbers) == len(values) and fraction:
        raise InputError(
            f"{values[fraction]}: the label {fraction} is a number, but no whole one; for a regression set "
            "problem = 'regression', for classes name them in labels."
        )
    return tuple(sorted(values, key=numbers.get if len(numbers) == len(values) else None))


def as_numbers(texts: Iterable[str]) -> dict[str, float]:
    """Those of the strings that are numbers."""
    numbers = {}
    for text in texts:
        try:
            numbers[text] = float(text)
        except ValueError:
            continue
    return numbers
