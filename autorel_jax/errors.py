"""InputError: what the user gave cannot be used. The commands print it as one line and exit with code 2.

The text says what was received, what is accepted and what to do next, in one line.
"""

import numbers
from collections.abc import Iterable
from typing import Any

from autorel_jax.foreign import visible

LARGEST_INT = 2**31 - 1  # of rows, tokens and the like: they are int32 on the device
LONGEST_MESSAGE = 8_000  # characters; it may list a thousand columns, but no file's content
LARGEST_FLOAT = (2 - 2**-23) * 2.0**127  # of what is float32 there


class InputError(ValueError):
    """A fault of the input (a file, a flag, a text), never of the program: one line, which no terminal obeys."""

    def __init__(self, message: str):
        message = visible(" ".join(message.splitlines()))
        super().__init__(message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…")


class InputWarning(UserWarning):
    """What to beware of in an input that can be used. The commands print it as one line."""


def out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX's says that a device's memory ran out."""
    return "RESOURCE_EXHAUSTED" in str(error)


def one_line(value: object, limit: int = 200) -> str:
    """A value's text for use in a message: its first line, cut at `limit`; of an error without the full stop."""
    lines = str(value).strip().splitlines() or [type(value).__name__]
    text = " ".join(lines[0].split())
    if len(text) > limit:
        return f"{text[:limit]}…"
    return text.rstrip(".") if isinstance(value, Exception) else text


def listing(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many there are more."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_count(name: str, value: Any) -> None:
    """Raises InputError for what counts nothing."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name}={value!r}: expected a whole number of at least 1.")
    if value > LARGEST_INT:
        raise InputError(f"{name}={value}: expected no more than {LARGEST_INT}.")
