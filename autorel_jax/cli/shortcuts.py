"""autorel shortcuts: labelled texts and a model -> words and phrases that decide without being a reason."""

import argparse
from collections.abc import Sequence

from autorel_jax.auditing.shortcuts_config import ShortcutsConfig
from autorel_jax.cli.check import add_audit_flags, audit_config, check_outputs, tell_written, write_json
from autorel_jax.cli.command import Parser, note, run, say
from autorel_jax.cli.explain import explainer_of, input_corpus
from autorel_jax.cli.flags import add_fields, given_fields
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import progress_bar
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError

PROG = "autorel-shortcuts"
SHOWN = 20
EXAMPLES = """examples:
  autorel shortcuts reviews.csv --text-column review --label-column stars --model sst2 -o shortcuts.json
  autorel shortcuts train.csv --label-column label --other-texts another.csv --model sst2 --report shortcuts.html
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: shortcuts(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Lists words, 2-grams and templates that go with a label in labelled texts, have much of the "
        "relevance,\nand change the prediction when they are deleted from texts and inserted into others.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument("texts", nargs="+", metavar="DATA", help="files, folders or data sets, as of autorel explain")
    what = made.add_argument_group("what is looked for")
    add_fields(what, ShortcutsConfig, limit={}, least={}, candidates={}, tested={}, seed={})
    what.add_argument(
        "--other-texts",
        nargs="+",
        metavar="DATA",
        help="labelled texts of another corpus, with the same columns: what goes with the label there too is left out",
    )
    what.add_argument("--source-column", metavar="NAME", help="where a text comes from, so that its words have a name")
    output = add_audit_flags(made)
    output.add_argument(
        "--shown", type=int, default=SHOWN, metavar="N", help="of the list on the terminal (default: %(default)s)"
    )
    return made


def shortcuts(argv: Sequence[str] | None, prog: str) -> None:
    """Explains, counts, tests, tells. Whatever can be checked early is checked before the model is loaded."""
    args = parser(prog).parse_args(argv)
    config = ShortcutsConfig(**given_fields(args, ShortcutsConfig))
    if args.label_column is None:
        raise InputError("--label-column is missing: shortcuts are words that go with a label of the texts.")
    if args.shown < 1:
        raise InputError(f"--shown {args.shown}: expected 1 or more.")
    check_outputs(args, {"output": ".json", "report": ".html"})
    args.keep_columns = (args.source_column,) if args.source_column else ()
    corpus = input_corpus(args)
    others = corpus_of(args, args.other_texts) if args.other_texts else None
    with importing():
        from autorel_jax.auditing import browser, terminal
        from autorel_jax.auditing.shortcuts import shortcuts as find
    with progress_bar(args) as progress, explainer_of(args, audit_config(args)) as explainer:
        record = find(
            explainer,
            corpus.rows(),
            config,
            None if others is None else others.rows(),
            progress,
            lambda line: note(args, line),
        )
    for each in filter(None, (corpus, others)):
        each.check_unchanged()
    say("\n".join(terminal.of_shortcuts(record, args.shown)))
    if args.output:
        write_json(args.output, record)
    if args.report:
        browser.of_shortcuts(args.report, record)
    tell_written(args)


def corpus_of(args: argparse.Namespace, texts: Sequence[str]) -> Corpus:
    """The rows of other files with the same columns."""
    return input_corpus(argparse.Namespace(**vars(args) | {"texts": texts, "keep_columns": (), "output": None}))
