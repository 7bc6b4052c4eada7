"""By blocks: a twin of `ops.attention` whose memory grows with T, not with T S, and whose backward is the gradient.

Scores are made a block of queries and keys at a time, forward and again backward, and never held together (Milakov &
Gimelshein 2018; Dao et al. 2022). Used by fused.py. Shape letters as in ops.py; N tokens of a block, I blocks of
queries, J blocks of keys.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from autorel_jax.model import ops
from autorel_jax.model.ops import Array, at_least_float32

AT_ONCE = 2**21  # scores: 8 MiB in float32


def block_size(tokens: int, largest: int) -> int:
    """N: blocks of one size, as few as `largest` allows, with hardly any padding behind the last."""
    return -(-tokens // -(-tokens // largest))


def product(equation: str, a: Array, b: Array) -> Array:
    """An einsum whose sums are held in at least float32."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.einsum(equation, a, b, precision=ops.PRECISION, preferred_element_type=wide)


def in_blocks(x: Array, size: int) -> Array:
    """One text's [T, H, ...] -> [I, H, N, ...], zeros behind the last token."""
    x = jnp.pad(x, [(0, -x.shape[0] % size)] + [(0, 0)] * (x.ndim - 1))
    return jnp.swapaxes(x.reshape(-1, size, *x.shape[1:]), 1, 2)


def joined(x: Array, tokens: int) -> Array:
    """The inverse of `in_blocks`."""
    x = jnp.swapaxes(x, 1, 2)
    return x.reshape(-1, *x.shape[2:])[:tokens]


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def by_blocks(query: Array, key: Array, value: Array, mask: Array, window: Array | int, largest: int) -> Array:
    """softmax(qk / √K) v among the keys that `mask` has and that are at most `window` places away.

    Blocks hold at most `largest` tokens; those without a pair that near are not visited. A query without any key gets
    zeros. Query t stands at place t.

    Shapes: query [B, T, H, K], key and value [B, S, H, K], mask [B, S], window a whole number -> [B, T, H, K].
    """
    return _forward(query, key, value, mask, window, largest)[0]


def _forward(query, key, value, mask, window, largest):
    size = block_size(key.shape[1], largest)
    scaled = query / query.shape[-1] ** 0.5
    out, norms = some_at_once(functools.partial(_context, window, size), size, scaled, key, value, mask)
    return out, (scaled, key, value, mask, window, out, norms)


def _backward(largest, saved, c):
    scaled, key, value, mask, window, out, norms = saved
    size = block_size(key.shape[1], largest)
    own = (at_least_float32(c) * at_least_float32(out)).sum(axis=-1)  # Σ_s weight · its cotangent
    found = some_at_once(functools.partial(_cotangents, window, size), size, scaled, key, value, mask, c, norms, own)
    return found[0] / scaled.shape[-1] ** 0.5, *found[1:], None, None


by_blocks.defvjp(_forward, _backward)


def some_at_once(one: Callable[..., Any], size: int, *arrays: Array) -> Any:
    """`one` of each text: on a CPU as many at a time as have AT_ONCE scores, which its cache holds.

    Among several devices texts are divided, and no loop can go over them.
    """
    texts, heads = len(arrays[0]), arrays[0].shape[2]
    few = max(1, AT_ONCE // (heads * size**2))
    if few >= texts or jax.device_count() > 1 or jax.default_backend() != "cpu":
        return jax.vmap(one)(*arrays)
    return jax.lax.map(lambda given: one(*given), arrays, batch_size=few)


def visited(row: Array, window: Array, size: int, blocks: int) -> tuple[Array, Array]:
    """The first block of keys that a block of queries sees, and the one after the last."""
    first = jnp.maximum(row * size - window, 0) // size
    return first, jnp.minimum((row * size + size - 1 + window) // size + 1, blocks)


def near(one: Array, other: Array, window: Array, size: int) -> Array:
    """Which tokens of two blocks, the `one`-th and the `other`-th, are near enough: [N, N]."""
    places = jnp.arange(size)
    return jnp.abs((one - other) * size + places[:, None] - places) <= window


def _context(window, size, query, key, value, mask):
    """One text's context [T, H, K], and log Σ exp(scores) of its queries [I, H, N]."""
    queries, keys, values, real = (in_blocks(x, size) for x in (query, key, value, mask[:, None]))

    def of_row(given):
        row, q = given

        def see(column, sums):
            highest, total, found = sums
            seen = near(row, column, window, size) & real[column, 0]
            scores = jnp.where(seen, product("htk,hsk->hts", q, keys[column]), -jnp.inf)
            new = jnp.maximum(highest, scores.max(axis=-1))
            weights, kept = jnp.exp(scores - new[..., None]), jnp.exp(highest - new)
            more = product("hts,hsk->htk", weights.astype(value.dtype), values[column])
            return new, total * kept + weights.sum(axis=-1), found * kept[..., None] + more

        found = jnp.zeros(q.shape, jnp.promote_types(q.dtype, jnp.float32))
        total = found[..., 0]
        lowest = jnp.full_like(total, jnp.finfo(total.dtype).min)  # finite: -inf - -inf is not a number
        range_of = visited(row, window, size, len(keys))
        highest, total, found = jax.lax.fori_loop(*range_of, see, (lowest, total, found))
        total = jnp.where(total == 0, 1, total)  # a query without any key
        return (found / total[..., None]).astype(value.dtype), highest + jnp.log(total)

    found, norms = jax.lax.map(of_row, (jnp.arange(len(queries)), queries))
    return joined(found, len(query)), norms


def _cotangents(window, size, query, key, value, mask, c, norms, own):
    """Of one text's query, key and value, from that of its context, c [T, H, K]."""
    queries, keys, values, real, above, own = (in_blocks(x, size) for x in (query, key, value, mask[:, None], c, own))

    def of_row(sums, given):
        row, q, c, norm, own = given

        def see(column, sums):
            to_query, to_key, to_value = sums
            k, v = keys[column], values[column]
            # Keys first: of the five products one has to turn a factor round, and two with queries first.
            seen = near(column, row, window, size) & real[column, 0, :, None]
            scores = jnp.where(seen, product("hsk,htk->hst", k, q), -jnp.inf)
            weights = jnp.exp(scores - norm[:, None])
            to_scores = weights * (product("hsk,htk->hst", v, c) - own[:, None])
            to_scores, weights = to_scores.astype(q.dtype), weights.astype(c.dtype)
            to_query += product("hst,hsk->htk", to_scores, k)
            to_key = added(to_key, column, product("hst,htk->hsk", to_scores, q))
            return to_query, to_key, added(to_value, column, product("hst,htk->hsk", weights, c))

        start = jnp.zeros(q.shape, norms.dtype)
        to_query, *sums = jax.lax.fori_loop(*visited(row, window, size, len(keys)), see, (start, *sums))
        return tuple(sums), to_query

    zeros = jnp.zeros(keys.shape, norms.dtype)
    given = jnp.arange(len(queries)), queries, above, norms, own
    (to_key, to_value), to_query = jax.lax.scan(of_row, (zeros, zeros), given)
    found = zip((to_query, to_key, to_value), (query, key, value), strict=True)
    return tuple(joined(x, len(like)).astype(like.dtype) for x, like in found)


def added(x: Array, place: Array, more: Array) -> Array:
    """x with `more` added to its row at `place`: a slice, where `x.at[place].add` is a scatter."""
    row = jax.lax.dynamic_index_in_dim(x, place, keepdims=False)
    return jax.lax.dynamic_update_index_in_dim(x, row + more, place, 0)
