"""PlainMethod: a way to score tokens that computes with the plain model, without rules.

A method is a frozen dataclass whose fields are its parameters; parameters.py says which kinds there are.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.method import Outcome, Result, Values
from autorel_jax.attribution.methods.parameters import OTHER_IDS, Accepts, array
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import WORD_EMBEDDINGS
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array
from autorel_jax.text.tokens import Tokens

Scores = tuple[Array, Array, Mapping[str, Array]]  # logits [B, C], scores [B, N, T], diagnostics by name, [B, N] each


@dataclasses.dataclass(frozen=True)
class PlainMethod:
    """A Method (attribution/method.py) without rules. Compared and hashed by its class and its static parameters.

    Attributes, beside those of every Method:
      note: what to know of its scores before reading them, a warning of every explanation; "" where they are parts of
        the target's logit.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = (WORD_EMBEDDINGS,)
    rules: ClassVar[Mapping[str, str]] = {}
    diagnostics: ClassVar[tuple[str, ...]] = ()
    worst: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    contrasts: ClassVar[bool] = False
    note: ClassVar[str] = ""

    def __post_init__(self):
        for name, accepts in self.accepted().items():
            object.__setattr__(self, name, accepts.checked(name, getattr(self, name)))

    @classmethod
    def accepted(cls) -> dict[str, Accepts]:
        """parameter -> the values that it can have."""
        return {field.name: field.metadata["accepts"] for field in dataclasses.fields(cls)}

    def set(self, values: Mapping[str, Any] | None = None, **more: Any) -> "PlainMethod":
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

    def content(self) -> Any:
        """All that makes the method, as JSON."""
        return repr(self)

    def check(self, settings: Settings) -> None:
        """Raises InputError for an audit, read-outs and functions of the logits, which need a composite's rules."""
        if settings.audit or settings.readouts:
            raise InputError(f"{self.name} has no audit and no read-outs; use a composite for them.")
        if settings.score is not None:
            raise InputError(f"{self.name} explains labels and contrasts, not functions of the logits.")

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> dict[str, np.ndarray]:
        """The traced parameters as arrays; `ids` are the token ids of the baselines that are tokens.

        Raises:
          InputError: a value that the model or its tokenizer does not admit.
        """
        values = {}
        for field in dataclasses.fields(self):
            if field.metadata.get("traced"):
                value, accepts = getattr(self, field.name), field.metadata["accepts"]
                values[field.name] = array(value, accepts, {**OTHER_IDS, **ids})
        return values

    def units(self, rows: Sequence[Tokens], shape: tuple[int, int]) -> np.ndarray | None:
        """None: it switches nothing off."""

    def attribute(self, batch: TargetedBatch, values: Values) -> Result:
        """The Result of `scores`; padding gets exactly 0."""
        logits, scores, measured = self.scores(batch, values)
        scores = jnp.where(batch.texts.mask[:, None] != 0, scores, 0)
        return Result(
            logits, logits, scores, diagnostics={name: part.astype(scores.dtype) for name, part in measured.items()}
        )

    def doubts(self, outcome: Outcome) -> Iterator[str]:
        """What a reader should know before trusting the scores of a text."""
        if self.note:
            yield f"{self.name}: {self.note}"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        """Logits [B, C], scores [B, N, T] (anything at padding) and the diagnostics by name, [B, N] each.

        Inside a trace. It reads traced parameters from `values` alone.
        """
        raise NotImplementedError
