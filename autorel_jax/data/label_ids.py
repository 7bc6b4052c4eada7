"""Label ids: a label as a file, a flag or a program writes it -> its number among a model's. The one rule for it.

A label is compared with the names first, and a number with names that are numbers by its value: 1, 1.0 and "1.0" are
the name "1". It is an id, counted from 0, only where no name tells of a number or of yes and no; of rows' labels it is
then said (`ids_assumed`). `id:1` is always one. A class of a data set has a name of its own: the id counts only where
the model's names say nothing. Of rows' labels it is said too that a number is a name where it is also the id of
another label (`names_assumed`). Used by labels.py to train and by classifier.py to explain. C labels.
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

SHOWN = 10  # labels that a message lists
NA = "NAType"  # the class of what pandas calls missing: it has no truth value, and equals nothing
YES, NO = ("true", "yes", "t", "y"), ("false", "no", "f", "n")
ID = re.compile(r"id:(\d{1,9})", re.ASCII)
SILENT = re.compile(r"label[_ -]?\d+", re.ASCII | re.IGNORECASE)  # a name that says nothing, as a number does
ROMAN = re.compile(r"(?=.)X{0,3}(IX|IV|V?I{0,3})")
SPELT = re.compile(
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand"
    "|(thir|four|fif|six|seven|eigh|nine)teen|(six|seven|eigh|nine)ty"
    "|first|second|third|(four|fif|six|seven|eigh|nin|ten|eleven|twelf)th|once|twice|single|double|triple|half|quarter"
)
# Of a label 0 or 1, which mean no and yes. But "not_entailment" is 1 in GLUE.
AFFIRMS, DENIES = {"true", "yes", "on", "correct", "right"}, {"false", "no", "off", "incorrect", "wrong"}


def known_labels(names: Sequence[str], ids: bool = True) -> dict[str, int]:
    """How a label may be written -> its number: by name, by the number that a name is, by id.

    Args:
      names: C names, or what stands for them in the files.
      ids: whether a bare number may be an id.
    """
    numbers = range(len(names) if ids and ids_count(names) else 0)
    return by_name(names) | {str(i): i for i in numbers}


def by_name(names: Sequence[str]) -> dict[str, int]:
    """Each name, and the number that it is, -> its place; of two equal ones the first."""
    places = list(enumerate(names))[::-1]
    known = {name.strip(): i for i, name in places} | {name: i for i, name in places}  # a label comes without spaces
    found = {key: known[key] for name in names for key in (name, name.strip())}
    as_numbers = {whole(name): i for name, i in reversed(found.items()) if whole(name) is not None}
    return {number: i for number, i in as_numbers.items() if number not in found} | found


def ids_count(names: Sequence[str]) -> bool:
    """Whether a bare number can only be an id: no name is a number, or tells of another than its place."""
    roman = all(any(ROMAN.fullmatch(word.upper()) for word in words_of(name)) for name in names)
    return not roman and not any(whole(name) is not None or tells(name, i) for i, name in enumerate(names))


def ids_assumed(names: Sequence[str], label: Any) -> bool:
    """Whether the label is a bare number that is taken for an id beside names that mean something."""
    if isinstance(label, bool | np.bool_) or is_class(label) or all(SILENT.fullmatch(name.strip()) for name in names):
        return False
    named = by_name(names)
    return not any(text in named or ID.fullmatch(text) for text in spellings(label, "the label"))


def names_assumed(names: Sequence[str], label: Any) -> bool:
    """Whether the label is a bare number that is taken for a name, though it is the id of another label too."""
    if isinstance(label, bool | np.bool_) or is_class(label):
        return False
    named = by_name(names)
    ids = {str(place): place for place in range(len(names))}
    return any(text in ids and named.get(text, ids[text]) != ids[text] for text in spellings(label, "the label"))


def how_read(names: Sequence[str], label: Any, model: str) -> str | None:
    """What to say of how a label is read that is a number, where it could be read in another way."""
    as_ids = ids_assumed(names, label)
    if not as_ids and not names_assumed(names, label):
        return None
    listed = ", ".join(f"{place} is {one_line(name)!r}" for place, name in enumerate(names[:SHOWN]))
    listed += ", …" if len(names) > SHOWN else ""
    if as_ids:
        return (
            f"labels that are numbers are read as ids of {model}: {listed}. If the texts number them otherwise, write "
            "names."
        )
    return (
        f"labels that are numbers are read as names of labels of {model}, not as ids, in which {listed}. If the texts "
        "have ids, write id:0 for 0."
    )


def words_of(name: str) -> list[str]:
    """The words and numbers in a name: of one_star, oneStar and "One-star" two."""
    return re.findall(r"\d+|[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))


def tells(name: str, place: int) -> bool:
    """Whether a name has a number in it that is not its id, or is the yes or no that the id is not.

    "1 star" and "Grade I" are 0, so that a bare 1 may be either; of "yes" and "no", 1 is "no". A name without letters
    may stand for any number.
    """
    words = words_of(name)
    lowered, digits = {word.lower() for word in words}, [word for word in words if word.isdecimal()]
    figures = any(character.isnumeric() and not character.isdecimal() for character in name)
    if figures or any(map(SPELT.fullmatch, lowered)) or any(map(ROMAN.fullmatch, words)):
        return True
    if len(digits) == 1:
        return int(digits[0][:9]) != place
    opposite = lowered & (AFFIRMS if place == 0 else DENIES if place == 1 else set())
    opposite = opposite or name.strip().lower() in (YES if place == 0 else NO if place == 1 else ())
    return bool(digits or opposite) or not any(map(str.isalpha, name))


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
    value = as_number(value.item() if isinstance(value, np.generic) else value)
    spelt = spellings(value, where)
    if isinstance(value, bool):
        return truth(value, known)
    number = next((known[text] for text in spelt if text in known), None)
    if number is None and (match := ID.fullmatch(spelt[0])):
        return int(match[1]) if int(match[1]) in known.values() else None
    return number


def meant(label: Any, labels: Sequence[str], known: dict[str, int], where: str) -> int | None:
    """The number of a label of a text, also of a class of a data set; None for what is not one of the model's labels.

    Args: as of `label_number`, and `labels`, the model's names in their order.
    """
    with contextlib.suppress(InputError):  # a value that cannot be a label
        return class_number(label, labels) if is_class(label) else label_number(label, known, where)
    return None


def is_missing(label: Any) -> bool:
    """Whether a row has no label: null, NaN, pandas' NA or an empty cell."""
    if label is None or type(label).__name__ == NA:
        return True
    return not label.strip() if isinstance(label, str) else label != label


def is_class(label: Any) -> bool:
    """Whether it is a class of a data set: its name, and its id there."""
    return isinstance(label, tuple) and len(label) == 2 and ID.fullmatch(str(label[1])) is not None


def in_names(value: Any) -> Any:
    """A class of a data set as its name, in lists too; anything else itself."""
    if isinstance(value, list):
        return list(map(in_names, value))
    return value[0] if is_class(value) else value


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
    """The number of a boolean label: of the name true or yes, false or no; else of two that say nothing, 0 or 1."""
    words = {name.lower(): i for name, i in known.items()}
    if any(word in words for word in (*YES[:2], *NO[:2])):
        return next((words[word] for word in (YES if value else NO)[:2] if word in words), None)
    names = [name for name in known if whole(name) is None]
    if len(set(known.values())) > 2 or not all(SILENT.fullmatch(name.strip()) for name in names):
        return None
    return known.get(str(int(value)))


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
