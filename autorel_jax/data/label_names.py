"""Label names: the labels of the training data -> the names of all labels, for a task that names none.

Used by splits.py.
"""

from collections.abc import Iterable
from typing import Any

from autorel_jax.data.label_ids import NO, YES, spellings, whole
from autorel_jax.data.labels import Labelled, flags_of, several
from autorel_jax.errors import InputError, one_line

NOTHING = ("na", "n/a", "<na>", "#n/a", "none", "null")  # what tables write among numbers where there is nothing


def distinct(labelled: Labelled, separator: str | None) -> tuple[str, ...]:
    """All labels that occur, as the files write them: numbers in their order, else sorted as strings.

    Different spellings of one whole number, 1 and 1.0, are one label. `separator` is None where each row has one.

    Raises:
      InputError: numbers that are not whole, as those of a regression are; what stands for no label; lists whose
        zeros and ones may be multi-hot.
    """
    values: dict[str, str] = {}  # label -> where it occurs first
    for where, value in labelled:
        if separator is not None:
            check_unnamed(value, separator, where)
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
    truths = [text for text in values if text.lower() in (YES[0], NO[0])]
    if numbers and truths and len(numbers) + len(truths) == len(values):
        raise InputError(
            f"{values[truths[0]]}: the label is {truths[0]} among numbers, which may mean the same; write each "
            "label in one way, or name them all in labels."
        )
    fraction = next((text for text, number in numbers.items() if not number.is_integer()), None)
    if len(numbers) == len(values) and fraction:
        raise InputError(
            f"{values[fraction]}: the label {fraction} is a number, but no whole one; for a regression set "
            "problem = 'regression', for classes name them in labels."
        )
    names = one_each(values)
    return tuple(sorted(names, key=numbers.get if len(numbers) == len(values) else None))


def check_unnamed(value: Any, separator: str, where: str) -> None:
    """Raises InputError for a multi-label row that says too little where the task names no labels."""
    if len(flags_of(value, separator) or ()) > 1:
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
