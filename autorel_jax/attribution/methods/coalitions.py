"""Coalitions: a text with some of its tokens or words switched off -> the value of a target, many at a time.

A unit is a token or a word, whichever is switched on and off as one; U = T is the most that a text of T tokens has.
Used by occlusion.py and surrogates.py.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.methods.parameters import BASELINES, MASK, Flag, OneOf, host, traced
from autorel_jax.attribution.methods.plain import PlainMethod
from autorel_jax.attribution.targeted_batch import TargetedBatch, Texts, chosen
from autorel_jax.model.ops import Array
from autorel_jax.text import words
from autorel_jax.text.tokens import Tokens

TOKEN, WORD = UNITS = ("token", "word")


@dataclasses.dataclass(frozen=True)
class Perturbation(PlainMethod):
    """A method that switches units off. The score of a unit of several tokens is shared equally among them."""

    unit: str = host(TOKEN, OneOf(UNITS), "what is switched off as one; a word's score is shared among its tokens")
    special: bool = host(False, Flag(), "whether special tokens are switched off too; else they get 0")
    baseline: str = traced(
        MASK,
        OneOf(BASELINES),
        "what stands in place of a token that is switched off; [MASK] is what BERT was trained to see there",
    )

    def units(self, rows: Sequence[Tokens], shape: tuple[int, int]) -> np.ndarray:
        """The unit of each token [B, T], numbered from 0 in each row; -1: none."""
        units = np.full(shape, -1, np.int32)
        for place, row in enumerate(rows):
            units[place, : len(row.ids)] = words.units(row, self.unit == WORD, self.special)
        return units


def counts(texts: Texts) -> Array:
    """The number of units of each text [B]."""
    return texts.units.max(axis=1) + 1


def at_units(values: Array, texts: Texts) -> Array:
    """What each token's unit has: values [B, U] -> [B, T]; anything for a token that is in none."""
    return jnp.take_along_axis(values, jnp.maximum(texts.units, 0), axis=1)


def to_tokens(scores: Array, texts: Texts) -> Array:
    """Scores of units [B, N, U] -> of tokens [B, N, T], in equal shares; 0 for a token that is in none."""
    units = texts.units[:, None]
    sizes = (units == jnp.arange(units.shape[-1])[:, None]).sum(axis=-1)  # tokens of each unit [B, U]
    shares = scores / jnp.maximum(sizes, 1)[:, None]
    found = jax.vmap(lambda one: at_units(one, texts), in_axes=1, out_axes=1)(shares)
    return jnp.where(units < 0, 0, found)


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """A batch whose texts are switched on and off in parts.

    Attributes:
      logits: of the whole texts [B, C].
      whole: the targets' values of the whole texts [B, N].
      counts: the units of each text [B].
      value: coalitions [G, B, U] (or what broadcasts to it), true where a unit is on -> the targets' values [G, B, N].
    """

    logits: Array
    whole: Array
    counts: Array
    value: Callable[[Array], Array]

    @property
    def empty(self) -> Array:
        """The targets' values with all units off [B, N]."""
        return self.value(jnp.zeros((1, *self.counts.shape, 1), bool))[0]


def game(batch: TargetedBatch, values: Mapping[str, Array]) -> Game:
    """The game of a batch, whose parts that are off hold the baseline."""
    x, texts = batch.inputs, batch.texts
    logits = batch.logits(x)
    weights, off = batch.weights(logits), batch.baseline(values["baseline"])

    def value(on: Array) -> Array:
        on = jnp.broadcast_to(on, (len(on), *texts.units.shape))
        here = jax.vmap(lambda on: at_units(on, texts))(on) | (texts.units < 0)
        return batch.targets(weights, jnp.where(here[..., None], x, off))

    return Game(logits, chosen(weights, logits), counts(texts), value)
