"""Rotary: queries and keys that are turned by their places, and layers that see near tokens alone (ModernBERT).

The angles and the window come from the config, so that to the rules they are constants: a turn is a linear map, whose
plain backward keeps all relevance. Used by positions.py. Shape letters as in ops.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops, Products, at_least_float32, scaled_products

if TYPE_CHECKING:
    from autorel_jax.model.positions import Params, Places


class Turns(NamedTuple):
    """What all layers have in common."""

    tables: Array  # [2, 2, T, K]: of local and of global layers, what a feature and its partner are multiplied with
    window: int  # how many places a token may be away on either side in a local layer


def turns(config: BertConfig, params: Params, tokens: int, dtype: jnp.dtype) -> Turns:
    """Of `shared`: feature k of place t is turned by t θ^(-2k / K), and so is feature k + K/2, its partner."""
    places = jnp.arange(tokens, dtype=jnp.promote_types(dtype, jnp.float32))
    powers = np.arange(0, config.head_width, 2) / config.head_width

    def table(theta: float) -> Array:
        angles = places[:, None] * jnp.asarray(theta**-powers, places.dtype)
        cosine, sine = jnp.cos(angles), jnp.sin(angles)
        return jnp.stack([jnp.tile(cosine, 2), jnp.concatenate([-sine, sine], axis=-1)])

    details = config.details
    return Turns(jnp.stack([table(theta) for theta in (details.local_theta, details.global_theta)]), details.window)


def global_layers(config: BertConfig) -> np.ndarray:
    """Of `each`: whether a layer sees every token: [L]."""
    return np.array(config.details.global_layers(config.num_hidden_layers))


def near_tokens(mask: Array, places: Places, queries: int) -> Array:
    """Of `sees`: in a local layer a query sees the tokens of a window around it: [B, T, S]."""
    apart = jnp.abs(jnp.arange(queries)[:, None] - jnp.arange(mask.shape[1]))
    return mask[:, None] & (places.own | (apart <= places.shared.window))


def turned(x: Array, table: Array) -> Array:
    """x with each pair of features turned by the angle φ of its place.

        y_k = x_k cos φ - x_l sin φ,   y_l = x_l cos φ + x_k sin φ,   l = k + K/2

    Shapes: x [B, T, H, K], table [2, S, K] with cos φ, and -sin φ or sin φ, S >= T.
    Source: Su et al. 2021 (RoPE), with the partners half a head apart, as in GPT-NeoX.
    Conserves: R(x_k) + R(x_l) = R(y_k) + R(y_l) for each pair, as a linear map without a bias.
    """
    own, partners = table[:, : x.shape[1], None]
    wide = at_least_float32(x)
    # Turned round rather than cut and joined: the backward of that is the same, that of a cut pads.
    swapped = wide.reshape(*wide.shape[:-1], 2, -1)[..., ::-1, :].reshape(wide.shape)
    return (wide * own + swapped * partners).astype(x.dtype)


def both_turned(places: Places, query: Array, key: Array) -> tuple[Array, Array]:
    """Queries and keys turned as their layer does."""
    table = places.shared.tables[jnp.asarray(places.own, int)]
    return turned(query, table), turned(key, table)


def turned_products(ops: Ops, config: BertConfig, params: Params, places: Places, query: Array, key: Array) -> Array:
    """Of `scores`: the scaled products of queries and keys, both turned."""
    return scaled_products(ops, *both_turned(places, query, key))


def near_turned(mask: Array, places: Places, query: Array, key: Array) -> Products:
    """Of `products`: queries and keys, both turned, and the window of a local layer."""
    window = jnp.where(places.own, mask.shape[1], places.shared.window)
    return Products(*both_turned(places, query, key), mask, window)
