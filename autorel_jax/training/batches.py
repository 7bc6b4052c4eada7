"""Batches: encoded rows and labels -> the batch of each step, the same for the same seed on any number of devices.

An epoch's rows are shuffled, sorted by length within windows, cut into batches and the batches shuffled, so that
little is padded. Where a run stands in its data is its step number alone. Used by training/.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autorel_jax.model.config import BertConfig
from autorel_jax.text.batches import Encoded
from autorel_jax.text.lengths import cheapest, fit
from autorel_jax.training.masking import Masking

WINDOW = 64  # batches sorted by length together; SST-2 at batch 32: 77 % real tokens, and 79 % with 256 batches
MULTIPLE = 8  # tokens; lengths are multiples of it, which suits the matrix units of GPUs
MASKS = 1  # behind seed and step: the draws of masked words are not those of the order of rows
SHAPES = 6  # lengths that batches are padded to at most; more hardly save tokens
# Operations in the time of compiling a length: 10 seconds of a processor, in which it trains at 5e10 a second.
PROGRAM = 5e11


class TrainBatch(NamedTuple):
    """Rows of one step. A is accumulation, R rows of a part; evaluation has no axis A. All leaves lead with [A, R]."""

    ids: np.ndarray  # [A, R, T]
    mask: np.ndarray  # [A, R, T]
    types: np.ndarray  # [A, R, T]
    labels: np.ndarray  # [A, R], or [A, R, C] for multi-label, or [A, R, T] of tokens
    weights: np.ndarray  # [A, R] float32: 1 for a row, 0 where there is none


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """A split, tokenized. N rows."""

    encoded: Encoded
    labels: np.ndarray  # [N] or [N, C]
    pad_id: int
    masking: Masking | None = None  # of words, in half of each batch of training

    def __len__(self) -> int:
        return len(self.encoded)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each row [N]."""
        return self.encoded.lengths

    def batch(self, rows: np.ndarray, length: int, parts: int, part_rows: int) -> TrainBatch:
        """The rows of those numbers as a batch of `parts` parts; places beyond them have mask and weight 0."""
        places = (parts, part_rows)
        batch = self.encoded.batch(rows, (*places, length), self.pad_id)
        weights = np.zeros(parts * part_rows, np.float32)
        weights[: len(rows)] = 1
        labels = self.targets(rows, (*places, length))
        return TrainBatch(batch.ids, batch.mask, batch.types, labels, weights.reshape(places))

    def targets(self, rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """The labels of the rows of those numbers, in a batch of that shape [A, R, T]."""
        labels = np.zeros((shape[0] * shape[1], *self.labels.shape[1:]), self.labels.dtype)
        labels[: len(rows)] = self.labels[rows]
        return labels.reshape(*shape[:2], *labels.shape[1:])

    @property
    def texts(self) -> int:
        """How many texts there are, each in one row or several."""
        return len(self)

    @property
    def counted(self) -> np.ndarray:
        """The labels that the loss is about."""
        return self.labels

    @property
    def content(self) -> tuple[np.ndarray, ...]:
        """All that decides what is trained and chosen, for the fingerprint of a run."""
        return self.encoded.ids, self.encoded.offsets, self.labels


def padded_lengths(lengths: np.ndarray, count: int = SHAPES, program: float = 0.0) -> tuple[int, ...]:
    """The at most `count` multiples of MULTIPLE that cost least when each row is padded to the next of them.

    `program` as in text/lengths.py. Shapes: lengths [N].
    """
    return tuple(cheapest(lengths, np.arange(MULTIPLE, lengths.max() + MULTIPLE, MULTIPLE), count, program))


def program_cost(config: BertConfig, passes: float) -> float:
    """The tokens of the data that could be padded for the time of one more program, in so many passes over the data.

    A function of model and settings, not of the machine: a run that goes on elsewhere must be padded as it was.
    """
    width, inner = config.hidden_size, config.intermediate_size
    of_token = 6 * config.depth * (4 * width**2 + 2 * width * inner)  # forward, and twice backward
    return PROGRAM / (of_token * passes)


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The training batches of a run, one for each of the steps 0, 1, 2, and so on."""

    examples: Examples
    batch_size: int  # rows per step
    parts: int  # A
    part_rows: int  # R: batch_size / A, of no more than all rows, rounded up to a multiple of the devices
    lengths: tuple[int, ...]
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over the examples; the last may be smaller."""
        return -(-len(self.examples) // self.batch_size)

    def batches(self, start: int, stop: int) -> Iterator[TrainBatch]:
        """The batches of the steps start, …, stop - 1."""
        order, epoch = None, None
        for step in range(start, stop):
            if epoch != step // self.steps_per_epoch:
                epoch = step // self.steps_per_epoch
                order = self.epoch(epoch)
            yield self.batch(order[step % self.steps_per_epoch], step)

    def batch(self, rows: np.ndarray, step: int) -> TrainBatch:
        """The batch of those rows: dealt out to the parts in turn, so that each part is of the same kind.

        What is masked is drawn anew at each step.
        """
        length = fit(self.examples.lengths[rows].max(), self.lengths)
        whole = self.examples.batch(rows, length, 1, self.parts * self.part_rows)
        if self.examples.masking:
            rng = np.random.default_rng((self.seed, step, MASKS))
            whole = whole._replace(ids=self.examples.masking.masked(whole.ids[0], rows, rng)[None])

        def deal(leaf: np.ndarray) -> np.ndarray:
            return leaf.reshape(self.part_rows, self.parts, *leaf.shape[2:]).swapaxes(0, 1)

        return TrainBatch(*map(deal, whole))

    def epoch(self, number: int) -> list[np.ndarray]:
        """The row numbers of each batch of an epoch."""
        rng = np.random.default_rng((self.seed, number))
        rows, lengths = rng.permutation(len(self.examples)), self.examples.lengths
        window = WINDOW * self.batch_size
        for start in range(0, len(rows), window):
            part = rows[start : start + window]
            rows[start : start + window] = part[np.argsort(lengths[part], kind="stable")]
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]


def in_order(examples: Examples, batch_size: int, lengths: tuple[int, ...]) -> Iterator[tuple[np.ndarray, TrainBatch]]:
    """Batches for an evaluation, sorted by length: (row numbers, batch without the axis A)."""
    rows = np.argsort(examples.lengths, kind="stable")
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        length = fit(examples.lengths[part].max(), lengths)
        batch = examples.batch(part, length, 1, batch_size)
        yield part, TrainBatch(*(leaf[0] for leaf in batch))
