"""Heads: the tokens that a head reads from the last layer -> logits. Used by encoder.py. Shape letters as in ops.py."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from autorel_jax.families.family import ASKED, ASKED_TOKEN, EACH, FIRST, MAX, MEAN, VECTOR
from autorel_jax.model.blocks import Params, affine, dropout, norm
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops, contract

SHORTEST = 1e-12  # vectors of less length are divided by it, as in PyTorch's normalize


class Head(NamedTuple):
    """A kind of head.

    Attributes:
      reads: how many leading tokens of the last layer it reads; None: all.
      weighs: their mask [B, Q] -> [B, Q], how much each of them counts in what it reads; they add up to 1. None: it
        depends on what is explained.
      logits: (ops, config, the params tree, tokens [B, Q, D], their mask [B, Q], dropout key, dtype) -> [B, C]; of a
        head on tokens [B, Q * C], one token after the other.
    """

    reads: int | None
    weighs: Callable[[Array], Array] | None
    logits: Callable[[Ops, BertConfig, Params, Array, Array, Array | None, jnp.dtype], Array]


def first_alone(mask: Array) -> Array:
    """1 for the first token: mask [B, Q] -> [B, Q]."""
    return jnp.zeros_like(mask, float).at[:, 0].set(1)


def alike(mask: Array) -> Array:
    """The same for each token of a text: mask [B, Q] -> [B, Q]."""
    counted = (mask != 0).astype(float)
    return counted / jnp.maximum(counted.sum(axis=1, keepdims=True), 1)


def asked_alone(mask: Array) -> Array:
    """1 for the token that is asked about: mask [B, Q] -> [B, Q]."""
    return (mask == ASKED_TOKEN).astype(float)


def classify_first(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """Logits from the first token. Shapes: x [B, Q, D] -> [B, C]."""
    return classify(ops, config, params, normalized(ops, config, params, x[:, 0]), key, dtype)


def classify_mean(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """Logits from the mean over a text's tokens, a linear map that keeps all relevance: x [B, Q, D] -> [B, C]."""
    weights = alike(mask).astype(x.dtype)
    pooled = contract("bq,bqd->bd", weights, normalized(ops, config, params, x))
    return classify(ops, config, params, pooled, key, dtype)


def classify_each(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """Logits of each token, one token after the other: x [B, Q, D] -> [B, Q * C]."""
    logits = classify(ops, config, params, normalized(ops, config, params, x), key, dtype)
    texts, tokens, labels = logits.shape  # which an exported program has no numbers of
    return logits.reshape(texts, tokens * labels)


def fill_asked(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """Logits of the vocabulary from the token that is asked about: x [B, Q, D] -> [B, C].

    `params` holds "transform" [D, D], "transform_norm" and "decoder": a bias [C], and a kernel [D, C] where the word
    embeddings do not serve as one. Dtypes are as in `classify`.
    """
    place = (mask == ASKED_TOKEN).argmax(axis=1)
    read = jnp.take_along_axis(x, place[:, None, None], axis=1)[:, 0]
    made = affine(ops, params["transform"], read, dtype).astype(x.dtype)
    made = ops.activation(config.head_facts.activation or config.activation, made)
    made = norm(ops, params["transform_norm"], made, config.layer_norm_eps)
    decoder = {"kernel": params["embeddings"]["word"].T} | params["decoder"]
    return affine(ops, decoder, made, x.dtype)


def first_vector(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """The first token's vector: x [B, Q, D] -> [B, D]."""
    return made_vector(ops, config, params, normalized(ops, config, params, x[:, 0]))


def mean_vector(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """The mean over a text's tokens: x [B, Q, D] -> [B, D]."""
    pooled = contract("bq,bqd->bd", alike(mask).astype(x.dtype), normalized(ops, config, params, x))
    return made_vector(ops, config, params, pooled)


def max_vector(
    ops: Ops, config: BertConfig, params: Params, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype
) -> Array:
    """In each dimension the largest value among a text's tokens: x [B, Q, D] -> [B, D].

    All relevance of a dimension is of the token that has it, the first where several do, as in PyTorch. The token is
    found by its place: JAX's gradient of `max` asks which tokens equal the maximum, and divides by their number. Where
    XLA computes tokens a second time, with other roundings, that is none.
    """
    tokens = normalized(ops, config, params, x)
    place = jnp.where(mask[..., None] != 0, tokens, -jnp.inf).argmax(axis=1)
    return made_vector(ops, config, params, jnp.take_along_axis(tokens, place[:, None], axis=1)[:, 0])


def made_vector(ops: Ops, config: BertConfig, params: Params, vectors: Array) -> Array:
    """What stands behind pooling, if anything: a map with its activation, division by lengths. [B, D] -> [B, C].

    `params` then holds "dense" [D, C]. It computes in the dtype of the residual stream, as classifiers do. The lengths
    are constants to every rule and gradient: a linear map, which keeps all relevance.
    """
    if "dense" in params:
        vectors = affine(ops, params["dense"], vectors, vectors.dtype)
    if config.dense_activation:
        vectors = ops.activation(config.dense_activation, vectors)
    if not config.normalizes:
        return vectors
    lengths = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / jax.lax.stop_gradient(jnp.maximum(lengths, SHORTEST))


def normalized(ops: Ops, config: BertConfig, params: Params, x: Array) -> Array:
    """The LayerNorm behind the last of layers that have theirs in front, if the model has one: x [..., D]."""
    return norm(ops, params["final_norm"], x, config.layer_norm_eps) if "final_norm" in params else x


def classify(ops: Ops, config: BertConfig, params: Params, pooled: Array, key: Array | None, dtype: jnp.dtype) -> Array:
    """Pooler, activation and LayerNorm, if there are any, dropout, classifier. Shapes: pooled [..., D] -> [..., C].

    `params` holds "classifier" [D, C] and, but for most heads on tokens, "pooler" [D, D]. The
    classifier computes in the dtype of the residual stream, so that logits are float32 whatever `dtype` the other
    products have.
    """
    input_rate, stream, input_key = config.value("head_input_dropout"), pooled.dtype, None
    if input_rate and key is not None:
        input_key, key = jax.random.split(key)
    if "pooler" in params:
        pooled = affine(ops, params["pooler"], dropout(pooled, input_rate, input_key), dtype).astype(stream)
        pooled = ops.activation(config.value("head_activation"), pooled)
    if "pooler_norm" in params:
        pooled = norm(ops, params["pooler_norm"], pooled, config.layer_norm_eps)
    return affine(ops, params["classifier"], dropout(pooled, config.head_dropout, key), stream)


HEADS = {  # the kind of a family's head -> Head
    FIRST: Head(1, first_alone, classify_first),
    MEAN: Head(None, alike, classify_mean),
    EACH: Head(None, None, classify_each),
    ASKED: Head(None, asked_alone, fill_asked),
    VECTOR[FIRST]: Head(1, first_alone, first_vector),
    VECTOR[MEAN]: Head(None, alike, mean_vector),
    VECTOR[MAX]: Head(None, None, max_vector),
}
