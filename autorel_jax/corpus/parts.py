"""Parts: a corpus -> its parts that are still to do, each explained, by this process or by Ray's workers.

Used by job.py.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.corpus.prefetch import prefetched
from autorel_jax.data.sources import Corpus
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import Part, explained, prepared, written


class Made(NamedTuple):
    """A part that is explained, or was before."""

    number: int
    rows: int  # of the input, explained or left out
    write: Callable[[Path], dict[str, Any]] | None  # writes its data to a path and returns its record; None: it was


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
) -> Iterator[Made]:
    """The parts, of which those that are not done are explained as they are asked for."""
    for number, rows, part in parts_read(explainer, corpus, numbers, size, before):
        if part is None:
            yield Made(number, rows, None)
        else:
            part, pairs = explained(explainer, part, progress)
            yield Made(number, rows, functools.partial(written, made, explainer, part=part, pairs=pairs))


def parts_on_ray(
    task: Any, numbers: range, workers: int | None, before: Mapping[int, Any], progress: Callable[[int], object]
) -> Iterator[Made]:
    """The parts of those numbers, in the order in which Ray's workers finish them."""
    from autorel_jax.corpus import on_ray

    def rows_of(number: int) -> int:
        return min(task.part_rows, task.rows - number * task.part_rows)

    def write(path: Path, data: bytes, record: dict[str, Any]) -> dict[str, Any]:
        path.write_bytes(data)
        return record

    yield from (Made(number, rows_of(number), None) for number in numbers if number in before)
    todo = [number for number in numbers if number not in before]
    for number, data, record in on_ray.finished_parts(task, todo, workers):
        progress(rows_of(number))
        yield Made(number, rows_of(number), functools.partial(write, data=data, record=record))


def parts_read(
    explainer: Explainer, corpus: Corpus, numbers: range | None, size: int, before: Mapping[int, Any]
) -> Iterator[tuple[int, int, Part | None]]:
    """Number, rows and Part of each, tokenized, the next one while the last is in use; None if it is done."""

    def parts() -> Iterator[tuple[int, int, Part | None]]:
        rows = corpus.rows()
        for number in itertools.count() if numbers is None else range(numbers.stop):
            items = list(itertools.islice(rows, size))
            if not items:
                return
            if numbers is None or number in numbers:
                yield number, len(items), None if number in before else prepared(explainer, number, items)

    # A thread that waits for standard input could not be interrupted.
    return prefetched(parts()) if corpus.again else parts()
