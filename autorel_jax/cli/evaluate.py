"""autorel evaluate: a model, methods and texts -> how well the methods' scores predict what the model does."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser, note, run, say, tell, warn
from autorel_jax.cli.explain import OF_SOURCES, input_corpus, introduced
from autorel_jax.cli.explain_flags import add_column_flags, names
from autorel_jax.cli.flags import (
    add_compute_dtype,
    add_fields,
    add_model,
    add_quiet,
    add_threads,
    given_fields,
)
from autorel_jax.cli.method_flags import add_references, read_references
from autorel_jax.cli.start import importing
from autorel_jax.data.by_products import found_of
from autorel_jax.data.eraser import ERASER, eraser_rows
from autorel_jax.data.row import Columns
from autorel_jax.data.sources import Corpus, Source
from autorel_jax.errors import InputError
from autorel_jax.faithfulness.config import CHANGED, MARKS, EvaluateConfig
from autorel_jax.faithfulness.protocols import PROTOCOLS
from autorel_jax.files import is_pipe, writable

PROG = "autorel-evaluate"
EXAMPLES = """examples:
  autorel evaluate reviews.csv --text-column review --limit 300
  autorel evaluate dev.tsv --label-column label --model sst2 --methods attnlrp,lime --protocols all -o sst2.json
  autorel evaluate dev.tsv --model sst2 --masked-model sst2-masked --perturb mask -o masked.json --plot masked.png
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: evaluate(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    listed = "\n".join(f"  {name:15}{protocol.about}" for name, protocol in PROTOCOLS.items())
    made = Parser(
        prog=prog,
        description="Takes words away from texts, and measures how well each method's scores tell what the model does "
        "then.\nThe target is what the model predicts for the whole text.",
        epilog=f"protocols:\n{listed}\n\n{EXAMPLES}",
    )
    made.add_argument("texts", nargs="+", metavar="DATA", help="files, folders or data sets, as of autorel explain")
    add_models(made.add_argument_group("model"))
    add_measures(made.add_argument_group("what is measured"))
    add_rows(made.add_argument_group("input files"))
    add_run(made.add_argument_group("run and output"))
    made.set_defaults(pair=None)
    return made


def add_models(model: argparse._ArgumentGroup) -> None:
    """The flags that name models."""
    add_model(model)
    model.add_argument(
        "--masked-model",
        metavar="PATH",
        help="a copy of the model that was fine-tuned with masked words (autorel train --mask-words), on which the "
        "target is measured: to it a text without some words is not strange",
    )
    model.add_argument(
        "--other-model",
        metavar="PATH",
        help="another model of the same task, such as one of another seed, whose scores --sanity compares too",
    )


def add_measures(what: argparse._ArgumentGroup) -> None:
    """The fields of EvaluateConfig but those of the run."""
    listed_names = {"type": names, "nargs": None, "metavar": "NAME,NAME"}
    add_fields(
        what,
        EvaluateConfig,
        methods=listed_names,
        protocols=listed_names,
        perturb=listed_names,
        units={},
        limit={},
        naopc_texts={},
        sanity={},
        seed={},
        resamples={},
        max_length={},
        long={},
        split_words={},
        split_punctuation={},
    )
    add_references(what, EvaluateConfig)


def add_rows(rows: argparse._ArgumentGroup) -> None:
    """The flags of columns."""
    add_column_flags(rows)
    rows.add_argument(
        "--marks-column",
        metavar="NAME",
        help="what people marked, for the protocol people: 0 or 1 for each word of the text, which is best a list of "
        "words itself, or a list of such lists. --format eraser reads a file of ERASER's layout",
    )
    rows.add_argument(
        "--changed-column",
        metavar="NAME",
        help="a copy of each text with few other words, for the protocol counterfactual",
    )


def add_run(output: argparse._ArgumentGroup) -> None:
    """The flags of what is written, and of how it is computed."""
    output.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write all numbers there, as .json. What is found is kept beside it, so that a run that was stopped, or "
        "one with more methods, protocols or texts, goes on from there",
    )
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves there: .png, .svg or .pdf")
    add_fields(output, EvaluateConfig, batch_size={})
    add_compute_dtype(output)
    output.add_argument("--device", metavar="NAME", help="cpu, gpu, gpu:1, … (default: the best there is)")
    add_threads(output)
    add_quiet(output)


def evaluate(argv: Sequence[str] | None, prog: str) -> None:
    """Parses, loads, measures, writes. Whatever can be checked early is checked before the model is loaded."""
    args = parser(prog).parse_args(argv)
    references = {"references": read_references(args) if args.references else ()}
    config = EvaluateConfig(**given_fields(args, EvaluateConfig) | references)
    columns = {MARKS: args.marks_column or (args.format == ERASER and MARKS), CHANGED: args.changed_column}
    kept = tuple(name for name, column in columns.items() if column)
    chosen = config.chosen(labelled=args.label_column is not None, marked=MARKS in kept, changed=CHANGED in kept)
    if args.label_column and not any(PROTOCOLS[name].needs_labels for name in chosen):
        note(args, f"--label-column {args.label_column}: none of the protocols {', '.join(chosen)} reads labels")
    if args.marks_column:
        config.check_marks()
    if args.other_model and not config.sanity:
        raise InputError("--other-model is compared by --sanity; give that too.")
    if args.keep_columns:
        raise InputError("--keep-columns has no meaning here: no rows are written.")
    check_output(args, chosen)
    corpus = marked_corpus(args)
    with importing():
        import jax

        from autorel_jax.cli.device import choose_device, keep_compiled_programs, limit_threads
        from autorel_jax.faithfulness import parts
        from autorel_jax.faithfulness.evaluator import Evaluator
        from autorel_jax.faithfulness.methods import check_methods
        from autorel_jax.faithfulness.run import run as measure
    check_methods(config)
    limit_threads(args.threads)
    keep_compiled_programs()
    with jax.default_device(choose_device(args.device)), bar(args.quiet) as progress:
        classifier = introduced(args)
        masked, other = (
            introduced(argparse.Namespace(**vars(args) | {"model": path})) if path else None
            for path in (args.masked_model, args.other_model)
        )
        evaluator = Evaluator(classifier, config, masked, args.label_column is not None, kept)
        with parts.opened(args.output and found_of(Path(os.path.realpath(args.output)))) as found:
            if found.before:
                note(args, f"goes on from {found.before} results in {found_of(args.output).name}")
            try:
                evaluation = measure(evaluator, corpus.rows(), found, progress, other)
            except (KeyboardInterrupt, SystemExit):
                if args.output:
                    kept_in = found_of(args.output)
                    tell(prog, f"interrupted; what was found is in {kept_in}, and the same command goes on from there")
                raise
    corpus.check_unchanged()
    left_out = evaluation.record["left_out"]
    if left_out["rows"]:
        first = left_out["first"][0]
        where = "" if first["line"] is None else f", line {first['line']}"
        warn(prog, [f"rows left out: {left_out['rows']}; the first{where}: {first['reason']}"])
    if args.output:
        evaluation.save(args.output)
    if args.plot:
        evaluation.plot(args.plot)
    say(evaluation.table())
    for path in filter(None, (args.output, args.plot)):
        note(args, f"wrote {path}")


def marked_corpus(args: argparse.Namespace) -> Corpus:
    """The rows, with what people marked and with their changed copies, as far as that was asked for."""
    if args.format != ERASER:
        args.keep_columns = tuple(filter(None, (args.marks_column, args.changed_column)))
        return input_corpus(args)
    given = [name for name in OF_SOURCES if name not in ("format", "pair_column") and getattr(args, name)]
    if len(args.texts) > 1 or args.marks_column or args.changed_column or given:
        raise InputError(
            f"--format {ERASER}: give one file, and of the flags of input files --pair-column alone; the layout says "
            "what is where."
        )
    path = Path(args.texts[0])
    source = Source(str(path), lambda: eraser_rows(path, args.pair_column), None, path)
    next(source.rows(), None)  # refuses now what is of another layout
    return Corpus((source,), Columns(keep=(MARKS,)))


def check_output(args: argparse.Namespace, protocols: Sequence[str]) -> None:
    """Refuses what could not be written in the end."""
    if args.output is not None:
        if args.output.suffix.lower() != ".json" or is_pipe(args.output):
            raise InputError(f"--output {args.output}: results are a .json file; give a name that ends so.")
        writable(args.output)
    if args.plot is not None:
        from autorel_jax.faithfulness.plot import check_drawn, check_picture

        check_drawn(protocols)
        check_picture(args.plot)
        writable(args.plot)


@contextlib.contextmanager
def bar(quiet: bool) -> Iterator[Callable[[int, int], object]]:
    """Counts texts on stderr where that is a terminal."""
    from tqdm import tqdm

    with tqdm(unit=" texts", disable=quiet or not sys.stderr.isatty(), file=sys.stderr, leave=False) as shown:

        def progress(done: int, of: int) -> None:
            shown.total = of
            shown.update(done - shown.n)

        yield progress
