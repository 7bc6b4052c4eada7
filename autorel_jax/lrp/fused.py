"""Fused: attention's rules without its scores, where they only scale what its gradient gives to query, key and value.

A rule for the op `attention` that stands for those of `contract` and `softmax` in long texts. Chosen by Settings, not
by a composite: what it computes is what the other rules say. Used by attribution/settings.py. Shape letters as in
ops.py.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from autorel_jax.lrp import rules
from autorel_jax.lrp.by_blocks import by_blocks
from autorel_jax.lrp.taps import count, scaled
from autorel_jax.model import ops
from autorel_jax.model.ops import PLAIN, Array, Ops

BLOCK = 256  # tokens of a block
IN_WINDOWS = 128  # likewise, where a query sees near keys alone: smaller ones waste less at the ends
LEAST = 512  # tokens from where blocks are not slower on CPUs (BERT-base; at MiniLM size from 256); benchmarks/long.py
SCORES, BLOCKS, CUDNN = "scores", "blocks", "cudnn"  # how attention is computed: all scores are held, or by these
GPU_TYPES = ("bfloat16", "float16")  # that cuDNN's attention takes
AMPERE = 8.0  # compute capability, likewise


class Shares(NamedTuple):
    """What the products of attention keep of their gradients; arrays of no axis where a parameter says it."""

    value: Array | float
    weights: Array | float
    factor: float  # queries, and keys
    absorbed: float = 0.0  # of the relevance of a product, negative where it creates some


SHARES = {  # the rule of products -> its parameters -> what they keep
    PLAIN.contract: lambda: Shares(1.0, 1.0, 1.0, absorbed=-1.0),
    rules.halved: lambda: Shares(0.5, 0.5, 0.5),
    rules.blended: lambda blend=rules.BLEND: Shares(1 - blend / 2, blend / 2, 0.5),
}


@dataclasses.dataclass(frozen=True)
class Fused:
    """Attention whose backward is its gradient, scaled as the rule of its products says; the softmax plain or constant.

        c_v = v g_v,   c_q = w f g_q,   c_k = w f g_k      g the gradient at c; v, w, f the Shares

    and c_q = c_k = 0 for a constant softmax. An audit finds R(context) = v⁻¹ R(v) and R(scores) = f⁻¹ R(q) = f⁻¹ R(k):
    the products absorb their part of R(context) + R(scores), the softmax w R(context) - R(scores).

    Attributes:
      contract: the rule of products.
      constant: whether the softmax is.
    """

    contract: Callable[..., Array]
    constant: bool

    def __call__(
        self,
        table: Ops,
        query: Array,
        key: Array,
        value: Array,
        mask: Array,
        drop: Callable[[Array], Array] = lambda x: x,
        scores: ops.Scores = ops.SCALED,
    ) -> Array:
        """As `ops.attention`, which it calls for short texts and for scores that are more than products."""
        if scores.products is None or not is_long(query.shape[1]):
            return ops.attention(table, query, key, value, mask, drop, scores)
        made = scores.products(query, key)
        parameters = {name: x for name, x in getattr(table.contract, "keywords", {}).items() if name != "taps"}
        value_share, weights_share, factor, absorbed = SHARES[self.contract](**parameters)
        if self.constant:
            query, key = jax.lax.stop_gradient(made[:2])
        else:
            query = count(table.contract, count(table.softmax, made.query, -1 / factor), absorbed / factor)
            query, key = (scaled(x, weights_share * factor) for x in (query, made.key))
        context = context_of(query, key, scaled(value, value_share), made.mask, made.window)
        return count(table.contract, count(table.softmax, context, weights_share), 0 if self.constant else absorbed)


def fused(table: Ops) -> Ops:
    """The table with `Fused` for attention, if its rules allow that; else the table as it is."""
    known = table.contract in SHARES and table.softmax in (PLAIN.softmax, rules.detached)
    if not known or table.attention is not PLAIN.attention:
        return table
    return dataclasses.replace(table, attention=Fused(table.contract, table.softmax is rules.detached))


def is_long(tokens: int) -> bool:
    """Whether so many queries are computed by blocks. An exported program, which has no number of tokens, is not."""
    return isinstance(tokens, int) and tokens >= LEAST


def kernel(dtype: jnp.dtype, width: int, windows: bool) -> str:
    """What computes long texts of heads that wide: cuDNN where it can, which has windows to one side alone."""
    if windows or jax.default_backend() != "gpu" or jnp.dtype(dtype).name not in GPU_TYPES:
        return BLOCKS
    able = float(jax.devices()[0].compute_capability) >= AMPERE and width % 8 == 0 and width <= 128
    return CUDNN if able else BLOCKS


def context_of(query: Array, key: Array, value: Array, mask: Array, window: Array | None) -> Array:
    """softmax(qk / √K) v by `kernel`. Shapes: as in `by_blocks`."""
    if window is not None:
        return by_blocks(query, key, value, mask, window, IN_WINDOWS)
    if kernel(value.dtype, value.shape[-1], windows=False) == CUDNN:
        return of_library(query, key, value, mask, CUDNN)
    return by_blocks(query, key, value, mask, key.shape[1], BLOCK)


def of_library(query: Array, key: Array, value: Array, mask: Array, implementation: str) -> Array:
    """JAX's own attention, which knows padding at the end alone; by blocks where a mask is another.

    A text without tokens, as the rows that fill a batch, gets zeros.
    """
    tokens = mask.sum(axis=-1, dtype=jnp.int32)
    own = functools.partial(jax.nn.dot_product_attention, implementation=implementation)
    there = (tokens > 0)[:, None, None, None]
    padded_last = (mask == (jnp.arange(mask.shape[1]) < tokens[:, None])).all()
    return jax.lax.cond(
        padded_last,
        lambda *parts: jnp.where(there, own(*parts, key_value_seq_lengths=jnp.maximum(tokens, 1)), 0),
        lambda *parts: by_blocks(*parts, mask, mask.shape[1], BLOCK),
        query,
        key,
        value,
    )
