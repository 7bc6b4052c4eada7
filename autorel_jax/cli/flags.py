"""Flags: the fields of a config -> flags of a command; and flags that more than one command has.

Used by every command.
"""

from __future__ import annotations

import dataclasses
import typing
from argparse import SUPPRESS, Action, ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.builtin import BUILTIN
from autorel_jax.cli.command import warn
from autorel_jax.errors import InputError
from autorel_jax.files import is_pipe, writable
from autorel_jax.model.config import COMPUTE_DTYPES, PROBLEMS
from autorel_jax.options import kind_of
from autorel_jax.text.settings import SIDES

if TYPE_CHECKING:
    from autorel_jax.classifier import Classifier

METAVARS = {Path: "PATH", str: "NAME", int: "N", float: "X"}


def add_fields(group: _ActionsContainer, config: type, **fields: Mapping[str, Any]) -> dict[str, Action]:
    """Adds the flags of fields of a config, in that order, each with its keywords of `add_field`."""
    return {name: add_field(group, config, name, **keywords) for name, keywords in fields.items()}


def add_field(
    group: _ActionsContainer,
    config: type,
    name: str,
    flags: Sequence[str] = (),
    switch: Any = "store_true",
    **changes: Any,
) -> Action:
    """Adds the flag of a config's field, made from its `option`; where it is not given, the arguments lack it.

    Args:
      group: of a parser.
      config: a dataclass, whose annotations are types and not strings.
      name: of the field.
      flags: its spellings; the field's name with dashes if none are given.
      switch: argparse's action for a bool.
      changes: to the arguments of argparse's `add_argument`.
    """
    field = {field.name: field for field in dataclasses.fields(config)}[name]
    made = {"dest": name, "default": SUPPRESS, "help": help_of(field)} | value_of(field, switch)
    return group.add_argument(*(flags or [f"--{name.replace('_', '-')}"]), **made | changes)


def help_of(field: dataclasses.Field) -> str:
    """The help of a field, with its default where that says something."""
    text, default = field.metadata["help"], field.default
    shown = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
    return (text + (f" (default: {default})" if shown else "")).replace("%", "%%")


def value_of(field: dataclasses.Field, switch: Any) -> dict[str, Any]:
    """How argparse reads the value of a field."""
    kind = kind_of(field)
    if kind is bool:
        return {"action": switch}
    if typing.get_origin(kind) is tuple:
        return {"nargs": "+", "metavar": "VALUE"}
    kind, choices = kind if kind in METAVARS else str, field.metadata["choices"]
    return {"type": kind, "choices": choices or None, "metavar": None if choices else METAVARS[kind]}


def given_fields(args: Namespace, config: type) -> dict[str, Any]:
    """The fields of a config whose flags were given."""
    names = {field.name for field in dataclasses.fields(config)}
    return {name: value for name, value in vars(args).items() if name in names}


class Names:
    """The accepted values of a flag, where listing them imports JAX: listed when a value is checked."""

    def __init__(self, names: Callable[[], Iterable[str]]):
        self.names = names

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def add_model(group: _ActionsContainer, path: str = "as of autorel explain") -> None:
    """Adds --model and the flags of add_model_flags; `path` says in its help what may be given."""
    group.add_argument(
        "--model",
        default=BUILTIN,
        metavar="PATH",
        help=f"{path} (default: the built-in classifier of film reviews' sentiment)",
    )
    add_model_flags(group)


def add_model_flags(parser: _ActionsContainer) -> None:
    """Adds what tells where the parts of a model are: --config, --vocab, --cased, --uncased, --revision and more."""
    add = parser.add_argument
    add(
        "--config",
        metavar="FILE",
        type=Path,
        help="the model's config.json or bert_config.json (default: the one beside the weights)",
    )
    add(
        "--vocab",
        metavar="FILE",
        type=Path,
        help="vocab.txt, tokenizer.json, vocab.json or a .model of SentencePiece (default: beside the weights, or "
        "beside --config)",
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        "--cased",
        action="store_true",
        default=None,
        help="the tokenizer keeps capitals (default: as the files say; a bare vocab.txt: if The is in it)",
    )
    case.add_argument("--uncased", action="store_false", dest="cased", default=None, help="the tokenizer lowercases")
    add(
        "--truncation-side",
        choices=SIDES,
        help="the end at which longer texts are cut (default: as the tokenizer's files say, else right)",
    )
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the hub (default: main)")
    add(
        "--problem-type",
        choices=PROBLEMS,
        help="what the head predicts (default: as the model's config says; one output of which it says nothing is a "
        "regression)",
    )
    add(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="tensors of the checkpoint that begin with OLD begin with NEW, such as 'out.=classifier.'; repeatable",
    )
    add(
        "--drop",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out tensors of that name, such as 'loss_fct.*'; repeatable",
    )


def add_compute_dtype(parser: ArgumentParser) -> None:
    """Adds --dtype, as `load` takes it."""
    parser.add_argument(
        "--dtype",
        choices=COMPUTE_DTYPES,
        default=COMPUTE_DTYPES[0],
        help="of the matrix products (default: %(default)s)",
    )


def add_devices(parser: _ActionsContainer, default: str = "all there are") -> None:
    """Adds --device, --devices and --threads; `default` says how many devices are used where nobody says."""
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu, gpu:1, … (default: the best there is)")
    parser.add_argument("--devices", type=int, metavar="N", help=f"divide batches among N devices (default: {default})")
    add_threads(parser)


def add_threads(parser: _ActionsContainer) -> None:
    """Adds --threads, for `limit_threads`."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="use N cores of the processor (default: all that the process may use)"
    )


def given_flags(args: Namespace, made: ArgumentParser) -> list[str]:
    """The names of the arguments that are not what the parser sets by itself."""
    return [
        name
        for name, value in vars(args).items()
        if name != "prog" and value != made.get_default(name) and value not in ([], ())
    ]


def check_written(flag: str, path: Path, suffix: str) -> None:
    """Raises InputError for a file that is to be written and cannot be, or whose name ends otherwise."""
    if path.suffix.lower() != suffix or is_pipe(path):
        raise InputError(f"{flag} {path}: it is a {suffix} file; give a name that ends so.")
    writable(path)


def add_quiet(parser: _ActionsContainer) -> None:
    """Adds --quiet."""
    parser.add_argument(
        "--quiet", action="store_true", help="no progress and notes on stderr; warnings, rows left out and errors stay"
    )


def loaded(args: Namespace) -> Classifier:
    """The classifier that `args.model` and those flags name; says on stderr what to beware of."""
    from autorel_jax.classifier import load
    from autorel_jax.cli.device import doubts_of_dtype

    classifier = load(
        args.model,
        config=args.config,
        vocab=args.vocab,
        cased=args.cased,
        truncation_side=args.truncation_side,
        revision=args.revision,
        problem_type=args.problem_type,
        rename=args.rename,
        drop=args.drop,
        dtype=args.dtype,
    )
    warn(args.prog, [*classifier.warnings, *doubts_of_dtype(args.dtype)])
    return classifier
