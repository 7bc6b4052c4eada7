"""Job: an Explainer and a Corpus -> an output file, part after part; killed at any moment, it can go on.

A part is a fixed number of rows of the input, explained and written apart from all others. So it does not matter for
what is in a part when, where and after what it was made: the parts in their order are the output. Used by
cli/job.py.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from autorel_jax import __version__
from autorel_jax.corpus.config import LOCAL, PRECISION, RAY, JobConfig
from autorel_jax.corpus.contents import Contents
from autorel_jax.corpus.formats import FORMATS, SUFFIX
from autorel_jax.corpus.partial import Partial, open_partial
from autorel_jax.corpus.parts import Made, parts_here, parts_of_shard, parts_on_ray
from autorel_jax.data.classes import classes_of
from autorel_jax.data.kinds import located
from autorel_jax.data.row import Row
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import Marks, together
from autorel_jax.explaining.usable import none_usable
from autorel_jax.report.explanation import SCHEMA
from autorel_jax.text.unspaced import splitter, tell_of, word_source

LIBRARIES = ("jax", "jaxlib", "tokenizers")  # whose versions may change a number


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a job did; rows of the input."""

    rows: int  # that were explained
    rejected: int  # that were left out
    resumed: int  # of both, that an earlier run had done
    first: str | None  # of those left out: where it stands, and why
    remade: int = 0  # parts that vanished or were damaged during the run, and were made again
    labelled: int = 0  # rows explained whose label is one of the model's
    right: int = 0  # of these, that are predicted so
    unknown: int = 0  # rows explained whose label the model does not have
    example: str = ""  # why the first of these is unknown

    @property
    def read(self) -> int:
        """Rows that were read, which is their sum: `check_counts` compares it with the input."""
        return self.rows + self.rejected


def explain_corpus(
    explainer: Explainer,
    corpus: Corpus,
    output: Path,
    *,
    progress: Callable[[int], object] = lambda done: None,
    **options: Any,
) -> Summary:
    """Explains every row of a corpus into one file, whose suffix decides the format; Parquet if it has none.

    The rows are in the order of the input. A row that cannot be used is left out and listed in
    OUTPUT.rejected.jsonl. Until all is done the work lies in OUTPUT.partial; the same call goes on from there.

    Args:
      explainer: with its classifier and its choice of method and target.
      corpus: from `open_corpus`.
      output: .parquet, .jsonl, .csv or .npz, in a folder that exists; an older file is replaced at the end.
      progress: called with the number of rows that were finished since its last call.
      **options: fields of JobConfig.
        columns: of the output, in their order (docs/output.md); empty for all.
        level: "word" or "token", of .csv.
        shard: (i, n), the i-th of n stretches of the input, from 1. Each needs an output of its own; one after the
          other they are the output of (1, 1).
        part_rows: rows of a part.
        restart: discards what an interrupted call has done.
        engine: "local", or "ray" for Ray Data (on_ray.py); the output is the same if batches and devices are.
        workers: of Ray, processes that hold the model; None is one for each GPU that has a CPU, or
          without GPUs for each node.

    Raises:
      InputError: the input cannot be read or holds no row that can be explained, the output cannot be written, or
        its work in progress is another call's.
    """
    config = JobConfig(**options)
    config.check_corpus(corpus)
    return run_job(explainer, corpus, Path(output), config, progress)


def run_job(
    explainer: Explainer, corpus: Corpus, output: Path, config: JobConfig, progress: Callable[[int], object]
) -> Summary:
    """As `explain_corpus`, of a config and a corpus that were checked."""
    made = FORMATS[suffix_of(output)](contents_of(explainer, corpus, config.columns, config.level))
    if config.engine == RAY:
        from autorel_jax.corpus import on_ray

        on_ray.check(explainer)
    chosen = {
        "format": suffix_of(output),
        "columns": made.names,
        "level": config.level,
        "shard": config.shard,
        "part_rows": config.part_rows,
    }
    settings = settings_of(explainer, corpus, chosen)
    with open_partial(output, settings, corpus.again, config.restart) as partial:
        # To know how many rows there are, the input is read once more.
        count = counted(explainer, corpus, config) if config.engine == RAY or config.shard[1] > 1 else None
        before = partial.done(check=True)
        resumed = sum(map(sum, before.values()))
        progress(resumed)
        make = functools.partial(make_parts, partial, explainer, corpus, made, config, count, progress=progress)
        expected = make(before)
        done = partial.done(check=True)
        if lost := [number for number in expected if number not in done]:
            if corpus.again:
                expected = make(done)
            done = partial.done(check=True)
            check_there(partial, expected, done)
        corpus.check_unchanged()
        check_counts(partial, expected, done)
        return finish(partial, made, config, done, resumed, len(lost))


def make_parts(
    partial: Partial,
    explainer: Explainer,
    corpus: Corpus,
    made: Any,
    config: JobConfig,
    count: int | None,
    before: Mapping[int, Any],
    progress: Callable[[int], object],
) -> dict[int, int]:
    """Adds the parts that are not done `before`; the rows of the input that each part stands for."""
    expected: dict[int, int] = {}
    with writer() as submit:
        for part in parts(explainer, corpus, made, config, count, before, progress):
            expected[part.number] = part.rows
            if part.write is not None:
                submit(partial.add, part.number, part.write)
    return dict(sorted(expected.items()))


def check_there(partial: Partial, expected: Mapping[int, int], done: Mapping[int, Any]) -> None:
    """Raises InputError where a part is missing or damaged."""
    lost = [partial.data(number).name for number in expected if number not in done]
    if lost:
        raise InputError(
            f"{partial.folder}: {len(lost)} of {len(expected)} parts are missing or damaged ({lost[0]}, …), although "
            "they were written: something else removes or changes files there. The same command makes them again."
        )


def check_counts(partial: Partial, expected: Mapping[int, int], done: Mapping[int, tuple[int, int]]) -> None:
    """Raises InputError unless each row of the input was explained or left out, and no other."""
    for number in expected.keys() | done.keys():
        there, rows = sum(done.get(number, ())), expected.get(number, 0)
        if there != rows:
            raise InputError(
                f"Part {number + 1} of {partial.folder} has {there} rows where the input has {rows}: the input is not "
                "the one that it was made of. --restart (restart=True) begins anew."
            )


def counted(explainer: Explainer, corpus: Corpus, config: JobConfig) -> int:
    """How many rows there are; warns here of what Ray's workers would warn of where nobody sees it."""
    count = 0
    for row in corpus.rows():
        count += 1
        if config.engine == RAY and isinstance(row, Row):
            texts = filter(None, (row.text, row.pair))
            tell_of(splitter(text, explainer.config.split_words) for text in texts)
    return count


def parts(
    explainer: Explainer,
    corpus: Corpus,
    made: Any,
    config: JobConfig,
    count: int | None,
    before: Mapping[int, Any],
    progress: Callable[[int], object],
) -> Iterator[Made]:
    """The parts, each when it is done; `count` is the number of rows where it is known."""
    size = config.part_rows
    numbers = None if count is None else parts_of_shard(count, config.shard, size)
    if config.engine == LOCAL:
        return parts_here(explainer, corpus, made, numbers, size, before, progress)
    from autorel_jax.corpus import on_ray

    task = on_ray.task_of(explainer, corpus, made, size, count)
    return parts_on_ray(task, numbers, config.workers, before, progress)


def finish(
    partial: Partial, made: Any, config: JobConfig, done: Mapping[int, tuple[int, int]], resumed: int, remade: int
) -> Summary:
    """Makes the output of the parts, which are all `done`; InputError where no row could be explained."""
    rows, rejected = (sum(counts[i] for counts in done.values()) for i in range(2))
    first = next((shown(partial.rejected(number)[0]) for number, counts in done.items() if counts[1]), None)
    if rejected and not rows and config.shard[1] == 1:
        partial.discard()
        raise none_usable(rejected, first)
    marks = together(Marks(**partial.told(number, Marks()._asdict())) for number in done)
    partial.finish(list(done), made.merge)
    return Summary(rows, rejected, resumed, first, remade, *marks)


def shown(record: Mapping[str, Any]) -> str:
    """A row that was left out, for a message."""
    where = f"{located(record['file'], record['line'])}: " if record["file"] else ""
    return f"{where}{record['reason']}"


def suffix_of(output: Path) -> str:
    """The format of an output by its suffix; InputError for a suffix that cannot be written."""
    suffix = output.suffix.lower() or SUFFIX
    if suffix not in FORMATS:
        raise InputError(f"{output}: cannot write {suffix}; accepted: {', '.join(FORMATS)}.")
    return suffix


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
            "labels": config.zero_shot or classifier.config.labels,
            "method": {"name": explainer.method.name, "parameters": explainer.parameters},
        },
        audit=config.audit,
        readouts=tuple(config.readouts),
    )


def kept_types(corpus: Corpus) -> dict[str, Any]:
    """The Arrow types of the columns that pass through, where all files are Parquet and agree.

    Classes have none: they pass through by their names.
    """
    paths = [source.path for source in corpus.sources]
    if not corpus.columns.keep or not all(path and path.suffix.lower() == ".parquet" for path in paths):
        return {}
    from pyarrow import parquet

    schemas = []
    for path in paths:
        with open(path, "rb") as stream:
            schemas.append(parquet.read_schema(stream))
    classes = {name for schema in schemas for name in classes_of(schema, corpus.columns.keep)}
    there = [name for name in corpus.columns.keep if all(name in schema.names for schema in schemas)]
    there = [name for name in there if name not in classes]
    found = {name: {schema.field(name).type for schema in schemas} for name in there}
    return {name: types.pop() for name, types in found.items() if len(types) == 1}


def settings_of(explainer: Explainer, corpus: Corpus, output: Mapping[str, Any]) -> dict[str, Any]:
    """All that the bytes of the output depend on."""
    classifier, config = explainer.classifier, explainer.config
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        "version": [__version__, *map(importlib.metadata.version, LIBRARIES)],
        "schema": SCHEMA,
        "input": corpus.state,
        "output": dict(output),
        "model": [classifier.name, classifier.fingerprint, classifier.tokenizer.fingerprint, classifier.dtype],
        "config": dataclasses.asdict(classifier.config),
        "explanation": {**fields, "max_length": explainer.max_length, "method": explainer.method.content()},
        "words": word_source(config.split_words),
        "devices": [jax.devices()[0].device_kind, explainer.computer.devices, explainer.computer.batch_size],
        "jax": {name: str(getattr(jax.config, name)) for name in PRECISION},
    }
