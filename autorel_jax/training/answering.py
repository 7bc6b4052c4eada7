"""Answering: questions, contexts and where answers stand -> windows of tokens, each with the answer's first and last.

A window that does not hold the answer as a whole has its first token, [CLS], as both, as in transformers' example.
Used by prepare.py and answer_metrics.py. N windows, T tokens of one.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.data.answers import Marked
from autorel_jax.data.splits import Split
from autorel_jax.data.summary import token_counts
from autorel_jax.data.tags import in_one
from autorel_jax.errors import LARGEST_INT, InputError, one_line
from autorel_jax.explaining.contexts import windows_of
from autorel_jax.text.batches import Encoded
from autorel_jax.text.tokens import CHUNK, Tokenizer, Tokens
from autorel_jax.text.words import units
from autorel_jax.training.batches import Examples

CONTEXT = 1  # which text of a pair it is
NOWHERE = (0, 0)  # the tokens of an answer that a window does not hold


class Part(NamedTuple):
    """A window of a question's context as the model reads it. T tokens."""

    question: int  # its number
    ids: np.ndarray  # [T] int32
    first: int  # tokens of segment 0
    answer: tuple[int, int]  # places of its first and last token
    spans: np.ndarray  # [T, 2] int32, characters of the context; -1 of other tokens
    units: np.ndarray  # [T] int32, see text/words.py


@dataclasses.dataclass(frozen=True, eq=False)
class AnswerExamples(Examples):
    """Windows; `labels` [N, 2] are the places of their answers' first and last tokens."""

    split: Split = None
    question: np.ndarray = None  # [N] int32, the number of the question in the split
    spans: np.ndarray = None  # [sum of lengths, 2], see Part
    units: np.ndarray = None  # [sum of lengths], likewise
    most: int = 0  # tokens of the longest answer

    @property
    def texts(self) -> int:
        """How many questions there are."""
        return len(self.split)

    @property
    def content(self) -> tuple[np.ndarray, ...]:
        """Also all answers, which count in metrics."""
        answers = repr([tuple(map(tuple, each)) for each in self.split.labels]).encode()
        return (*super().content, np.frombuffer(answers, np.uint8))


def in_windows(
    split: Split, tokenizer: Tokenizer, max_length: int, stride: int | None, most: int
) -> tuple[AnswerExamples, list[str]]:
    """The windows of a split's questions, of at most max_length tokens, and lines that say what is in it.

    Of several answers to a question the first is learnt, as in transformers' example.

    Raises:
      InputError: a question leaves no room for its context.
    """
    parts, whole, lost = [], [], 0
    for number, tokens in enumerate(pairs(split, tokenizer)):
        whole.append(len(tokens.ids))
        place = tokens_of(tokens, split.labels[number])
        lost += bool(split.labels[number]) and place is None
        try:
            windows = windows_of(tokens, max_length, stride, CONTEXT)
        except InputError as error:
            name = number + 1 if split.ids is None else split.ids[number]
            raise InputError(f"{split.name}, question {one_line(name)!r}: {error}") from None
        parts += [part_of(window.tokens, window.places, place, number) for window in windows]
    made = AnswerExamples(
        Encoded(
            in_one([part.ids for part in parts]),
            np.cumsum([0, *(len(part.ids) for part in parts)]),
            np.array([part.first for part in parts], np.int32),
            np.array([len(part.ids) for part in parts], np.int32),
        ),
        np.array([part.answer for part in parts], np.int32),
        tokenizer.pad_id,
        split=split,
        question=np.array([part.question for part in parts], np.int32),
        spans=np.concatenate([part.spans for part in parts]),
        units=in_one([part.units for part in parts]),
        most=most,
    )
    return made, told(made, np.array(whole), lost, max_length)


def pairs(split: Split, tokenizer: Tokenizer) -> Iterator[Tokens]:
    """Questions and contexts as tokens, none of them cut."""
    for start in range(0, len(split), CHUNK):
        rows = slice(start, start + CHUNK)
        yield from tokenizer(split.texts[rows], split.pairs[rows], max_length=LARGEST_INT)


def tokens_of(tokens: Tokens, answers: Sequence[Marked]) -> tuple[int, int] | None:
    """The first and the last token of the first answer; None without one, or where none of its characters is read."""
    if not answers:
        return None
    start, end = answers[0]
    inside = np.flatnonzero(tokens.of_text(CONTEXT))
    held = [place for place in inside.tolist() if tokens.spans[place][0] < end and tokens.spans[place][1] > start]
    return (held[0], held[-1]) if held else None


def part_of(tokens: Tokens, places: np.ndarray, answer: tuple[int, int] | None, number: int) -> Part:
    """A window, `places` being those of its tokens among the tokens of the whole pair."""
    inside = tokens.of_text(CONTEXT)
    spans = np.full((len(places), 2), -1, np.int32)
    for place in np.flatnonzero(inside):
        spans[place] = tokens.spans[place]
    held = answer is not None and np.isin(answer, places).all()
    at = tuple(np.searchsorted(places, answer).tolist()) if held else NOWHERE
    return Part(number, tokens.ids, int((tokens.types == 0).sum()), at, spans, units(tokens, words=True))


def told(made: AnswerExamples, whole: np.ndarray, lost: int, max_length: int) -> list[str]:
    """Lines that say what there is to learn from."""
    split = made.split
    none = sum(not answers for answers in split.labels)
    without = f"; {split.left_out:,} without answers left out" if split.left_out else ""
    held = len(np.unique(made.question[made.labels[:, 0] > 0]))
    cut = len(split) - none - lost - held
    lines = [
        f"{split.name}: {len(split):,} questions{without}",
        f"  {none:,} are impossible to answer: "
        + ("no answer is one of the predictions" if none else "each prediction is a span"),
        token_counts(whole),
        f"  {len(made):,} windows of at most max_length={max_length} tokens",
    ]
    if lost or cut:
        lines.append(
            f"  {lost + cut:,} answers are learnt in no window: {lost:,} of characters that the tokenizer drops, "
            f"{cut:,} longer than what two neighbouring windows share (a smaller --stride, or a larger --max-length)"
        )
    return lines
