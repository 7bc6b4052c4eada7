"""Parameters: the fields of a method, each with its default, the values that it accepts, and what it means.

Those that change what is compiled (`static`) are part of a method's hash; the others reach the compiled program as
arrays (`traced`) or stay on the host (`host`), so that one program serves all their values.
"""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from autorel_jax.errors import LARGEST_FLOAT, LARGEST_INT, InputError, one_line

ZERO, PAD, MASK = BASELINES = ("zero", "pad", "mask")
"""What stands in place of a token: the zero vector, or the word embedding of [PAD] or [MASK]."""
VOCABULARY = "vocabulary"  # tokens drawn from the whole vocabulary
MOST_SAMPLES = 2**19  # shapley_sampling numbers samples · (units - 1) coalitions: an int32 for up to 4,096 units
OTHER_IDS = {ZERO: -1, VOCABULARY: -2}  # baselines that are no token


@dataclasses.dataclass(frozen=True)
class Number:
    """A number within bounds; `whole` for whole ones, `even` for even ones of these."""

    least: float = 0.0
    most: float | None = None  # None: what an int32 or a float32 holds
    whole: bool = False
    even: bool = False

    def checked(self, name: str, value: Any) -> float | int:
        """The value as an int or a float, or an InputError."""
        value = value.item() if isinstance(value, np.generic) else value
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits = number and self.least <= value <= self.limit
        if not fits or (self.whole and value != int(value)) or (self.even and value % 2):
            most = f", no more than {self.limit}" if number and value > self.limit and self.most is None else ""
            raise InputError(f"{name}={one_line(value)}: expected {self}{most}.")
        return int(value) if self.whole else float(value)

    @property
    def limit(self) -> float:
        """The largest value."""
        return (LARGEST_INT if self.whole else LARGEST_FLOAT) if self.most is None else self.most

    def __str__(self) -> str:
        kind = "an even number" if self.even else "a whole number" if self.whole else "a number"
        return f"{kind} of at least {self.least:g}" + ("" if self.most is None else f", at most {self.most}")


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of some names."""

    names: tuple[str, ...]

    def checked(self, name: str, value: Any) -> str:
        """The value, or an InputError."""
        if not isinstance(value, str) or value not in self.names:
            raise InputError(f"{name}={one_line(value)}: expected {self}.")
        return value

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false."""

    def checked(self, name: str, value: Any) -> bool:
        """The value, or an InputError."""
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name}={one_line(value)}: expected {self}.")
        return bool(value)

    def __str__(self) -> str:
        return "true or false"


Accepts = Number | OneOf | Flag


def static(default: Any, accepts: Accepts, help: str) -> Any:
    """A parameter that changes what is compiled."""
    return dataclasses.field(default=default, metadata={"accepts": accepts, "help": help})


def traced(default: Any, accepts: Accepts, help: str) -> Any:
    """A parameter whose values share one compiled program."""
    return dataclasses.field(
        default=default, compare=False, metadata={"accepts": accepts, "help": help, "traced": True}
    )


def host(default: Any, accepts: Accepts, help: str) -> Any:
    """A parameter that the compiled program never sees."""
    return dataclasses.field(default=default, compare=False, metadata={"accepts": accepts, "help": help})


def seed() -> Any:
    """The parameter of every method that draws."""
    return traced(
        0, Number(0, LARGEST_INT, whole=True), "of the random numbers; a text's depend on it and on the text alone"
    )


def array(value: Any, accepts: Accepts, ids: Mapping[str, int | None]) -> np.ndarray:
    """A parameter's value for the compiled program: whole numbers and names of baselines as int32."""
    if isinstance(accepts, OneOf):
        if ids[value] is None:
            known = (name for name in accepts.names if ids[name] is not None)
            raise InputError(f"the tokenizer has no [{value.upper()}] token; accepted here: {', '.join(known)}.")
        return np.asarray(ids[value], np.int32)
    whole = isinstance(accepts, Number) and accepts.whole
    return np.asarray(value, np.int32 if whole else jnp.result_type(float))
