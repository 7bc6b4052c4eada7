"""Label ids: a label as a file, a flag or a program writes it -> its number among a model's. The one rule for it.

A label is compared with the names first, and a number with names that are numbers by its value: 1, 1.0 and "1.0" are
the name "1". It is an id, counted from 0, only where no name tells of a number; `id:1` is one always. A class of a data
set has a name of its own: the id counts only where the model's names say nothing. Used by labels.py to train and by
classifier.py to explain. C labels.
"""

import contextlib
import decimal
import json
import math
import numbers
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from autorel_jax.errors import InputError, one_line

YES, NO = ("true", "yes", "t", "y"), ("false", "no", "f", "n")
ID = re.compile(r"id:(\d{1,9})", re.ASCII)
SPELT = re.compile(
    r"\b(?:(?i:zero|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|fourth|fifth)"
    r"|I{1,3}|IV|VI{0,3}|IX)\b"
)  # a number in words or in Roman figures
SILENT = re.compile(r"label[_ -]?\d+", re.ASCII | re.IGNORECASE)  # a name that says nothing, as a number does


def known_labels(names: Sequence[str], ids: bool = True) -> dict[str, int]:
    """How a label may be written -> its number: by name, by the number that a name is, by id.

    Args:
      names: C names, or what stands for them in the files.
      ids: whether a bare number may be an id.
    """
    found = {name: i for i, name in reversed(list(enumerate(names)))}  # of two equal names the first
    found = {name: found[name] for name in names}
    as_numbers = {whole(name): i for name, i in reversed(found.items()) if whole(name) is not None}
    if as_numbers or not ids:
        return {number: i for number, i in as_numbers.items() if number not in found} | found
    if any(tells_of_another(name, i) for i, name in enumerate(names)):
        return found
    return found | {str(i): i for i in range(len(names)) if str(i) not in found}


def tells_of_another(name: str, place: int) -> bool:
    """Whether a name has a number in it that is not its id, or is the yes or no that the id is not.

    "1 star" and "Grade I" are 0, so that a bare 1 may be either; of "yes" and "no", 1 is "no".
    """
    found = re.findall(r"\d+", name, re.ASCII)
    if len(found) == 1 and not SPELT.search(name):
        return found[0].lstrip("0") != str(place).lstrip("0")
    numbered = bool(found or SPELT.search(name) or any(character.isnumeric() for character in name))
    return numbered or name.strip().lower() in (YES if place == 0 else NO if place == 1 else ())


def as_number(value: Any) -> Any:
    """A decimal number, as databases write it to Parquet, as an int or a float; anything else itself."""
    if not isinstance(value, decimal.Decimal) or not value.is_finite():
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def label_number(value: Any, known: dict[str, int], where: str) -> int | None:
    """The number of a label, None where there is no such label.

    Args:
      value: a string, a number, a bool or NumPy's of these.
      known: from `known_labels`.
      where: what the label is of, for messages.

    Raises:
      InputError: it cannot be a label: null, NaN, empty, a dict.
    """
    value = value.item() if isinstance(value, np.generic) else value
    spelt = spellings(value, where)
    if isinstance(value, bool):
        return truth(value, known)
    number = next((known[text] for text in spelt if text in known), None)
    if number is None and (match := ID.fullmatch(spelt[0])):
        return int(match[1]) if int(match[1]) in known.values() else None
    return number


def is_class(label: Any) -> bool:
    """Whether it is a class of a data set: its name, and its id there."""
    return isinstance(label, tuple) and len(label) == 2 and ID.fullmatch(str(label[1])) is not None


def class_number(label: tuple[str, str], names: Sequence[str]) -> int | None:
    """The number of a data set's class among a model's labels, None where that is not certain.

    Data sets and models order the same classes differently, so an id means the same only where no name tells.

    Args:
      label: the class's name, and its id in the data set as "id:1".
      names: C names of the model's labels.
    """
    own, number = label[0].strip(), int(label[1].removeprefix("id:"))
    known = known_labels(names, ids=False)
    for spelt in filter(None, (own, whole(own))):
        if spelt in known:
            return known[spelt]
    alike = [i for i, name in enumerate(names) if name.strip().casefold() == own.casefold()]
    if len(alike) == 1:
        return alike[0]
    numbers_told = any(whole(name) is not None for name in names)
    names_told = any(whole(name) is None and not SILENT.fullmatch(name.strip()) for name in names)
    if names_told or number >= len(names) or (numbers_told and whole(own) is not None):  # its own is another number
        return None
    return number


def truth(value: bool, known: dict[str, int]) -> int | None:
    """The number of a boolean label: of the name true or false in any case; of two 1 or 0, never the opposite."""
    words = {name.lower(): i for name, i in known.items() if name.lower() in (YES[0], NO[0])}
    if words:
        return words.get(str(value).lower())
    if len(set(known.values())) > 2:  # 1 of several is no truth
        return None
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
    elif isinstance(value, numbers.Integral):
        return (str(value),)
    elif isinstance(value, float) and not math.isnan(value):
        return (str(int(value)), str(value)) if value.is_integer() else (str(value),)
    raise InputError(f"{where}: {described(value)}; every row needs one.")


def described(value: Any) -> str:
    """For messages: why a value cannot be a label."""
    if value is None or isinstance(value, float):
        return f"the label is {'null' if value is None else value}"
    if isinstance(value, str):
        return f"the label is {value.strip()!r}" if value.strip() else "the label is empty"
    return f"{one_line(value)} is no label"


def whole(text: str) -> str | None:
    """The whole number that a string is, 3 for 3.0 too, in its plain spelling; None for any other string."""
    # Python's own reading would make one label of different ones: 12_3 and 1_23, 1e2 and 100.
    match = re.fullmatch(r"([+-]?\d+)(\.0*)?", text.strip(), re.ASCII)
    with contextlib.suppress(ValueError):  # beyond 4,300 digits
        return str(int(match[1])) if match else None
    return None
