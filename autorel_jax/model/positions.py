"""Positions: what attention knows of where tokens stand, beside what the embeddings hold.

POSITIONS maps the kind of a family's layers to the functions that compute scores with it. Used by blocks.py and
encoder.py. Shape letters as in ops.py.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from autorel_jax.families.family import ABSOLUTE, BIASED, DISENTANGLED, ROTARY
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops, Products, scaled_products
from autorel_jax.model.relative import biased, biases, disentangled, relative_table
from autorel_jax.model.rotary import global_layers, near_tokens, near_turned, turned_products, turns

Params = dict[str, Any]  # nested; the leaves are arrays


class Places(NamedTuple):
    """What a layer is given of where tokens stand."""

    shared: Any = None  # the same in every layer: any tree of arrays
    own: Any = None  # this layer's: likewise
    key: Array | None = None  # for dropout


class Positions(NamedTuple):
    """A kind of positions, as functions.

    Attributes:
      shared: (config, the parts of the params tree outside the layers, T, dtype) -> `Places.shared`, once a pass.
      each: config -> `Places.own` of every layer: a tree of arrays [L, ...].
      sees: (mask [B, S], places, the queries T that are computed) -> which keys a query sees: [B, S], or [B, T, S].
      scores: (ops, config, one layer's parameters, places, query [B, T, H, K], key [B, S, H, K]) -> attention scores
        [B, H, T, S], scaled.
      products: (mask [B, S], places, query, key) -> the Products that scores and `sees` come from; None where they come
        from more.
    """

    shared: Callable[[BertConfig, Params, int, jnp.dtype], Any]
    each: Callable[[BertConfig], Any]
    sees: Callable[[Array, Places, int], Array]
    scores: Callable[[Ops, BertConfig, Params, Places, Array, Array], Array]
    products: Callable[[Array, Places, Array, Array], Products] | None = None


def nothing(*_: Any) -> None:
    """Of `shared` and `each`: nothing is needed."""


def every_token(mask: Array, places: Places, queries: int) -> Array:
    """Of `sees`: every query sees every token."""
    return mask


def products(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: the scaled products of queries and keys."""
    return scaled_products(ops, query, key)


def of_every_token(mask: Array, places: Places, query: Array, key: Array) -> Products:
    """Of `products`: queries and keys as they are."""
    return Products(query, key, mask)


POSITIONS = {
    ABSOLUTE: Positions(nothing, nothing, every_token, products, of_every_token),
    DISENTANGLED: Positions(relative_table, nothing, every_token, disentangled),
    BIASED: Positions(biases, nothing, every_token, biased),
    ROTARY: Positions(turns, global_layers, near_tokens, turned_products, near_turned),
}
