"""Heads: the tokens that a head reads from the last layer -> logits. Used by encoder.py. Shape letters as in ops.py."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from autorel_jax.families.family import FIRST
from autorel_jax.model.blocks import Params, affine, dropout
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops


class Head(NamedTuple):
    """A kind of head.

    Attributes:
      reads: how many leading tokens of the last layer it reads; None: all.
      logits: (ops, config, the params tree, tokens [B, Q, D], their mask [B, Q], dropout key, dtype) -> [B, C].
    """

    reads: int | None
    logits: Callable[[Ops, BertConfig, Params, Array, Array, Array | None, jnp.dtype], Array]


def classify_first(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """Logits from the first token: pooler, activation, dropout, classifier. Shapes: x [B, Q, D] -> [B, C].

    `params` holds "pooler" [D, D] and "classifier" [D, C]. The classifier computes in the dtype of the residual
    stream, so that logits are float32 whatever `dtype` the other products have.
    """
    rate, input_rate, first, input_key = config.head_dropout, config.value("head_input_dropout"), x[:, 0], None
    if input_rate and key is not None:
        input_key, key = jax.random.split(key)
    pooled = affine(ops, params["pooler"], dropout(first, input_rate, input_key), dtype).astype(first.dtype)
    pooled = ops.activation(config.value("head_activation"), pooled)
    return affine(ops, params["classifier"], dropout(pooled, rate, key), first.dtype)


HEADS = {FIRST: Head(1, classify_first)}  # the kind of a family's head -> Head
