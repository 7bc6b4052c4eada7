"""At: words of a text as the user names them -> the places of their tokens. Used by on_tokens.py.

They are named as they stand in the text, "Paris" or "New York", with no letter or digit beside them; or by their
number, word:3 or token:5, the place in `words` or `tokens`, where [CLS] is 0.
"""

import re

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.text.tokens import Text, Tokens

NUMBERED = re.compile(r"(word|token):(\d{1,9})")


def tokens_at(at: str, text: Text, tokens: Tokens, segment: int) -> np.ndarray:
    """The places of the tokens [n] that `at` names in a text, the first (segment 0) or the second.

    Raises:
      InputError: there are none, or several places are meant.
    """
    if numbered := NUMBERED.fullmatch(at):
        return tokens_of_number(numbered[1], int(numbered[2]), tokens)
    whole = text if isinstance(text, str) else " ".join(text)
    pattern = rf"(?<!\w){re.escape(at)}(?!\w)"
    mine = [
        (place, *span)
        for place, span in enumerate(tokens.spans)
        if span is not None and tokens.word_segments[tokens.word_index[place]] == segment
    ]
    found = [
        [place for place, start, end in mine if start < match.end() and match.start() < end]
        for match in re.finditer(pattern, whole)
    ]
    found = [places for places in found if places]
    if not found:
        raise InputError(f"at={one_line(at)!r} is not in what is read of the text; give words of it, or word:NUMBER.")
    if len(found) > 1:
        numbers = ", ".join(f"word:{tokens.word_index[places[0]]}" for places in found)
        raise InputError(f"at={one_line(at)!r} is in the text {len(found)} times; give one of {numbers}.")
    return np.array(found[0])


def tokens_of_number(kind: str, number: int, tokens: Tokens) -> np.ndarray:
    """The tokens of a word or of a token by its number."""
    places = np.flatnonzero(tokens.word_index == number) if kind == "word" else np.arange(len(tokens.ids))[number:][:1]
    if not places.size:
        count = len(tokens.words) if kind == "word" else len(tokens.ids)
        raise InputError(f"at={kind}:{number}: the text has the {kind}s 0 to {count - 1}, of which this has no token.")
    return places
