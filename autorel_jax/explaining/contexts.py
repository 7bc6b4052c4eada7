"""Contexts: a question and a context that is longer than the model reads -> windows, each with the question.

Used by on_tokens.py, which explains the window with the best answer.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.text.tokens import Tokens
from autorel_jax.text.windows import cut


class Window(NamedTuple):
    """What the model reads of a text at once."""

    tokens: Tokens
    places: np.ndarray  # [T] of these tokens among those of the whole text, rising


def whole(tokens: Tokens) -> Window:
    """A text that is read at once."""
    return Window(tokens, np.arange(len(tokens.ids)))


def windows_of(tokens: Tokens, max_length: int, stride: int | None) -> list[Window]:
    """The windows of a pair of texts, the question and the context, of at most max_length tokens each.

    `stride` word pieces of the context lie from the start of one window to that of the next; None is half a window.

    Raises:
      InputError: the question leaves no room.
    """
    if len(tokens.ids) <= max_length:
        return [whole(tokens)]
    is_context = tokens.of_text(1)
    context = np.flatnonzero(is_context)
    room = max_length - (len(tokens.ids) - len(context))
    if room < 1:
        raise InputError(f"The question leaves no room for a context among max_length={max_length} tokens; shorten it.")
    ranges = cut(len(context), room, min(stride or max(room // 2, 1), room))
    made = []
    for number, window in enumerate(ranges, start=1):
        kept = np.sort(np.concatenate([np.flatnonzero(~is_context), context[window.start : window.stop]]))
        start, end = tokens.spans[context[window.start]][0], tokens.spans[context[window.stop - 1]][1]
        said = (
            f"the context was read in {len(ranges)} windows; answer and scores are of number {number}, characters "
            f"{start} to {end}, alone"
        )
        made.append(Window(only(tokens, kept, said), kept))
    return made


def only(tokens: Tokens, places: np.ndarray, warning: str) -> Tokens:
    """Some of the tokens, with their words."""
    used, index = np.unique(tokens.word_index[places], return_inverse=True)
    return dataclasses.replace(
        tokens,
        ids=tokens.ids[places],
        types=tokens.types[places],
        pieces=tuple(tokens.pieces[place] for place in places),
        word_index=index.astype(np.int32),
        words=tuple(tokens.words[word] for word in used),
        word_spans=tuple(tokens.word_spans[word] for word in used),
        word_segments=tuple(tokens.word_segments[word] for word in used),
        spans=tuple(tokens.spans[place] for place in places),
        warnings=(*tokens.warnings, warning),
    )
