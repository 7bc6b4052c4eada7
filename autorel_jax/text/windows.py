"""Windows: a text that is longer than the model reads -> overlapping windows, and their relevance -> the text's.

    logit = Σ_k w_k logit_k        R_i = Σ_k w_k R_ki        w_k = 1/T Σ_{i in k} 1 / (windows that hold piece i)

Each word piece has one vote for the weights, shared by the windows that hold it. Since the document's logit is a
weighted mean of the windows' logits, its relevance is the same mean of theirs, and totals are kept:
Σ_i R_i = Σ_k w_k Σ_i R_ki. Used by explaining/. T word pieces of the text, K windows, N targets, C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from autorel_jax.families.family import Template
from autorel_jax.text.layout import around
from autorel_jax.text.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Window:
    """One window, for the record."""

    start: int  # of its word pieces among the text's tokens
    end: int
    weight: float  # of its logits and its relevance in the text's
    logits: np.ndarray  # [C]


class Excerpt(NamedTuple):
    """What the model reads of a window: its word pieces, among the special tokens of a whole text."""

    ids: np.ndarray  # [T] int32
    types: np.ndarray  # [T] int32
    word_index: np.ndarray  # [T] int32, the place among the text's words
    spans: tuple[tuple[int, int] | None, ...]  # [T] as Tokens has them


def cut(pieces: int, room: int, stride: int) -> list[range]:
    """The pieces of each window: `room` each, every `stride` pieces; the last window ends with the text."""
    starts = [*range(0, max(pieces - room, 0), stride), max(pieces - room, 0)]
    return [range(start, min(start + room, pieces)) for start in starts]


def weights(windows: Sequence[range], pieces: int) -> np.ndarray:
    """The weight of each window [K]; they sum to 1."""
    holding = np.zeros(pieces)
    for window in windows:
        holding[window.start : window.stop] += 1
    return np.array([(1 / holding[window.start : window.stop]).sum() for window in windows]) / pieces


def places(window: range, pieces: int, template: Template) -> np.ndarray:
    """Where a window's tokens stand among the text's: its word pieces, and the special tokens, which all windows have.

    `template` is that of one text.
    """
    before, after = around(template)
    end = before + pieces
    inside = np.arange(before + window.start, before + window.stop)
    return np.concatenate([np.arange(before), inside, np.arange(end, end + after)])


def excerpt(tokens: Tokens, window: range, template: Template) -> Excerpt:
    """The tokens of a window of one text."""
    kept = places(window, len(tokens.ids) - sum(around(template)), template)
    spans = tuple(tokens.spans[place] for place in kept)
    return Excerpt(tokens.ids[kept], tokens.types[kept], tokens.word_index[kept], spans)


def stitch(
    relevance: Sequence[np.ndarray], windows: Sequence[range], weights: np.ndarray, pieces: int, template: Template
) -> np.ndarray:
    """Relevance [N, T_k] of each window's tokens -> that of the text's [N, T and special tokens], in the input's type.

    That of a special token is the weighted sum over all windows.
    """
    whole = np.zeros((len(relevance[0]), pieces + sum(around(template))))
    for part, window, weight in zip(relevance, windows, weights, strict=True):
        whole[:, places(window, pieces, template)] += weight * part
    return whole.astype(relevance[0].dtype)
