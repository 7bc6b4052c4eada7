"""Options: a field of a config dataclass -> its default, its help text and what it may be, declared together.

    batch_size: int = option(32, "rows per optimizer step", least=1)

`check_options` refuses other values; cli/flags.py makes the commands' flags. Used by ExplainConfig and TrainConfig.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from autorel_jax.errors import InputError, check_count, one_line


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
    if least is None or value is None:
        return
    finite = isinstance(value, int) or math.isfinite(value)  # an int may be too large for a float
    if not (finite and value >= least and (most is None or value <= most)):
        limits = f"at least {least}" + ("" if most is None else f" and at most {most}")
        raise InputError(f"{field.name}={one_line(value)}: expected a finite number of {limits}.")
