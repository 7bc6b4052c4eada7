"""Options: a field of a config dataclass -> its default, its help text and what it may be, declared together.

    batch_size: int = option(32, "rows per optimizer step", least=1)

`check_options` refuses other values; cli/flags.py makes the commands' flags, `from_table` reads TOML. Used by every
config: ExplainConfig, JobConfig, TrainConfig, limits and policies.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.errors import InputError, check_count, one_line

TRUTH = {"true": True, "false": False}


def option(
    default: Any,
    text: str,
    choices: Sequence[str] = (),
    least: float | None = None,
    most: float | None = None,
    count: bool = False,
) -> Any:
    """A field of a config dataclass.

    Args:
      default: its value where nothing is given; None is always accepted then.
      text: what `--help` says of it.
      choices: the accepted values, if they are few.
      least: the smallest accepted number.
      most: the largest.
      count: whether it is a whole number of at least 1.
    """
    accepted = {"choices": tuple(choices), "least": least, "most": most, "count": count}
    return dataclasses.field(default=default, metadata={"help": text, **accepted})


def check_options(config: Any) -> None:
    """Raises InputError if a field of the config is not what its `option` accepts."""
    for field in dataclasses.fields(config):
        if field.metadata:
            check_option(field, getattr(config, field.name))


def check_option(field: dataclasses.Field, value: Any) -> None:
    """Raises InputError if a field's value is not what its `option` accepts."""
    if value is None and field.default is None:
        return
    choices, least, most, count = (field.metadata[name] for name in ("choices", "least", "most", "count"))
    if choices and value not in choices:
        raise InputError(f"{field.name}={value!r}: accepted: {', '.join(choices)}.")
    if count:
        check_count(field.name, value)
        return
    kind, number = kind_of(field), value.item() if hasattr(value, "item") else value  # NumPy's numbers
    if kind is bool and not isinstance(number, bool):
        raise InputError(f"{field.name}={one_line(value)}: expected true or false.")
    if kind not in (int, float):
        return
    accepted = isinstance(number, int | kind) and not isinstance(number, bool)
    accepted = accepted and (isinstance(number, int) or math.isfinite(number))  # an int may be too large for a float
    if accepted and (least is None or number >= least) and (most is None or number <= most):
        return
    what = "whole" if kind is int and not isinstance(number, int) else "finite"
    limits = [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
    of = f" of {' and '.join(limits)}" if limits else ""
    raise InputError(f"{field.name}={one_line(value)}: expected a {what} number{of}.")


def from_table(kind: type, table: Mapping[str, Any]) -> Any:
    """A config of a TOML table whose keys are its fields; an InputError for an unknown key or a refused value."""
    accepted = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        if key not in accepted:
            raise InputError(f"unknown key {one_line(repr(key))}; accepted: {', '.join(accepted)}.")
    return kind(**table)


def kind_of(field: dataclasses.Field) -> Any:
    """The type of a field, without None."""
    if isinstance(field.type, types.UnionType):
        return next(one for one in typing.get_args(field.type) if one is not types.NoneType)
    return field.type


def assigned(text: str) -> tuple[str, float | list[float] | bool | str]:
    """A parameter as it is written in flags: `samples=50` -> ("samples", 50.0), `gamma=0.1,0.2` -> a list.

    A value other than numbers, true and false stays text.

    Raises:
      ValueError: it is no NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{text!r}: expected NAME=VALUE")
    try:
        return name, numbers(value)
    except ValueError:
        return name, TRUTH.get(value.lower(), value)


def numbers(text: str) -> float | list[float]:
    """`0.1` -> 0.1, `0.1,0.2` -> [0.1, 0.2]; a ValueError for anything else."""
    values = [float(part) for part in text.split(",")]
    return values if "," in text else values[0]
