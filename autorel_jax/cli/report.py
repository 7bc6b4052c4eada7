"""autorel report: results that exist -> a page that shows them, without the model."""

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.cli.command import Parser, run, tell
from autorel_jax.errors import InputError, one_line
from autorel_jax.report.saved import read_results
from autorel_jax.report.view import LEVELS

PROG = "autorel-report"
EXAMPLES = """examples:
  autorel-report scores.parquet
  autorel-report scores.parquet --label-column stars --output report.html
  autorel-report attnlrp.parquet occlusion.parquet --output methods.html
  autorel-report base.parquet --compare distilled.parquet --output models.html
  autorel-report scores.parquet --where prediction=positive --rows 1:20000
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: report(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Writes a page that shows results: the words over all texts, the texts, and each text by itself.\n"
        "It is one file that a browser opens from the disk.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    add = made.add_argument
    add(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="a .parquet or .jsonl that --output of autorel explain wrote; several of one model, as those of several "
        "methods or of shards, make one page",
    )
    add("--output", type=Path, metavar="FILE", help="the page (default: the first RESULTS with the suffix .html)")
    add(
        "--label-column",
        metavar="NAME",
        help="the true labels, as the model's names or numbers: a column that passed through with --keep-columns "
        "(default: label, if it is there and has labels of the model)",
    )
    add("--compare", type=Path, metavar="RESULTS", help="of another model for the same texts, to be shown beside these")
    add("--level", choices=LEVELS, default=LEVELS[0], help="what is shown first (default: %(default)s)")
    add("--rows", metavar="A:B", type=stretch, help="the A-th to the B-th text alone, of those of --where")
    add(
        "--where",
        metavar="NAME=VALUE",
        type=condition,
        action="append",
        default=[],
        help="texts alone that have this prediction, or this value in a column that passed through; repeatable",
    )
    return made


def report(argv: Sequence[str] | None, prog: str) -> None:
    """Reads, writes, and says what was written."""
    args = parser(prog).parse_args(argv)
    output = args.output or args.results[0].with_suffix(".html")
    if output.suffix.lower() != ".html":
        raise InputError(f"--output {output}: a report is a .html file; give a name that ends so.")
    from autorel_jax.report.page.save import save_report

    other = read_results(args.compare) if args.compare else None
    save_report(chosen(args), output, label_column=args.label_column, level=args.level, compare=other)
    tell(prog, f"wrote {output}; open it in a browser")


def chosen(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The records of all files that pass the filters; InputError where there is none."""
    from autorel_jax.report.page.save import LABEL

    records = once(args.results, args.label_column or LABEL)
    count = 0
    for record in of_rows(where(records, args.where), args.rows):
        count += 1
        yield record
    if not count and (args.where or args.rows):
        raise InputError("No text passes --rows and --where; give others.")


def once(paths: Sequence[Path], label_column: str) -> Iterator[dict[str, Any]]:
    """The records of all files, one file after the other.

    A text that comes twice in one file is so in the data. Results that stand in two files, as those of shards beside
    those of the whole or of another --dtype, would count twice.

    Raises:
      InputError: two files have the same text, explained by the same model and method for the same target.
    """
    found: dict[str, int] = {}
    for number, path in enumerate(paths):
        for record in read_results(path):
            first = found.setdefault(key_of(record, label_column), number) if len(paths) > 1 else number
            if first != number:
                raise InputError(
                    f"{paths[first]} and {path} both hold text {one_line(record.get('id'), 40)!r} explained for "
                    f"{one_line(record.get('target'), 40)!r} by the same model and method: it would count twice. Give "
                    "each result once; results of another --dtype or --long go to --compare."
                )
            yield record


def key_of(record: dict[str, Any], label_column: str) -> str:
    """What two results of one text by one model and method have in common."""
    from autorel_jax.evaluation.records import OF_SPAN, model_of

    fields = ("file", "id", "text", "text_pair", "target", *OF_SPAN, label_column)
    method = record.get("method") or {}
    parts = [*map(record.get, fields), model_of(record), method.get("name"), method.get("parameters")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def where(records: Iterable[dict[str, Any]], conditions: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """The records that meet every condition; InputError for a column that they lack."""
    for record in records:
        for name, _ in conditions:
            if name not in record:
                raise InputError(f"--where {name}: the results have no such column; they have {', '.join(record)}.")
        if all(text_of(record[name]) == value for name, value in conditions):
            yield record


def text_of(value: Any) -> str:
    """A value as it is written after the = of --where."""
    return str(value.get("label") if isinstance(value, dict) else value)


def of_rows(records: Iterable[dict[str, Any]], stretch: tuple[int, int] | None) -> Iterator[dict[str, Any]]:
    """The records of a stretch of texts, counted in the order in which each first comes."""
    numbers: dict[Any, int] = {}
    for record in records:
        if stretch is None:
            yield record
            continue
        key = (record.get("file"), record.get("id"), str(record.get("text")), str(record.get("text_pair")))
        number = numbers.setdefault(key, len(numbers) + 1)
        if stretch[0] <= number <= stretch[1]:
            yield record


def stretch(text: str) -> tuple[int, int]:
    """`1:200` -> (1, 200)."""
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"{text!r} is no stretch of rows; expected A:B, such as 1:20000")
    return int(first), int(last)


def condition(text: str) -> tuple[str, str]:
    """`prediction=positive` -> ("prediction", "positive")."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no condition; expected NAME=VALUE, such as prediction=positive")
    return name, value
