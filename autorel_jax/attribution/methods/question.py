"""Question: a batch of texts and their targets, as a method sees them inside one compiled program.

Samples (points of a path, noisy or incomplete copies of a text) are computed some at a time, so that memory is bounded
whatever their number. Shape letters as in ops.py; N targets, G samples at a time.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from autorel_jax.attribution import relevance
from autorel_jax.lrp.composites import Boundary, Composite, passed
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.ops import PLAIN, Array

GRADIENT = Composite(PLAIN, Boundary(passed, passed, lambda logits, weights: weights), name="gradient")
TOKENS = 1024  # computed at once where a batch holds fewer: 32 texts of 32, from where a token's time no longer falls


class Texts(NamedTuple):
    """A batch on its way to a method; all [B, T] int32, padding at the end of each row."""

    ids: Array
    mask: Array  # nonzero for tokens
    types: Array
    units: Array  # the number of the token or word that is switched on and off as one, from 0; -1: always on


@dataclasses.dataclass(frozen=True, eq=False)
class Question:
    """Texts, the model, and N targets for each text. Lives within one trace.

    Attributes:
      settings: of the plain model, and where it is read.
      params: the params tree.
      texts: B texts of T tokens.
      given: the targets' weights [B, N, C]; None asks for the class with the highest logit.
    """

    settings: relevance.Settings
    params: Params
    texts: Texts
    given: Array | None

    @property
    def inputs(self) -> Array:
        """The activations where the method reads [B, T, D]."""
        return relevance.embeddings(self.settings, self.params, self.texts.ids, self.texts.types)

    @property
    def table(self) -> Array:
        """The word embeddings [V, D]."""
        return self.params["embeddings"]["word"]

    @property
    def model(self) -> Bert:
        """The plain model."""
        return self.settings.model

    @property
    def group(self) -> int:
        """G."""
        return max(1, TOKENS // self.texts.ids.size)

    def logits(self, x: Array) -> Array:
        """Logits of other activations in place of the inputs, G samples of each text: [G * B, T, D] -> [G * B, C]."""
        samples = len(x) // len(self.texts.ids)
        mask, types = (jnp.tile(part, (samples, 1)) for part in (self.texts.mask, self.texts.types))
        return relevance.from_embeddings(self.settings, self.params, mask, types, {})(x)

    def weights(self, logits: Array) -> Array:
        """The targets' weights [B, N, C], where the logits of the texts are [B, C]."""
        return relevance.target_weights(logits, self.given)

    def targets(self, weights: Array, x: Array) -> Array:
        """The targets' values for G samples: weights [B, N, C], x [G, B, T, D] -> [G, B, N]."""
        logits = self.logits(x.reshape(-1, *x.shape[2:]))
        return chosen(weights, logits.reshape(*x.shape[:2], -1))

    def gradients(self, weights: Array, x: Array) -> Array:
        """The targets' gradients at G samples: weights [B, N, C], x [G, B, T, D] -> [G, B, N, T, D]."""
        boundary, each = self.settings.composite.boundary, jnp.tile(weights, (len(x), 1, 1))
        # 8 % faster on a CPU, and hardly longer to compile; passes without a gradient gain nothing.
        unrolled = dataclasses.replace(self, settings=dataclasses.replace(self.settings, unroll=True))
        _, found = relevance.attribute(unrolled.logits, x.reshape(-1, *x.shape[2:]), each, boundary)
        return found.reshape(*x.shape[:2], *found.shape[1:])

    def baseline(self, number: Array) -> Array:
        """What stands in place of a token [D]: the word embedding of that id, or zeros for a negative one."""
        return jnp.where(number < 0, 0, self.table[jnp.maximum(number, 0)])


def chosen(weights: Array, logits: Array) -> Array:
    """The targets' values: weights [B, N, C], logits [..., B, C] -> [..., B, N]."""
    return (weights * logits[..., None, :]).sum(axis=-1)


def summed(step: Callable[[Array, Array], Any], count: Array | int, group: int) -> Any:
    """Σ over the samples 0, …, count - 1, `group` at a time; the count may be traced.

    `step` takes numbers of samples [G] and which of them are wanted [G], and returns arrays summed over those wanted.
    """
    at_once = jnp.arange(group, dtype=jnp.int32)

    def add(turn: Array, total: Any) -> Any:
        numbers = turn * group + at_once
        return jax.tree.map(jnp.add, total, step(numbers, numbers < count))

    shapes = jax.eval_shape(step, at_once, at_once < count)
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    turns = (jnp.asarray(count, jnp.int32) - 1) // group + 1
    return jax.lax.fori_loop(jnp.int32(0), turns, add, zeros)
