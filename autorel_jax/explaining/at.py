"""At: words of a text as the user names them -> the places of their tokens. Used by on_tokens.py and masked.py.

They are named as they stand in the text, "Paris" or "New York", with no letter or digit beside them; or by their
number, word:3 or token:5, the place in `words` or `tokens`, where [CLS] is 0. Of a text in windows it is the place in
the whole text.
"""

import re
from collections.abc import Sequence

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.report.view import joined
from autorel_jax.text.characters import Span
from autorel_jax.text.segments import Text
from autorel_jax.text.tokens import Tokens

NUMBERED = re.compile(r"(word|token):(\d{1,9})")


def tokens_at(at: str, text: Text, tokens: Tokens, segment: int) -> np.ndarray:
    """The places of the tokens [n] that `at` names in a text, the first (segment 0) or the second.

    Raises:
      InputError: there are none, several places are meant, or a part of the words was cut off.
    """
    mine = [(place, *tokens.spans[place]) for place in np.flatnonzero(tokens.of_text(segment)).tolist()]
    if numbered := NUMBERED.fullmatch(at):
        places = tokens_of_number(numbered[1], int(numbered[2]), tokens)
        word = tokens.word_index[places[0]]
        if numbered[1] == "word" and tokens.word_spans[word] and tokens.word_segments[word] == segment:
            refuse_half(at, tokens.word_spans[word], mine, tokens)
        return places
    whole = joined(text)
    words = [
        span
        for span, own in zip(tokens.word_spans, tokens.word_segments, strict=True)
        if span is not None and own == segment
    ]
    matches = [match.span() for match in re.finditer(re.escape(at), whole) if is_whole(whole, *match.span(), words)]
    places = [[place for place, start, end in mine if start < last and first < end] for first, last in matches]
    read = [number for number, found in enumerate(places) if found]
    if not read:
        raise InputError(f"at={one_line(at)!r} is not in what is read of the text; give words of it, or word:NUMBER.")
    times = len(matches) if tokens.truncated else len(read)
    if times > 1:
        numbers = ", ".join(f"word:{tokens.word_index[places[number][0]]}" for number in read)
        unread = f", {times - len(read)} of them in what is not read" if times > len(read) else ""
        raise InputError(f"at={one_line(at)!r} is in the text {times} times{unread}; give one of {numbers}.")
    refuse_half(at, matches[read[0]], mine, tokens)
    return np.array(places[read[0]])


def refuse_half(at: str, span: Span, mine: Sequence[tuple[int, int, int]], tokens: Tokens) -> None:
    """Raises InputError where a text was cut within a span of it; `mine` are its tokens and their characters."""
    first, last = min(start for _, start, _ in mine), max(end for _, _, end in mine)
    if tokens.truncated and (span[0] < first or span[1] > last):
        raise InputError(
            f"at={one_line(at)!r} is read in part: the text was cut off within it at {len(tokens.ids)} tokens; name "
            "what is read of it, or raise max_length."
        )


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
