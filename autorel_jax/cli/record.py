"""autorel record: texts and a classifier -> a record of the explanations that can be verified later."""

from collections.abc import Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser, run
from autorel_jax.cli.explain import input_corpus, introduced, on_devices
from autorel_jax.cli.explain_flags import add_column_flags, add_reading_flags, add_task_flags, explain_config
from autorel_jax.cli.flags import add_compute_dtype, add_devices, add_fields, add_model, add_quiet
from autorel_jax.cli.method_flags import add_method_flags
from autorel_jax.cli.recording import check_record, write_record
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import progress_bar
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig

PROG = "autorel-record"
EXAMPLES = """examples:
  autorel record reviews.csv --text-column review --model sst2 -o record.json
  autorel record letters.csv --model sst2 --hash-texts -o record.json
  autorel verify record.json --model sst2
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: record(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Writes down what a model makes of texts and which words made it decide, with hashes of all that "
        "this depends on.\nautorel verify says later whether it is still so.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument("texts", nargs="+", metavar="TEXT", help="texts, files, folders or data sets, as of explain")
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    made.add_argument(
        "-o", "--output", dest="record", type=Path, metavar="FILE", required=True, help="the record, a .json"
    )
    made.add_argument(
        "--hash-texts",
        action="store_true",
        help="keep salted hashes in place of texts, words and ids; to verify such a record, the texts are given again",
    )
    model = made.add_argument_group("model")
    add_model(model)
    explanation = made.add_argument_group("explanation")
    add_method_flags(made, explanation)
    add_task_flags(explanation)
    add_reading_flags(explanation)
    add_column_flags(made.add_argument_group("input files"))
    group = made.add_argument_group("run")
    add_fields(group, ExplainConfig, batch_size={})
    add_compute_dtype(group)
    add_devices(group)
    add_quiet(group)
    made.set_defaults(output=None)
    return made


def record(argv: Sequence[str] | None, prog: str) -> None:
    """Parses, loads, explains, writes. Whatever can be checked early is checked before the model is loaded."""
    args = parser(prog).parse_args(argv)
    check_record(args.record, "--output")
    if args.keep_columns:
        raise InputError("--keep-columns has no meaning here: a record keeps texts, labels and ids alone.")
    config = explain_config(args)
    corpus = input_corpus(args)
    with importing():
        from autorel_jax.auditing.record import Recorder, gather, new_salt, with_ledger
    with progress_bar(args) as progress, on_devices(args) as devices:
        explainer = with_ledger(introduced(args), config, devices)
        recorder = Recorder(explainer, new_salt() if args.hash_texts else "")
        gather(recorder, corpus.rows(), progress)
    corpus.check_unchanged()
    write_record(args, recorder)
