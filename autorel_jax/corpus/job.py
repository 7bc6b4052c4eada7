"""Job: an Explainer and a Corpus -> an output file, part after part; killed at any moment, it can go on.

A part is a fixed number of rows of the input, explained and written apart from all others. So it does not matter for
what is in a part when, where and after what it was made: the parts in their order are the output. Used by
cli/explain.py.
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from autorel_jax import __version__
from autorel_jax.attribution.methods import Method
from autorel_jax.corpus.contents import Contents
from autorel_jax.corpus.engines import ENGINES, LOCAL, RAY
from autorel_jax.corpus.formats import FORMATS, SUFFIX
from autorel_jax.corpus.part import Part, explained, prepared, record_of
from autorel_jax.corpus.partial import open_partial
from autorel_jax.corpus.prefetch import ahead
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError, check_count
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.lrp.composites import Composite
from autorel_jax.report.explanation import SCHEMA

PART_ROWS = 2048  # rows of a part: what a kill costs at most, and what is sorted by length together


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a job did; rows of the input."""

    rows: int  # that were explained
    rejected: int  # that were left out
    resumed: int  # of both, that an earlier run had done
    first: str | None  # of those left out: where it stands, and why


# A part that is done: its number, what writes its data to a path, and its record.
Finished = tuple[int, Callable[[Path], object], dict[str, Any]]


def explain_corpus(
    explainer: Explainer,
    corpus: Corpus,
    output: Path,
    *,
    columns: Sequence[str] = (),
    level: str = "word",
    shard: tuple[int, int] = (1, 1),
    part_rows: int = PART_ROWS,
    restart: bool = False,
    engine: str = LOCAL,
    workers: int | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Summary:
    """Explains every row of a corpus into one file, whose suffix decides the format; Parquet if it has none.

    The rows are in the order of the input. A row that cannot be used is left out and told of in
    OUTPUT.rejected.jsonl. Until all is done the work lies in OUTPUT.partial; the same call goes on from there.

    Args:
      explainer: with its classifier and its choice of method and target.
      corpus: from `open_corpus`.
      output: .parquet, .jsonl, .csv or .npz, in a folder that exists; an older file is replaced at the end.
      columns: of the output, in their order (docs/output.md); empty for all.
      level: "word" or "token", of .csv.
      shard: (i, n), the i-th of n stretches of the input, from 1. Each needs an output of its own; one after the
        other they are the output of (1, 1).
      part_rows: rows of a part.
      restart: discards what an interrupted call has done.
      engine: "local", or "ray" for Ray Data (on_ray.py); the output is the same if batches and devices are.
      workers: of Ray, processes that hold the model; None is one for each GPU that has a CPU, or
        without GPUs for each node.
      progress: called with the number of rows that were finished since its last call.

    Raises:
      InputError: the input cannot be read or holds no row that can be explained, the output cannot be written, or
        its work in progress is another call's.
    """
    check_count("part_rows", part_rows)
    check_engine(engine, workers)
    check_shard(corpus, shard)
    output = Path(output)
    made = FORMATS[suffix_of(output)](contents_of(explainer, corpus, columns, level))
    if engine == RAY:
        from autorel_jax.corpus import on_ray

        on_ray.check(explainer, corpus)
    chosen = {
        "format": suffix_of(output),
        "columns": made.names,
        "level": level,
        "shard": shard,
        "part_rows": part_rows,
    }
    settings = settings_of(explainer, corpus, chosen)
    with open_partial(output, settings, corpus.again, restart) as partial:
        # To know how many rows there are, the input is read once more.
        count = sum(1 for _ in corpus.rows()) if engine == RAY or shard[1] > 1 else None
        numbers = None if count is None else parts_of_shard(count, shard, part_rows)
        before = partial.done()
        resumed = sum(map(sum, before.values()))
        progress(resumed)
        with writer() as submit:
            if engine == RAY:
                todo = [number for number in numbers if number not in before]
                task = on_ray.task_of(explainer, corpus, made, part_rows, count)
                finished = parts_on_ray(task, todo, workers, progress)
            else:
                finished = parts_here(explainer, corpus, made, numbers, part_rows, before, progress)
            for number, write, record in finished:
                submit(partial.add, number, write, record)
        done = partial.done()
        rows, rejected = (sum(counts[i] for counts in done.values()) for i in range(2))
        first = next((shown(partial.rejected(number)[0]) for number, counts in done.items() if counts[1]), None)
        if rejected and not rows and shard[1] == 1:
            partial.discard()
            raise none_usable(rejected, first)
        partial.finish(list(done), made.merge)
    return Summary(rows, rejected, resumed, first)


def shown(record: Mapping[str, Any]) -> str:
    """A row that was left out, for a message."""
    where = f"{record['file']}, line {record['line']}: " if record["file"] else ""
    return f"{where}{record['reason']}"


def none_usable(count: int, first: str) -> InputError:
    """What to raise where every row was left out."""
    rows = "The only row" if count == 1 else f"None of the {count} rows"
    return InputError(
        f"{rows} can{'not' if count == 1 else ''} be explained{'. The first' if count > 1 else ''}: {first}"
    )


def suffix_of(output: Path) -> str:
    """The format of an output; InputError where there is none of its suffix."""
    suffix = output.suffix.lower() or SUFFIX
    if suffix not in FORMATS:
        raise InputError(f"{output}: cannot write {suffix}; accepted: {', '.join(FORMATS)}.")
    return suffix


def check_engine(engine: str, workers: int | None) -> None:
    """Raises InputError for an engine that there is not, or for workers of one that has none."""
    if engine not in ENGINES:
        raise InputError(f"Unknown engine {engine!r}. Available: {', '.join(ENGINES)}.")
    if workers is not None and engine == LOCAL:
        raise InputError(f"workers={workers} is for the engine {RAY}; the engine {LOCAL} is this process alone.")


def check_shard(corpus: Corpus, shard: tuple[int, int]) -> None:
    """Raises InputError for a shard that there is not."""
    place, count = shard
    if not 1 <= place <= count:
        raise InputError(f"The shard {place}/{count} does not exist; expected i/n with i from 1 to n.")
    if count > 1 and not corpus.again:
        raise InputError("Standard input cannot be divided into shards; give files.")


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
    return ahead(parts()) if corpus.again else parts()


@contextlib.contextmanager
def writer() -> Iterator[Callable[..., None]]:
    """A function that makes a call in a thread, after its last one ended well; at the end all are made."""
    with ThreadPoolExecutor(1, "writer") as thread:
        last: Future[Any] | None = None

        def submit(call: Callable[..., object], *arguments: Any) -> None:
            nonlocal last
            if last is not None:
                last.result()
            last = thread.submit(call, *arguments)

        yield submit
        if last is not None:
            last.result()


def contents_of(explainer: Explainer, corpus: Corpus, columns: Sequence[str], level: str) -> Contents:
    """What the output is to hold."""
    classifier, config = explainer.classifier, explainer.config
    return Contents(
        columns=columns,
        kept=corpus.columns.keep,
        level=level,
        files=len(corpus.sources) > 1,
        numbered=corpus.columns.id is None,
        types=kept_types(corpus),
        about={
            "schema": SCHEMA,
            "version": __version__,
            "model": {"name": classifier.name, "weights_sha256": classifier.fingerprint},
            "labels": classifier.config.labels,
            "method": {"name": explainer.method.name, "parameters": explainer.parameters},
        },
        audit=config.audit,
        readouts=tuple(config.readouts),
    )


def kept_types(corpus: Corpus) -> dict[str, Any]:
    """The Arrow types of the columns that pass through, where all files are Parquet and agree."""
    paths = [source.path for source in corpus.sources]
    if not corpus.columns.keep or not all(path and path.suffix.lower() == ".parquet" for path in paths):
        return {}
    from pyarrow import parquet

    schemas = [parquet.read_schema(path) for path in paths]
    there = [name for name in corpus.columns.keep if all(name in schema.names for schema in schemas)]
    found = {name: {schema.field(name).type for schema in schemas} for name in there}
    return {name: types.pop() for name, types in found.items() if len(types) == 1}


def content_of(method: Composite | Method) -> Any:
    """All that makes a method; its name alone does not, as a composite can be registered by any."""
    return repr(method) if isinstance(method, Method) else [method.name, method.rules, method.parameters]


def settings_of(explainer: Explainer, corpus: Corpus, output: Mapping[str, Any]) -> dict[str, Any]:
    """All that the bytes of the output depend on."""
    classifier, config = explainer.classifier, explainer.config
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        "version": [__version__, jax.__version__],
        "schema": SCHEMA,
        "input": corpus.state,
        "output": dict(output),
        "model": [classifier.name, classifier.fingerprint, classifier.tokenizer.fingerprint, classifier.dtype],
        "explanation": {**fields, "method": content_of(explainer.method)},
        "devices": [jax.devices()[0].device_kind, explainer.mesh.size if explainer.mesh else 1, explainer.batch_size],
    }
