"""Draws: random numbers that belong to a text.

They depend on the seed and on the text's own tokens: not on its place in a file, its batch, or its padding.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.method import Texts
from autorel_jax.model.ops import Array

FACTOR = 0x9E3779B1  # odd, so that its powers do not vanish modulo 2**32; 2**32 / golden ratio
WHOLE_TEXT = 0xFFFFFFFF  # in place of the number of a token

Draw = Callable[[Array], Array]  # a key -> what is drawn with it
uniform = functools.partial(jax.random.uniform, dtype=jnp.float32)


def text_keys(seed: Array, texts: Texts) -> Array:
    """A key for each text [B], from the seed and the polynomial hash of its token ids."""
    powers = np.array([pow(FACTOR, place, 2**32) for place in range(texts.ids.shape[1])], np.uint32)
    ids = jnp.where(texts.mask != 0, texts.ids.astype(jnp.uint32) + 1, 0)
    numbers = (ids * powers).sum(axis=1, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


def per_place(draw: Draw, keys: Array, numbers: Array, places: Array) -> Array:
    """What `draw` gives by sample, text and place: numbers [G] or [G, B], keys [B], places [P]; [G, B, P, …]."""

    def one(key, number, place):
        return draw(jax.random.fold_in(jax.random.fold_in(key, number), place))

    each = jnp.broadcast_to(numbers.reshape(len(numbers), -1), (len(numbers), len(keys)))
    for axes in ((None, None, 0), (0, 0, None), (None, 0, None)):
        one = jax.vmap(one, axes)
    return one(keys, each, places)


def per_token(draw: Draw, keys: Array, numbers: Array, length: int) -> Array:
    """A draw for each sample, text and token (or unit): [G, B, T, ...]; the first ones do not depend on `length`."""
    return per_place(draw, keys, numbers, jnp.arange(length, dtype=jnp.uint32))


def per_text(draw: Draw, keys: Array, numbers: Array) -> Array:
    """A draw for each sample and text: [G, B, ...]."""
    return per_place(draw, keys, numbers, np.full(1, WHOLE_TEXT, np.uint32))[:, :, 0]


def ranks(keys: Array, numbers: Array, counts: Array, length: int) -> Array:
    """A random order of each text's units for each sample: the place of every unit in it, [G, B, U].

    Units beyond a text's count [B] come last, in their own order.
    """
    places = jnp.arange(length)
    drawn = jnp.where(places < counts[:, None], per_token(uniform, keys, numbers, length), 2.0)
    return jnp.argsort(jnp.argsort(drawn, axis=-1, stable=True), axis=-1, stable=True)
