"""Units: a text -> its words and punctuation marks, each with its characters and its share of the relevance.

Marks at either end of a word are units of their own, equal ones in a row one: "(Reuters)" is three, "n't" is one. A
sign before a name or a tag (@, #) stays with it. What one token of the model crosses is one unit. Used by
candidates.py, forms.py and shortcuts.py. U units.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.auditing.phrases import fold
from autorel_jax.auditing.reading import Case
from autorel_jax.text.characters import Span, is_mark, joined
from autorel_jax.text.tokens import Tokens

SIGNS = "@#"


class Units(NamedTuple):
    """Of one text, or pair of texts, the part that the model reads."""

    keys: tuple[str, ...]  # [U] what counts as the same word
    segments: tuple[int, ...]  # [U] 0 the text, 1 its pair
    spans: tuple[Span, ...]  # [U] characters of its text
    shares: np.ndarray  # [U] its relevance divided by Σ|relevance| over the units

    def first(self, segment: int) -> int:
        """The place of the first unit of a segment."""
        return bisect_left(self.segments, segment)

    def count(self, segment: int) -> int:
        """How many units a segment has."""
        return bisect_left(self.segments, segment + 1) - self.first(segment)


def units_of(case: Case) -> Units:
    """The units of a text that is explained."""
    bare, one = without_shares(case.texts, case.tokens), case.explanation
    sums, segments = np.zeros(len(bare.keys)), np.array(case.tokens.word_segments)[case.tokens.word_index]
    for span, segment, score in zip(one.token_spans, segments.tolist(), one.token_relevance.tolist(), strict=True):
        if span is not None:
            first, count = bare.first(segment), bare.count(segment)
            ends = [end for _, end in bare.spans[first : first + count]]
            sums[first + min(bisect_left(ends, span[1]), count - 1)] += score
    total = np.abs(sums).sum()
    return bare._replace(shares=sums / total if total else sums)


def without_shares(texts: Sequence[str], tokens: Tokens) -> Units:
    """The units of a text, whose shares are 0; those that one token crosses are one."""
    keys, segments, spans = [], [], []
    of_tokens = np.array(tokens.word_segments)[tokens.word_index].tolist()
    for segment, text in enumerate(texts):
        of_words = zip(tokens.word_spans, tokens.word_segments, strict=True)
        cut = [part for span, of in of_words if span is not None and of == segment for part in parts(text, *span)]
        pieces = [span for span, of in zip(tokens.spans, of_tokens, strict=True) if span is not None and of == segment]
        for start, end in joined(cut, pieces):
            keys.append(sys.intern(fold(text[start:end]) or text[start:end]))
            segments.append(segment)
            spans.append((start, end))
    return Units(tuple(keys), tuple(segments), tuple(spans), np.zeros(len(keys)))


def parts(text: str, start: int, end: int) -> Iterator[Span]:
    """A word's marks before it, itself, and those after it."""
    core_start, core_end = start, end
    while core_start < end and is_mark(text[core_start]):
        core_start += 1
    while core_end > core_start and is_mark(text[core_end - 1]):
        core_end -= 1
    if start < core_start < core_end and text[core_start - 1] in SIGNS:
        core_start -= 1
    yield from runs(text, start, core_start)
    if core_start < core_end:
        yield core_start, core_end
    yield from runs(text, core_end, end)


def runs(text: str, start: int, end: int) -> Iterator[Span]:
    """Stretches of one character."""
    first = start
    for place in range(start + 1, end + 1):
        if place == end or text[place] != text[first]:
            yield first, place
            first = place
