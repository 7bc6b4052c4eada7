"""Moments: Arrow dates, times, time stamps and durations -> ISO text that keeps the number which Arrow holds.

Python's own types hold neither nanoseconds nor the years beyond 9999, and know no time zone that is missing here.
Used by tables.py, and by corpus/columns.py for the way back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # of a second, by the unit


class Moment(str):
    """The text of a date, time, time stamp or duration; `number` is Arrow's, in the unit of its column.

    It may be an id or a label, or pass through, but is no text to explain or to train on.
    """

    number: int


def are_moments(kind: pyarrow.DataType) -> bool:
    """Whether a column of that type holds moments."""
    from pyarrow import types

    return any(is_kind(kind) for is_kind in (types.is_date, types.is_time, types.is_timestamp, types.is_duration))


def moments(column: pyarrow.Array) -> list[Moment | None]:
    """The values of a column of N moments; a time stamp with a zone as UTC, which ends in Z."""
    import pyarrow as pa

    kind = column.type
    numbers = column.view(whole(kind)).to_pylist()
    if pa.types.is_duration(kind):
        texts = [None if number is None else lasting(number, DIGITS[kind.unit]) for number in numbers]
        return [moment(text, number) for text, number in zip(texts, numbers, strict=True)]
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    texts = (column.view(pa.timestamp(kind.unit)) if zoned else column).cast(pa.string()).to_pylist()
    end = "Z" if zoned else ""
    return [moment(f"{text}{end}", number) for text, number in zip(texts, numbers, strict=True)]


def column_of(values: Iterable[Moment | None], kind: pyarrow.DataType) -> pyarrow.Array:
    """Moments as a column of the type that they were read from."""
    import pyarrow as pa

    return pa.array([None if value is None else value.number for value in values], whole(kind)).view(kind)


def moment(text: str | None, number: int | None) -> Moment | None:
    """The text with its number; None without one."""
    if number is None:
        return None
    made = Moment(text)
    made.number = number
    return made


def lasting(number: int, digits: int) -> str:
    """A duration as ISO 8601 writes it, in seconds; `number` counts units of that many digits of a second.

    >>> lasting(-1500, 3)
    '-PT1.500S'
    """
    seconds, rest = divmod(abs(number), 10**digits)
    return f"{'-' if number < 0 else ''}PT{seconds}{f'.{rest:0{digits}}' if rest else ''}S"


def whole(kind: pyarrow.DataType) -> pyarrow.DataType:
    """The type of the whole numbers that stand for moments of a type."""
    import pyarrow as pa

    return pa.int32() if kind.bit_width == 32 else pa.int64()
