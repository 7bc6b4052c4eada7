"""The pairs of parts that KernelSHAP looks at: against lists of all, in the proportions of the kernel, none in vain."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest

from autorel_jax.attribution.methods.pairs import LARGEST, MANY, binomials, numbered, planned, smaller_parts
from autorel_jax.attribution.methods.parameters import MOST_SAMPLES

LENGTH = 24


def drawn(units, pairs, seed=3):
    """Of two texts of so many units: the smaller parts [P, 2, U], their weights [P, 2], and which sizes are whole."""
    keys, counts = jax.random.split(jax.random.key(seed), 2), np.array([units, units])
    plan = planned(keys, counts, pairs, LENGTH, np.float32)
    on, weights = smaller_parts(plan, keys, np.arange(plan.number.max()), counts, LENGTH)
    assert not np.asarray(on)[:, :, units:].any()
    return np.asarray(on)[..., :units], np.asarray(weights, float), np.asarray(plan.whole)[0, : units // 2]


def masses(units):
    """Of each size, what the kernel gives all of its pairs, by its definition; in parts of 1."""
    parts = [math.comb(units, size) / (math.comb(units, size) * size * (units - size)) for size in range(1, units)]
    both = [parts[size - 1] + (parts[units - size - 1] if 2 * size < units else 0) for size in range(1, units // 2 + 1)]
    return np.array(both) / sum(parts)


def as_pairs(on):
    """Each part [P, U] and its complement, as one thing."""
    return [frozenset((tuple(part), tuple(~part))) for part in on]


def test_binomials():
    found = binomials(30)
    expected = [[min(math.comb(n, k), MANY) for n in range(31)] for k in range(LARGEST + 1)]
    assert found.tolist() == expected


@pytest.mark.parametrize(("units", "size"), [(7, 1), (7, 3), (12, 6), (18, 9)])
def test_every_set_has_a_number(units, size):
    count = math.comb(units, size)
    sets = np.asarray(numbered(np.arange(count)[:, None], np.full((count, 1), size), LENGTH))[:, 0, :units]
    assert (sets.sum(axis=1) == size).all()
    assert len(np.unique(sets, axis=0)) == count
    assert not sets[: math.comb(units - 1, size), -1].any()


@pytest.mark.parametrize("units", [2, 3, 6, 9])
def test_all_pairs_have_the_kernels_weights(units):
    every = 2 ** (units - 1) - 1
    on, weights, whole = drawn(units, every)
    assert whole.all()
    for text in range(2):
        found = as_pairs(on[:, text])
        assert len(found) == len(set(found)) == every
    kernel = [1 / (math.comb(units, k) * k * (units - k)) for k in on[:, 0].sum(axis=1)]
    np.testing.assert_allclose(weights[:, 0] / weights.sum(axis=0)[0], kernel / np.sum(kernel), rtol=1e-6)
    more, _, _ = drawn(units, every + 5)
    assert len(more) == every


@pytest.mark.parametrize(("units", "pairs"), [(8, 16), (7, 11), (10, 256), (12, 48), (23, 48), (23, 512), (3, 1)])
def test_pairs_of_a_size(units, pairs):
    """Whole sizes have every pair once; of others, each unit is on once in an order. All weigh as the kernel says."""
    on, weights, whole = drawn(units, pairs)
    sizes, shares = on.sum(axis=2), masses(units)
    fits = [math.comb(units, size) // (2 if 2 * size == units else 1) for size in range(1, units // 2 + 1)]
    left, rest = pairs, 1.0
    for number, (fit, share) in enumerate(zip(fits, shares, strict=True)):
        assert whole[number] == (left * share / rest >= fit * (1 - 1e-6))
        if not whole[number]:
            break
        left, rest = left - fit, rest - share
    assert len(on) == pairs
    for text in range(2):
        for size, (fit, share, is_whole) in enumerate(zip(fits, shares, whole, strict=True), start=1):
            here = sizes[:, text] == size
            found = as_pairs(on[here, text])
            if is_whole:
                assert len(found) == len(set(found)) == fit
                assert weights[here, text].sum() == pytest.approx(pairs * share, rel=1e-5)
            else:
                assert abs(here.sum() - left * share / rest) < 1 + 1e-3
                assert len(found) <= fit
                np.testing.assert_allclose(weights[here, text], pairs * rest / left, rtol=1e-5)
                each = 1 if 2 * size == units else units // size
                of_size = on[here, text]
                for first in range(0, len(of_size), each):
                    assert of_size[first : first + each].sum(axis=0).max() <= 1
    assert weights.sum(axis=0) == pytest.approx(pairs, rel=1e-5)
    assert (on[:, 0] != on[:, 1]).any() or whole.all() or units == 3


def test_pairs_are_right_on_average():
    """Over many seeds, weighted parts have the second moments of the kernel."""
    units, moments = 8, []
    for seed in range(200):
        on, weights, _ = drawn(units, 20, seed)
        parts = np.concatenate([on[:, 0], ~on[:, 0]]).astype(float)
        moments.append(np.einsum("g,gu,gv->uv", np.tile(weights[:, 0], 2), parts, parts))
    expected = np.zeros((units, units))
    for part in itertools.product([0.0, 1.0], repeat=units):
        if 0 < (k := int(sum(part))) < units:
            expected += np.outer(part, part) / (math.comb(units, k) * k * (units - k))
    expected *= 2 * 20 / sum(1 / (k * (units - k)) for k in range(1, units))
    assert np.abs(np.mean(moments, axis=0) - expected).max() < 0.03 * expected.max()


def test_texts_of_any_length_beside_one_another():
    """Without units or with one there is nothing to choose; the others are as they are alone, at any padding."""
    counts, keys = jax.numpy.array([0, 1, 3, 24, 9]), jax.random.split(jax.random.key(1), 5)

    @functools.partial(jax.jit, static_argnums=2)
    def chosen(rows, pairs, length):
        plan = planned(keys[rows], counts[rows], pairs, length, np.float32)
        return plan, *smaller_parts(plan, keys[rows], jax.numpy.arange(60), counts[rows], length)

    plan, on, weights = chosen(np.arange(5), 60, LENGTH)
    assert plan.number.tolist() == [0, 0, 3, 60, 60]
    assert plan.exact.tolist() == [True, True, True, False, False]
    assert not np.asarray(weights)[:, :2].any()
    for row in range(2, 5):
        for length in (LENGTH, 31):
            alone, its_on, its_weights = chosen(np.array([row]), 60, length)
            number = int(alone.number[0])
            assert number == plan.number[row]
            assert (np.asarray(its_on)[:number, 0, :LENGTH] == np.asarray(on)[:number, row]).all()
            assert (np.asarray(its_weights)[:, 0] == np.asarray(weights)[:, row]).all()


def test_the_most_samples():
    """Of 19 units all pairs are among them, of 20 those of up to six units, and of 512 those of one."""
    counts, keys = np.array([19, 20, 512]), jax.random.split(jax.random.key(1), 3)
    plan = planned(keys, counts, MOST_SAMPLES // 2, 512, np.float32)
    assert plan.number.tolist() == [2**18 - 1, 2**18, 2**18]
    assert plan.exact.tolist() == [True, False, False]
    assert np.asarray(plan.whole)[:, :10].sum(axis=1).tolist() == [10, 6, 1]  # the tenth of 19 units is empty
