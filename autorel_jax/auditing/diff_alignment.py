"""Diff alignment: two explanations of one text -> the same words with a score of each, whatever the tokenizers.

A word is a stretch of the text, in characters. Where two tokenizers, or two ways to split, have other words there,
those that overlap are joined on either side until both have the same stretches, and their scores are added. Used by
diff_changes.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from autorel_jax.report.view import joined

Record = Mapping[str, Any]


class Unit(NamedTuple):
    """A word of one explanation, or several that were joined."""

    segment: int  # 0 the text, 1 its pair
    start: int
    end: int
    score: float | None  # None: not a finite number


class Aligned(NamedTuple):
    """W words that both explanations have, in the order of the text."""

    places: list[tuple[int, int, int]]  # segment, start, end
    words: list[str]
    old: list[float | None]
    new: list[float | None]
    was_joined: bool


def aligned(old: Record, new: Record) -> Aligned | None:
    """The words of both; None where one has a word of which nothing is a word of the other, as where it was cut."""
    ours, theirs = units(old), units(new)
    if [unit[:3] for unit in ours] == [unit[:3] for unit in theirs]:
        pairs = [([one], [two]) for one, two in zip(ours, theirs, strict=True)]
    else:
        pairs = list(stretches(ours, theirs))
        if not all(one and two for one, two in pairs):
            return None
    places = [reach(one + two) for one, two in pairs]
    texts = [joined(text) for text in (old["text"], old.get("text_pair")) if text is not None]
    return Aligned(
        places,
        [texts[segment][start:end] for segment, start, end in places],
        [total(one) for one, _ in pairs],
        [total(two) for _, two in pairs],
        any(len(one) > 1 or len(two) > 1 or one[0][:3] != two[0][:3] for one, two in pairs),
    )


def units(record: Record) -> list[Unit]:
    """The words of an explanation in their order, without special tokens."""
    columns = zip(record["word_segments"], record["word_spans"], record["word_relevance"], strict=True)
    return sorted(
        (Unit(segment, *span, score) for segment, span, score in columns if span is not None),
        key=lambda unit: unit[:3],
    )


def stretches(ours: list[Unit], theirs: list[Unit]) -> Iterator[tuple[list[Unit], list[Unit]]]:
    """The words of both that overlap, directly or through others."""
    both = sorted([(unit, 0) for unit in ours] + [(unit, 1) for unit in theirs], key=lambda one: one[0][:3])
    group: tuple[list[Unit], list[Unit]] = ([], [])
    segment, end = -1, -1
    for unit, side in both:
        if (unit.segment, unit.start) >= (segment, end) and end >= 0:
            yield group
            group = ([], [])
            end = -1
        segment, end = unit.segment, max(end, unit.end) if unit.segment == segment else unit.end
        group[side].append(unit)
    if end >= 0:
        yield group


def reach(group: list[Unit]) -> tuple[int, int, int]:
    """From the first to the last character."""
    return group[0].segment, min(unit.start for unit in group), max(unit.end for unit in group)


def total(group: list[Unit]) -> float | None:
    """The sum of the scores."""
    scores = [unit.score for unit in group]
    return None if None in scores else sum(scores)


def special(record: Record) -> float | None:
    """Σ|score| of the special tokens, which belong to no stretch of the text."""
    scores = [score for score, span in zip(record["word_relevance"], record["word_spans"], strict=True) if span is None]
    return None if None in scores else sum(map(abs, scores))
