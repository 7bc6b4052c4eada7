"""BERT: token ids or word embeddings -> logits. Linen shells hold the parameters; the ops of ops.py compute.

`Bert(config)` trains, `Bert(config, ops=COMPOSITES["attnlrp"].ops)` explains, and both read one params tree:
embeddings, layers (all but the last, stacked for one scan), last_layer, pooler, classifier. A collection "values"
beside "params" holds the parameters of the rules, each a scalar or [L]; a collection "taps" those of lrp/taps.py, for
each of PARTS. Shape letters as in ops.py. Only [CLS] is read after the last layer, so there everything but keys and
values is computed for [CLS] alone; its parameters stand apart so that no step has to cut them from a stack.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from autorel_jax.errors import InputError
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import PLAIN, Array, Ops, Values, attention_weights

Params = dict[str, Any]  # nested; the leaves are arrays
PARTS = {"embeddings": 0, "layers": slice(-1), "last_layer": -1, "head": -1}  # -> the layers whose values they take


class Affine(nn.Module):
    """Holds a linear map: kernel [*stack, rows, columns] and bias [*stack, columns]."""

    rows: int
    columns: int
    deviation: float
    stack: tuple[int, ...] = ()

    @nn.compact
    def __call__(self) -> Params:
        """The map's parameters."""
        normal = nn.initializers.truncated_normal(self.deviation)
        return {
            "kernel": self.param("kernel", normal, (*self.stack, self.rows, self.columns)),
            "bias": self.param("bias", nn.initializers.zeros, (*self.stack, self.columns)),
        }


class Norm(nn.Module):
    """Holds a LayerNorm: scale and bias [*stack, width]."""

    width: int
    stack: tuple[int, ...] = ()

    @nn.compact
    def __call__(self) -> Params:
        """The norm's parameters."""
        shape = (*self.stack, self.width)
        return {
            "scale": self.param("scale", nn.initializers.ones, shape),
            "bias": self.param("bias", nn.initializers.zeros, shape),
        }


class Embeddings(nn.Module):
    """Holds the tables word [V, D], position [P, D] and type [Y, D], and their LayerNorm."""

    config: BertConfig

    @nn.compact
    def __call__(self) -> Params:
        """The tables and the norm's parameters."""
        config = self.config
        normal = nn.initializers.truncated_normal(config.initializer_range)
        rows = {
            "word": config.vocab_size,
            "position": config.max_position_embeddings,
            "type": config.type_vocab_size,
        }
        tables = {name: self.param(name, normal, (size, config.hidden_size)) for name, size in rows.items()}
        return tables | {"norm": Norm(config.hidden_size, name="norm")()}


class Layer(nn.Module):
    """Holds one layer, or as many as `stack` says along a first axis."""

    config: BertConfig
    stack: tuple[int, ...] = ()

    @nn.compact
    def __call__(self) -> Params:
        """The parameters of the two sub-blocks and of the LayerNorm after each."""
        width, inner = self.config.hidden_size, self.config.intermediate_size
        maps = {name: (width, width) for name in ("query", "key", "value", "attention_output")}
        maps |= {"inner": (width, inner), "output": (inner, width)}
        deviation = self.config.initializer_range
        params = {name: Affine(*size, deviation, self.stack, name=name)() for name, size in maps.items()}
        norms = ("attention_norm", "output_norm")
        return params | {name: Norm(width, self.stack, name=name)() for name in norms}


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes entries with probability `rate` and scales the rest by 1 / (1 - rate); the identity without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)


def affine(ops: Ops, params: Params, x: Array, dtype: jnp.dtype) -> Array:
    """The linear map in the compute dtype. Shapes: x [..., D] -> [..., F]."""
    return ops.linear(x.astype(dtype), params["kernel"].astype(dtype), params["bias"].astype(dtype))


@dataclasses.dataclass(frozen=True)
class Attention:
    """The attention sub-block; `queries` is the number of leading tokens that are computed (None: all)."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype
    queries: int | None = None

    def __call__(self, values: Values, inputs: tuple[Params, Array, Array | None], x: Array) -> Array:
        """Shapes: inputs (one layer's parameters, mask [B, S], dropout key), x [B, S, D] -> [B, T, D]."""
        (params, mask, key), ops = inputs, self.ops.bind(values)
        probs_key, output_key = (None, None) if key is None else jax.random.split(key)
        tokens = {"query": x[:, : self.queries], "key": x, "value": x}
        heads = {name: self.heads(ops, params[name], part) for name, part in tokens.items()}
        rate = self.config.attention_probs_dropout_prob
        context = ops.attention(ops, **heads, mask=mask, drop=lambda weights: dropout(weights, rate, probs_key))
        context = ops.tap("heads", context)
        context = context.reshape(*context.shape[:2], -1)
        output = affine(ops, params["attention_output"], context, self.dtype)
        return dropout(output, self.config.hidden_dropout_prob, output_key)

    def weights(self, values: Values, inputs: tuple[Params, Array, Array | None], x: Array) -> Array:
        """The attention weights behind `__call__` of the same arguments, without dropout: [B, H, T, S]."""
        (params, mask, _), ops = inputs, self.ops.bind(values)
        query, key = self.heads(ops, params["query"], x[:, : self.queries]), self.heads(ops, params["key"], x)
        return attention_weights(ops, query, key, mask)

    def heads(self, ops: Ops, params: Params, x: Array) -> Array:
        """Projects x [B, T, D] to [B, T, H, K]."""
        y = affine(ops, params, x, self.dtype)
        return y.reshape(*y.shape[:2], self.config.num_attention_heads, self.config.head_width)


@dataclasses.dataclass(frozen=True)
class FeedForward:
    """The feed-forward sub-block."""

    ops: Ops
    config: BertConfig
    dtype: jnp.dtype

    def __call__(self, values: Values, inputs: tuple[Params, Array | None], x: Array) -> Array:
        """Shapes: inputs (one layer's parameters, dropout key), x [B, T, D] -> [B, T, D]."""
        (params, key), ops = inputs, self.ops.bind(values)
        inner = ops.activation(self.config.activation, affine(ops, params["inner"], x, self.dtype))
        inner = ops.tap("neurons", inner)
        output = affine(ops, params["output"], inner, self.dtype)
        return dropout(output, self.config.hidden_dropout_prob, key)


class Bert(nn.Module):
    """BERT with a classification head.

    Attributes:
      config: the architecture; a head stands on it where `config.labels` is not empty.
      ops: what it computes with; see ops.py and lrp/composites.py.
      dtype: of the matrix products; the residual stream, softmax, LayerNorm and logits keep the parameters' dtype.
      remat: recompute each layer in the backward pass instead of storing its activations.
      last_queries: leading tokens that the last layer computes; None is all, for a rule that looks at every query.
      unroll: whether `encode` has every layer by itself, and not one in a loop. Longer to compile; the gradient is
        faster where a program goes through the layers many times.
    """

    config: BertConfig
    ops: Ops = PLAIN
    dtype: jnp.dtype | None = None  # None: the parameters'
    remat: bool = False
    last_queries: int | None = 1
    unroll: bool = False

    def setup(self):
        """Declares the parts of the params tree."""
        config = self.config
        self.embeddings = Embeddings(config)
        self.layers = Layer(config, (config.num_hidden_layers - 1,))
        self.last_layer = Layer(config)
        width, deviation = config.hidden_size, config.initializer_range
        self.pooler = Affine(width, width, deviation)
        if config.labels:
            self.classifier = Affine(width, config.num_labels, deviation)

    def parameters(self) -> Params:
        """Every parameter; `shapes` and `init` go through it."""
        parts = {name: getattr(self, name)() for name in ("embeddings", "layers", "last_layer", "pooler")}
        return parts | ({"classifier": self.classifier()} if self.config.labels else {})

    def part(self, name: str) -> Params:
        """The parameters of a part. Linen's own way checks the shape of each, which is a fifth of the time to trace."""
        return getattr(self, name)() if self.is_initializing() else self.variables["params"][name]

    def __call__(
        self,
        ids: Array | None,
        mask: Array,
        types: Array,
        *,
        inputs_embeds: Array | None = None,
        deterministic: bool = True,
    ) -> Array:
        """Logits [B, C] of token ids (or of `inputs_embeds` [B, T, D], their word embeddings).

        Args:
          ids: [B, T] token ids; ignored where `inputs_embeds` is given.
          mask: [B, T], nonzero for real tokens.
          types: [B, T] segment ids.
          inputs_embeds: [B, T, D] word embeddings in place of the table's rows.
          deterministic: False drops out, with the key of the rng "dropout".
        """
        words = self.lookup(ids) if inputs_embeds is None else inputs_embeds
        if deterministic:
            return self.classify(self.embed(words, types), mask)
        embed_key, classify_key = jax.random.split(self.make_rng("dropout"))
        return self.classify(self.embed(words, types, embed_key), mask, classify_key)

    def lookup(self, ids: Array) -> Array:
        """Word embeddings: ids [B, T] -> [B, T, D]."""
        return self.part("embeddings")["word"][ids]

    def values(self, part: str) -> Values:
        """The rules' parameters and the taps in a part of PARTS; `values` holds scalars or [L, …] each.

        What stands outside the layers takes the values of the nearest: the embeddings the first layer's, the pooler
        and the classifier the last one's.
        """
        depth, place = (self.config.num_hidden_layers,), PARTS[part]
        values = {op: dict(given) for op, given in self.variables.get("values", {}).items()}
        values = jax.tree.map(lambda value: jnp.broadcast_to(value, depth + jnp.shape(value)[1:])[place], values)
        taps = self.variables.get("taps", {}).get(part, {})
        return {op: {**values.get(op, {}), **taps.get(op, {})} for op in (*values, *taps)}

    def embed(self, words: Array, types: Array, key: Array | None = None) -> Array:
        """Embeddings, the output of the embedding LayerNorm: words [B, T, D], types [B, T] -> [B, T, D]."""
        return self.normalize(self.embedding_sum(words, types), key)

    def embedding_sum(self, words: Array, types: Array) -> Array:
        """Word, position and type embeddings: words [B, T, D], types [B, T] -> their sum [B, T, D]."""
        tables, ops = self.part("embeddings"), self.ops.bind(self.values("embeddings"))
        length, positions = words.shape[1], self.config.max_position_embeddings
        if length > positions:
            raise InputError(f"{length} tokens exceed the model's {positions} positions; use at most {positions}.")
        # Type and position first: with the words last, the word embeddings enter through one add.
        segments = ops.tap("segments", tables["type"][types])
        positions = ops.tap("positions", tables["position"][:length])
        return ops.add(words, ops.add(segments, positions))

    def normalize(self, total: Array, key: Array | None = None) -> Array:
        """The embedding LayerNorm: the sum of embeddings [B, T, D] -> [B, T, D]."""
        normed = self.norm(self.ops.bind(self.values("embeddings")), self.part("embeddings")["norm"], total)
        return dropout(normed, self.config.hidden_dropout_prob, key)

    def classify(self, embeddings: Array, mask: Array, key: Array | None = None) -> Array:
        """Logits: embeddings [B, T, D], mask [B, T] -> [B, C]."""
        encode_key, pool_key = (None, None) if key is None else jax.random.split(key)
        return self.head(self.encode(embeddings, mask, encode_key), pool_key)

    def attend(
        self, embeddings: Array, mask: Array, read: Callable[[Array], Array] = lambda weights: weights
    ) -> tuple[Array, Array, Array]:
        """Logits, and what `read` makes of the attention weights [B, H, T, S] of each layer.

        Shapes: embeddings [B, T, D], mask [B, T] -> logits [B, C]; of all layers but the last, stacked along a first
        axis; of the last layer, whose weights are [B, H, 1, S] because only [CLS] is read from it (`last_queries`).
        """
        mask, dtype = mask.astype(bool), jnp.dtype(self.dtype or embeddings.dtype)

        def weights(layer, x, queries=None):  # computed twice as written; XLA computes them once
            values, params, key = layer
            return read(Attention(self.ops, self.config, dtype, queries).weights(values, (params, mask, key), x))

        def step(x, layer):
            return self.layer(mask, *layer, x), weights(layer, x)

        x, found = jax.lax.scan(step, embeddings, (self.values("layers"), self.part("layers"), None))
        layer = (self.values("last_layer"), self.part("last_layer"), None)
        first = self.layer(mask, *layer, x, queries=self.last_queries)[:, 0]
        return self.head(first), found, weights(layer, x, self.last_queries)

    def head(self, first: Array, key: Array | None = None) -> Array:
        """Logits: [CLS] after the last layer [B, D] -> [B, C]."""
        config, ops = self.config, self.ops.bind(self.values("head"))
        dtype = self.dtype or first.dtype
        pooled = ops.activation("tanh", affine(ops, self.part("pooler"), first, dtype).astype(first.dtype))
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        return affine(ops, self.part("classifier"), dropout(pooled, rate, key), first.dtype)

    def encode(self, x: Array, mask: Array, key: Array | None = None) -> Array:
        """[CLS] after the last layer: x [B, T, D], mask [B, T] -> [B, D]."""
        depth = self.config.num_hidden_layers
        keys = None if key is None else jax.random.split(key, depth)
        stack_keys, last_key = (None, None) if keys is None else (keys[:-1], keys[-1])
        mask = mask.astype(bool)

        def step(x, layer):
            return self.layer(mask, *layer, x), None

        def last(x, layer):
            return self.layer(mask, *layer, x, queries=self.last_queries)

        if self.remat:
            step, last = jax.checkpoint(step, prevent_cse=False), jax.checkpoint(last)
        x = self.ops.bind(self.values("embeddings")).tap("layers", x)
        x, _ = jax.lax.scan(step, x, (self.values("layers"), self.part("layers"), stack_keys), unroll=self.unroll)
        return last(x, (self.values("last_layer"), self.part("last_layer"), last_key))[:, 0]

    def layer(
        self, mask: Array, values: Values, params: Params, key: Array | None, x: Array, queries: int | None = None
    ) -> Array:
        """One layer: x [B, S, D] -> [B, T, D] for the first `queries` tokens (None: all)."""
        attention_key, output_key = (None, None) if key is None else jax.random.split(key)
        dtype, ops = jnp.dtype(self.dtype or x.dtype), self.ops.bind(values)
        attention = Attention(self.ops, self.config, dtype, queries)
        x = ops.residual(attention, values, (params, mask, attention_key), x)
        x = ops.tap("attention", self.norm(ops, params["attention_norm"], x))
        x = ops.residual(FeedForward(self.ops, self.config, dtype), values, (params, output_key), x)
        return ops.tap("layers", self.norm(ops, params["output_norm"], x))

    def norm(self, ops: Ops, params: Params, x: Array) -> Array:
        """LayerNorm with the model's epsilon."""
        return ops.layer_norm(x, params["scale"], params["bias"], self.config.layer_norm_eps)


def init(config: BertConfig, key: Array) -> Params:
    """New parameters, drawn as BERT's were."""
    return Bert(config).init(key, method="parameters")["params"]


def shapes(config: BertConfig) -> Params:
    """The params tree with a `jax.ShapeDtypeStruct` (float32) in place of each array; nothing is computed."""
    return jax.eval_shape(lambda: init(config, jax.random.key(0)))
