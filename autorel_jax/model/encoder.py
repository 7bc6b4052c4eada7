"""Bert: token ids or word embeddings -> logits. Linen holds the parameters; the ops of ops.py compute.

`Bert(config)` trains, `Bert(config, ops=COMPOSITES["attnlrp"].ops)` explains, and both read one params tree, that of
parameters.py: embeddings, layers (all but the last, stacked for one scan), last_layer, pooler, classifier. A
collection "values" beside "params" holds the parameters of the rules, each a scalar or [L]; a collection "taps" those
of lrp/taps.py, for each part in LAYERS_OF. The last layer computes only the tokens that the head reads (but keys and
values of all); its parameters stand apart so that no step has to cut them from a stack. Shape letters as in ops.py.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.families.family import ACTIVATIONS, BIAS, KERNEL, SCALE, TABLE
from autorel_jax.model.blocks import LAYERS, LayerInputs, Params, affine, dropout, norm
from autorel_jax.model.config import BertConfig
from autorel_jax.model.convolution import Convolved, convolve
from autorel_jax.model.heads import HEADS
from autorel_jax.model.inputs import check_ids
from autorel_jax.model.ops import PLAIN, Array, Ops, Values
from autorel_jax.model.parameters import Parameter, nested, parameters
from autorel_jax.model.positions import POSITIONS, Places

# Part of the model -> the layers whose rule parameters it takes. What stands outside the layers takes those of the
# nearest: the embeddings the first layer's, the head the last one's.
LAYERS_OF = {"embeddings": 0, "layers": slice(-1), "last_layer": -1, "head": -1}


class Holder(nn.Module):
    """Holds a part of the params tree: a parameter for each Parameter in `tree`, a Holder for each dict."""

    tree: Mapping[str, Any]
    deviation: float  # of new weights

    @nn.compact
    def __call__(self) -> Params:
        """The parameters of the part."""
        return {name: self.held(name, what) for name, what in self.tree.items()}

    def held(self, name: str, what: Any) -> Any:
        """A parameter, or the parameters of a part of this part."""
        if not isinstance(what, Parameter):
            return Holder(what, self.deviation, name=name)()
        normal = nn.initializers.truncated_normal(self.deviation)
        zeros, ones = nn.initializers.zeros, nn.initializers.ones
        draw = {KERNEL: normal, TABLE: normal, BIAS: zeros, SCALE: ones}[what.kind]
        return self.param(name, draw, what.shape)


class Bert(nn.Module):
    """An encoder of BERT's kind with a head: of texts, or of each token.

    Attributes:
      config: the architecture; a head stands on it where `config.labels` is not empty.
      ops: what it computes with; see ops.py and lrp/composites.py.
      dtype: of the matrix products; the residual stream, softmax, LayerNorm and logits keep the parameters' dtype.
      remat: recompute each layer in the backward pass instead of storing its activations.
      every_query: whether the last layer computes all tokens, not only those that the head reads: for a rule that
        looks at every query.
      unroll: whether the layers stand one by one in the program, not in a loop. Longer to compile; the gradient is
        faster where a program goes through the layers many times.
    """

    config: BertConfig
    ops: Ops = PLAIN
    dtype: jnp.dtype | None = None  # None: the parameters'
    remat: bool = False
    every_query: bool = False
    unroll: bool = False

    @property
    def queries(self) -> int | None:
        """The leading tokens that the last layer computes; None: all."""
        return None if self.every_query else HEADS[self.config.head_kind].reads

    @nn.compact
    def parameters(self) -> Params:
        """Every parameter, drawn where there is none yet; `init` goes through it."""
        tree, deviation = nested(parameters(self.config)), self.config.initializer_range
        return {name: Holder(part, deviation, name=name)() for name, part in tree.items()}

    def part(self, name: str) -> Params:
        """The parameters of a part of the tree.

        They are read as they are. Calling the Holders again would be Linen's usual way, which draws the shape of each
        parameter anew to check it: tracing one explanation of the built-in model then takes a third more (208 ms in
        place of 153 on a CPU, 204,000 Python calls in place of 133,000). weights/ has checked them when they were read.
        """
        if self.is_initializing() and not self.has_variable("params", name):
            self.parameters()
        return self.variables["params"][name]

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
          mask: [B, T], nonzero for real tokens; of a head of masked words ASKED_TOKEN for the one that is asked about.
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
        table = self.part("embeddings")["word"]
        check_ids(ids, len(table), "token ids")
        return table[ids]

    def values(self, part: str) -> Values:
        """The rules' parameters and the taps in a part of LAYERS_OF; `values` holds scalars or [L, …] each."""
        depth, place = (self.config.depth,), LAYERS_OF[part]
        values = {op: dict(given) for op, given in self.variables.get("values", {}).items()}
        values = jax.tree.map(lambda value: jnp.broadcast_to(value, depth + jnp.shape(value)[1:])[place], values)
        taps = self.variables.get("taps", {}).get(part, {})
        return {op: {**values.get(op, {}), **taps.get(op, {})} for op in (*values, *taps)}

    def embed(self, words: Array, types: Array, key: Array | None = None) -> Array:
        """Embeddings, the output of the embedding LayerNorm: words [B, T, D], types [B, T] -> [B, T, D]."""
        return self.normalize(self.embedding_sum(words, types), key)

    def embedding_sum(self, words: Array, types: Array) -> Array:
        """Word, position and type embeddings: words [B, T, D], types [B, T] -> their sum [B, T, D].

        A family without types or positions has no table of them.
        """
        tables, ops = self.part("embeddings"), self.ops.bind(self.values("embeddings"))
        length, longest, start = words.shape[1], self.config.longest_text, self.config.position_offset
        if length > longest:
            raise InputError(f"{length} tokens exceed the model's {longest} positions; use at most {longest}.")
        # Type and position first: with the words last, the word embeddings enter through one add.
        others = None
        if "position" in tables:
            others = ops.tap("positions", tables["position"][start : start + length])
        if "type" in tables:
            check_ids(types, len(tables["type"]), "segment ids")
            segments = ops.tap("segments", tables["type"][types])
            others = segments if others is None else ops.add(segments, others)
        return words if others is None else ops.add(words, others)

    def normalize(self, total: Array, key: Array | None = None) -> Array:
        """The embedding LayerNorm: the sum of embeddings [B, T, E] -> [B, T, E], or [B, T, D] if it widens first."""
        ops, params = self.ops.bind(self.values("embeddings")), self.part("embeddings")["norm"]
        total = self.widen(total) if self.config.family.widens_first else total
        return dropout(norm(ops, params, total, self.config.layer_norm_eps), self.config.input_dropout, key)

    def classify(self, embeddings: Array, mask: Array, key: Array | None = None) -> Array:
        """Logits: embeddings [B, T, D], mask [B, T] -> [B, C]."""
        encode_key, head_key = (None, None) if key is None else jax.random.split(key)
        x, _, _ = self.encode(embeddings, mask, encode_key)
        return self.head(x, mask, head_key)

    def attend(
        self, embeddings: Array, mask: Array, read: Callable[[Array], Array] = lambda weights: weights
    ) -> tuple[Array, Array, Array]:
        """Logits, and what `read` makes of the attention weights [B, H, T, S] of each layer.

        Shapes: embeddings [B, T, D], mask [B, T] -> logits [B, C]; of all layers but the last, stacked along a first
        axis; of the last layer, whose weights are [B, H, Q, S] for the Q tokens that it computes.
        """
        x, found, last = self.encode(embeddings, mask, read=lambda weights, _: read(weights))
        return self.head(x, mask), found, last

    def watch(
        self, embeddings: Array, mask: Array, read: Callable[[Array, Array], tuple[Array, ...]]
    ) -> tuple[Array, tuple[Array, ...]]:
        """Logits, and what `read` makes of a layer's attention weights [B, H, T, S] and its input [B, S, D].

        Shapes: embeddings [B, T, D], mask [B, T] -> logits [B, C], and arrays of all layers [L, …]. What is read must
        have one shape in every layer, so all tokens are computed in the last one (`every_query`), or none is read.
        """
        x, found, last = self.encode(embeddings, mask, read=read)
        every = jax.tree.map(lambda stack, top: jnp.concatenate([stack, top[None]]), found, last)
        return self.head(x, mask), every

    def encode(
        self, x: Array, mask: Array, key: Array | None = None, read: Callable[[Array, Array], Any] | None = None
    ) -> tuple[Array, Any, Any]:
        """Through all layers: x [B, T, E], mask [B, T] -> [B, Q, D], the tokens that the last layer computes.

        Also what `read` makes of the attention weights and the input of each layer, as in `watch`; None without it.
        """
        keys = None if key is None else jax.random.split(key, self.config.depth)
        mask, dtype, facts = mask.astype(bool), jnp.dtype(self.dtype or x.dtype), self.config.family.layers
        block, positions = LAYERS[facts.kind], POSITIONS[facts.positions]
        shared = positions.shared(self.config, self.variables["params"], x.shape[1], x.dtype)
        own = keys, positions.each(self.config), np.arange(self.config.depth)
        of_stack, of_last = (jax.tree.map(operator.itemgetter(rows), own) for rows in (slice(-1), -1))

        def step(queries, x, layer):
            values, params, (key, places, number) = layer
            params = find(params)
            made = block(self.ops, self.config, dtype, queries)
            position_key = None if key is None else jax.random.fold_in(key, 2)  # the layer splits off 0 and 1
            more = None if added is None else Convolved(number == 0, added, self.part("convolution")["norm"])
            inputs = LayerInputs(params, mask, key, Places(shared, places, position_key), number, more)
            y = made(values, inputs, x)
            # Computed twice as written; XLA computes them once.
            return y, None if read is None else read(made.attention.weights(values, inputs, x), x)

        every, last = functools.partial(step, None), functools.partial(step, self.queries)
        if self.remat:
            every, last = jax.checkpoint(every, prevent_cse=False), jax.checkpoint(last)
        x = x if self.config.family.widens_first else self.widen(x)
        x = self.ops.bind(self.values("embeddings")).tap("layers", x)
        added = self.convolved(x, mask, key, dtype) if self.config.value("convolves") else None
        of_layers, of_last_layer, find = self.layer_parameters()
        x, found = jax.lax.scan(every, x, (self.values("layers"), of_layers, of_stack), unroll=self.unroll)
        x, found_last = last(x, (self.values("last_layer"), of_last_layer, of_last))
        return x, found, found_last

    def layer_parameters(self) -> tuple[Any, Any, Callable[[Any], Params]]:
        """Those of all layers but the last [L - 1, ...], those of the last, and a function from one layer's to a tree.

        Where layers share parameters, a layer has the number of its row among those that are stored.
        """
        stack = self.part("layers")
        if not self.config.family.layers.shared:
            return padded(stack, self.config.depth - 1), self.part("last_layer"), lambda params: params
        rows = np.array(self.config.details.rows(self.config.num_hidden_layers))
        if len(self.config.stored_layers) == 1:  # not by number, so that the loop has nothing to look up
            return rows[:-1], rows[-1], lambda row: jax.tree.map(operator.itemgetter(0), stack)
        return rows[:-1], rows[-1], lambda row: jax.tree.map(lambda leaf: jnp.asarray(leaf)[row], stack)

    def convolved(self, x: Array, mask: Array, key: Array | None, dtype: jnp.dtype) -> Array:
        """What the first layer adds to its output: the embeddings [B, T, D], mask [B, T] -> [B, T, D]."""
        config, params = self.config, self.part("convolution")
        if config.num_hidden_layers == 1:
            of_first = self.values("last_layer")
        else:
            of_first = jax.tree.map(operator.itemgetter(0), self.values("layers"))
        ops, drop_key = self.ops.bind(of_first), None if key is None else jax.random.fold_in(key, 2)
        found = dropout(convolve(ops, config, params, x, mask, dtype), config.hidden_dropout_prob, drop_key)
        return ops.activation(ACTIVATIONS[config.details.conv_act], found)

    def widen(self, x: Array) -> Array:
        """The embeddings [B, T, E] as wide as the layers [B, T, D]: a map, where the two widths differ."""
        if "widening" not in self.part("embeddings"):
            return x
        ops, params = self.ops.bind(self.values("embeddings")), self.part("embeddings")["widening"]
        return affine(ops, params, x, self.dtype or x.dtype).astype(x.dtype)

    def head(self, x: Array, mask: Array, key: Array | None = None) -> Array:
        """Logits: the tokens after the last layer [B, Q, D], mask [B, T] -> [B, C]."""
        ops, logits = self.ops.bind(self.values("head")), HEADS[self.config.head_kind].logits
        params, mask = self.variables["params"], mask[:, : x.shape[1]]
        return logits(ops, self.config, params, x, mask, key, self.dtype or x.dtype)


def padded(stack: Params, rows: int) -> Params:
    """A stack of that many layers, with ones in front of what the lowest do not have."""

    def whole(leaf: Array) -> Array:
        absent = [(rows - leaf.shape[0], 0)] + [(0, 0)] * (leaf.ndim - 1)
        return leaf if leaf.shape[0] == rows else jnp.pad(leaf, absent, constant_values=1)

    return jax.tree.map(whole, stack)


def init(config: BertConfig, key: Array) -> Params:
    """New parameters, drawn as BERT's were."""
    return Bert(config).init(key, method="parameters")["params"]


def shapes(config: BertConfig) -> Params:
    """The params tree with a `jax.ShapeDtypeStruct` (float32) in place of each array; nothing is computed."""
    made = {path: jax.ShapeDtypeStruct(part.shape, jnp.float32) for path, part in parameters(config).items()}
    return nested(made)
