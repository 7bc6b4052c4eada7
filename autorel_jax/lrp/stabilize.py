"""Signs and quotients that stay finite where a denominator is 0. Used by the rules."""

import jax.numpy as jnp

from autorel_jax.model.ops import Array


def sign(x: Array) -> Array:
    """+1 or -1; 0 counts as positive."""
    return jnp.where(x < 0, -1, 1).astype(x.dtype)


def quotient(a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    return jnp.where(b == 0, 0, a / jnp.where(b == 0, 1, b))


def kept(z: Array, more: Array) -> Array:
    """|z| / (|z| + more): what z keeps of its relevance when its denominator grows by `more`; 1 where that is 0."""
    whole = jnp.abs(z) + more
    return jnp.where(whole == 0, 1, quotient(jnp.abs(z), whole))
