"""Scores: a method and a batch -> logits, a score for every token, and what else was asked for. What is compiled.

Used by explaining/compute.py, whatever the method.
"""

import functools

import jax

from autorel_jax.attribution.method import Result, Texts, Values
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch
from autorel_jax.model.encoder import Params
from autorel_jax.model.ops import Array


@functools.partial(jax.jit, static_argnums=0)
def token_scores(settings: Settings, params: Params, texts: Texts, weights: Array | None, values: Values) -> Result:
    """The Result of a batch; compiled once for each shape of it.

    Args:
      settings: what is asked of which method.
      params: the params tree.
      texts: B texts of T tokens.
      weights: [B, N, S] of the targets; None explains the class with the highest logit. See relevance.attribute.
      values: those of `settings.method.values`.
    """
    return settings.method.attribute(TargetedBatch(settings, params, texts, weights), values)
