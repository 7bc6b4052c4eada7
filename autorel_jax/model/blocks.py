"""Blocks: attention, feed-forward, and the layer made of them; LayerNorm, linear maps, dropout.

In: one layer's parameters and its input; out: its output. Each block is a hashable pure function that computes with
an Ops table, so that a rule can stand for it as a whole. Used by encoder.py and heads.py. Shape letters as in ops.py.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from autorel_jax.families.family import POST_NORM, PRE_NORM_GATED
from autorel_jax.model.config import BertConfig
from autorel_jax.model.convolution import Convolved
from autorel_jax.model.ops import Array, Ops, Scores, Values, attention_weights
from autorel_jax.model.positions import POSITIONS, Params, Places, Positions


class LayerInputs(NamedTuple):
    """What a layer computes with, beside its input."""

    params: Params  # its own
    mask: Array  # [B, S]
    key: Array | None  # for dropout
    places: Places
    number: Array | int  # of the layer, from 0
    convolved: Convolved | None = None


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes entries with probability `rate` and scales the rest by 1 / (1 - rate); the identity without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)


def affine(ops: Ops, params: Params, x: Array, dtype: jnp.dtype) -> Array:
    """The linear map in the compute dtype. Shapes: kernel [D, F], bias [F], if any, x [..., D] -> [..., F]."""
    kernel = params["kernel"].astype(dtype)
    bias = params["bias"].astype(dtype) if "bias" in params else jnp.zeros(kernel.shape[-1], dtype)
    return ops.linear(x.astype(dtype), kernel, bias)


def norm(ops: Ops, params: Params, x: Array, epsilon: float) -> Array:
    """LayerNorm. Shapes: scale [D], bias [D], if any, x [..., D] -> [..., D]."""
    scale = params["scale"]
    return ops.layer_norm(x, scale, params.get("bias", jnp.zeros_like(scale)), epsilon)


@dataclasses.dataclass(frozen=True)
class Attention:
    """The attention sub-block; `queries` is the number of leading tokens that are computed (None: all)."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype
    queries: int | None = None

    def __call__(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """Shapes: x [B, S, D] -> [B, T, D]."""
        params, ops = inputs.params, self.ops.bind(values)
        probs_key, output_key = (None, None) if inputs.key is None else jax.random.split(inputs.key)
        heads = self.projected(ops, params, x, ("query", "key", "value"))
        rate = self.config.attention_probs_dropout_prob
        seen, scores = self.sees(inputs, heads["query"]), self.scores(inputs)
        drop = functools.partial(dropout, rate=rate, key=probs_key)
        scores = scores._replace(products=None) if probs_key is not None and rate else scores
        context = ops.attention(ops, **heads, mask=seen, drop=drop, scores=scores)
        context = ops.tap("heads", context)  # [B, T, H, K]
        context = context.reshape(*context.shape[:2], -1)
        output = affine(ops, params["attention_output"], context, self.dtype)
        return dropout(output, self.output_dropout, output_key)

    def weights(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """The attention weights behind `__call__` of the same arguments, without dropout: [B, H, T, S]."""
        ops = self.ops.bind(values)
        query, key = self.projected(ops, inputs.params, x, ("query", "key")).values()
        return attention_weights(ops, query, key, self.sees(inputs, query), self.scores(inputs))

    @property
    def output_dropout(self) -> float:
        """The rate for what it adds to the residual stream."""
        return self.config.attention_output_dropout

    @property
    def positions(self) -> Positions:
        """How its scores know where tokens stand."""
        return POSITIONS[self.config.family.layers.positions]

    def sees(self, inputs: LayerInputs, query: Array) -> Array:
        """Which keys a query sees: [B, S], or [B, T, S]."""
        return self.positions.sees(inputs.mask, inputs.places, query.shape[1])

    def scores(self, inputs: LayerInputs) -> Scores:
        """The functions from queries and keys to scores, and to what they come from."""
        made, places = self.positions, inputs.places
        products = made.products and functools.partial(made.products, inputs.mask, places)
        own = {"config": self.config, "params": inputs.params, "places": places}
        return Scores(lambda ops, query, key: made.scores(ops, query=query, key=key, **own), products)

    def projected(self, ops: Ops, params: Params, x: Array, names: tuple[str, ...]) -> dict[str, Array]:
        """x [B, S, D] as query [B, T, H, K], key and value [B, S, H, K], as far as they are named."""
        tokens = {"query": x[:, : self.queries], "key": x, "value": x}
        return {name: self.heads(ops, params[name], tokens[name]) for name in names}

    def heads(self, ops: Ops, params: Params, x: Array) -> Array:
        """Projects x [B, T, D] to [B, T, H, K]."""
        y = affine(ops, params, x, self.dtype)
        return y.reshape(*y.shape[:2], -1, self.config.head_width)


@dataclasses.dataclass(frozen=True)
class FeedForward:
    """The feed-forward sub-block."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype

    def __call__(self, values: Values, inputs: tuple[Params, Array | None], x: Array) -> Array:
        """Shapes: inputs (one layer's parameters, dropout key), x [B, T, D] -> [B, T, D]."""
        (params, key), ops = inputs, self.ops.bind(values)
        inner = ops.activation(self.config.activation, affine(ops, params["inner"], x, self.dtype))  # [B, T, F]
        inner = ops.tap("neurons", inner)
        output = affine(ops, params["output"], inner, self.dtype)
        return dropout(output, self.config.feed_forward_dropout, key)


def joined(ops: Ops, convolved: Convolved, mask: Array, x: Array, epsilon: float) -> Array:
    """The output of a layer, to which the first adds what was convolved. Shapes: mask [B, S], x [B, T, D]."""

    def first(x: Array) -> Array:
        real = mask[:, : x.shape[1], None]
        total = ops.add(x, convolved.added[:, : x.shape[1]])
        return jnp.where(real, norm(ops, convolved.params, total, epsilon), 0).astype(x.dtype)

    return jax.lax.cond(convolved.is_first, first, lambda x: x, x)


@dataclasses.dataclass(frozen=True)
class PostNormLayer:
    """A layer with a LayerNorm after each sub-block; `queries` as in Attention."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype
    queries: int | None = None

    def __call__(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """Shapes: x [B, S, D] -> [B, T, D]."""
        params, ops, epsilon = inputs.params, self.ops.bind(values), self.config.layer_norm_eps
        attention_key, output_key = (None, None) if inputs.key is None else jax.random.split(inputs.key)
        x = ops.residual(self.attention, values, inputs._replace(key=attention_key), x)
        x = ops.tap("attention", norm(ops, params["attention_norm"], x, epsilon))
        x = ops.residual(FeedForward(self.ops, self.config, self.dtype), values, (params, output_key), x)
        x = norm(ops, params["output_norm"], x, epsilon)
        if inputs.convolved is not None:
            x = joined(ops, inputs.convolved, inputs.mask, x, epsilon)
        return ops.tap("layers", x)

    @property
    def attention(self) -> Attention:
        """Its attention sub-block."""
        return Attention(self.ops, self.config, self.dtype, self.queries)


@dataclasses.dataclass(frozen=True)
class PreNormAttention(Attention):
    """The attention sub-block with its LayerNorm before it, and one map to query, key and value."""

    def __call__(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """Shapes: x [B, S, D] -> [B, T, D]."""
        return super().__call__(values, inputs, self.normalized(values, inputs, x))

    def weights(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """As in Attention."""
        return super().weights(values, inputs, self.normalized(values, inputs, x))

    @property
    def output_dropout(self) -> float:
        """As for the weights."""
        return self.config.attention_probs_dropout_prob

    def normalized(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """Its LayerNorm, which the first layer does not have: x is that of the embeddings there."""
        if "attention_norm" not in inputs.params:
            return x
        y = norm(self.ops.bind(values), inputs.params["attention_norm"], x, self.config.layer_norm_eps)
        return jnp.where(inputs.number > 0, y, x)

    def projected(self, ops: Ops, params: Params, x: Array, names: tuple[str, ...]) -> dict[str, Array]:
        """All at once: a third of one product for tokens that are no query costs less than to cut its kernel."""
        query, key, value = jnp.split(self.heads(ops, params["joint"], x), 3, axis=2)
        found = {"query": query[:, : self.queries], "key": key, "value": value}
        return {name: found[name] for name in names}


@dataclasses.dataclass(frozen=True)
class GatedFeedForward(FeedForward):
    """The feed-forward sub-block with its LayerNorm before it, of an activated and a linear factor."""

    def __call__(self, values: Values, inputs: tuple[Params, Array | None], x: Array) -> Array:
        """Shapes: as in FeedForward."""
        (params, key), ops = inputs, self.ops.bind(values)
        x = norm(ops, params["inner_norm"], x, self.config.layer_norm_eps)
        activated, linear = jnp.split(affine(ops, params["inner"], x, self.dtype), 2, axis=-1)  # [B, T, F] each
        inner = ops.tap("neurons", ops.gate(ops.activation(self.config.activation, activated), linear))
        return affine(ops, params["output"], dropout(inner, self.config.hidden_dropout_prob, key), self.dtype)


@dataclasses.dataclass(frozen=True)
class PreNormLayer:
    """A layer with a LayerNorm before each sub-block, whose sums are not normalised; `queries` as in Attention."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype
    queries: int | None = None

    def __call__(self, values: Values, inputs: LayerInputs, x: Array) -> Array:
        """Shapes: x [B, S, D] -> [B, T, D]."""
        ops, feed_forward = self.ops.bind(values), GatedFeedForward(self.ops, self.config, self.dtype)
        attention_key, inner_key = (None, None) if inputs.key is None else jax.random.split(inputs.key)
        x = ops.residual(self.attention, values, inputs._replace(key=attention_key), x)
        x = ops.tap("attention", x)
        return ops.tap("layers", ops.residual(feed_forward, values, (inputs.params, inner_key), x))

    @property
    def attention(self) -> PreNormAttention:
        """Its attention sub-block."""
        return PreNormAttention(self.ops, self.config, self.dtype, self.queries)


LAYERS = {POST_NORM: PostNormLayer, PRE_NORM_GATED: PreNormLayer}  # the kind of a family's layers -> the block
