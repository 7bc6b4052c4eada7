"""Method flags: which question is asked of the model, and by which method -> fields of ExplainConfig.

Used by explain.py and export.py.
"""

import argparse
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autorel_jax.cli.command import Parser
from autorel_jax.cli.flags import Names, add_field
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.options import assigned, numbers

PARAMETERS = {  # of rules, each a flag
    "epsilon": "ε, which takes relevance from outputs near 0",
    "gamma": "γ, how much more contributions count that have their output's sign",
    "alpha": "α, the part of positive contributions; that of negative ones is α - 1",
}
FIELDS = ("method", "target", "read_at")  # of ExplainConfig


def add_method_flags(
    parser: Parser, group: argparse._ArgumentGroup, composites_only: bool = False, targets: bool = True
) -> None:
    """Adds the flags of the method, its parameters, the target (not without `targets`), and where relevance is read."""
    methods = group.add_mutually_exclusive_group()
    method = add_field(methods, ExplainConfig, "method")
    if not composites_only:
        method.choices = Names(method_names)
    methods.add_argument(
        "--composite-file",
        type=Path,
        metavar="FILE",
        help="a method of your own: a .toml file that says which rule stands for which op (see docs/rules.md)",
    )
    parameters = {name: add_parameter(group, name) for name in PARAMETERS}
    group.add_argument(
        "--set",
        action="append",
        type=assignment,
        default=[],
        metavar="NAME=VALUE",
        help="any parameter of the method, also those that have a flag; repeat it (docs/methods.md and docs/rules.md "
        "list them with their defaults)",
    )
    if targets:
        add_target_flags(parser, group)
    read_at = add_field(group, ExplainConfig, "read_at")
    read_at.choices = Names(read_points)
    if not composites_only:
        add_references(group, ExplainConfig)

    def complete() -> None:
        method.metavar = listed(composite_names() if composites_only else method_names())
        read_at.metavar = listed(read_points())
        for name, action in parameters.items():
            action.help = parameter_help(name)

    parser.complete_help(complete)


def add_target_flags(parser: Parser, group: argparse._ArgumentGroup) -> None:
    """Adds the flags of what is explained."""
    targets = group.add_mutually_exclusive_group()
    target = add_field(targets, ExplainConfig, "target", metavar="LABEL")
    targets.add_argument("--contrast", nargs=2, metavar="LABEL", help="explain label 1 minus label 2")
    what = target.help

    def complete() -> None:
        target.help = target_help(what)

    parser.complete_help(complete)


def add_parameter(group: argparse._ArgumentGroup, name: str) -> argparse.Action:
    """Adds the flag of a parameter of rules."""
    return group.add_argument(f"--{name}", type=numbers, metavar="X", help=PARAMETERS[name])


def method_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ExplainConfig that these flags give."""
    options = {name: getattr(args, name) for name in FIELDS if name in args}
    if args.composite_file:
        from autorel_jax.lrp.composite_file import read_composite

        options["method"] = read_composite(args.composite_file)
    if getattr(args, "contrast", None):
        options["target"] = tuple(args.contrast)
    if getattr(args, "references", None):
        options["references"] = read_references(args)
    own_flags = {name: getattr(args, name) for name in PARAMETERS if getattr(args, name) is not None}
    return options | {"parameters": own_flags | dict(args.set)}


def add_references(group: argparse._ArgumentGroup, config: type) -> None:
    """Adds --references, a field of that config."""
    field = {field.name: field for field in dataclasses.fields(config)}["references"]
    group.add_argument(
        "--references",
        type=Path,
        metavar="FILE",
        help=f"{field.metadata['help']}: a file read as the input is (--text-column, --format, …), or .txt, one a line",
    )


def read_references(args: argparse.Namespace) -> list[Any]:
    """The texts of --references, which is read as the input is, but for a .txt.

    Raises:
      InputError: the file cannot be read, has a row without a text, or is empty.
    """
    from autorel_jax.data.kinds import suffix_of
    from autorel_jax.data.row import Columns, Rejected
    from autorel_jax.data.rows import read_rows
    from autorel_jax.data.sources import checked

    columns = Columns(args.text_column or Columns.text)
    if suffix_of(args.references) != ".txt":
        of_format = {"format": args.format, "delimiter": args.delimiter, "header": args.input_columns}
        columns = dataclasses.replace(columns, **of_format)
    read = read_rows(args.references, columns, args.encoding or "utf-8")
    rows = [one if isinstance(one, Rejected) else checked(one) for one in read]
    for row in rows:
        if isinstance(row, Rejected):
            raise InputError(f"--references {row}")
    if not rows:
        raise InputError(f"--references {args.references}: it holds no text.")
    return [row.text for row in rows]


def assignment(text: str) -> tuple[str, Any]:
    """NAME=VALUE as argparse reads it."""
    try:
        return assigned(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# The rest needs the registries of methods and rules, which import JAX: for the help, and where a name is checked.


def composite_names() -> list[str]:
    """The names of the composites."""
    from autorel_jax.lrp.composites import COMPOSITES

    return list(COMPOSITES)


def method_names() -> Iterator[str]:
    """The names of all methods; the other methods are imported only where the composites are not enough."""
    yield from composite_names()
    from autorel_jax.attribution.methods import METHODS

    yield from METHODS


def read_points() -> tuple[str, ...]:
    """Where relevance can be read."""
    from autorel_jax.lrp.composites import READ_POINTS

    return READ_POINTS


def listed(names: Iterable[str]) -> str:
    """Accepted values as argparse shows them."""
    return f"{{{','.join(names)}}}"


def target_help(what: str) -> str:
    """The help of --target, of which its field says `what` it is."""
    from autorel_jax.attribution.targets import KINDS, LOG_PROBABILITY

    return (
        f"{what}: a label's name, else its id, or one of {', '.join(KINDS)} (given is the row's own label, see "
        "--label-column; all is each label in turn; margin is the predicted label's logit minus the next one's); "
        f"{LOG_PROBABILITY}LABEL is the logarithm of its probability; of masked words a word of the vocabulary"
    )


def parameter_help(name: str) -> str:
    """The help of a parameter, with its default in each composite that has it."""
    from autorel_jax.lrp.composites import COMPOSITES

    values = {composite: made.record() for composite, made in COMPOSITES.items()}
    defaults = ", ".join(f"{record[name]:g} in {composite}" for composite, record in values.items() if name in record)
    return (
        f"{PARAMETERS[name]}: a number, or one for each layer with commas between (default: the rule's, {defaults}; "
        "docs/rules.md has the reason)"
    )
