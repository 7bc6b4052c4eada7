"""Relative: attention scores that know how far apart two tokens stand: DeBERTa's products, MPNet's bias.

What is computed by distance is brought to pairs of tokens by `by_distance`, a reshape, whose backward scatters
nothing. Used by positions.py. Shape letters as in ops.py; here L is the longest text, U distances, R rows of a table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.families.deberta import C2P, P2C
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops, at_least_float32, layer_norm, linear, scaled_products

if TYPE_CHECKING:
    from autorel_jax.model.positions import Params, Places


def by_distance(x: Array, columns: int) -> Array:
    """x [..., A, A + C] for a row a and the distance b - a from -A to C - 1 -> for a and b, [..., A, C].

    One column too many in each row of the flat array moves every row by one place against the row before.
    """
    *lead, rows, width = x.shape
    flat = x.reshape(*lead, rows * width)[..., rows:]
    return flat.reshape(*lead, rows, width - 1)[..., :columns]


def ahead(rows: int, columns: int) -> Array:
    """The distances b - a that `by_distance` takes, in order."""
    return jnp.arange(rows + columns) - rows


def distances(config: BertConfig) -> np.ndarray:
    """All distances of two tokens, from -L to L for a text of at most L."""
    return np.arange(-config.longest_text, config.longest_text + 1)


# ---------------------------------------------------------------- DeBERTa


def log_buckets(distance: np.ndarray, buckets: int, longest: int) -> np.ndarray:
    """DeBERTa's buckets: a distance of up to half their number has its own, farther ones share by their logarithm.

    In float32 as in transformers, where the rounding decides about a bucket.
    """
    middle = buckets // 2
    far = np.maximum(np.abs(distance), middle).astype(np.float32) / np.float32(middle)
    whole = np.log(np.float32((longest - 1) / middle))
    shared = np.ceil(np.log(far) / whole * np.float32(middle - 1)) + middle
    return np.where(np.abs(distance) <= middle, distance, np.sign(distance) * shared).astype(int)


def rows(config: BertConfig) -> np.ndarray:
    """The row of the table for each distance i - j of a query i and a key j, from -L to L: [2 L + 1]."""
    own, distance = config.details, distances(config)
    if own.position_buckets > 0 and config.longest_text > own.position_buckets // 2:
        distance = log_buckets(distance, own.position_buckets, own.max_relative_positions)
    return np.clip(distance + own.span, 0, 2 * own.span - 1)


def relative_table(config: BertConfig, params: Params, tokens: int, dtype: jnp.dtype) -> Array | None:
    """Of `shared`: the table of distances [R, D], normalised; None where no score needs it."""
    if not config.details.terms:
        return None
    found = jnp.asarray(params["relative"]["table"])
    if not config.details.norm_rel_ebd:
        return found
    own = params["relative"]["norm"]
    return layer_norm(found, own["scale"], own["bias"], config.layer_norm_eps)


def projected(config: BertConfig, params: Params, name: str, places: Places, distance: Array, like: Array) -> Array:
    """The keys or queries of positions, of each distance i - j [U]: [U, H, K], as `like` [B, T, H, K] has them.

    Without an Ops table: what does not depend on the text is a constant to every rule.
    """
    own = params[name if config.details.share_att_key else f"position_{name}"]
    table, rate = places.shared, config.hidden_dropout_prob
    if places.key is not None and rate:
        table = jnp.where(jax.random.bernoulli(places.key, 1 - rate, table.shape), table / (1 - rate), 0)
    place, count = jnp.asarray(rows(config))[distance + config.longest_text], distance.shape[0]
    few = not isinstance(count, int) or count < len(table)  # an exported program has no number
    chosen = table[place] if few else table
    chosen, kernel, bias = (array.astype(like.dtype) for array in (chosen, own["kernel"], own["bias"]))
    found = linear(chosen, kernel, bias).reshape(chosen.shape[0], *like.shape[2:])
    return found if few else found[place]


def disentangled(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: q k + q Pk + k Pq, over the root of K times their number, for the products that the config has.

    Pk and Pq are keys and queries of the distance between the two tokens. transformers takes the root in float32, we
    do not: its logits differ by 1e-8 where it has no exact float32.
    """
    scale = math.sqrt(config.head_width * config.details.summands)
    (queries, keys), query, scaled_key = (query.shape[1], key.shape[1]), query / scale, key / scale
    scores = at_least_float32(ops.contract("bthk,bshk->bhts", query, key))
    if C2P in config.details.terms:
        position = projected(config, params, "key", places, -ahead(queries, keys), key)
        found = by_distance(ops.position_product("bthk,uhk->bhtu", query, position), keys)
        scores = ops.add(scores, at_least_float32(found))
    if P2C in config.details.terms:
        if queries == 1:  # one distance for each key
            position = projected(config, params, "query", places, -jnp.arange(keys), key)
            found = ops.position_product("bshk,shk->bhs", scaled_key, position)[:, :, None]
        else:
            position = projected(config, params, "query", places, ahead(keys, queries), key)
            found = ops.position_product("bshk,uhk->bhsu", scaled_key, position)
            found = jnp.swapaxes(by_distance(found, queries), 2, 3)
        scores = ops.add(scores, at_least_float32(found))
    return scores


# ---------------------------------------------------------------- MPNet


def half_log_buckets(distance: np.ndarray) -> np.ndarray:
    """MPNet's buckets of the distance i - j: 16 for each direction, one each up to 7, then by logarithm up to 128.

    8 + 8 log(n / 8) / log 16 rounded down, in whole numbers: n is in the bucket of 8 + m if n² >= 64 · 2^m.
    """
    size = np.abs(distance)
    shared = 8 + (size[..., None] ** 2 >= 64 * 2 ** np.arange(1, 8)).sum(axis=-1)
    return np.where(distance < 0, 16, 0) + np.where(size < 8, size, shared)


def biases(config: BertConfig, params: Params, tokens: int, dtype: jnp.dtype) -> Array:
    """Of `shared`: what every layer adds to the scores of two tokens, [H, T, T]."""
    buckets = jnp.asarray(half_log_buckets(distances(config)))[config.longest_text - ahead(tokens, tokens)]
    found = jnp.asarray(params["relative"]["bias"])[buckets]  # [2 T, H], by distance j - i
    return by_distance(jnp.broadcast_to(found.T[:, None], (found.shape[1], tokens, 2 * tokens)), tokens)


def biased(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: the scaled products of queries and keys, and the bias of their distance."""
    scores = at_least_float32(scaled_products(ops, query, key))
    return ops.position_bias(scores, places.shared[None, :, : query.shape[1]].astype(scores.dtype))
