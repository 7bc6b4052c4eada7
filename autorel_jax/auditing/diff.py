"""Diff: two models, methods or results on the same texts -> what changed, and whether it keeps to limits.

two_models.py explains, diff_changes.py compares; this has the summary, and what is shown and saved of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.auditing import diff_changes
from autorel_jax.auditing.diff_changes import Both, WordChange
from autorel_jax.auditing.diff_decisions import decisions
from autorel_jax.auditing.diff_labels import Labels
from autorel_jax.auditing.diff_limits import Limits, findings
from autorel_jax.auditing.verdict import HOLDS, Finding
from autorel_jax.errors import one_line
from autorel_jax.evaluation.records import model_of
from autorel_jax.faithfulness.intervals import Mean, median_of, share_of

QUANTILES = (0, 5, 25, 75, 95, 100)  # percent, beside the median
NO_LABEL = "no label"
SHOWN = 10  # texts and words in a list


class Flip(NamedTuple):
    """A text whose prediction changes, with the words that speak most for each; None where that was not explained."""

    id: str | int
    text: str
    old: str
    new: str
    old_words: list[str] | None
    new_words: list[str] | None

    @property
    def line(self) -> str:
        """For a terminal."""
        old, new = map(by, (self.old_words, self.new_words))
        return f"text {self.id}: {self.old} ({old}) -> {self.new} ({new}): {one_line(self.text, 80)}"


class Ranked(NamedTuple):
    """A text with the rank correlation of its words' scores."""

    id: str | int
    text: str
    correlation: float

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"text {self.id}: {self.correlation:.3f}: {one_line(self.text, 80)}"


class Correlation(NamedTuple):
    """Of the words' scores in a text, Spearman's, over the texts that have one."""

    median: Mean  # with its interval, which fewer than six texts do not have
    quantiles: dict[str, float]  # each a text's own: so many texts or fewer lie below it
    short: int  # texts of fewer than three words, which have none
    constant: int  # texts whose scores do not vary on one side, likewise


@dataclasses.dataclass(frozen=True)
class Diff:
    """What changed between two sides.

    Attributes:
      old, new: model and method of each.
      texts: how many there are on either side.
      left_out: rows that could not be read or explained by both.
      labels: of the models; None where results do not list them.
      compared_predictions: texts whose prediction could change; none of a regression, none that has logits which are
        not finite.
      flips: those whose prediction did: the label, or, where labels have a probability each, the set of those above a
        half.
      flip_rate: their share, with its interval.
      correlation: of the words' scores.
      lowest: the texts with the lowest correlation.
      joined: texts in which words were joined, as the sides split them in different ways.
      uncompared: why -> how many texts have words that cannot be compared.
      words: target -> the words whose role changed most.
      examples: number of a text in `words` -> its id and text.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    texts: int
    left_out: int
    labels: Labels | None
    compared_predictions: int
    flips: list[Flip]
    flip_rate: Mean
    correlation: Correlation
    lowest: list[Ranked]
    joined: int
    uncompared: dict[str, int]
    words: dict[str, list[WordChange]]
    examples: dict[int, tuple[str | int, str]]

    def findings(self, limits: Limits | None = None, **given: Any) -> list[Finding]:
        """Whether each limit is kept: `limits`, or fields of Limits by name."""
        return findings(self, limits or Limits(**given))

    def breaches(self, **given: Any) -> list[str]:
        """A line for each limit, given by its name, that is not kept or cannot be told: for an assert."""
        return [finding.line for finding in self.findings(**given) if finding.answer != HOLDS]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; a number that is not defined is None."""
        return plain(self)


def compared(
    texts: Sequence[Both],
    alone: Mapping[str, int],
    labels: Labels | None = None,
    left_out: int = 0,
    apart: Sequence[bool | None] = (None, None),
) -> Diff:
    """What changed.

    Args:
      texts: that both sides have, one at least.
      alone: how many each side has alone, by the reasons of diff_changes.py.
      labels: of both models, where they are known.
      left_out: rows that neither side has.
      apart: of both models, whether labels have a probability each; None where they are not at hand.
    """
    sides = zip(zip(*texts, strict=True), labels or (None, None), apart, strict=True)
    given = [decisions(*side) for side in sides]
    decided = [(text, *pair) for text, *pair in zip(texts, *given, strict=True) if None not in pair]
    flips = [flip(text, old, new) for text, old, new in decided if set(old) != set(new)]
    found, reasons = diff_changes.words_of(texts)
    ranked = [one for one in found if one.correlation is not None]
    values = np.array([one.correlation for one in ranked], np.float64)
    words = diff_changes.word_changes(texts, found, SHOWN)
    first = texts[0].first
    return Diff(
        *(about(side) for side in first),
        texts=len(texts) + sum(alone.values()),
        left_out=left_out,
        labels=labels,
        compared_predictions=len(decided),
        flips=flips,
        flip_rate=share_of(len(flips), len(decided)),
        correlation=Correlation(
            median_of(values),
            {f"{q} %": float(np.percentile(values, q, method="lower")) for q in QUANTILES} if len(values) else {},
            sum(one.is_short for one in found),
            sum(one.correlation is None and not one.is_short for one in found),
        ),
        lowest=[
            Ranked(*known(texts[one.number]), one.correlation)
            for one in sorted(ranked, key=lambda one: one.correlation)[:SHOWN]
        ],
        joined=sum(any(one.was_joined for one in each.words.values()) for each in found),
        uncompared={reason: reasons[reason] + alone.get(reason, 0) for reason in diff_changes.REASONS},
        words=words,
        examples={one.example: known(texts[one.example]) for each in words.values() for one in each},
    )


def about(record: Mapping[str, Any]) -> dict[str, Any]:
    """Model and method of a side."""
    return {"model": model_of(record), "method": record.get("method")}


def known(text: Both) -> tuple[str | int, str]:
    """The id and the text."""
    record, _ = text.first
    pair = record.get("text_pair")
    parts = [diff_changes.joined(part) for part in (record["text"], pair) if part is not None]
    return record["id"], " / ".join(parts)


def flip(text: Both, old: Sequence[str], new: Sequence[str]) -> Flip:
    """A text whose prediction changes, with the words of what it lost and of what it got."""
    lost, got = [label for label in old if label not in new], [label for label in new if label not in old]
    names = (", ".join(labels) or NO_LABEL for labels in (old, new))
    return Flip(*known(text), *names, diff_changes.strongest(text.old, lost), diff_changes.strongest(text.new, got))


def by(words: Sequence[str] | None) -> str:
    """The words of a prediction in a line."""
    return "not explained" if words is None else f"by {', '.join(words)}" if words else "by no word"


def flows(flips: Sequence[Flip]) -> list[tuple[str, str, int]]:
    """How many texts went from which label to which, the most first."""
    return [(*labels, count) for labels, count in Counter((one.old, one.new) for one in flips).most_common()]


def plain(value: Any) -> Any:
    """Named tuples and dataclasses as objects, NaN as None."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
