"""Recording: a run of autorel explain or record -> its record in a file, and what is said of it.

Used by explain.py, whose parsed flags are `args` in what has --record, and by record.py.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.cli.command import note, warn
from autorel_jax.cli.ending import can_be_reported
from autorel_jax.cli.flags import check_written
from autorel_jax.data.by_products import rejected_of
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError
from autorel_jax.files import is_pipe

if TYPE_CHECKING:
    from autorel_jax.auditing.record import Recorder

PAGE = ".html"


def check_record(path: Path, flag: str) -> None:
    """Raises InputError where no record can be written."""
    check_written(flag, path, ".json")


def check_explain_record(args: argparse.Namespace) -> None:
    """Likewise for --record, and where --output is a file that the record cannot be made of."""
    check_record(args.record, "--record")
    rows = args.output and args.output.suffix.lower() != PAGE and not is_pipe(args.output)
    if rows and not can_be_reported(args):
        raise InputError(
            f"--record beside --output {args.output}: a record is made of a .jsonl or .parquet with all columns; give "
            "one of these, or call autorel record."
        )


def write_record(args: argparse.Namespace, recorder: Recorder) -> None:
    """Writes what was gathered, and says so."""
    from autorel_jax.auditing.record_file import save_record

    made = recorder.record()
    save_record(made, args.record)
    said = made["summary"]
    if made["left_out"]:
        warn(args.prog, [f"rows left out of the record: {made['left_out']}"])
    if said["without_results"]:
        warn(args.prog, [f"texts of the record without an explanation: {said['without_results']}"])
    if said["not_finite"]:
        warn(
            args.prog,
            [f"explanations with numbers that are not finite, which are not told apart: {said['not_finite']}"],
        )
    note(args, f"wrote {args.record}, a record of {said['texts']} texts")


def record_output(args: argparse.Namespace, recorder: Recorder) -> None:
    """Makes the record of an --output of rows, which may have been written by several runs and processes."""
    from autorel_jax.attribution.targets import LOG_PROBABILITY, reads_given
    from autorel_jax.report.saved import read_results

    given = reads_given(recorder.explainer.config.target)
    row: Row | None = None
    results: list[dict[str, Any]] = []
    known: set[str] = set()
    for result in read_results(args.output):
        label = result["target"].removeprefix(LOG_PROBABILITY) if given else None
        made = row_of_result(args, result, label)
        if recorder.explainer.config.zero_shot:  # whose pair is a label in words
            made = dataclasses.replace(made, pair=None)
        asked = str([result["target"], result.get("span"), result.get("span_segment")])
        if made != row or given or asked in known:  # equal rows may follow one another
            if row is not None:
                recorder.add(row, results)
            row, results, known = made, [], set()
        results.append(result)
        known.add(asked)
    if row is not None:
        recorder.add(row, results)
    rejected = rejected_of(args.output)
    recorder.left_out = rejected.read_bytes().count(b"\n") if rejected.exists() else 0
    write_record(args, recorder)


def row_of_result(args: argparse.Namespace, result: dict[str, Any], label: str | None) -> Row:
    """The row that a result is of.

    Raises:
      InputError: the text was given as words, which a .parquet joins.
    """
    if "given" in result["word_splitter"] and isinstance(result["text"], str) and args.output.suffix != ".jsonl":
        raise InputError(
            f"--record: {args.output} has given words joined to texts, so that they could not be explained again; "
            "write a .jsonl, or call autorel record."
        )
    return Row(result["id"], result["text"], result.get("text_pair"), label)
