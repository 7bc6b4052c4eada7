"""Parts: a corpus -> its parts that are still to do, each explained, by this process or by Ray's workers.

Used by job.py.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.corpus.part import Part, explained, prepared, record_of
from autorel_jax.corpus.prefetch import prefetched
from autorel_jax.data.sources import Corpus
from autorel_jax.explaining.explainer import Explainer

# A part that is done: its number, what writes its data to a path, and its record.
Finished = tuple[int, Callable[[Path], object], dict[str, Any]]


def parts_of_shard(rows: int, shard: tuple[int, int], size: int) -> range:
    """The numbers of the parts of a shard of so many rows: whole parts, computed as they would be in one run."""
    (place, count), parts = shard, -(-rows // size)
    return range(parts * (place - 1) // count, parts * place // count)


def parts_here(
    explainer: Explainer,
    corpus: Corpus,
    made: Any,
    numbers: range | None,
    size: int,
    before: Mapping[int, Any],
    progress: Callable[[int], object],
) -> Iterator[Finished]:
    """The parts that are not done, each explained as it is asked for."""
    for part in parts_to_do(explainer, corpus, numbers, size, before):
        write = functools.partial(made.write, pairs=explained(explainer, part, progress))
        yield part.number, write, record_of(part)


def parts_on_ray(
    task: Any, numbers: Sequence[int], workers: int | None, progress: Callable[[int], object]
) -> Iterator[Finished]:
    """The parts of those numbers, in the order in which Ray's workers finish them."""
    from autorel_jax.corpus import on_ray

    for number, data, record in on_ray.finished_parts(task, numbers, workers):
        progress(record["rows"] + len(record["rejected"]))
        yield number, functools.partial(Path.write_bytes, data=data), record


def parts_to_do(
    explainer: Explainer, corpus: Corpus, numbers: range | None, size: int, before: Mapping[int, Any]
) -> Iterator[Part]:
    """The parts that are not done, tokenized, the next one while the last is in use."""

    def parts() -> Iterator[Part]:
        rows = corpus.rows()
        for number in itertools.count() if numbers is None else range(numbers.stop):
            items = list(itertools.islice(rows, size))
            if not items:
                return
            if number not in before and (numbers is None or number in numbers):
                yield prepared(explainer, number, items)

    # A thread that waits for standard input could not be interrupted.
    return prefetched(parts()) if corpus.again else parts()
