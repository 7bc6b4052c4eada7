"""Relative: attention scores that know how far apart two tokens stand: DeBERTa's products, MPNet's bias.

Which row of a table a distance has is known when a program is traced, from the number of tokens alone. What is
computed by distance is brought to pairs of tokens by `by_distance`, a reshape, whose backward scatters nothing.
Used by positions.py. Shape letters as in ops.py; U distances, R rows of a table.
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


def rows(config: BertConfig, distance: np.ndarray) -> np.ndarray:
    """The row of the table for each distance i - j of a query i and a key j."""
    own = config.details
    if own.position_buckets > 0 and np.abs(distance).max() > own.position_buckets // 2:
        distance = log_buckets(distance, own.position_buckets, own.max_relative_positions)
    return np.clip(distance + own.span, 0, 2 * own.span - 1)


def rows_of_all(config: BertConfig, tokens: int) -> np.ndarray:
    """The rows that the distances of so many tokens have, each once, in order."""
    return np.unique(rows(config, np.arange(-tokens, tokens + 1)))


def relative_table(config: BertConfig, params: Params, tokens: int, dtype: jnp.dtype) -> Array | None:
    """The table's rows that so many tokens need, [U, D], normalised; None where no score needs any."""
    if not config.details.terms:
        return None
    found = params["relative"]["table"][rows_of_all(config, tokens)]
    if not config.details.norm_rel_ebd:
        return found
    own = params["relative"]["norm"]
    return layer_norm(found, own["scale"], own["bias"], config.layer_norm_eps)


def projected(config: BertConfig, params: Params, name: str, places: Places, distance: np.ndarray, key: Array) -> Array:
    """The keys or queries of positions, of each distance i - j: [U, H, K], in the dtype of the keys [B, S, H, K].

    Without an Ops table: what does not depend on the text is a constant to every rule.
    """
    own = params[name if config.details.share_att_key else f"position_{name}"]
    table, rate = places.shared, config.hidden_dropout_prob
    if places.key is not None and rate:
        table = jnp.where(jax.random.bernoulli(places.key, 1 - rate, table.shape), table / (1 - rate), 0)
    table, kernel, bias = (array.astype(key.dtype) for array in (table, own["kernel"], own["bias"]))
    found = linear(table, kernel, bias).reshape(len(table), *key.shape[2:])
    return found[np.searchsorted(rows_of_all(config, key.shape[1]), rows(config, distance))]


def disentangled(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: q k + q Pk + k Pq, over the root of K times their number, for the products that the config has.

    Pk and Pq are keys and queries of the distance between the two tokens. transformers takes the root in float32, we
    do not: its logits differ by 1e-8 where it has no exact float32.
    """
    scale = math.sqrt(config.head_width * config.details.summands)
    (queries, keys), query, scaled_key = (query.shape[1], key.shape[1]), query / scale, key / scale
    scores = at_least_float32(ops.contract("bthk,bshk->bhts", query, key))
    if C2P in config.details.terms:
        position = projected(config, params, "key", places, -np.arange(-queries, keys), key)
        found = by_distance(ops.position_product("bthk,uhk->bhtu", query, position), keys)
        scores = ops.add(scores, at_least_float32(found))
    if P2C in config.details.terms:
        if queries == 1:  # one distance for each key
            position = projected(config, params, "query", places, -np.arange(keys), key)
            found = ops.position_product("bshk,shk->bhs", scaled_key, position)[:, :, None]
        else:
            position = projected(config, params, "query", places, np.arange(-keys, queries), key)
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
    found = params["relative"]["bias"][half_log_buckets(-np.arange(-tokens, tokens))]  # [2 T, H], by distance j - i
    return by_distance(jnp.broadcast_to(found.T[:, None], (found.shape[1], tokens, 2 * tokens)), tokens)


def biased(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: the scaled products of queries and keys, and the bias of their distance."""
    scores = at_least_float32(scaled_products(ops, query, key))
    return ops.position_bias(scores, places.shared[None, :, : query.shape[1]].astype(scores.dtype))
