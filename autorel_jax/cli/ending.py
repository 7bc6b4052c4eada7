"""Ending: what a run over a corpus did -> the lines on stderr that it ends with.

They say what became of the rows and how many predictions are right, which words are strongest, and where the result is.
Used by stream.py and job.py, whose parsed flags are `args` here.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from autorel_jax.cli.command import counted
from autorel_jax.errors import InputError, one_line
from autorel_jax.report.view import percent

if TYPE_CHECKING:
    from autorel_jax.evaluation.collection import Collection

TARGETS = 4  # whose words are named
READABLE = (".parquet", ".jsonl")  # outputs that a report is made of


def rows_line(read: int, explained: int, left_out: int, labelled: int, right: int) -> str:
    """What became of the rows, and how many of those with a label are predicted as it says."""
    line = counted(read, explained, left_out)
    return f"{line}; accuracy {percent(right / labelled)} ({right} of {labelled} with a label)" if labelled else line


def doubt_of_labels(unknown: int, explained: int, example: str) -> list[str]:
    """What to say of labels that the model does not have, and why the first is unknown; nothing where all are known."""
    said = f"{unknown} of {explained} rows have a label that the model does not know, and no part in the accuracy"
    return [f"{said}: {example}"] if unknown else []


def words_line(gather: Callable[[], Collection]) -> Iterator[str]:
    """The strongest words of each target; nothing where there are none."""
    from autorel_jax.evaluation.strongest import SAMPLE, strongest

    with contextlib.suppress(InputError):  # results that no report can be made of, as of two texts with one id
        collection = gather()
        found = strongest(collection)
        results = sum(len(series.rows) for series in collection.series.values())
        first = f" in the first {len(collection)} texts" if results >= SAMPLE else ""
        named = [f"{one_line(name, 40)}: {', '.join(map(one_line, words))}" for name, words in found.items()]
        more = [f"{len(named) - TARGETS} more targets"] if len(named) > TARGETS else []
        if named:
            yield f"strongest words{first}: {'; '.join([*named[:TARGETS], *more])}"


def words_of_output(args: argparse.Namespace) -> Iterator[str]:
    """`words_line` of an output that can be read again."""
    from autorel_jax.evaluation.strongest import sample
    from autorel_jax.report.saved import read_results

    if can_be_reported(args) and not getattr(args, "readouts", None):  # read-outs may be thousands of times as large
        yield from words_line(lambda: sample(read_results(args.output)))


def how_to_see(args: argparse.Namespace) -> str:
    """How to look at the output, as the end of a line."""
    if args.output.suffix.lower() == ".html":
        return "; open it in a browser"
    if not can_be_reported(args):
        return ""
    label = args.label_column if args.label_column in args.keep_columns else None
    more = f" --label-column {shlex.quote(label)}" if label else ""
    return f"; as a page for a browser: autorel report {shlex.quote(str(args.output))}{more}"


def can_be_reported(args: argparse.Namespace) -> bool:
    """Whether a report can be made of the output."""
    return args.output.suffix.lower() in READABLE and not getattr(args, "columns", None)
