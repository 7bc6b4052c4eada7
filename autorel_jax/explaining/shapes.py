"""Shapes: the rows and tokens that a batch is padded to, few of each, to compile little. Used by compute.py."""

from collections.abc import Sequence

import numpy as np

from autorel_jax.text.lengths import cheapest

# Tokens that a batch is padded to; beyond, multiples of 512. In a large batch padding costs more than a program does.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
FINE_LENGTHS = (*range(8, 64, 8), *range(64, 128, 16), *range(128, 256, 32), *range(256, 513, 64))
LARGE = 16  # rows
USUAL = 512  # tokens; what is longer is padded to multiples
CLOSE_LENGTHS = tuple(sorted({*range(4, 64, 4), *FINE_LENGTHS}))  # from which those of many texts are chosen
MANY = 16  # full batches
MOST = 12  # lengths
PROGRAM = 500  # tokens that a MiniLM explains in half of the time to trace and load a program; other parts use it too


def batch_shape(rows: int, batch_size: int, devices: int = 1) -> int:
    """The rows that a batch is padded to: the batch size, or a power of two for a smaller one, for equal devices."""
    return -(-min(batch_size, 1 << (rows - 1).bit_length()) // devices) * devices


def few_if_long(batch_size: int, tokens: int) -> int:
    """The rows of a batch of long texts, a power of two: no more tokens than at 512 a row."""
    return batch_size if tokens <= 512 else max(1, 1 << (batch_size * 512 // tokens).bit_length() >> 1)


def chosen_lengths(tokens: Sequence[int], rows: int) -> Sequence[int]:
    """The lengths that cost least for these texts in batches of so many, sorted by length; none for few texts.

    What is computed of a part of a corpus must not depend on other parts: each has its own.
    """
    if rows < LARGE or len(tokens) < MANY * rows:
        return ()
    usual = np.sort([count for count in tokens if count <= USUAL])
    longest = usual[::-1][::rows]  # of each batch
    return cheapest(longest, CLOSE_LENGTHS, MOST, PROGRAM / rows) if len(longest) else ()


def padded_length(longest: int, positions: int, rows: int, lengths: Sequence[int] = ()) -> int:
    """The tokens that a batch of so many rows is padded to, never beyond the model's positions.

    A large batch takes one of `lengths`, if any are given.
    """
    usual = (lengths or FINE_LENGTHS) if rows >= LARGE else LENGTHS
    fits = (length for length in usual if length >= longest)
    return min(next(fits, -(-longest // USUAL) * USUAL), positions)
