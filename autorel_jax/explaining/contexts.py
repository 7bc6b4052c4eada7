"""Contexts: a text that is longer than the model reads -> windows, each with the question before it, if there is one.

What is found in several windows is explained in the one where it has the most context: the most tokens between it and
the nearer edge at which the text was cut. Used by on_tokens.py and masked.py.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.text.tokens import Tokens
from autorel_jax.text.windows import cut


class Window(NamedTuple):
    """What the model reads of a text at once."""

    tokens: Tokens
    places: np.ndarray  # [T] of these tokens among those of the whole text, rising
    edges: tuple[int, int] | None = None  # the first and the last place beyond which nothing is read; None: no such

    def holds(self, named: np.ndarray) -> bool:
        """Whether it has all of the tokens, places in the whole text."""
        return bool(np.isin(named, self.places).all())

    def context(self, named: np.ndarray) -> float:
        """How many tokens stand between the named ones, places in the whole text, and the nearer edge."""
        if self.edges is None:
            return math.inf
        return min(named[0] - self.edges[0], self.edges[1] - named[-1])


def whole(tokens: Tokens) -> Window:
    """A text that is read at once."""
    return Window(tokens, np.arange(len(tokens.ids)))


def windows_of(tokens: Tokens, max_length: int, stride: int | None, segment: int) -> list[Window]:
    """The windows of one text, 0, or of the context, 1, of a question, of at most max_length tokens each.

    `stride` word pieces of it lie from the start of one window to that of the next; None is half a window.

    Raises:
      InputError: the question leaves no room.
    """
    if len(tokens.ids) <= max_length:
        return [whole(tokens)]
    is_context = tokens.of_text(segment)
    context = np.flatnonzero(is_context)
    name, about = (("text", "target"), ("context", "answer"))[segment]
    room = max_length - (len(tokens.ids) - len(context))
    if room < 1:
        raise InputError(f"The question leaves no room for a context among max_length={max_length} tokens; shorten it.")
    ranges = cut(len(context), room, min(stride or max(room // 2, 1), room))
    made = []
    for number, window in enumerate(ranges, start=1):
        kept = np.sort(np.concatenate([np.flatnonzero(~is_context), context[window.start : window.stop]]))
        start, end = tokens.spans[context[window.start]][0], tokens.spans[context[window.stop - 1]][1]
        said = (
            f"the {name} was read in {len(ranges)} windows; {about} and scores are of number {number}, characters "
            f"{start} to {end}, alone"
        )
        edges = (
            context[window.start] if number > 1 else -math.inf,
            context[window.stop - 1] if number < len(ranges) else math.inf,
        )
        made.append(Window(only(tokens, kept, said), kept, edges))
    return made


def deepest(named: np.ndarray, windows: Sequence[Window]) -> int | None:
    """The number of the window in which named tokens, places in the whole text, have the most context.

    The first of several; None where no window holds all of them.
    """
    holding = [number for number, window in enumerate(windows) if window.holds(named)]
    return max(holding, key=lambda number: windows[number].context(named), default=None)


def apart(found: Sequence[Sequence[np.ndarray]], windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Which of the runs of tokens that were found in windows count, in reading order.

    A run counts where no other window would see more around it; of runs that overlap, that with the most context.

    Args:
      found: of each window its runs, each the places of its tokens in the whole text.
      windows: as many.

    Returns:
      (number of a window, number of a run in it) of each that counts.
    """
    runs = [
        (window, run)
        for window, each in enumerate(found)
        for run, named in enumerate(each)
        if deepest(named, windows) == window
    ]
    runs.sort(key=lambda run: -windows[run[0]].context(found[run[0]][run[1]]))
    taken: set[int] = set()
    counted = []
    for window, run in runs:
        places = {*found[window][run].tolist()}
        if not places & taken:
            taken |= places
            counted.append((window, run))
    return sorted(counted, key=lambda run: found[run[0]][run[1]][0])


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
