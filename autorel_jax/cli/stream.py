"""Stream: explanations -> the terminal, a page or a pipe, one after the other.

Used by explain.py, whose parsed flags are `args` here. Output files of rows are in job.py.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.cli.command import note, tell, warn
from autorel_jax.cli.ending import doubt_of_labels, how_to_see, rows_line, words_line
from autorel_jax.cli.flags import given_fields
from autorel_jax.corpus.config import JobConfig
from autorel_jax.data.label_ids import is_class, is_missing
from autorel_jax.data.row import ROW_FAULTS, Rejected, Row, reason_of, reject
from autorel_jax.data.sources import Corpus, is_source
from autorel_jax.errors import InputError
from autorel_jax.files import is_pipe
from autorel_jax.report.json_values import plain

if TYPE_CHECKING:
    from autorel_jax.auditing.record import Recorder
    from autorel_jax.explaining.config import ExplainConfig
    from autorel_jax.explaining.explainer import Explainer
    from autorel_jax.report.explanation import Explanation

Write = Callable[["Row", "Explanation"], object]
# Fields of JobConfig that are refused here.
FOR_FILES = ("part_rows", "restart", "columns", "shard", "engine", "workers")


def stream(
    args: argparse.Namespace,
    explainer: Explainer,
    corpus: Corpus,
    write: Write,
    progress: Callable[[int], object],
    recorder: Recorder | None = None,
) -> int:
    """Writes one explanation after the other, and adds it to the record; says on stderr what is left out.

    Returns the exit code.
    """
    from autorel_jax.explaining.part import Marks, explained, mark, prepared, together
    from autorel_jax.explaining.usable import none_usable

    left_out: list[Rejected] = []
    marks = Marks()
    remember, words = sampled() if ends_with_words(args) else (lambda explanation: None, lambda: [])
    read = rows = 0

    def leave_out(items: Sequence[Rejected]) -> None:
        left_out.extend(items)
        for item in items:
            tell(args.prog, f"left out: {item}")

    for number, items in enumerate(explainer.chunks(corpus.rows())):
        read += len(items)
        ready = prepared(explainer, number, items)
        part, pairs = explained(explainer, ready, progress)
        leave_out(part.rejected)
        if recorder:
            recorder.add_part(items, ready, pairs)
        for _, of_row in itertools.groupby(pairs, key=lambda pair: id(pair[0])):
            try:
                for row, explanation in of_row:
                    write(dataclasses.replace(row, label=label_of(row, explainer)), explanation)
                    remember(explanation)
                marks = together([marks, mark(explainer, row, explanation)])
                rows += 1
            except InputError:
                raise  # of the output
            except ROW_FAULTS as error:
                leave_out([reject(row, reason_of(error, "written"))])
        if not args.output:
            sys.stdout.flush()
    corpus.check_unchanged()
    if left_out and not rows:
        raise none_usable(len(left_out), str(left_out[0]))
    total = rows_line(read, rows, len(left_out), marks.labelled, marks.right)
    warn(args.prog, doubt_of_labels(marks.unknown, rows, marks.example))
    if args.output:
        write_left_out(args, left_out)
    if args.output or ends_with_words(args):
        for line in (total, *words(), where(args)):
            note(args, line)
    return int(args.strict and len(left_out) > 0)


def label_of(row: Row, explainer: Explainer) -> str | None:
    """The row's label in the model's words, where it is one of the model's; else as it came, a class by its name."""
    if is_missing(row.label):
        return None
    try:
        return explainer.classifier.config.labels[explainer.classifier.label_id(row.label)]
    except InputError:
        return row.label[0] if is_class(row.label) else row.label


def ends_with_words(args: argparse.Namespace) -> bool:
    """Whether the run ends with the strongest words: one over a corpus, whose lines are read."""
    return not args.quiet and any(map(is_source, args.texts))


def sampled() -> tuple[Callable[[Explanation], object], Callable[[], Iterable[str]]]:
    """A function that remembers the first explanations, and one that returns the line of their strongest words."""
    from autorel_jax.evaluation.strongest import SAMPLE, record_of, sample

    records: list[dict[str, Any]] = []

    def remember(explanation: Explanation) -> None:
        if len(records) < SAMPLE:
            records.append(record_of(explanation))

    return remember, lambda: words_line(lambda: sample(records))


def where(args: argparse.Namespace) -> str:
    """Where the result is, and how it is looked at."""
    if args.output:
        return f"wrote {args.output}{how_to_see(args)}"
    return "to keep this as a page for a browser: --output report.html"


def write_left_out(args: argparse.Namespace, left_out: list[Rejected]) -> None:
    """Writes the rows that were left out into a file beside the output."""
    from autorel_jax.corpus.partial import write_rejected
    from autorel_jax.data.by_products import rejected_of

    if args.output.is_file():
        write_rejected(rejected_of(args.output), [item.record for item in left_out])


@contextlib.contextmanager
def opened(args: argparse.Namespace, config: ExplainConfig, corpus: Corpus) -> Iterator[Write]:
    """The function that writes an explanation: on a page or into a pipe, or on the terminal."""
    check_flags(args)
    if config.audit or config.readouts:
        check_inside(args, config)
    if args.json:
        from autorel_jax.report.explanation import FIELDS
        from autorel_jax.report.output import Jsonl, check_kept

        check_kept(args.keep_columns)
        columns = (*FIELDS, "file") if len(corpus.sources) > 1 else ()
        lines = Jsonl(sys.stdout, args.level, columns, args.keep_columns, ascii=True)
        yield lambda row, explanation: lines.write(explanation, row.file, row_facts(row)["kept"])
    elif args.output:
        from autorel_jax.report.output import open_writer

        with open_writer(args.output, args.level, args.keep_columns) as write:
            page = is_page(args.output)
            yield lambda row, explanation: write(explanation, **(row_facts(row) if page else {}))
    else:
        from autorel_jax.report.terminal import show

        yield lambda row, explanation: show(explanation, args.level, sys.stdout, args.all_words)


def is_page(path: Path | None) -> bool:
    """Whether the output is a page, which shows the true labels and the columns that pass through."""
    return path is not None and path.suffix.lower() == ".html"


def row_facts(row: Row) -> dict[str, Any]:
    """What a page has of a row beside its explanation."""
    return {"file": row.file, "kept": [plain(value) for value in row.kept], "label": row.label}


def check_flags(args: argparse.Namespace) -> None:
    """Raises InputError for flags that another kind of output has."""
    given = given_fields(args, JobConfig)
    if (args.keep_columns and not (args.json or is_page(args.output))) or any(
        given.get(name, default) != default for name, default in defaults().items()
    ):
        from autorel_jax.corpus.formats import FORMATS

        raise InputError(
            "--part-rows, --restart, --columns, --keep-columns, --shard, --engine and --workers are for an --output "
            f"that is a file of rows: {', '.join(FORMATS)}."
        )


def defaults() -> dict[str, object]:
    """What those flags are where they are not given."""
    return {name: getattr(JobConfig, name) for name in FOR_FILES}


def check_inside(args: argparse.Namespace, config: ExplainConfig) -> None:
    """Raises InputError where the output cannot hold the ledgers or read-outs that were asked for."""
    from autorel_jax.corpus import nested
    from autorel_jax.report.output import WRITERS

    suffix = args.output.suffix.lower() if args.output else ".jsonl" if args.json else nested.TERMINAL
    piped = args.output is not None and is_pipe(args.output)
    for flag, asked, kind in (
        ("--readout", config.readouts, nested.READOUTS),
        ("--audit", config.audit, nested.LEDGER),
    ):
        accepted = [name for name in nested.SHOWN_IN[kind] if name in WRITERS or not piped]
        if asked and suffix not in accepted:
            raise nested.not_in(flag, kind, accepted)


@contextlib.contextmanager
def progress_bar(args: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """Counts texts on stderr where that is a terminal; gone at the end where the result is on the terminal too."""
    from tqdm import tqdm

    shared = not args.output and sys.stdout.isatty()
    with tqdm(unit=" texts", disable=args.quiet or not sys.stderr.isatty(), file=sys.stderr, leave=not shared) as bar:
        yield bar.update
