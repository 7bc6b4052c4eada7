"""Tagging: sentences with a label for each word -> token ids, and labels at the first piece of each word.

Other pieces have none, as in transformers' example. Used by prepare.py, tag_metrics.py and schemes.py. N sentences.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.data.tags import in_one
from autorel_jax.errors import LARGEST_INT, InputError
from autorel_jax.text.batches import Encoded
from autorel_jax.text.layout import which_kept
from autorel_jax.text.settings import LEFT
from autorel_jax.text.tokens import CHUNK, Tokenizer, Tokens
from autorel_jax.text.words import units
from autorel_jax.training.batches import Examples
from autorel_jax.training.loss import IGNORED


class Sentence(NamedTuple):
    """A sentence as the model reads it. T tokens."""

    ids: np.ndarray  # [T] int32
    first: int  # tokens of segment 0
    whole: int  # tokens before max_length cut any
    words: np.ndarray  # [T] int32, the number of the word whose first piece it is; -1: another token
    units: np.ndarray  # [T] int32, see text/words.py
    dropped: int  # words without any piece


@dataclasses.dataclass(frozen=True, eq=False)
class TaggedExamples(Examples):
    """Sentences; `labels` are those of all tokens, [sum of lengths], IGNORED where a token has none."""

    words: np.ndarray = None  # [sum of lengths], see Sentence
    gold: Sequence[np.ndarray] = ()  # of each sentence the labels of its words, also of those that are not read

    def targets(self, rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """The labels of the tokens [A, R, T]."""
        return dataclasses.replace(self.encoded, ids=self.labels).batch(rows, shape, IGNORED).ids

    @property
    def counted(self) -> np.ndarray:
        """The labels without those that are ignored."""
        return self.labels[self.labels != IGNORED]

    @property
    def content(self) -> tuple[np.ndarray, ...]:
        """Also what is not read, which counts in metrics."""
        return (*super().content, *self.gold)


def sentences(tokenizer: Tokenizer, texts: Sequence[tuple[str, ...]], max_length: int) -> Iterator[Sentence]:
    """Sentences, each a sequence of words, as tokens; those that are too long are cut."""
    for start in range(0, len(texts), CHUNK):
        part = texts[start : start + CHUNK]
        for words, tokens in zip(part, tokenizer(part, max_length=LARGEST_INT), strict=True):
            yield sentence(tokens, words, max_length)


def sentence(tokens: Tokens, words: Sequence[str], max_length: int) -> Sentence:
    """A sentence of so many words, of which all tokens are known."""
    inside = np.array([span is not None for span in tokens.spans], bool)
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])  # of each word, among words with a space between
    numbers = np.full(len(tokens.ids), -1, np.int32)
    owners = [tokens.word_spans[word][0] for word in tokens.word_index[inside]]
    found, firsts = np.unique(np.searchsorted(starts, owners), return_index=True)
    numbers[np.flatnonzero(inside)[firsts]] = found
    pieces, special = np.flatnonzero(inside), np.flatnonzero(~inside)
    room = max_length - len(special)
    read = pieces[which_kept(len(pieces), min(len(pieces), room), tokens.truncation_side == LEFT)]
    kept = np.sort(np.concatenate([special, read]))
    parts = units(tokens, words=True)[kept]
    parts[parts >= 0] = np.unique(parts[parts >= 0], return_inverse=True)[1]  # from 0 again, where the left is cut
    segment = int((tokens.types[kept] == 0).sum())
    return Sentence(tokens.ids[kept], segment, len(tokens.ids), numbers[kept], parts, len(words) - len(found))


def examples_of(read: Sequence[Sentence], labels: Sequence[np.ndarray], pad_id: int) -> TaggedExamples:
    """Sentences and the labels of their words as examples."""
    encoded = Encoded(
        in_one([one.ids for one in read]),
        np.cumsum([0, *(len(one.ids) for one in read)]),
        np.array([one.first for one in read], np.int32),
        np.array([one.whole for one in read], np.int32),
    )
    words = in_one([one.words for one in read])
    at_tokens = [np.append(gold, IGNORED)[one.words] for one, gold in zip(read, labels, strict=True)]
    return TaggedExamples(encoded, in_one(at_tokens), pad_id, words=words, gold=list(labels))


def not_read(read: Sequence[Sentence], labels: Sequence[np.ndarray], max_length: int) -> list[str]:
    """A line about the words whose labels the model does not see, if there are any."""
    dropped = sum(one.dropped for one in read)
    lost = sum(map(len, labels)) - sum(int((one.words >= 0).sum()) for one in read)
    if not lost:
        return []
    return [
        f"  {lost:,} words are not read, with their labels: {lost - dropped:,} behind max_length={max_length}, "
        f"{dropped:,} that the tokenizer drops; in metrics they are wrong, and of no entity"
    ]


def to_learn(
    read: Sequence[Sentence], labels: Sequence[np.ndarray], name: str
) -> tuple[list[Sentence], list[np.ndarray], list[str]]:
    """The sentences with a word that is read, their labels, and a line about those without.

    Raises:
      InputError: there is none with a word.
    """
    pairs = [(one, gold) for one, gold in zip(read, labels, strict=True) if (one.words >= 0).any()]
    if not pairs:
        raise InputError(f"no sentence of {name} has a word that the model reads.")
    left_out = len(read) - len(pairs)
    said = f"  {left_out:,} of the sentences have no word that is read, and are left out"
    return [one for one, _ in pairs], [gold for _, gold in pairs], [said] if left_out else []
