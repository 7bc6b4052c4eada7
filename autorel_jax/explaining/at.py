"""At: words of a text as the user names them -> the places of their tokens. Used by on_tokens.py.

They are named as they stand in the text, "Paris" or "New York", with no letter or digit beside them; or by their
number, word:3 or token:5, the place in `words` or `tokens`, where [CLS] is 0.
"""

import re
from collections.abc import Sequence

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.report.view import joined
from autorel_jax.text.tokens import Text, Tokens

NUMBERED = re.compile(r"(word|token):(\d{1,9})")


def tokens_at(at: str, text: Text, tokens: Tokens, segment: int) -> np.ndarray:
    """The places of the tokens [n] that `at` names in a text, the first (segment 0) or the second.

    Raises:
      InputError: there are none, or several places are meant.
    """
    if numbered := NUMBERED.fullmatch(at):
        return tokens_of_number(numbered[1], int(numbered[2]), tokens)
    whole = joined(text)
    mine = [
        (place, *span)
        for place, span in enumerate(tokens.spans)
        if span is not None and tokens.word_segments[tokens.word_index[place]] == segment
    ]
    words = [
        span
        for span, own in zip(tokens.word_spans, tokens.word_segments, strict=True)
        if span is not None and own == segment
    ]
    found = [
        [place for place, start, end in mine if start < match.end() and match.start() < end]
        for match in re.finditer(re.escape(at), whole)
        if is_whole(whole, *match.span(), words)
    ]
    found = [places for places in found if places]
    if not found:
        raise InputError(f"at={one_line(at)!r} is not in what is read of the text; give words of it, or word:NUMBER.")
    if len(found) > 1:
        numbers = ", ".join(f"word:{tokens.word_index[places[0]]}" for places in found)
        raise InputError(f"at={one_line(at)!r} is in the text {len(found)} times; give one of {numbers}.")
    return np.array(found[0])


def is_whole(text: str, start: int, end: int, words: Sequence[tuple[int, int]]) -> bool:
    """Whether no letter or digit of the same word stands beside the characters [start, end)."""
    begins = start == 0 or not text[start - 1].isalnum() or any(start == first for first, _ in words)
    ends = end == len(text) or not text[end].isalnum() or any(end == last for _, last in words)
    return begins and ends


def tokens_of_number(kind: str, number: int, tokens: Tokens) -> np.ndarray:
    """The tokens of a word or of a token by its number."""
    places = np.flatnonzero(tokens.word_index == number) if kind == "word" else np.arange(len(tokens.ids))[number:][:1]
    if not places.size:
        count = len(tokens.words) if kind == "word" else len(tokens.ids)
        raise InputError(f"at={kind}:{number}: the text has the {kind}s 0 to {count - 1}, of which this has no token.")
    return places
