"""autorel-explain, the same as `python explain.py`: texts and a classifier -> which words made it decide."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autorel_jax.attribution.targets import KINDS, LOG_PROBABILITY
from autorel_jax.builtin import BUILTIN
from autorel_jax.cli import Parser, run, warn
from autorel_jax.cli.flags import add_compute_dtype, add_model_flags, loaded
from autorel_jax.cli.output import check_job, is_job, opened, progress_bar, run_job, stream
from autorel_jax.corpus.engines import ENGINES, LOCAL, RAY
from autorel_jax.data.hf import HF
from autorel_jax.data.rows import READERS, STDIN, Columns, Row
from autorel_jax.data.sources import TFDS, Corpus, is_source, of_texts, open_corpus
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import LONG, ExplainConfig
from autorel_jax.report.view import LEVELS

PROG = "autorel-explain"
NAMED = 5  # files in a warning
PARAMETERS = {  # of rules, each a flag
    "epsilon": "ε, which takes relevance from outputs near 0",
    "gamma": "γ, how much more contributions count that have their output's sign",
    "alpha": "α, the part of positive contributions; that of negative ones is α - 1",
}
EXAMPLES = """examples:
  autorel-explain "a gorgeous, witty, seductive movie."
  autorel-explain reviews.csv --text-column review --model sst2 --output reviews.html
  autorel-explain questions.tsv --text-column question --pair-column answer --model qnli --output out.jsonl
  autorel-explain reviews/ --model sst2 --output scores.parquet --keep-columns url,date
  autorel-explain hf:nyu-mll/glue:sst2 --split validation --text-column sentence --output scores.parquet
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
    )
    made.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help=f"one or more texts; or files ({', '.join(READERS)}), folders with such files, patterns such as "
        f"'reviews/*.csv', {TFDS}NAME for a prepared TensorFlow data set, {HF}NAME or {HF}NAME:CONFIG for one of the "
        f"Hugging Face hub or a folder of its layout; or {STDIN} for standard input, one text a "
        "line",
    )
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    model = made.add_argument_group("model")
    model.add_argument(
        "--model",
        default=BUILTIN,
        metavar="PATH",
        help="a directory, a weights file, a TensorFlow checkpoint's prefix, or a name on the Hugging Face hub "
        "(default: the built-in classifier of film reviews' sentiment)",
    )
    add_model_flags(model)
    explanation = made.add_argument_group("explanation")
    add_method_flags(explanation)
    add_inside_flags(explanation)
    add_text_flags(explanation)
    add_column_flags(made.add_argument_group("input files"))
    add_run_flags(made.add_argument_group("run and output"))
    return made


def add_method_flags(group: argparse._ArgumentGroup, composites: bool = False) -> None:
    """Which question is asked, and how; `composites`: by the methods that are such alone."""
    from autorel_jax.attribution.methods import METHODS
    from autorel_jax.lrp.composites import COMPOSITES, READ_POINTS  # imports jax

    add = group.add_argument
    rules = group.add_mutually_exclusive_group()
    methods = {"metavar": f"{{{','.join(COMPOSITES)}}}"} if composites else {"choices": [*COMPOSITES, *METHODS]}
    rules.add_argument("--method", **methods, default=ExplainConfig.method, help="default: %(default)s")
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
    add(
        "--set",
        action="append",
        type=assignment,
        default=[],
        metavar="NAME=VALUE",
        help="any parameter of the method, also those that have a flag; repeat it (docs/methods.md and docs/rules.md "
        "list them with their defaults)",
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


def add_inside_flags(group: argparse._ArgumentGroup) -> None:
    """What is told of the inside of the model."""
    from autorel_jax.corpus.nested import WITH_INSIDE
    from autorel_jax.lrp.taps import READOUTS

    add = group.add_argument
    add("--audit", action="store_true", help="say where the logit went: to words, biases, softmax, … (docs/ledger.md)")
    add(
        "--readout",
        action="append",
        choices=READOUTS,
        metavar="NAME",
        help=f"relevance inside the model, for {', '.join(WITH_INSIDE)}; repeatable: {', '.join(READOUTS)} (see "
        "docs/ledger.md)",
    )
    add(
        "--neurons",
        type=int,
        default=ExplainConfig.neurons,
        metavar="N",
        help="of each layer, the strongest, for --readout neurons (default: %(default)s)",
    )


def add_text_flags(group: argparse._ArgumentGroup) -> None:
    """What is read and shown of a text."""
    add = group.add_argument
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
    add(
        "--long",
        choices=LONG,
        default=ExplainConfig.long,
        help="longer texts are cut off, with a warning, or read in overlapping windows (pairs are cut off); default: "
        "%(default)s",
    )
    add("--stride", type=int, metavar="N", help="word pieces from one window to the next (default: half a window)")


def numbers(text: str) -> float | list[float]:
    """`0.1` -> 0.1, `0.1,0.2` -> [0.1, 0.2]."""
    found = [float(part) for part in text.split(",")]
    return found if "," in text else found[0]


def assignment(text: str) -> tuple[str, float | list[float] | bool | str]:
    """`samples=50` -> ("samples", 50.0); what is no number and neither true nor false stays text."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    try:
        return name, numbers(value)
    except ValueError:
        return name, {"true": True, "false": False}.get(value.lower(), value)


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
    add("--encoding", default="utf-8", help="of the files (default: %(default)s)")
    add("--keep-columns", type=names, default=(), metavar="NAME,NAME", help="columns that pass through to the output")
    add("--split", metavar="NAME", help=f"of a data set ({TFDS}NAME, {HF}NAME), such as validation or train[:1000]")
    add("--data-dir", type=Path, metavar="DIR", help="of prepared data sets (default: ~/tensorflow_datasets)")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """How it is computed, and where the result goes."""
    add = group.add_argument
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there, .parquet, .jsonl, .csv, .npz or .html by its suffix, Parquet without one (default: text on "
        "the terminal)",
    )
    add("--columns", type=names, default=(), metavar="NAME,NAME", help="of the output (default: all; docs/output.md)")
    add("--shard", type=shard, default=(1, 1), metavar="I/N", help="explain the I-th of N stretches of the input alone")
    add(
        "--engine",
        choices=ENGINES,
        default=LOCAL,
        help="what explains: this process, or Ray Data with many, on one machine or a cluster (default: %(default)s)",
    )
    add("--workers", type=int, metavar="N", help="processes of --engine ray (default: one for each GPU, else node)")
    add("--restart", action="store_true", help="begin anew where an interrupted run could be continued")
    add("--strict", action="store_true", help="exit code 1 if a row was left out")
    add(
        "--part-rows",
        type=int,
        metavar="N",
        help="rows that are finished and saved together (default: 2048)",
    )
    add(
        "--batch-size",
        type=int,
        default=ExplainConfig.batch_size,
        metavar="N",
        help="texts (default: 32 on a CPU, else 256 for each device; halved where memory runs out)",
    )
    add_compute_dtype(group)
    add("--device", metavar="NAME", help="cpu, gpu, gpu:1, … (default: the best there is)")
    add("--devices", type=int, metavar="N", help="divide batches among N devices (default: all there are)")


def names(text: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def shard(text: str) -> tuple[int, int]:
    """`2/8` -> (2, 8)."""
    place, _, count = text.partition("/")
    return int(place), int(count)


def explain(argv: Sequence[str] | None) -> int:
    """Parses, loads, explains, writes. Whatever can be checked early is checked before the model is loaded."""
    args = parser().parse_args(argv, argparse.Namespace(prog=PROG))
    config = explain_config(args)
    corpus = input_corpus(args)
    if is_job(args):
        check_job(args, corpus)
        writing = contextlib.nullcontext()
    else:
        writing = opened(args)
    with writing as write, progress_bar(args) as progress:
        import jax

        from autorel_jax.cli.device import choose_device, keep_compiled_programs
        from autorel_jax.explaining.explainer import Explainer
        from autorel_jax.sharding import first_devices

        keep_compiled_programs()
        device = choose_device(args.device)
        if device and args.devices:
            raise InputError("--device and --devices exclude each other; give one.")
        devices = [] if device or args.engine == RAY else first_devices(jax.devices(), args.devices)
        with jax.default_device(device):
            explainer = Explainer(introduced(args), config, devices)
            if write is None:
                return run_job(args, explainer, corpus, progress)
            return stream(args, explainer, corpus, write, progress)


def input_corpus(args: argparse.Namespace) -> Corpus:
    """The rows of the sources, or of the texts on the command line."""
    sources = [text for text in args.texts if is_source(text)]
    if not sources:
        if args.keep_columns:
            raise InputError("--keep-columns is for files; the texts on the command line have no columns.")
        return of_texts(text_rows(args.texts, args.pair))
    if len(sources) < len(args.texts) or args.pair:
        raise InputError(f"{sources[0]} is a source of its own; give it alone, without other texts and --pair.")
    columns = Columns(args.text_column, args.pair_column, args.label_column, args.id_column, args.keep_columns)
    corpus = open_corpus(sources, columns, encoding=args.encoding, split=args.split, data_dir=args.data_dir)
    if corpus.left_out:
        first, more = corpus.left_out[:NAMED], len(corpus.left_out) - NAMED
        listed = ", ".join(first) + (f" and {more} more" if more > 0 else "")
        warn(PROG, [f"left out, as outputs of this command: {listed}; to explain such a file, name it itself"])
    if args.output and corpus.holds(args.output):
        raise InputError(f"--output {args.output} is the input itself; give another file.")
    if corpus.again:
        # A file that cannot be read, or lacks a column, is refused now, and likewise if all are empty.
        filled = [next(source.rows(), None) is not None for source in corpus.sources]
        if not any(filled):
            next(corpus.rows())
    return corpus


def text_rows(texts: Sequence[str], pairs: Sequence[str] | None) -> list[Row]:
    """The texts on the command line as rows, numbered from 1."""
    if pairs is not None and len(pairs) != len(texts):
        raise InputError(f"{len(texts)} texts but {len(pairs)} --pair; give one for each text.")
    second = pairs or [None] * len(texts)
    numbered = enumerate(zip(texts, second, strict=True), start=1)
    return [Row(number, text, pair, None) for number, (text, pair) in numbered]


def introduced(args: argparse.Namespace):
    """The classifier; says on stderr what was loaded and what to beware of."""
    classifier = loaded(args, PROG)
    tokenizer, config = classifier.tokenizer, classifier.config
    print(
        f"{PROG}: {classifier.name}: {config.num_hidden_layers} layers of width {config.hidden_size}, labels "
        f"{', '.join(config.labels)}; tokenizer {'cased' if tokenizer.cased else 'uncased'} ({tokenizer.why})",
        file=sys.stderr,
    )
    return classifier


def question(args: argparse.Namespace) -> dict[str, Any]:
    """Those fields of ExplainConfig that say what is asked, and how; the flags are those of `add_method_flags`."""
    from autorel_jax.lrp.composite_file import read_composite

    return dict(
        method=read_composite(args.composite_file) if args.composite_file else args.method,
        parameters={name: getattr(args, name) for name in PARAMETERS if getattr(args, name) is not None}
        | dict(args.set),
        target=tuple(args.contrast) if args.contrast else args.target,
        read_at=args.read_at,
    )


def explain_config(args: argparse.Namespace) -> ExplainConfig:
    """The flags as ExplainConfig."""
    live = args.texts == [STDIN] and not args.output  # a slow pipe is answered batch by batch
    return ExplainConfig(
        **question(args),
        audit=args.audit,
        readouts=tuple(args.readout or ()),
        neurons=args.neurons,
        max_length=args.max_length,
        batch_size=args.batch_size,
        window=1 if live else ExplainConfig.window,
        split_punctuation=args.split_punctuation,
        long=args.long,
        stride=args.stride,
    )
