"""autorel similar: two texts and a model of sentence embeddings -> which words make them alike."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser, note, run, say, tell
from autorel_jax.cli.explain import OF_SOURCES, input_corpus
from autorel_jax.cli.explain_flags import add_column_flags
from autorel_jax.cli.flags import add_compute_dtype, add_fields, add_model_flags, add_quiet, given_fields, loaded
from autorel_jax.cli.method_flags import add_method_flags, method_options
from autorel_jax.cli.start import importing
from autorel_jax.data.row import Rejected, Row
from autorel_jax.data.sources import is_source
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.report.similarity import MEASURES, SHOWN
from autorel_jax.report.view import LEVELS

PROG = "autorel-similar"
EXAMPLES = """examples:
  autorel-similar "a witty film" "a funny movie" --model org/sentence-model
  autorel-similar "a witty film" "a funny movie" --model org/sentence-model --method cp_lrp --output why.html
  autorel-similar pairs.csv --text-column a --pair-column b --model org/sentence-model --output why.parquet
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: similar(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Shows which words, and which pairs of words, make two texts alike to a model of sentence "
        "embeddings (BiLRP). It costs a pass backward for each dimension of a vector and each text.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    add = made.add_argument
    add("first", metavar="TEXT", help="a text; or a file of pairs, alone, with --pair-column and --output")
    add("second", metavar="TEXT", nargs="?", help="another")
    model = made.add_argument_group("model")
    model.add_argument("--model", required=True, metavar="PATH", help="a directory of sentence-transformers, or a name")
    add_model_flags(model)
    explanation = made.add_argument_group("explanation")
    explanation.add_argument("--measure", choices=MEASURES, help="default: the model's own, or else cosine")
    add_method_flags(made, explanation, composites_only=True)
    add_fields(explanation, ExplainConfig, split_words={}, split_punctuation={}, max_length={})
    output = made.add_argument_group("output")
    output.add_argument(
        "--top", dest="most", type=int, metavar="N", help=f"pairs of words, of two texts (default: {SHOWN})"
    )
    output.add_argument("--level", choices=LEVELS, default=LEVELS[0], help="what is shown (default: %(default)s)")
    output.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="also write both explanations there, as autorel explain does; of a file, those of all its rows, two each",
    )
    add_compute_dtype(output)
    add_quiet(output)
    add_column_flags(made.add_argument_group("input files"))
    made.set_defaults(pair=None)
    return made


def similar(argv: Sequence[str] | None, prog: str) -> None:
    """Parses, loads, explains, shows."""
    args = parser(prog).parse_args(argv)
    options = given_fields(args, ExplainConfig) | method_options(args)
    if args.most is not None and args.most < 1:
        raise InputError(f"--top {args.most}: expected a whole number of at least 1.")
    if args.second is not None:
        check_texts(args)
    with importing():
        from autorel_jax.corpus.saving import check_output
        from autorel_jax.explaining.similarity import similarities, similarity
        from autorel_jax.report import terminal
        from autorel_jax.report.explanation import Explanations
    if args.output:
        check_output(args.output)
    if args.second is None:
        rows = list(pairs_of(args, prog))
        made = Explanations()
        for found in similarities(loaded(args), rows, measure=args.measure, **options):
            made += [found.a, found.b]
        made.save(args.output, args.level)
        note(args, f"wrote {args.output}: {len(rows)} pairs, two results each")
        return
    found = similarity(loaded(args), args.first, args.second, measure=args.measure, **options)
    for line in found.lines(SHOWN if args.most is None else args.most):
        say(line)
    say("")
    for one in (found.a, found.b):
        terminal.show(one, args.level, sys.stdout)
    if args.output:
        Explanations([found.a, found.b]).save(args.output, args.level)
        note(args, f"wrote {args.output}")


def check_texts(args: argparse.Namespace) -> None:
    """Raises InputError unless both arguments are texts."""
    given = next((name for name in OF_SOURCES if getattr(args, name)), None)
    if given:
        raise InputError(
            f"--{given.replace('_', '-')} is of a file of pairs; give the file alone, without a second TEXT."
        )
    source = next(filter(is_source, (args.first, args.second)), None)
    if source is not None:
        raise InputError(
            f"{one_line(source, 60)!r} names a source, not a text; for pairs give one file alone, with --text-column, "
            "--pair-column and --output."
        )


def pairs_of(args: argparse.Namespace, prog: str) -> Iterator[Row]:
    """The rows of a file of pairs; one that cannot be used is told and left out."""
    if not is_source(args.first):
        raise InputError(
            f"{one_line(args.first, 60)!r} is one text and no file that exists; give two texts, or a file."
        )
    if not args.pair_column or args.output is None:
        raise InputError("A file of pairs needs --pair-column, the column of the second texts, and --output.")
    if args.most is not None:
        raise InputError("--top is of two texts; of a file all words are written.")
    if args.keep_columns or args.label_column:
        raise InputError("--keep-columns and --label-column are for autorel explain; leave them out.")
    args.texts, args.prog = [args.first], prog
    count = 0
    corpus = input_corpus(args)
    for item in corpus.rows():
        if isinstance(item, Rejected):
            tell(prog, f"left out: {item}")
        else:
            count += 1
            yield item
    corpus.check_unchanged()
    if not count:
        raise InputError(f"{args.first} has no pair that can be used.")
