"""Fitting: batches of rows, and a function that computes one -> their results, in halves where memory runs out.

Used by compute.py.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from autorel_jax.errors import InputError, out_of_memory

Places = Sequence[int]  # of a batch's rows among all
Compute = Callable[
    [Places], Iterable[Any]
]  # trees of arrays on the device whose first axis is the batch's, padding last


def fitted(
    compute: Compute, batches: Iterable[Places], too_large: Callable[[Places], object] = lambda places: None
) -> Iterator[tuple[Places, list[Any]]]:
    """Each batch with its arrays; one that does not fit the device's memory comes in halves, in its place.

    Args:
      compute: starts a batch without waiting for it. One more is started before a batch is waited for.
      batches: from first to last.
      too_large: called with each batch that did not fit.

    Raises:
      InputError: a single row does not fit.
    """
    for places, arrays in one_ahead((places, started(compute, places)) for places in batches):
        found = None if arrays is None else fetched(arrays)
        if found is not None:
            yield places, found
            continue
        if len(places) == 1:
            raise InputError(
                "A single text does not fit the device's memory; use a smaller length or target fewer labels at once."
            )
        too_large(places)
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            yield from fitted(compute, [half], too_large)


def one_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """The items, each made just before the one ahead of it is handed out: the device computes while we describe."""
    items = iter(items)
    for last in itertools.islice(items, 1):
        for item in items:
            yield last
            last = item
        yield last


def started(compute: Compute, places: Places) -> Any | None:
    """The arrays of a batch; None where memory ran out."""
    try:
        return compute(places)
    except jax.errors.JaxRuntimeError as error:
        return none_if_full(error)


def fetched(arrays: Any) -> Any | None:
    """Arrays on the device, in any tree -> arrays here; None where memory ran out."""
    try:
        return jax.tree.map(np.asarray, arrays)
    except jax.errors.JaxRuntimeError as error:
        return none_if_full(error)


def none_if_full(error: jax.errors.JaxRuntimeError) -> None:
    """None for an error that says that memory ran out; any other is raised again."""
    if not out_of_memory(error):
        raise error
