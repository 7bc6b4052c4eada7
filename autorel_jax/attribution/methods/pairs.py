"""Pairs: which parts of a text KernelSHAP looks at, each with its complement, and how much each pair weighs.

A pair has the size k of its smaller part, from 1 to n / 2. The Shapley kernel gives all pairs of a size together the
mass 2 / (k (n - k)), half of it where k = n / 2. Sizes whose pairs all fit into their share of the samples are
computed whole, the smallest first, and what that leaves goes to the other sizes, in proportion to their mass; those
pairs are cut from random orders of the units, so that all units are on about equally often. No size that is whole has a
pair twice. Used by surrogates.py. B texts, U units, S sizes, G pairs at a time.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.parameters import MOST_SAMPLES
from autorel_jax.model.ops import Array

MANY = 2 * MOST_SAMPLES  # more pairs than can be asked for
LARGEST = 9  # of the sizes that are ever whole: those of 19 units have 262,143 pairs, those of 20 too many


class Plan(NamedTuple):
    """The pairs of each text, numbered by size."""

    number: Array  # of pairs [B], at most as many as are asked for
    exact: Array  # whether these are all that the text has [B]
    whole: Array  # whether a size is [B, S]
    begins: Array  # the number of the first pair of each size [B, S]; MANY for a size that the text lacks
    weights: Array  # of a pair of each size [B, S]; over all pairs they add up to those that are asked for


def binomials(length: int) -> np.ndarray:
    """C(n, k) for k up to LARGEST and n up to `length` [LARGEST + 1, length + 1], or MANY where it is more."""
    rows = [np.ones(length + 1, np.int64)]
    for _ in range(LARGEST):
        rows.append(np.minimum(np.concatenate([[0], rows[-1][:-1].cumsum()]), MANY))
    return np.array(rows, np.int32)


def planned(keys: Array, counts: Array, pairs: Array, length: int, kind: jnp.dtype) -> Plan:
    """The plan for texts of `counts` units [B], of which so many pairs are asked for.

    `keys` decide only how fractions of a pair are rounded.
    """
    mass, available = (values.astype(kind) for values in of_sizes(counts, length))
    before = jnp.cumsum(available, axis=1) - available
    from_here = jnp.flip(jnp.cumsum(jnp.flip(mass, 1), axis=1), 1)  # the mass of a size and of those that are larger
    whole = jnp.cumprod((pairs - before) * mass >= available * from_here, axis=1) > 0
    taken = jnp.where(whole, available, 0).sum(axis=1)[:, None]
    remaining, open_mass = jnp.maximum(pairs - taken, 0), jnp.where(whole, 0, mass)
    below = jnp.cumsum(open_mass, axis=1) - open_mass
    open_total = jnp.maximum(open_mass.sum(axis=1), jnp.finfo(kind).tiny)[:, None]
    start = draws.per_text(draws.uniform, keys, np.zeros(1, np.int32))[0][:, None]
    drawn = taken + jnp.ceil(remaining * (below / open_total) - start)
    begins = jnp.where(mass > 0, jnp.where(whole, before, drawn), MANY).astype(jnp.int32)
    of_pair = jnp.where(whole, mass / jnp.maximum(available, 1), open_total / jnp.maximum(remaining, 1))
    total = jnp.maximum(mass.sum(axis=1), jnp.finfo(kind).tiny)[:, None]
    every = available.sum(axis=1)
    number = jnp.minimum(every, pairs).astype(jnp.int32)
    return Plan(number, every <= pairs, whole, begins, of_pair * pairs / total)


def of_sizes(counts: Array, length: int) -> tuple[Array, Array]:
    """The kernel's mass of all pairs of each size, and how many there are, MANY at the most: [B, S]."""
    size = np.arange(1, max(length // 2, 1) + 1)
    middle, inside = 2 * size == counts[:, None], 2 * size <= counts[:, None]
    mass = jnp.where(middle, 1, 2) / (size * jnp.maximum(counts[:, None] - size, 1))
    sets = jnp.asarray(binomials(length)[np.minimum(size, LARGEST)].T)[counts]
    available = jnp.where(size <= LARGEST, sets, MANY) // jnp.where(middle, 2, 1)
    return tuple(jnp.where(inside, values, 0) for values in (mass, available))


def smaller_parts(plan: Plan, keys: Array, numbers: Array, counts: Array, length: int) -> tuple[Array, Array]:
    """Of pairs numbered [G], the smaller part [G, B, U], true where a unit is on, and the weight [G, B], 0 of none."""
    size = jnp.maximum((plan.begins[None] <= numbers[:, None, None]).sum(axis=-1), 1)  # [G, B]
    begins, weight, whole = (
        jnp.take_along_axis(values[None], size[..., None] - 1, axis=-1)[..., 0]
        for values in (plan.begins, plan.weights, plan.whole)
    )
    place = numbers[:, None] - begins
    in_order = jnp.where(2 * size == counts, 1, jnp.maximum(counts // size, 1))
    turn = place % in_order
    ranks = draws.ranks(keys, numbers[:, None] - turn + 1, counts, length)  # one order for as many as it holds
    cut = (ranks >= (turn * size)[..., None]) & (ranks < ((turn + 1) * size)[..., None])
    on = jnp.where(whole[..., None], numbered(place, size, length), cut)
    return on & (jnp.arange(length) < counts[:, None]), weight * (numbers[:, None] < plan.number)


def numbered(place: Array, size: Array, length: int) -> Array:
    """Every set of so many units by its number, in the order of its last unit, then of the one before, and so on.

    So the first half of the sets of n / 2 units are those without the last unit, whose complements have it.
    place, size [G, B] -> [G, B, U]. Source: Knuth, The Art of Computer Programming, 4A, 7.2.1.3 (combinadics).
    """
    units = np.arange(length)
    on = jnp.zeros((*place.shape, length), bool)
    for k, row in reversed(list(enumerate(binomials(length)))[1:]):
        last = jnp.sum(row <= place[..., None], axis=-1) - 1  # C(last, k) is the most that the number holds
        here = size >= k
        on |= here[..., None] & (units == last[..., None])
        place = jnp.where(here, place - jnp.asarray(row)[last], place)
    return on
