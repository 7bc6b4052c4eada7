"""Prefetch: an iterator -> the same items, the next of them made by a thread while the caller works with the last.

Used by parts.py, to read and tokenize beside the device.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def prefetched(items: Iterable[Item]) -> Iterator[Item]:
    """The items in their order; an exception of theirs comes in its place."""
    items = iter(items)
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, items, END)
        while (item := coming.result()) is not END:
            coming = thread.submit(next, items, END)
            yield item
