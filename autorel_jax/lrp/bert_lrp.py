"""The rules of the original BERT_LRP (Wu & Ong 2021, arXiv 2101.00196), for the composite that reproduces it.

Unlike those in rules.py they carry the relevance R itself backwards. They are a parity target, not a quality bar:
the rescaling in `signed_weights` makes the linear path vanish beside the plain gradient that `whole_block` adds.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from autorel_jax.lrp.fused import fused
from autorel_jax.lrp.stabilize import quotient
from autorel_jax.model import ops
from autorel_jax.model.ops import PLAIN, Array, Block, Ops, Values

STABILIZER = 1e-7  # the original's, added to (or taken from) every denominator


@jax.custom_vjp
def signed_weights(x: Array, kernel: Array, bias: Array, stabilizer: Array | float = STABILIZER) -> Array:
    """The original's linear rule: halves R between positive and negative weights, then rescales.

        z⁺ = x W⁺ + b⁺ + ε,   z⁻ = x W⁻ + b⁻ - ε,   W⁺ = max(W, 0), W⁻ = min(W, 0) (the weight's sign alone)
        R' = x ⊙ (½ (R/z⁺) W⁺ᵀ + ½ (R/z⁻) W⁻ᵀ)
        R_in = |R'| (ΣR + ε) / (Σ|R'| + ε)          sums over features, for each row or token

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; R [..., F] -> R_in [..., D].
    Source: Wu & Ong 2021 and its code; ε is the stabilizer.
    Conserves: Σ R_in = (ΣR + ε) S / (S + ε) with S = Σ|R'|, so Σ R where ΣR and S are far above ε.

    Default: the original's.
    """
    return ops.linear(x, kernel, bias)


def _signed_weights_forward(x, kernel, bias, stabilizer):
    return ops.linear(x, kernel, bias), (x, kernel, bias, stabilizer)


def _signed_weights_backward(saved, relevance):
    x, kernel, bias, stabilizer = (ops.at_least_float32(jnp.asarray(value)) for value in saved)
    dtype, relevance = relevance.dtype, ops.at_least_float32(relevance)
    raw = 0
    for part, epsilon in ((jnp.maximum, stabilizer), (jnp.minimum, -stabilizer)):
        weights = part(kernel, 0)
        z = ops.matmul(x, weights) + part(bias, 0) + epsilon
        raw += x * ops.matmul(quotient(relevance, z), weights.T) / 2
    raw = jnp.abs(raw)
    total = relevance.sum(axis=-1, keepdims=True) + stabilizer
    return (raw * total / (raw.sum(axis=-1, keepdims=True) + stabilizer)).astype(dtype), None, None, None


signed_weights.defvjp(_signed_weights_forward, _signed_weights_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def skipped(name: str, x: Array) -> Array:
    """The original's rule for GELU and tanh: relevance passes.

        R_in = R_out

    Shapes: x [...] -> [...].
    Source: the code of Wu & Ong 2021.
    Conserves: R_in = R_out for each element.
    """
    return ops.activation(name, x)


skipped.defvjp(lambda name, x: (ops.activation(name, x), None), lambda name, _, relevance: (relevance,))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def whole_block(block: Block, values: Values, params: Any, x: Array) -> Array:
    """The original's residual: its skip path holds the plain gradient of the whole sub-block.

        y = x + block(x),   R_in = R + (plain VJP of block)(R) + (rules of block)(R)

    where R arrives through the plain VJP of the LayerNorm that follows.

    Shapes: x [B, S, D] -> [B, T, D]; `values` and `params` get no cotangent.
    Source: the code of Wu & Ong 2021, which takes the gradient at the tensor that also feeds the sub-block.
    Conserves: nothing in general.
    """
    return ops.residual(block, values, params, x)


def _whole_block_forward(block, values, params, x):
    plain = dataclasses.replace(block, ops=fused(PLAIN))
    y, pull_rules = jax.vjp(lambda x: block(values, params, x).astype(x.dtype), x)
    _, pull_plain = jax.vjp(lambda x: ops.residual(plain, {}, params, x), x)
    return block.ops.bind(values).add(x[:, : y.shape[1]], y), (pull_rules, pull_plain)


def _whole_block_backward(block, pulls, relevance):
    pull_rules, pull_plain = pulls
    (through_rules,) = pull_rules(relevance)
    (through_gradient,) = pull_plain(relevance)
    return None, None, through_rules + through_gradient


whole_block.defvjp(_whole_block_forward, _whole_block_backward)


def jacobian(
    table: Ops,
    query: Array,
    key: Array,
    value: Array,
    mask: Array,
    drop: Callable[[Array], Array] | None = None,
    scores: ops.Scores | None = None,
    stabilizer: Array | float = STABILIZER,
) -> Array:
    """The original's attention by its full Jacobian: inputs share relevance by the sign of what they contribute.

        M[o, i] = (∂ context_o / ∂ i) i       o over the T K outputs of a head, i over its query, key and value
        T[o, i] = ½ M⁺[o, i] / (Σ_o' M⁺[o', i] + ε) + ½ M⁻[o, i] / (Σ_o' M⁻[o', i] - ε)
        R_i = Σ_o R_o T[o, i],   then times Σ|R_o| / (Σ_i |R_i| + ε)

    The sums of the denominators run over outputs, a quirk of the original. So every query is needed, also where only
    [CLS] has relevance; tokens that are masked are left out of the sums, so that padding changes nothing. M is never
    held as a whole: each of its parts is a product over one feature of the context, and a scan over them needs the
    memory of four more arrays like the attention weights.

    Shapes: query, key, value [B, T, H, K], mask [B, T] -> [B, T, H, K].
    Source: the code of Wu & Ong 2021; ε is the stabilizer.
    Conserves: Σ|R_in| = Σ|R| for each text and head, up to ε.

    Default: the original's.
    """
    return jacobian_among(query, key, value, mask, mask, stabilizer)


@jax.custom_vjp
def jacobian_among(query: Array, key: Array, value: Array, mask: Array, outputs: Array, stabilizer: Array) -> Array:
    """`jacobian` with the sums over those tokens that `outputs` [B, T] marks; the original's run over padding too."""
    return ops.attention(PLAIN, query, key, value, mask)


def _jacobian_forward(query, key, value, *others):
    return jacobian_among(query, key, value, *others), (query, key, value, *others)


def _jacobian_backward(saved, relevance):
    *inputs, mask, outputs, stabilizer = saved
    query, key, value, above = (jnp.moveaxis(ops.at_least_float32(part), 2, 1) for part in (*inputs, relevance))
    found = []
    for totals, weighted in zip(*signed_sums(query, key, value, mask, outputs, above), strict=True):
        signs = zip(weighted, totals, (stabilizer, -stabilizer), strict=True)
        found.append(sum(quotient(w, total + epsilon) / 2 for w, total, epsilon in signs))
    size = sum(jnp.abs(part).sum(axis=(2, 3), keepdims=True) for part in found)
    scale = quotient(jnp.abs(above).sum(axis=(2, 3), keepdims=True), size + stabilizer)
    back = (jnp.moveaxis(part * scale, 1, 2).astype(given.dtype) for part, given in zip(found, inputs, strict=True))
    return *back, None, None, None


jacobian_among.defvjp(_jacobian_forward, _jacobian_backward)

Halves = tuple[Array, Array]  # max(·, 0) and min(·, 0), or sums of them


def signed_sums(
    query: Array, key: Array, value: Array, mask: Array, outputs: Array, relevance: Array
) -> list[list[Halves]]:
    """Σ_o M^± and Σ_o R_o M^±, each for query, key and value. Shapes: [B, H, T, K], but mask and outputs [B, T]."""
    query = query / query.shape[-1] ** 0.5  # M does not see a scale of its input
    weights = ops.softmax(ops.contract("bhtk,bhsk->bhts", query, key), mask[:, None, None, :])
    context = ops.contract("bhts,bhsk->bhtk", weights, value)
    weights *= outputs[:, None, :, None]

    def feature(sums, columns):
        v, o, r = (column[..., None] for column in columns)  # one feature of value, context and relevance
        to_scores = weights * (jnp.swapaxes(v, 2, 3) - o)  # ∂ context / ∂ scores [B, H, T, S]
        to_query = query * ops.contract("bhts,bhsk->bhtk", to_scores, key)
        totals = halves(to_scores), halves(to_query)
        return jax.tree.map(jnp.add, sums, (totals, jax.tree.map(lambda m: m * r, totals))), None

    zeros = halves(jnp.zeros_like(weights)), halves(jnp.zeros_like(query))
    columns = [jnp.moveaxis(part, -1, 0) for part in (value, context, relevance)]
    sums, _ = jax.lax.scan(feature, (zeros, zeros), columns)
    made = []
    for (to_scores, to_query), above in zip(sums, (jnp.ones_like(relevance), relevance), strict=True):
        over_queries = signed_product("bhts,bhtk->bhsk", to_scores, halves(query))
        to_key = signed_product("bhsk,bhsk->bhsk", over_queries, halves(key))
        attended = ops.contract("bhts,bhtk->bhsk", weights, above)
        made.append([to_query, to_key, tuple(half * attended for half in halves(value))])
    return made


def halves(x: Array) -> Halves:
    """The positive and the negative entries of x, zeros elsewhere."""
    return jnp.maximum(x, 0), jnp.minimum(x, 0)


def signed_product(equation: str, a: Halves, b: Halves) -> Halves:
    """The positive and the negative products among those that an einsum sums."""
    times = functools.partial(ops.contract, equation)
    return times(a[0], b[0]) + times(a[1], b[1]), times(a[0], b[1]) + times(a[1], b[0])
