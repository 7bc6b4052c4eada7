"""The rules of the original BERT_LRP (Wu & Ong 2021, arXiv 2101.00196), for the composite that reproduces it.

Unlike those in rules.py they carry the relevance R itself backwards. They are a parity target, not a quality bar:
the rescaling in `signed_weights` makes the linear path vanish beside the plain gradient that `whole_block` adds.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from autorel_jax import ops
from autorel_jax.ops import PLAIN, Array, Block

STABILIZER = 1e-7  # the original's, added to (or taken from) every denominator


@jax.custom_vjp
def signed_weights(x: Array, kernel: Array, bias: Array) -> Array:
    """The original's linear rule: halves R between positive and negative weights, then rescales.

        z⁺ = x W⁺ + b⁺ + ε,   z⁻ = x W⁻ + b⁻ - ε,   W⁺ = max(W, 0), W⁻ = min(W, 0) (the weight's sign alone)
        R' = x ⊙ (½ (R/z⁺) W⁺ᵀ + ½ (R/z⁻) W⁻ᵀ)
        R_in = |R'| (ΣR + ε) / (Σ|R'| + ε)          sums over features, for each row or token

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; R [..., F] -> R_in [..., D].
    Source: Wu & Ong 2021 and its code; ε is STABILIZER.
    Conserves: Σ R_in = (ΣR + ε) S / (S + ε) with S = Σ|R'|, so Σ R where ΣR and S are far above ε.
    """
    return ops.linear(x, kernel, bias)


def _signed_weights_forward(x, kernel, bias):
    return ops.linear(x, kernel, bias), (x, kernel, bias)


def _signed_weights_backward(saved, relevance):
    x, kernel, bias = (ops.at_least_float32(value) for value in saved)
    dtype, relevance = relevance.dtype, ops.at_least_float32(relevance)
    raw = 0
    for part, epsilon in ((jnp.maximum, STABILIZER), (jnp.minimum, -STABILIZER)):
        weights = part(kernel, 0)
        z = ops.matmul(x, weights) + part(bias, 0) + epsilon
        raw += x * ops.matmul(relevance / z, weights.T) / 2
    raw = jnp.abs(raw)
    total = relevance.sum(axis=-1, keepdims=True) + STABILIZER
    return (raw * total / (raw.sum(axis=-1, keepdims=True) + STABILIZER)).astype(dtype), None, None


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
def whole_block(block: Block, params: Any, x: Array) -> Array:
    """The original's residual: its skip path holds the plain gradient of the whole sub-block.

        y = x + block(x),   R_in = R + (plain VJP of block)(R) + (rules of block)(R)

    where R arrives through the plain VJP of the LayerNorm that follows.

    Shapes: x [B, S, D] -> [B, T, D]; `params` gets no cotangent.
    Source: the code of Wu & Ong 2021, which takes the gradient at the tensor that also feeds the sub-block.
    Conserves: nothing in general.
    """
    return ops.residual(block, params, x)


def _whole_block_forward(block, params, x):
    plain = dataclasses.replace(block, ops=PLAIN)
    y, pull_rules = jax.vjp(lambda x: block(params, x).astype(x.dtype), x)
    _, pull_plain = jax.vjp(lambda x: ops.residual(plain, params, x), x)
    return block.ops.add(x[:, : y.shape[1]], y), (pull_rules, pull_plain)


def _whole_block_backward(block, pulls, relevance):
    pull_rules, pull_plain = pulls
    (through_rules,) = pull_rules(relevance)
    (through_gradient,) = pull_plain(relevance)
    return None, through_rules + through_gradient


whole_block.defvjp(_whole_block_forward, _whole_block_backward)
