"""Flags of the explain command: its parser, and the parsed flags -> ExplainConfig. Used by explain.py."""

import argparse
from pathlib import Path

from autorel_jax.cli.command import Parser
from autorel_jax.cli.flags import (
    Names,
    add_compute_dtype,
    add_devices,
    add_fields,
    add_model,
    add_quiet,
    given_fields,
)
from autorel_jax.cli.method_flags import add_method_flags, method_options
from autorel_jax.corpus.config import ENGINES, JobConfig
from autorel_jax.data.kinds import COMPRESSED, HF, STDIN, SUFFIXES, TFDS
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.report.view import LEVELS

PROG = "autorel-explain"
EXAMPLES = """examples:
  autorel-explain "a gorgeous, witty, seductive movie."
  autorel-explain reviews.csv --text-column review --model sst2 --output reviews.html
  autorel-explain questions.tsv --text-column question --pair-column answer --model qnli --output out.jsonl
  autorel-explain reviews/ --model sst2 --output scores.parquet --keep-columns url,date
  autorel-explain hf:nyu-mll/glue:sst2 --split validation --text-column sentence --output scores.parquet
  echo "not bad at all" | autorel-explain - --model sst2 --contrast positive negative --level token
"""


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Shows which words of a text made a text classifier decide, by layer-wise relevance propagation.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help=f"one or more texts; or files ({', '.join(SUFFIXES)}, also with {', '.join(COMPRESSED)} behind), folders "
        "with such files (but not .json), patterns such as "
        f"'reviews/*.csv', {TFDS}NAME for a prepared TensorFlow data set, {HF}NAME or {HF}NAME:CONFIG for one of the "
        f"Hugging Face hub or a folder of its layout; or {STDIN} for standard input, one text a line",
    )
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    model = made.add_argument_group("model")
    add_model(model, "a directory, a weights file, a TensorFlow checkpoint's prefix, or a name on the Hugging Face hub")
    explanation = made.add_argument_group("explanation")
    add_method_flags(made, explanation)
    add_inside_flags(made, explanation)
    add_task_flags(explanation)
    add_text_flags(explanation)
    add_column_flags(made.add_argument_group("input files"))
    add_run_flags(made.add_argument_group("run and output"))
    return made


def add_inside_flags(parser: Parser, group: argparse._ArgumentGroup) -> None:
    """Adds the flags of relevance inside the model."""
    repeated = {"flags": ["--readout"], "action": "append", "choices": Names(readouts)}
    readout = add_fields(group, ExplainConfig, audit={}, readouts=repeated, neurons={})["readouts"]
    what = readout.help

    def complete() -> None:
        from autorel_jax.corpus.nested import WITH_INSIDE

        readout.help = f"{what}, for {', '.join(WITH_INSIDE)}; repeatable: {', '.join(readouts())} (see docs/ledger.md)"

    parser.complete_help(complete)


def readouts() -> tuple[str, ...]:
    """The names of the read-outs."""
    from autorel_jax.report.readout_shapes import CHOICES

    return CHOICES


def add_task_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of models for tokens and answers, and of labels in words."""
    add_fields(group, ExplainConfig, at={"metavar": "WORDS"}, top={}, answer_tokens={}, null_answer={})
    labels = {"type": some_names, "metavar": "LABEL,LABEL", "nargs": None}
    add_fields(group, ExplainConfig, zero_shot=labels, hypothesis={"metavar": "TEXT"}, multi_label={})


def add_text_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of what is read and shown of a text."""
    group.add_argument(
        "--level",
        choices=LEVELS,
        default=LEVELS[0],
        help="what is shown (default: %(default)s; .jsonl holds both)",
    )
    add_reading_flags(group)


def add_reading_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of what is read of a text."""
    add_fields(group, ExplainConfig, split_words={}, split_punctuation={}, max_length={}, long={}, stride={})


def add_column_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of what is where in a file of rows."""
    add = group.add_argument
    add("--text-column", metavar="NAME", help="default: text")
    add("--pair-column", metavar="NAME", help="the second text of a pair")
    add("--label-column", metavar="NAME", help="the row's own label, for --target given")
    add("--id-column", metavar="NAME", help="default: the number of the row")
    add("--encoding", metavar="NAME", help="of the files (default: utf-8)")
    add(
        "--format",
        metavar="NAME",
        help="how the files are written, where the suffix does not tell: text (one text a "
        "line), csv, tsv, tsv_quoted, tsv_raw, jsonl, json, labelled or parquet; configs/example.toml explains them",
    )
    add("--delimiter", metavar="MARK", help="between the columns, such as ';' or tab (default: as the format has it)")
    add(
        "--input-columns",
        type=names,
        default=(),
        metavar="NAME,NAME",
        help="names of all columns of a file without a header",
    )
    add("--keep-columns", type=names, default=(), metavar="NAME,NAME", help="columns that pass through to the output")
    add("--split", metavar="NAME", help=f"of a data set ({TFDS}NAME, {HF}NAME), such as validation or train[:1000]")
    add("--data-dir", type=Path, metavar="DIR", help="of prepared data sets (default: ~/tensorflow_datasets)")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of how it is computed, and of where the result goes."""
    add = group.add_argument
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write there, .parquet, .jsonl, .csv, .npz or .html by its suffix, Parquet without one (default: text on "
        "the terminal)",
    )
    add(
        "--record",
        type=Path,
        metavar="FILE",
        help="also write a record there, a .json that autorel verify checks; an --output of rows beside it must be "
        ".jsonl or .parquet with all columns",
    )
    add("--all-words", action="store_true", help="on a terminal: the scores of all words, not of the ten strongest")
    add("--json", action="store_true", help="on standard output one object a line, as in .jsonl (docs/output.md)")
    add_quiet(group)
    add_fields(
        group,
        JobConfig,
        columns={"type": names, "metavar": "NAME,NAME"},
        shard={"type": shard, "nargs": None, "metavar": "I/N"},
        engine={"choices": ENGINES, "metavar": None},
        workers={},
        restart={},
        part_rows={},
    )
    add("--strict", action="store_true", help="exit code 1 if a row was left out")
    add_fields(group, ExplainConfig, batch_size={})
    add_compute_dtype(group)
    add_devices(group)


def names(text: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def some_names(text: str) -> tuple[str, ...]:
    """As `names`, but not none."""
    if not names(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected names with commas between")
    return names(text)


def shard(text: str) -> tuple[int, int]:
    """`2/8` -> (2, 8)."""
    place, _, count = text.partition("/")
    return int(place), int(count)


def explain_config(args: argparse.Namespace) -> ExplainConfig:
    """The flags as ExplainConfig."""
    options = given_fields(args, ExplainConfig) | method_options(args)
    if "readouts" in options:
        options["readouts"] = tuple(options["readouts"])
    if args.texts == [STDIN] and not args.output:  # a slow pipe is answered batch by batch
        options["prefetch"] = 1
    return ExplainConfig(**options)
