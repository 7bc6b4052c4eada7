"""Whole: a record of results that was read -> an InputError where it contradicts itself, as after an edit by hand.

A group of fields is checked where all of it is there: alone, one may be a column of the input that passed through under
such a name. Used by saved.py; what the fields mean, explanation.py says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorel_jax.errors import InputError, one_line

OF_WORDS = ("words", "word_relevance", "word_spans", "word_segments")
OF_TOKENS = ("tokens", "token_relevance", "token_words", "token_spans")
MOST = 1 + 1e-3  # that a probability in rounded numbers may be


def check_whole(record: Mapping[str, Any], where: str) -> None:
    """Raises InputError for lists of one text that do not belong together, or values of another kind.

    Args:
      record: as far as its file has the fields.
      where: for messages.
    """
    has_words, has_tokens = (all(record.get(name) is not None for name in group) for group in (OF_WORDS, OF_TOKENS))
    if has_words:
        check_lists(record, OF_WORDS, where)
    if has_tokens:
        check_lists(record, OF_TOKENS, where)
    if has_words and has_tokens:
        count = len(record["words"])
        if not all(isinstance(place, int) and 0 <= place < count for place in record["token_words"]):
            raise InputError(
                f"{where}: token_words names a word beyond the {count} words; change the fields of words and of tokens "
                "together, or write results without tokens (--columns)."
            )
    prediction, probabilities = record.get("prediction"), record.get("probabilities")
    given = list(probabilities) if probabilities is not None and record.get("logits") is not None else []
    if isinstance(prediction, Mapping):
        given.append(prediction.get("probability"))
    for value in given:
        if not is_number(value) or (value is not None and not 0 <= value <= MOST):
            raise InputError(
                f"{where}: a probability is {one_line(value, 40)}; expected a number from 0 to 1, or null."
            )


def check_lists(record: Mapping[str, Any], group: tuple[str, ...], where: str) -> None:
    """Raises InputError where what there is one of for each word, or token, is no list, or not of one length."""
    for name in group:
        if not isinstance(record[name], list):
            raise InputError(f"{where}: {name} is {one_line(record[name], 40)}; expected a list.")
    lengths = {name: len(record[name]) for name in group}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{where}: lists of one text have different lengths ({listed}); change them together.")
    for score in record[group[1]]:
        if not is_number(score):
            raise InputError(f"{where}: {group[1]} holds {one_line(score, 40)}; expected numbers, or null.")


def is_number(value: Any) -> bool:
    """Whether it is a number, or null in place of one that is not finite."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
