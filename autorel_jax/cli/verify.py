"""autorel verify: a record and a classifier -> whether the explanations are still the same; exit code 0, 1 or 2."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.builtin import BUILTIN
from autorel_jax.cli.command import Parser, note, run, say
from autorel_jax.cli.explain import input_corpus, introduced, on_devices
from autorel_jax.cli.explain_flags import add_column_flags
from autorel_jax.cli.flags import add_devices, add_model_flags, add_quiet, given_flags
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import progress_bar
from autorel_jax.errors import InputError

if TYPE_CHECKING:
    from autorel_jax.auditing.record_differences import Differences
    from autorel_jax.auditing.record_file import Record

PROG = "autorel-verify"
SHOWN = 20  # texts that are named
EXAMPLES = """examples:
  autorel verify record.json --model sst2
  autorel verify hashed.json letters.csv --model sst2
  autorel verify record.json --against other.json

exit code: 0 equal, within rounding; 1 something differs; 2 it cannot be checked.
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: verify(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Explains the texts of a record again, as it says, and tells whether all is equal within rounding.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument("record", type=Path, metavar="RECORD", help="a .json that autorel record wrote")
    made.add_argument(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="the texts, in any order, for a record that has hashes in their place; they are read as by autorel record "
        "(default: those in the record)",
    )
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    made.add_argument("--against", type=Path, metavar="RECORD", help="another record, in place of a model")
    model = made.add_argument_group("model")
    model.add_argument("--model", metavar="PATH", help="as of autorel record (default: where the record's was)")
    add_model_flags(model)
    model.add_argument(
        "--composite-file", type=Path, metavar="FILE", help="the method, where the record's is of such a file"
    )
    add_column_flags(made.add_argument_group("input files"))
    group = made.add_argument_group("run and output")
    group.add_argument("--batch-size", type=int, metavar="N", help="texts (default: as of explain)")
    add_devices(group)
    add_quiet(group)
    made.set_defaults(output=None)
    return made


def verify(argv: Sequence[str] | None, prog: str) -> int:
    """Reads, explains again, says what differs; returns the exit code."""
    args = parser(prog).parse_args(argv)
    with importing():
        from autorel_jax.auditing.record_differences import against
        from autorel_jax.auditing.record_file import read_record
        from autorel_jax.auditing.verify import verdict
    record = read_record(args.record)
    if args.against:
        given = [name for name in given_flags(args, parser(prog)) if name not in ("record", "against", "quiet")]
        if given:
            raise InputError(f"--against compares two records, and explains nothing: leave out {', '.join(given)}.")
        found = against(record, read_record(args.against))
    else:
        found = explained_again(args, record)
    show(found)
    say(verdict(found, record))
    return int(bool(found))


def is_of_texts(name: str) -> bool:
    """Whether a flag says how texts are read."""
    return "column" in name or name in ("pair", "format", "delimiter", "encoding", "split", "data_dir")


def hidden_columns(args: argparse.Namespace, reads_label: bool) -> list[str]:
    """The flags that name a column of which hashed texts keep nothing, and which is not explained either."""
    columns = {"--label-column": args.label_column and not reads_label, "--id-column": args.id_column}
    return [flag for flag, given in columns.items() if given]


def explained_again(args: argparse.Namespace, record: "Record") -> "Differences":
    """What differs where the texts of the record are explained again."""
    import jax

    from autorel_jax.attribution.targets import reads_given
    from autorel_jax.auditing.record_differences import has_labels
    from autorel_jax.auditing.record_facts import environment
    from autorel_jax.auditing.verify import changes_of_place, method_of, rows_of, verified
    from autorel_jax.lrp.composite_file import read_composite
    from autorel_jax.model.config import FLOAT64

    if not args.texts and (given := [name for name in given_flags(args, parser(args.prog)) if is_of_texts(name)]):
        raise InputError(f"{', '.join(given)}: of texts, but none are given; the record's own are explained again.")
    if args.keep_columns:
        raise InputError("--keep-columns has no meaning here: no rows are written.")
    if args.texts and reads_given(record["question"]["asked"]["target"]) and not args.label_column:
        raise InputError("The record explains each text's own label; name the column of the labels by --label-column.")
    if record["salt"] and (needless := hidden_columns(args, reads_given(record["question"]["asked"]["target"]))):
        raise InputError(
            f"{', '.join(needless)}: a record with hashes in place of texts keeps neither labels nor ids to compare; "
            "leave it out."
        )
    method = method_of(record, read_composite(args.composite_file) if args.composite_file else None)
    corpus = input_corpus(args) if args.texts else None
    rows = rows_of(record, corpus and corpus.rows())
    of_rows = [name for name in ("label", "id") if corpus and not record["salt"] and getattr(args, f"{name}_column")]
    if "label" in of_rows and not has_labels(record):
        note(args, "the record was made without labels, so that none are compared")
        of_rows.remove("label")
    args.model = args.model or place_of(record["model"]["name"])
    args.dtype = record["model"]["dtype"]
    if args.dtype == FLOAT64:
        jax.config.update("jax_enable_x64", True)
    with progress_bar(args) as progress, on_devices(args) as devices:
        found = verified(
            record, introduced(args), rows, method, args.batch_size, devices, progress, of_rows, bool(corpus)
        )
        here = environment(record["question"]["asked"]["split_words"])
    if corpus:
        corpus.check_unchanged()
    for line in changes_of_place(record["environment"], here):
        note(args, f"since the record was made: {line}")
    if record["left_out"]:
        note(args, f"rows left out when the record was made: {record['left_out']}")
    if found.left_out:
        note(args, f"rows left out of the texts now: {found.left_out}")
    return found


def place_of(name: str) -> Any:
    """What `load` takes for the model of that name."""
    return BUILTIN if name == f"built-in {BUILTIN.name}" else name


def show(found: "Differences") -> None:
    """Prints what differs, a line each."""
    for line in [*found.facts, *found.texts[:SHOWN]]:
        say(line)
    if len(found.texts) > SHOWN:
        say(f"… and {len(found.texts) - SHOWN} more texts")
