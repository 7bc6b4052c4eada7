"""autorel-explain, the same as `python explain.py`: texts and a classifier -> which words made it decide."""

import argparse
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autorel_jax.cli import Parser, run
from autorel_jax.cli.flags import add_model_flags
from autorel_jax.config import COMPUTE_DTYPES, ExplainConfig
from autorel_jax.data import READERS, STDIN, Row, read_rows
from autorel_jax.errors import InputError
from autorel_jax.explanation import Explanation
from autorel_jax.report.view import LEVELS
from autorel_jax.targets import KINDS, LOG_PROBABILITY

PROG = "autorel-explain"
PARAMETERS = {  # of rules, each a flag
    "epsilon": "ε, which takes relevance from outputs near 0",
    "gamma": "γ, how much more contributions count that have their output's sign",
    "alpha": "α, the part of positive contributions; that of negative ones is α - 1",
}
EXAMPLES = """examples:
  autorel-explain "a gorgeous, witty, seductive movie." --model sst2
  autorel-explain reviews.csv --text-column review --model sst2 --output reviews.html
  autorel-explain questions.tsv --text-column question --pair-column answer --model qnli --output out.jsonl
  echo "not bad at all" | autorel-explain - --model sst2 --contrast positive negative --level token
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    return run(explain, argv, PROG)


def parser() -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=PROG,
        description="Shows which words of a text made a BERT classifier decide, by layer-wise relevance propagation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="one or more texts; or one file, known by its suffix "
        f"({', '.join(READERS)}); or {STDIN} for standard input, one text a line, answered --batch-size at a time",
    )
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    model = made.add_argument_group("model")
    model.add_argument(
        "--model",
        required=True,
        metavar="PATH",
        help="a directory, a weights file, a TensorFlow checkpoint's prefix, or a name on the Hugging Face hub",
    )
    add_model_flags(model)
    add_method_flags(made.add_argument_group("explanation"))
    add_column_flags(made.add_argument_group("columns of a .tsv, .csv or .jsonl file"))
    add_run_flags(made.add_argument_group("run and output"))
    return made


def add_method_flags(group: argparse._ArgumentGroup) -> None:
    """Which question is asked, and how."""
    from autorel_jax.lrp.composites import COMPOSITES, READ_POINTS  # imports jax
    from autorel_jax.lrp.taps import READOUTS

    add = group.add_argument
    rules = group.add_mutually_exclusive_group()
    rules.add_argument("--method", choices=COMPOSITES, default=ExplainConfig.method, help="default: %(default)s")
    rules.add_argument(
        "--composite-file",
        type=Path,
        metavar="FILE",
        help="a method of your own: a .toml file that says which rule stands for which op (see docs/rules.md)",
    )
    for name, meaning in PARAMETERS.items():
        add(
            f"--{name}",
            type=numbers,
            metavar="X",
            help=f"{meaning}: a number, or one for each layer with commas between (default: the rule's, "
            f"{defaults(name)}; docs/rules.md has the reason)",
        )
    goal = group.add_mutually_exclusive_group()
    goal.add_argument(
        "--target",
        default=ExplainConfig.target,
        metavar="LABEL",
        help=f"what is explained: a label's name, else its id, or one of {', '.join(KINDS)} (default: %(default)s; "
        "given is the row's own label, see --label-column; all is each label in turn; margin is the predicted label's "
        f"logit minus the next one's); {LOG_PROBABILITY}LABEL is the logarithm of its probability",
    )
    goal.add_argument("--contrast", nargs=2, metavar="LABEL", help="explain label 1 minus label 2")
    add(
        "--read-at",
        choices=READ_POINTS,
        help="where relevance is read (default: the method's first of these)",
    )
    add("--audit", action="store_true", help="say where the logit went: to words, biases, softmax, … (docs/ledger.md)")
    add(
        "--readout",
        action="append",
        choices=READOUTS,
        metavar="NAME",
        help=f"relevance inside the model, for .jsonl; repeatable: {', '.join(READOUTS)} (see docs/ledger.md)",
    )
    add(
        "--neurons",
        type=int,
        default=ExplainConfig.neurons,
        metavar="N",
        help="of each layer, the strongest, for --readout neurons (default: %(default)s)",
    )
    add(
        "--level",
        choices=LEVELS,
        default=LEVELS[0],
        help="what is shown (default: %(default)s; .jsonl holds both)",
    )
    add("--split-punctuation", action="store_true", help="punctuation marks are words of their own")
    add(
        "--max-length",
        type=int,
        metavar="N",
        help="tokens per text, [CLS] and [SEP] included (default: as many as the model has positions)",
    )


def numbers(text: str) -> float | list[float]:
    """`0.1` -> 0.1, `0.1,0.2` -> [0.1, 0.2]."""
    found = [float(part) for part in text.split(",")]
    return found if "," in text else found[0]


def defaults(name: str) -> str:
    """The defaults of a parameter, each with the methods that have it."""
    from autorel_jax.lrp.composites import COMPOSITES

    found = {method: made.record() for method, made in COMPOSITES.items()}
    return ", ".join(f"{values[name]:g} in {method}" for method, values in found.items() if name in values)


def add_column_flags(group: argparse._ArgumentGroup) -> None:
    """What is where in a file of rows."""
    add = group.add_argument
    add("--text-column", default="text", metavar="NAME", help="default: %(default)s")
    add("--pair-column", metavar="NAME", help="the second text of a pair")
    add("--label-column", metavar="NAME", help="the row's own label, for --target given")
    add("--id-column", metavar="NAME", help="default: the number of the row")
    add("--encoding", default="utf-8", help="of the file (default: %(default)s)")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """How it is computed, and where the result goes."""
    add = group.add_argument
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there, .jsonl, .csv or .html by its suffix (default: text on the terminal)",
    )
    add(
        "--batch-size",
        type=int,
        default=ExplainConfig.batch_size,
        metavar="N",
        help="texts (default: %(default)s)",
    )
    add(
        "--dtype",
        choices=COMPUTE_DTYPES,
        default=COMPUTE_DTYPES[0],
        help="of the matrix products (default: %(default)s)",
    )
    add("--device", metavar="NAME", help="cpu, gpu, gpu:1, … (default: the best there is)")


def explain(argv: Sequence[str] | None) -> None:
    """Parses, loads, explains, writes. Whatever can be checked early is checked before the model is loaded."""
    args = parser().parse_args(argv)
    config = explain_config(args)
    rows = input_rows(args)
    with opened(args) as write:
        import jax

        from autorel_jax.cli.device import choose_device, keep_compiled_programs
        from autorel_jax.explainer import Explainer

        keep_compiled_programs()
        with jax.default_device(choose_device(args.device)):
            explainer = Explainer(loaded(args), config)
            with progress_bar(args) as progress:
                for explanation in explainer.explain(rows, progress):
                    write(explanation)
    if args.output:
        print(f"{PROG}: wrote {args.output}", file=sys.stderr)


def input_rows(args: argparse.Namespace) -> Iterator[Row]:
    """The rows of the file, of standard input, or of the texts on the command line."""
    sources = [text for text in args.texts if is_source(text)]
    if not sources:
        rows = text_rows(args.texts, args.pair)
    elif len(args.texts) > 1 or args.pair:
        raise InputError(f"{sources[0]} is a source of its own; give it alone, without other texts and --pair.")
    elif args.output and args.output.exists() and Path(sources[0]).exists() and args.output.samefile(sources[0]):
        raise InputError(f"--output {args.output} is the input itself; give another file.")
    else:
        columns = {name: getattr(args, name) for name in ("text_column", "pair_column", "label_column", "id_column")}
        rows = read_rows(sources[0], encoding=args.encoding, **columns)
    return itertools.chain([next(rows)], rows)  # a file that cannot be read, or is empty, is refused now


def is_source(text: str) -> bool:
    """Whether an argument is a file or standard input: `-`, or one word that ends in a suffix we read."""
    return text == STDIN or (Path(text).suffix.lower() in READERS and len(text.split()) == 1)


def text_rows(texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Row]:
    """The texts on the command line as rows, numbered from 1."""
    if pairs is not None and len(pairs) != len(texts):
        raise InputError(f"{len(texts)} texts but {len(pairs)} --pair; give one for each text.")
    second = pairs or [None] * len(texts)
    numbered = enumerate(zip(texts, second, strict=True), start=1)
    return (Row(number, text, pair, None) for number, (text, pair) in numbered)


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Callable[[Explanation], object]]:
    """The function that writes an explanation: to --output, or on the terminal."""
    if args.output:
        from autorel_jax.report.output import open_writer

        with open_writer(args.output, args.level) as write:
            yield write
    else:
        from autorel_jax.report.terminal import show

        yield lambda explanation: show(explanation, args.level, sys.stdout)


def loaded(args: argparse.Namespace):
    """The classifier; says on stderr what was loaded and what to beware of."""
    from autorel_jax.classifier import load

    classifier = load(
        args.model,
        config=args.config,
        vocab=args.vocab,
        cased=args.cased,
        revision=args.revision,
        dtype=args.dtype,
    )
    for warning in classifier.warnings:
        print(f"{PROG}: warning: {warning}", file=sys.stderr)
    tokenizer, config = classifier.tokenizer, classifier.config
    print(
        f"{PROG}: {args.model}: {config.num_hidden_layers} layers of width {config.hidden_size}, labels "
        f"{', '.join(config.labels)}; tokenizer {'cased' if tokenizer.cased else 'uncased'} ({tokenizer.why})",
        file=sys.stderr,
    )
    return classifier


def explain_config(args: argparse.Namespace) -> ExplainConfig:
    """The flags as ExplainConfig."""
    if args.readout and not (args.output and args.output.suffix.lower() == ".jsonl"):
        raise InputError("--readout needs --output FILE.jsonl, the only format that holds read-outs.")
    from autorel_jax.lrp.composite_file import read_composite

    return ExplainConfig(
        method=read_composite(args.composite_file) if args.composite_file else args.method,
        parameters={name: getattr(args, name) for name in PARAMETERS if getattr(args, name) is not None},
        target=tuple(args.contrast) if args.contrast else args.target,
        read_at=args.read_at,
        audit=args.audit,
        readouts=tuple(args.readout or ()),
        neurons=args.neurons,
        max_length=args.max_length,
        batch_size=args.batch_size,
        window=1 if args.texts == [STDIN] else ExplainConfig.window,  # answer a slow pipe batch by batch
        split_punctuation=args.split_punctuation,
    )


@contextlib.contextmanager
def progress_bar(args: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """Counts texts on stderr where that is a terminal; gone at the end where the result is on the terminal too."""
    from tqdm import tqdm

    shared = not args.output and sys.stdout.isatty()
    with tqdm(unit=" texts", disable=not sys.stderr.isatty(), file=sys.stderr, leave=not shared) as bar:
        yield bar.update
