"""Tags: the labels of a sentence's words, as files have them -> the numbers that a head is trained on.

Used by splits.py. N sentences.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autorel_jax.data.label_ids import by_name, whole
from autorel_jax.data.labels import Labelled, index
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError, one_line
from autorel_jax.text.segments import encodable


def words(value: Any, column: str, where: str) -> tuple[str, ...]:
    """The words of a sentence, or InputError where they are no list of strings."""
    if not isinstance(value, list):
        said = "null" if value is None else f"a {type(value).__name__}"
        raise InputError(f"{where}: {column!r} is {said}; the words of a sentence are a list of strings.")
    for number, word in enumerate(value, 1):
        if not isinstance(word, str):
            raise InputError(f"{where}: {column!r}, word {number} is {one_line(repr(word))}; a word is a string.")
        encodable(word, f"{where}: {column!r}, word {number}")
    return tuple(value)


def check_tags(value: Any, count: int | None, column: str, where: str) -> None:
    """Raises InputError where it is no list with a label for each word, of so many where that is known."""
    if not isinstance(value, list):
        raise InputError(f"{where}: {column!r} is {one_line(repr(value))}; expected a list with a label for each word.")
    if count is not None and len(value) != count:
        raise InputError(f"{where}: {count} words but {len(value)} labels; give one label for each word.")


def encode(task: TaskConfig, labelled: Labelled) -> np.ndarray:
    """[N] of int32 arrays, the labels of each sentence's words.

    Raises:
      InputError: a label that the task does not have; with the word.
    """
    names, found = task.values or task.labels, {}
    are_numbers = task.values or any(whole(name) is not None for name in names)
    ids = range(0 if are_numbers else len(names))  # also beside I-PER, whose I is no Roman figure
    known = by_name(names) | {str(i): i for i in ids}
    rows = np.empty(len(labelled), object)
    for row, (where, values) in enumerate(labelled):
        for number, value in enumerate(values, 1):
            if not isinstance(value, str | int) or (type(value), value) not in found:
                found[type(value), value] = index(checked(value, place(where, number)), known, place(where, number))
        rows[row] = np.array([found[type(value), value] for value in values], np.int32)
    return rows


def distinct(labelled: Labelled, column: str) -> tuple[str, ...]:
    """All labels that occur, sorted.

    Raises:
      InputError: labels that are numbers, whose names nobody says.
    """
    names: set[str] = set()
    for where, values in labelled:
        check_tags(values, None, column, where)
        for number, value in enumerate(values, 1):
            if isinstance(value, str) and value in names:
                continue
            if not isinstance(checked(value, place(where, number)), str):
                raise InputError(
                    f"{place(where, number)}: the label {value} is a number; name the labels, in the order of their "
                    "numbers, in [task] labels."
                )
            names.add(value)
    return tuple(sorted(names))


def checked(value: Any, where: str) -> str | int:
    """The label itself, or InputError where it is neither a name nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or (isinstance(value, str) and not value.strip()):
        raise InputError(f"{where}: {one_line(repr(value))} is no label; a word has a name, or a whole number.")
    return value


def place(where: str, number: int) -> str:
    """Where a word stands, for messages."""
    return f"{where}, word {number}"


def in_one(labels: Sequence[np.ndarray]) -> np.ndarray:
    """What all words or tokens have, one sentence after the other."""
    return np.concatenate([np.zeros(0, np.int32), *labels])
