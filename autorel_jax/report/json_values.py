"""JSON values: arrays, tuples and records -> the lists, objects and numbers that JSON has.

Used by fields.py for the lines of `.jsonl`, and by corpus/ for columns that pass through.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Span = tuple[int, int] | None  # characters (start, end); None for a special token

UNCHANGED = frozenset((str, int, bool, type(None)))  # types that JSON has as they are


def plain(value: Any) -> Any:
    """Arrays and tuples as lists, numbers that JSON has no name for as None."""
    if type(value) in UNCHANGED:
        return value
    if isinstance(value, np.ndarray):
        items = value.tolist()
        return items if np.isfinite(value).all() else plain(items)
    if isinstance(value, tuple | list):
        return [item if type(item) in UNCHANGED else plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_spans(spans: Sequence[Span]) -> list[list[int] | None]:
    """Spans as pairs. `plain` would do it too, but takes as long for them as for all the rest."""
    return [span and list(span) for span in spans]


def plain_records(records: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses as objects."""
    return [plain(dataclasses.asdict(record)) for record in records]


def plain_ledger(ledger: Any) -> dict[str, Any] | None:
    """A ledger as an object; None stays None."""
    return None if ledger is None else plain(ledger.to_dict())
