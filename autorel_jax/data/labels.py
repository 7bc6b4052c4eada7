"""Labels: what the files say -> the numbers that a head is trained on. Used by splits.py. N rows, C labels."""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import LARGEST_FLOAT, InputError, one_line
from autorel_jax.model.config import MULTI, REGRESSION

SHOWN = 10  # accepted labels that a message lists
NOTHING = ("na", "n/a", "<na>", "#n/a", "none", "null")  # what tables write among numbers where there is nothing
YES, NO = ("true", "yes", "t", "y"), ("false", "no", "f", "n")

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
        labels[row, chosen(value, known, len(task.labels), task.separator, where)] = 1
    return labels


def chosen(value: Any, known: dict[str, int], count: int, separator: str, where: str) -> list[int]:
    """The numbers of the labels of one multi-label row; `count` is C. A list of C zeros and ones is multi-hot.

    Raises:
      InputError: a label twice; or zeros and ones that may as well be the numbers of labels.
    """
    entries = several(value, separator, where)
    hot = [place for place, entry in enumerate(entries) if entry] if is_hot(value) and len(value) == count else None
    if hot is not None and not may_be_labels(value, known):
        return hot
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
    names = {name: i for i, name in enumerate(task.values or task.labels)}
    numbers = {whole(name): i for name, i in names.items() if whole(name) is not None}
    # Names such as 1 to 5 would be mixed up with the numbers 0 to 4. One that is written 1.0 is 1 too.
    if task.values or numbers:
        return names | {number: i for number, i in numbers.items() if number not in names}
    return names | {str(i): i for i in range(len(names))}


def index(value: Any, known: dict[str, int], where: str) -> int:
    """The number of one label."""
    spelt = spellings(value, where)
    numbers = [truth(value, known)] if isinstance(value, bool) else map(known.get, spelt)
    found = next((number for number in numbers if number is not None), None)
    if found is not None:
        return found
    hint = " A test set whose labels are withheld has -1 for all." if spelt[-1] == "-1" else ""
    listed = ", ".join(map(repr, list(known)[:SHOWN])) + (", …" if len(known) > SHOWN else "")
    raise InputError(f"{where}: the label {one_line(value)!r} is unknown; accepted: {listed}.{hint}")


def truth(value: bool, known: dict[str, int]) -> int | None:
    """The number of a boolean label: of the name true or false in any case, else 1 or 0; never that of its opposite."""
    words = {name.lower(): i for name, i in known.items() if name.lower() in (YES[0], NO[0])}
    if words:
        return words.get(str(value).lower())
    number = known.get(str(int(value)))
    opposite = any(i == number and name.lower() in (NO if value else YES) for name, i in known.items())
    return None if opposite else number


def spellings(value: Any, where: str) -> tuple[str, ...]:
    """How a label may be written in a config: as it stands, and as the whole number that it is."""
    if isinstance(value, str):
        text = value.strip()
        if text:
            number = whole(text)
            return (text,) if number is None else (text, number)
    elif isinstance(value, bool):
        return (json.dumps(value),)
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


def whole(text: str) -> str | None:
    """The whole number that a string is, 3 for 3.0 too, in its plain spelling; None: it is none."""
    # Python's own reading would make one label of different ones: 12_3 and 1_23, 1e2 and 100.
    found = re.fullmatch(r"([+-]?\d+)(\.0*)?", text.strip(), re.ASCII)
    with contextlib.suppress(ValueError):  # beyond 4,300 digits
        return str(int(found[1])) if found else None
    return None


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
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_FLOAT:
        raise InputError(f"{where}: the label {one_line(value)!r} is not a finite number, which a regression needs.")
    return float(value)


def distinct(found: Found, separator: str | None) -> tuple[str, ...]:
    """All labels that occur, as the files write them: numbers in their order, else sorted as strings.

    Different spellings of one whole number, 1 and 1.0, are one label. `separator` is None where each row has one.

    Raises:
      InputError: numbers that are not whole, as those of a regression are; what stands for no label; lists whose
        zeros and ones may be multi-hot.
    """
    values: dict[str, str] = {}  # label -> where it occurs first
    for where, value in found:
        if separator is not None:
            check_unnamed(value, where)
        for one in [value] if separator is None else several(value, separator, where):
            text = spellings(one, where)[0]
            if text.lower() == "nan":  # what some tables have where there is nothing
                raise InputError(f"{where}: the label is {text}; every row needs one.")
            values.setdefault(text, where)
    numbers = as_numbers(values)
    nothing = [text for text in values if text.lower() in NOTHING]
    if numbers and nothing and len(numbers) + len(nothing) == len(values):
        raise InputError(
            f"{values[nothing[0]]}: the label is {nothing[0]} among numbers; every row needs one. If it is a label, "
            "name them all in labels."
        )
    fraction = next((text for text, number in numbers.items() if not number.is_integer()), None)
    if len(numbers) == len(values) and fraction:
        raise InputError(
            f"{values[fraction]}: the label {fraction} is a number, but no whole one; for a regression set "
            "problem = 'regression', for classes name them in labels."
        )
    names = one_each(values)
    return tuple(sorted(names, key=numbers.get if len(numbers) == len(values) else None))


def check_unnamed(value: Any, where: str) -> None:
    """Raises InputError for a multi-label row that says too little where the task names no labels."""
    if is_hot(value) and len(value) > 1:
        raise InputError(
            f"{where}: {one_line(value)} may be a 0 or 1 for each label, or labels' numbers; name the labels in labels."
        )
    if isinstance(value, str) and value.lstrip().startswith("["):
        raise InputError(
            f"{where}: the label {one_line(value)!r} is a list written as text; put the labels side by side with the "
            "separator between them, or write .jsonl. If one does begin with [, name them in labels."
        )


def one_each(texts: Iterable[str]) -> list[str]:
    """One spelling of each label: of a whole number the plain one if it occurs, else the first by the alphabet."""
    spelt: dict[str, str] = {}
    for text in sorted(texts):
        number = whole(text)
        spelt[text if number is None else number] = text if text == number else spelt.get(number or text, text)
    return list(spelt.values())


def as_numbers(texts: Iterable[str]) -> dict[str, float]:
    """Those of the strings that are numbers."""
    numbers = {}
    for text in texts:
        try:
            numbers[text] = float(text)
        except ValueError:
            continue
    return numbers
