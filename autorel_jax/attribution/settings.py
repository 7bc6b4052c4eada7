"""Settings: what a compiled explanation depends on, besides shapes. Used by every module of attribution/."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

from autorel_jax.attribution.method import Method, Values
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import READ_POINTS
from autorel_jax.lrp.fused import SCORES, Fused, fused, is_long, kernel
from autorel_jax.lrp.taps import tapped_ops
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert
from autorel_jax.model.ops import PLAIN, Array
from autorel_jax.model.positions import POSITIONS, every_token


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is asked of which method on which model. Hashable.

    Attributes:
      config: the model's architecture.
      method: a Composite, or a method of methods/.
      read_at: a point of `method.reads`.
      dtype: of the matrix products; None is the parameters'.
      audit: whether every op counts what it absorbs; see readouts.py.
      readouts: names in lrp.taps.READOUTS.
      neurons: how many of a layer's neurons the read-out of that name holds.
      score: what a target weighs, logits [C] -> scores [S]; None: the logits. Hashable; see targets.py.
      unroll: of the model, see Bert.
    """

    config: BertConfig
    method: Method
    read_at: str
    dtype: jnp.dtype | None = None
    audit: bool = False
    readouts: tuple[str, ...] = ()
    neurons: int = 0
    score: Callable[[Array], Array] | None = None
    unroll: bool = False

    def __post_init__(self):
        if self.read_at not in self.method.reads:
            raise InputError(
                f"{self.method.name} cannot be read at {self.read_at!r}; accepted: {', '.join(self.method.reads)}."
            )
        self.method.check(self)

    def of(self, method: Method) -> "Settings":
        """What is asked of another method, without read-outs; an InputError where the model is not for it."""
        return Settings(self.config, method, method.reads[0], self.dtype, score=self.score)

    @property
    def model(self) -> Bert:
        """The model that computes with the rules of a composite."""
        table = fused(self.method.ops)
        table = tapped_ops(table, self.audit, self.config.value("beyond")) if self.audit or self.readouts else table
        return Bert(self.config, table, self.dtype, every_query=self.method.every_query, unroll=self.unroll)

    def attention(self, tokens: int) -> str:
        """How attention is computed for so many tokens, as lrp/fused.py names it: a matter of rules and shape alone."""
        table = fused(getattr(self.method, "ops", PLAIN))
        positions = POSITIONS[self.config.family.layers.positions]
        looks = self.read_at not in READ_POINTS  # a method that scores by attention weights holds them
        if looks or not isinstance(table.attention, Fused) or not positions.products or not is_long(tokens):
            return SCORES
        return kernel(self.dtype or jnp.float32, self.config.head_width, positions.sees is not every_token)

    @property
    def values(self) -> Values:
        """The composite's parameters as arrays. What is compiled takes them as an argument and must not read them here.

        Settings that differ in them alone are equal.
        """
        return self.method.values(self.config)
