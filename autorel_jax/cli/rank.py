"""autorel rank: a query, passages and a reranker -> the passages by their score, and why one is before another."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autorel_jax.cli.command import Parser, note, run, say, tell
from autorel_jax.cli.explain import explainer_of, input_corpus
from autorel_jax.cli.explain_flags import add_column_flags, add_text_flags
from autorel_jax.cli.flags import add_compute_dtype, add_devices, add_fields, add_model_flags, add_quiet, given_fields
from autorel_jax.cli.method_flags import add_method_flags, method_options
from autorel_jax.cli.start import importing
from autorel_jax.data.kinds import STDIN
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.config import ExplainConfig

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanations

PROG = "autorel-rank"
EXAMPLES = """examples:
  autorel-rank "how big is Berlin?" "Berlin has 3.7 million people." "Paris is big." --model RERANKER
  autorel-rank "how big is Berlin?" passages.csv --text-column passage --model RERANKER --compare 1 4
  autorel-rank "how big is Berlin?" passages.txt --model RERANKER --output ranked.jsonl
"""
SHOWN = 10  # passages of the list


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: rank(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Ranks passages for a query by a model that scores pairs of texts, and shows which words make one "
        "passage more relevant than another.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    add = made.add_argument
    add("query", metavar="QUERY", help="the first text of every pair")
    add(
        "texts",
        nargs="+",
        metavar="PASSAGE",
        help=f"the second texts; or a file of them, as TEXT of autorel explain, or {STDIN}",
    )
    model = made.add_argument_group("model")
    model.add_argument("--model", required=True, metavar="PATH", help="a reranker, as --model of autorel explain")
    add_model_flags(model)
    explanation = made.add_argument_group("explanation")
    add_method_flags(made, explanation)
    add_text_flags(explanation)
    shown = made.add_argument_group("output")
    shown.add_argument(
        "--compare",
        nargs=2,
        type=int,
        metavar="N",
        help="two places in the ranking, from 1: why the passage at the first is before that at the second (default: "
        "1 2)",
    )
    shown.add_argument(
        "--top", dest="most", type=int, default=SHOWN, metavar="N", help="passages in the list (default: %(default)s)"
    )
    shown.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="also write all explanations there, in the order of the ranking: .parquet, .jsonl, .csv, .npz or .html",
    )
    add_fields(shown, ExplainConfig, batch_size={})
    add_compute_dtype(shown)
    shown.add_argument("--all-words", action="store_true", help="on a terminal: the scores of all words")
    add_quiet(shown)
    add_devices(shown, "one")
    add_column_flags(made.add_argument_group("input files"))
    made.set_defaults(pair=None)
    return made


def rank(argv: Sequence[str] | None, prog: str) -> None:
    """Parses, loads, explains, shows."""
    args = parser(prog).parse_args(argv)
    check(args)
    config = ExplainConfig(**given_fields(args, ExplainConfig) | method_options(args))
    corpus = input_corpus(args)
    with importing():
        from autorel_jax.corpus.saving import check_output
        from autorel_jax.explaining.ranking import check_long, check_scores, ranked
    check_long(config.long)
    if args.output:
        check_output(args.output)
    rows = []
    for item in corpus.rows():
        if isinstance(item, Rejected):
            tell(prog, f"left out: {item}")
        else:
            rows.append(Row(item.id, args.query, item.text, item.label, item.file, item.line))
    corpus.check_unchanged()
    if not rows:
        raise InputError("There are no passages to rank.")
    if args.compare and max(args.compare) > len(rows):
        raise InputError(f"--compare {args.compare[0]} {args.compare[1]}: there are {len(rows)} passages.")
    with explainer_of(args, config) as explainer:
        check_scores(explainer.classifier, config.target)
        explanations = ranked(explainer.explain(rows))
    show(args, explanations)
    if args.output:
        explanations.save(args.output, args.level)
        note(args, f"wrote {args.output}")


def check(args: argparse.Namespace) -> None:
    """Raises InputError for what can be refused before the model is loaded."""
    if args.most < 1:
        raise InputError(f"--top {args.most}: expected a whole number of at least 1.")
    if args.compare and (min(args.compare) < 1 or args.compare[0] == args.compare[1]):
        raise InputError(f"--compare {args.compare[0]} {args.compare[1]}: expected two places of the ranking, from 1.")
    if args.pair_column or args.label_column or args.keep_columns:
        raise InputError(
            "--pair-column, --label-column and --keep-columns are for autorel explain; a passage's pair is the query, "
            "and no label of it is read."
        )
    if os.path.isfile(args.query):
        raise InputError(f"{one_line(args.query, 60)!r} is a file; QUERY is one text, and files are of passages.")


def show(args: argparse.Namespace, explanations: "Explanations") -> None:
    """The list, and two passages side by side."""
    from autorel_jax.report import terminal
    from autorel_jax.report.versus import shortened, versus

    count = len(explanations)
    for place, one in enumerate(explanations[: args.most], start=1):
        say(f"{place:>4}  {one.target_value:>8.3f}  {shortened(one)}")
    if count > args.most:
        say(f"      … and {count - args.most} more")
    say("")
    first, second = args.compare or (1, 2)
    if count == 1:
        terminal.show(explanations[0], args.level, sys.stdout, args.all_words)
        return
    a, b = explanations[first - 1], explanations[second - 1]
    for line in versus(a, b).lines():
        say(line)
    say("")
    for one in (a, b):
        terminal.show(one, args.level, sys.stdout, args.all_words)
