"""The arithmetic of BERT as pure functions, and the Ops table that a model computes with.

A composite of lrp/ is this table with some entries replaced by twins: same forward value, another backward.

Shape letters of the whole package: B batch, T tokens (of a query), S tokens (of a key), D model width, E width of the
embeddings (D in most families), H heads, K head width, F feed-forward width, C classes, L layers.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

Array = jax.Array


# On GPUs and TPUs JAX multiplies float32 matrices in TF32 or bfloat16 unless told otherwise. Here float32 is float32,
# and who wants speed asks for bfloat16. The backward pass inherits the precision.
PRECISION = jax.lax.Precision.HIGHEST
CONTEXT = "bhts,bshk->bthk"  # the product of attention weights and values; a rule tells it from others by this


def matmul(x: Array, kernel: Array) -> Array:
    """xW in the full precision of its dtype. Shapes: x [..., D], kernel [D, F] -> [..., F]."""
    return jnp.matmul(x, kernel, precision=PRECISION)


def linear(x: Array, kernel: Array, bias: Array) -> Array:
    """The affine map xW + b. Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]."""
    return matmul(x, kernel) + bias


def contract(equation: str, a: Array, b: Array) -> Array:
    """A product of two activations that sums over shared axes (einsum): attention scores, attention context."""
    return jnp.einsum(equation, a, b, precision=PRECISION)


def add(a: Array, b: Array) -> Array:
    """The sum of two activations: the residual stream, the parts of the embedding."""
    return a + b


def position_product(equation: str, content: Array, position: Array) -> Array:
    """A product of an activation and what comes from positions alone (einsum): scores of tokens and distances."""
    return contract(equation, content, position)


def position_bias(scores: Array, bias: Array) -> Array:
    """Scores and what distances alone add to them. Shapes: scores [B, H, T, S], bias broadcastable to it."""
    return scores + bias


def gate(activated: Array, linear: Array) -> Array:
    """The product of the two halves of a gated feed-forward. Shapes: both [..., F] -> [..., F]."""
    return activated * linear


@jax.custom_jvp
def softmax(scores: Array, mask: Array) -> Array:
    """Softmax over the last axis among the entries where mask is true; all others get exactly 0.

    A row without any true entry gives zeros, not NaN. Shapes: scores [..., S], mask broadcastable to it.
    """
    scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    return jnp.where(mask, jax.nn.softmax(scores, axis=-1), 0)


@softmax.defjvp
def _softmax_jvp(primals, tangents):
    # By hand, because JAX's own derivative keeps the exponentials beside the result: twice the memory of attention.
    weights = softmax(*primals)
    change = tangents[0] * weights
    return weights, change - weights * change.sum(axis=-1, keepdims=True)


def layer_norm(
    x: Array,
    scale: Array,
    bias: Array,
    epsilon: float,
    of_deviation: Callable[[Array], Array] = lambda inverse: inverse,
) -> Array:
    """Normalises over the last axis; epsilon sits inside the root. Shapes: x [..., D], scale [D], bias [D].

    `of_deviation` is applied to 1 / σ [..., 1]; a rule holds it constant.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * of_deviation(jax.lax.rsqrt(variance + epsilon)) * scale + bias


def normal_cdf(x: Array) -> Array:
    """Φ(x), the standard normal distribution function."""
    return 0.5 * (1 + jax.lax.erf(x / math.sqrt(2)))


def normal_cdf_tanh(x: Array) -> Array:
    """The approximation of Φ(x) that tanh-GELU uses (Hendrycks & Gimpel 2016)."""
    return 0.5 * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": lambda x: x * normal_cdf(x),
    "gelu_tanh": lambda x: x * normal_cdf_tanh(x),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
}


def activation(name: str, x: Array) -> Array:
    """The elementwise function of that name in ACTIVATIONS, computed in at least float32."""
    return ACTIVATIONS[name](at_least_float32(x)).astype(x.dtype)


def at_least_float32(x: Array) -> Array:
    """Upcasts bfloat16 and float16; leaves float32 and float64 alone."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


Values = Mapping[str, Mapping[str, Any]]
"""Values of the parameters of rules, and taps: the op's name -> the parameter's name -> an array (or some)."""


def scaled_products(ops: "Ops", query: Array, key: Array) -> Array:
    """qk / √K. Shapes: query [B, T, H, K], key [B, S, H, K] -> [B, H, T, S]."""
    return ops.contract("bthk,bshk->bhts", query / query.shape[-1] ** 0.5, key)


class Products(NamedTuple):
    """What attention can be computed from without its scores, where they are scaled products alone."""

    query: Array  # [B, T, H, K], at the places 0 to T - 1
    key: Array  # [B, S, H, K]
    mask: Array  # [B, S]
    window: Array | None = None  # how many places apart the two may be, a whole number; None: any


class Scores(NamedTuple):
    """How attention scores are made. Called as `scaled_products` is.

    Attributes:
      of_pairs: (ops, query, key), shapes as in `scaled_products`.
      products: (query, key) -> Products; None where scores come from more, or weights are dropped out.
    """

    of_pairs: Callable[["Ops", Array, Array], Array] = scaled_products
    products: Callable[[Array, Array], Products] | None = None

    def __call__(self, ops: "Ops", query: Array, key: Array) -> Array:
        """The scores [B, H, T, S]."""
        return self.of_pairs(ops, query, key)


SCALED = Scores()


def attention_weights(ops: "Ops", query: Array, key: Array, mask: Array, scores: Scores = SCALED) -> Array:
    """How much each token looks at each.

    Shapes: query [B, T, H, K], key [B, S, H, K], mask [B, S] or [B, T, S] -> [B, H, T, S].
    """
    seen = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
    return ops.softmax(at_least_float32(scores(ops, query, key)), seen)


def attention(
    ops: "Ops",
    query: Array,
    key: Array,
    value: Array,
    mask: Array,
    drop: Callable[[Array], Array] = lambda x: x,
    scores: Scores = SCALED,
) -> Array:
    """Attention from projected tokens to their context, by the other ops of the table `ops`.

    `drop` drops out weights in training. Shapes: query [B, T, H, K], key and value [B, S, H, K], mask [B, S] or
    [B, T, S] -> [B, T, H, K].
    """
    weights = drop(attention_weights(ops, query, key, mask, scores))
    return ops.contract(CONTEXT, weights.astype(value.dtype), value)


class Block(Protocol):
    """A sub-block of a layer as a hashable pure function of (values, params, x), computed with `block.ops`."""

    ops: "Ops"

    def __call__(self, values: Values, params: Any, x: Array) -> Array:
        """Shapes: x [B, S, D] -> [B, T, D] with T <= S: the block may return only the first tokens."""


def residual(block: Block, values: Values, params: Any, x: Array) -> Array:
    """x + block(x), for the tokens that the block returns. Shapes: x [B, S, D] -> [B, T, D]."""
    y = block(values, params, x)
    return block.ops.bind(values).add(x[:, : y.shape[1]], y)


def tap(name: str, x: Array) -> Array:
    """x, at a point of the model that a read-out can name; see lrp/taps.py."""
    return x


@dataclasses.dataclass(frozen=True)
class Ops:
    """What a Bert computes with: one pure function for each kind of step. Compared and hashed by value.

    Every entry has the signature of the function of the same name in this module; a rule may have parameters after it.
    """

    linear: Callable[[Array, Array, Array], Array] = linear
    contract: Callable[[str, Array, Array], Array] = contract
    add: Callable[[Array, Array], Array] = add
    softmax: Callable[[Array, Array], Array] = softmax
    layer_norm: Callable[[Array, Array, Array, float], Array] = layer_norm
    activation: Callable[[str, Array], Array] = activation
    position_product: Callable[[str, Array, Array], Array] = position_product
    position_bias: Callable[[Array, Array], Array] = position_bias
    gate: Callable[[Array, Array], Array] = gate
    attention: Callable[..., Array] = attention
    residual: Callable[[Block, Values, Any, Array], Array] = residual
    tap: Callable[[str, Array], Array] = tap

    def bind(self, values: Values) -> "Ops":
        """The table with the parameters of its rules filled in. Of use within one trace only: arrays have no hash."""
        bound = {op: functools.partial(getattr(self, op), **given) for op, given in values.items()}
        return dataclasses.replace(self, **bound)


PLAIN = Ops()
