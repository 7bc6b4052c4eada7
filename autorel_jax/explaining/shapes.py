"""Shapes: the rows and tokens that a batch is padded to, few of each, to compile little. Used by compute.py."""

# Tokens that a batch is padded to; beyond, multiples of 512. In a large batch padding costs more than a program does.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
FINE_LENGTHS = (*range(8, 64, 8), *range(64, 128, 16), *range(128, 256, 32), *range(256, 513, 64))
LARGE = 16  # rows


def batch_shape(rows: int, batch_size: int, devices: int = 1) -> int:
    """The rows that a batch is padded to: the batch size, or a power of two for a smaller one, for equal devices."""
    return -(-min(batch_size, 1 << (rows - 1).bit_length()) // devices) * devices


def few_if_long(batch_size: int, tokens: int) -> int:
    """The rows of a batch of long texts, a power of two: no more tokens than at 512 a row."""
    return batch_size if tokens <= 512 else max(1, 1 << (batch_size * 512 // tokens).bit_length() >> 1)


def padded_length(longest: int, positions: int, rows: int) -> int:
    """The tokens that a batch of so many rows is padded to, never beyond the model's positions."""
    fits = (length for length in (FINE_LENGTHS if rows >= LARGE else LENGTHS) if length >= longest)
    return min(next(fits, -(-longest // 512) * 512), positions)
