"""Whole: a record of results that was read -> what in it contradicts itself, as after an edit by hand.

Used by saved.py and auditing/diff_results.py; what the fields mean, explanation.py says. A field whose value is text is
a column of the input that passed through under such a name, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.errors import one_line

OF_WORDS = ("words", "word_relevance", "word_spans", "word_segments")
OF_TOKENS = ("tokens", "token_relevance", "token_words", "token_spans")
OF_LABELS = ("logits", "probabilities")
MOST = 1 + 1e-3  # the most that a rounded probability may be


def fault_in(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record, as far as its file has the fields; None where nothing is."""
    for group in (OF_WORDS, OF_TOKENS, OF_LABELS):
        if (fault := fault_of_lists(record, group)) is not None:
            return fault
    words, places = record.get("words"), record.get("token_words")
    known = isinstance(words, list) and isinstance(places, list)
    if known and not all(isinstance(place, int) and 0 <= place < len(words) for place in places):
        return (
            f"token_words names a word beyond the {len(words)} words; change the fields of words and of tokens "
            "together, or write results without tokens (--columns)"
        )
    prediction, probabilities = record.get("prediction"), record.get("probabilities")
    given = list(probabilities) if isinstance(probabilities, list) else []
    if isinstance(prediction, Mapping) and "label" in prediction:
        given.append(prediction.get("probability"))
    for value in given:
        if not is_number(value) or (value is not None and not 0 <= value <= MOST):
            return f"a probability is {one_line(value, 40)}; expected a number from 0 to 1, or null"
    return None


def fault_of_lists(record: Mapping[str, Any], group: Sequence[str]) -> str | None:
    """What is wrong with the lists of a group, all of which have one item for each word, token or label."""
    lists = {name: record[name] for name in group if name in record and not isinstance(record[name], str)}
    if all(value is None for value in lists.values()) or (group is OF_LABELS and None in lists.values()):
        return None  # not known, as the probabilities of a regression
    for name, value in lists.items():
        if not isinstance(value, list):
            return f"{name} is {one_line(value, 40)}; expected a list"
    if len({len(value) for value in lists.values()}) > 1:
        listed = ", ".join(f"{name} {len(value)}" for name, value in lists.items())
        return f"lists of one text have different lengths ({listed}); change them together"
    for name in ("word_relevance", "token_relevance", *OF_LABELS):
        wrong = [value for value in lists.get(name, ()) if not is_number(value)]
        if wrong:
            return f"{name} holds {one_line(wrong[0], 40)}; expected numbers, or null"
    return None


def is_number(value: Any) -> bool:
    """Whether it is a number, or null in place of one that is not finite."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
