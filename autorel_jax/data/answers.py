"""Answers: the answers to a question, as files have them -> the characters of its context that they are.

Used by splits.py.
"""

from typing import Any, NamedTuple

import numpy as np

from autorel_jax.errors import InputError, one_line

IMPOSSIBLE = "is_impossible"  # the key, or column, by which SQuAD 2 says that a question has no answer


class Marked(NamedTuple):
    """An answer: characters start to end of the context."""

    start: int
    end: int


def read_answers(value: Any, context: str, where: str) -> tuple[Marked, ...]:
    """The answers, each once, in their order; none where the question has no answer.

    Args:
      value: a list of objects with `text` and `answer_start`, as SQuAD has it, or one object with two lists, as the
        hub's data sets have it.
      context: the text that they stand in.
      where: for messages.

    Raises:
      InputError: an answer is not where it is said to be.
    """
    return tuple(dict.fromkeys(marked(text, start, context, where) for text, start in pairs(value, where)))


def unless_impossible(answers: Any, impossible: Any, where: str) -> Any:
    """The answers of a row that says whether its question is impossible; None where they are missing.

    A question that has none and is said to be possible has no label, as in SQuAD's own JSON.

    Raises:
      InputError: the row says neither yes nor no, or contradicts itself.
    """
    if impossible is None:
        return answers
    if not isinstance(impossible, bool):
        raise InputError(f"{where}: {IMPOSSIBLE} is {one_line(repr(impossible), 40)}; expected true or false.")
    marked = answers is not None and bool(pairs(answers, where))
    if impossible and marked:
        raise InputError(f"{where}: {IMPOSSIBLE} is true, but answers are given; expected an empty list.")
    return [] if impossible else answers if marked else None


def pairs(value: Any, where: str) -> list[tuple[Any, Any]]:
    """The text and the start of each answer."""
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        value = {key: [entry.get(key) for entry in value] for key in ("text", "answer_start")}
    columns = [value.get(key) for key in ("text", "answer_start")] if isinstance(value, dict) else [None]
    if not all(isinstance(column, list) for column in columns) or len(columns[0]) != len(columns[-1]):
        raise InputError(
            f"{where}: the answers are {one_line(repr(value), 80)}; expected a list of objects with text and "
            "answer_start, or an object with a list of each."
        )
    return list(zip(*columns, strict=True))


def marked(text: Any, start: Any, context: str, where: str) -> Marked:
    """One answer, or InputError where it is not in the context."""
    if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
        raise InputError(
            f"{where}: text {one_line(repr(text), 40)} with answer_start {start!r} is not an answer; "
            "expected a string and the number of its first character."
        )
    if not text.strip():
        raise InputError(f"{where}: an answer without text; a question that has none has an empty list of answers.")
    if start < 0 or context[start : start + len(text)] != text:
        there = context[start : start + len(text)] if start >= 0 else ""
        found = context.find(text)
        hint = f"it stands at {found}" if found >= 0 else "the context does not hold it"
        raise InputError(
            f"{where}: the answer {one_line(repr(text), 60)} is not at answer_start={start}, where the context has "
            f"{one_line(repr(there), 60)}; {hint}. Places are characters of the context as it is."
        )
    return Marked(start, start + len(text))


def as_column(answers: list[tuple[Marked, ...]]) -> np.ndarray:
    """[N] the answers of each question."""
    column = np.empty(len(answers), object)
    column[:] = answers
    return column
