"""Shapley values from few parts of a text, with relevance as what is expected.

    target(z) - target(its complement)  ≈  2 Σ_{u on} ψ_u + …,   φ = (target(all) - target(∅)) / n + ψ,   Σ ψ = 0
    ψ = a r + δ:   r the centred relevance, δ ~ N(0, τ²) for each unit, half the difference of a pair ~ N(…, σ² / w)

w is the weight of a pair (pairs.py), so that one of weight 2 counts as two. a and the ridge σ² / τ² come from the
samples: a by generalised least squares, and ψ is a mean over ridges, each as likely as the samples and what is usual
make it. Used by surrogates.py. B texts, N targets, U units, G pairs at a time.
"""

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.model.ops import Array, contract

RIDGES = np.logspace(-2, 2, 17)  # σ² / τ²
USUAL = 0.2  # of them, before anything is sampled: the best single one on SST-2 (benchmarks/shapley.py)
DEVIATION = np.log(10) / 2  # of their logarithms: half a decade
VAGUE = 0.02  # σ² / the variance of a, so that a pair of hardly any relevance does not say what a is


def near_prior(gram: Array, moment: Array, square: Array, relevance: Array, pairs: Array) -> Array:
    """The mean of ψ [B, N, U] under the model above, from sums over pairs of centred parts z and half differences d.

    Shapes: Σwzz [B, U, U], Σwzd [B, U, N], Σwd² [B, N], relevance of units [B, N, U], centred; `pairs` is Σw.
    """
    tiny = jnp.finfo(gram.dtype).tiny
    r = relevance / jnp.maximum(jnp.linalg.norm(relevance, axis=-1, keepdims=True), tiny)
    values, vectors = jnp.linalg.eigh(gram)
    values = jnp.maximum(values, 0)[:, None, None]  # [B, 1, 1, U]
    along = contract("bnu,buv->bnv", r, vectors)[:, :, None]  # [B, N, 1, U]
    h = contract("bun,buv->bnv", moment, vectors)[:, :, None]
    ridge = jnp.asarray(RIDGES, gram.dtype)
    inverse = 1 / (values + ridge[:, None])  # [B, 1, K, U]
    rr = ridge * (inverse * values * along**2).sum(axis=-1)  # [B, N, K]
    rd = ridge * (inverse * along * h).sum(axis=-1)
    dd = square[..., None] - (inverse * h**2).sum(axis=-1)
    known = rr + VAGUE
    a = rd / known
    missed = jnp.maximum(dd - a * rd, jnp.maximum(1e-6 * square[..., None], tiny))
    fit = pairs * jnp.log(missed) + jnp.log1p(values / ridge[:, None]).sum(axis=-1) + jnp.log(known)
    usual = jnp.square(jnp.log(ridge / USUAL) / DEVIATION)
    chance = jax.nn.softmax(-(fit + usual) / 2, axis=-1)
    found = a[..., None] * along + inverse * (h - a[..., None] * values * along)  # [B, N, K, U]
    return contract("bnv,buv->bnu", contract("bnk,bnkv->bnv", chance, found), vectors)
