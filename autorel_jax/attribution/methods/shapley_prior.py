"""Shapley values from few parts of a text: relevance as what is expected, and parts that cover units evenly.

    target(z) - target(its complement)  ≈  2 Σ_{u on} ψ_u + …,   φ = (target(all) - target(∅)) / n + ψ,   Σ ψ = 0
    ψ = a r + δ:   r the centred relevance, δ ~ N(0, τ²) for each unit, half the difference of a pair ~ N(…, σ²)

a and the ridge σ² / τ² come from the samples: a by generalised least squares, and ψ is a mean over ridges, each as
likely as the samples and what is usual make it. Used by surrogates.py. B texts, N targets, U units, G pairs at a time.
"""

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.methods import draws
from autorel_jax.model.ops import Array, contract

RIDGES = np.logspace(-2, 2, 17)  # σ² / τ²
USUAL = 0.2  # of them, before anything is sampled: the best single one on SST-2 (benchmarks/shapley.py)
DEVIATION = np.log(10) / 2  # of their logarithms: half a decade
VAGUE = 0.02  # σ² / the variance of a, so that a pair of hardly any relevance does not say what a is


def pair_sizes(counts: Array, pairs: Array, start: Array, length: int) -> Array:
    """Where each size begins among a text's pairs, which are sorted by size: [B, U], of sizes 1, 2, …, U.

    A pair has the size of its smaller part, from 1 to n / 2, in the proportions of the Shapley kernel.
    """
    size = jnp.arange(1, length + 1)
    twice = jnp.where(2 * size == counts[:, None], 1, 2)
    shares = jnp.where(2 * size <= counts[:, None], twice / (size * jnp.maximum(counts[:, None] - size, 1)), 0)
    below = jnp.cumsum(shares, axis=1) - shares
    whole = jnp.maximum(shares.sum(axis=1), jnp.finfo(shares.dtype).tiny)
    begins = jnp.ceil(pairs * (below / whole[:, None]) - start[:, None]).astype(jnp.int32)
    return jnp.where(size == 1, 0, jnp.where(shares > 0, begins, jnp.iinfo(jnp.int32).max))


def even_parts(keys: Array, numbers: Array, counts: Array, pairs: Array, length: int) -> Array:
    """The smaller part of each pair, true where a unit is on: numbers of pairs [G] -> [G, B, U].

    Pairs of one size are cut from random orders of the units, so that in each order every unit is on at most once.
    """
    begins = pair_sizes(counts, pairs, draws.per_text(draws.uniform, keys, np.zeros(1, np.int32))[0], length)
    size = (begins[None] <= numbers[:, None, None]).sum(axis=-1)  # [G, B]
    first = jnp.take_along_axis(begins[None], size[..., None] - 1, axis=-1)[..., 0]
    in_order = jnp.maximum(counts // size, 1)
    place = (numbers[:, None] - first) % in_order
    ranks = draws.ranks(keys, numbers[:, None] - place + 1, counts, length)  # one order for as many as it holds
    return (ranks >= (place * size)[..., None]) & (ranks < ((place + 1) * size)[..., None])


def near_prior(gram: Array, moment: Array, square: Array, relevance: Array, pairs: Array) -> Array:
    """The mean of ψ [B, N, U] under the model above, from sums over pairs of centred parts z and half differences d.

    Shapes: Σzz [B, U, U], Σzd [B, U, N], Σd² [B, N], relevance of units [B, N, U], centred.
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
