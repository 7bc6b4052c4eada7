"""Method: a way to score tokens that is no composite; its parameters, their defaults, and the checks of their values.

A method is a frozen dataclass whose fields are its parameters. Those that change what is compiled (`static`) are part
of its hash; the others reach the compiled program as arrays (`traced`) or stay on the host (`host`), so that it serves
all their values.
"""

import dataclasses
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.methods.question import Question
from autorel_jax.errors import LARGEST_FLOAT, LARGEST_INT, InputError, one_line
from autorel_jax.lrp.composites import WORD_EMBEDDINGS
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array

ZERO, PAD, MASK = BASELINES = ("zero", "pad", "mask")
"""What stands in place of a token: the zero vector, or the word embedding of [PAD] or [MASK]."""
VOCABULARY = "vocabulary"  # tokens drawn from the whole vocabulary
MOST_SAMPLES = 2**19  # shapley_sampling numbers samples · (units - 1) coalitions: an int32 for up to 4,096 units
OTHER_IDS = {ZERO: -1, VOCABULARY: -2}  # baselines that are no token


@dataclasses.dataclass(frozen=True)
class Number:
    """A number within bounds; `whole` for whole ones."""

    least: float = 0.0
    most: float | None = None  # None: what an int32 or a float32 holds
    whole: bool = False

    def checked(self, name: str, value: Any) -> float | int:
        """The value as an int or a float, or an InputError."""
        value = value.item() if isinstance(value, np.generic) else value
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not self.least <= value <= self.limit or (self.whole and value != int(value)):
            most = f", no more than {self.limit}" if number and value > self.limit and self.most is None else ""
            raise InputError(f"{name}={one_line(value)}: expected {self}{most}.")
        return int(value) if self.whole else float(value)

    @property
    def limit(self) -> float:
        """The largest value."""
        return (LARGEST_INT if self.whole else LARGEST_FLOAT) if self.most is None else self.most

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} of at least {self.least:g}" + ("" if self.most is None else f", at most {self.most}")


@dataclasses.dataclass(frozen=True)
class Choice:
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


Accepts = Number | Choice | Flag


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


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of explanation that is no composite. Compared and hashed by its class and its static parameters.

    Attributes:
      name: under which it is registered and reported.
      reads: the points where its scores can be read, the default first.
      diagnostics: the names of what it measures of itself, for each text and target.
      note: what to know of its scores before reading them, a warning of every explanation; "" where they are parts of
        the target's logit.
      rules: none; composites have them.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = (WORD_EMBEDDINGS,)
    diagnostics: ClassVar[tuple[str, ...]] = ()
    note: ClassVar[str] = ""
    rules: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self):
        for name, accepts in self.accepted().items():
            object.__setattr__(self, name, accepts.checked(name, getattr(self, name)))

    @classmethod
    def accepted(cls) -> dict[str, Accepts]:
        """parameter -> the values that it can have."""
        return {field.name: field.metadata["accepts"] for field in dataclasses.fields(cls)}

    def set(self, values: Mapping[str, Any] | None = None, **more: Any) -> "Method":
        """This method with other values of parameters.

        Raises:
          InputError: there is no such parameter, or a value that it cannot have.
        """
        known = self.accepted()
        for name in (given := {**(values or {}), **more}):
            if name not in known:
                raise InputError(f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")
        return dataclasses.replace(self, **given)

    def record(self) -> dict[str, Any]:
        """The parameters for a report, by name."""
        return dataclasses.asdict(self)

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> dict[str, np.ndarray]:
        """The traced parameters as arrays; `ids` are the token ids of the baselines that are tokens.

        Raises:
          InputError: a value that the model or its tokenizer does not admit.
        """
        found = {}
        for field in dataclasses.fields(self):
            if field.metadata.get("traced"):
                value, accepts = getattr(self, field.name), field.metadata["accepts"]
                found[field.name] = array(value, accepts, {**OTHER_IDS, **ids})
        return found

    def doubts(self, measured: Mapping[str, float], target_logit: float, units: int) -> Iterator[str]:
        """What a reader should know before trusting the scores of a text: `measured` are its diagnostics."""
        if self.note:
            yield f"{self.name}: {self.note}"

    def scores(self, question: Question, values: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        """Answers a question, inside a trace. It reads traced parameters from `values` alone.

        Returns:
          logits [B, C], scores [B, N, T] (anything at padding) and diagnostics [B, N, M].
        """
        raise NotImplementedError


def array(value: Any, accepts: Accepts, ids: Mapping[str, int | None]) -> np.ndarray:
    """A parameter's value for the compiled program: whole numbers and names of baselines as int32."""
    if isinstance(accepts, Choice):
        if ids[value] is None:
            known = (name for name in accepts.names if ids[name] is not None)
            raise InputError(f"the tokenizer has no [{value.upper()}] token; accepted here: {', '.join(known)}.")
        return np.asarray(ids[value], np.int32)
    whole = isinstance(accepts, Number) and accepts.whole
    return np.asarray(value, np.int32 if whole else jnp.result_type(float))


def nothing_measured(scores: Array) -> Array:
    """The diagnostics of a method that has none: scores [B, N, T] -> [B, N, 0]."""
    return jnp.zeros((*scores.shape[:2], 0), scores.dtype)


def measured(found: Sequence[Array], scores: Array) -> Array:
    """Diagnostics, each [B, N] -> [B, N, M]."""
    return jnp.stack([part.astype(scores.dtype) for part in found], axis=-1)
