"""Occlusion, Shapley sampling, KernelSHAP and LIME against oracles that put [MASK] into token ids and enumerate."""

import itertools
import math

import jax
import numpy as np
import pytest
from measures import relative_error
from questions import EYE, IDS, MASK, TEXTS, TYPES, UNITS, exact, part_logits
from tolerances import METHOD_EXACT, SAMPLED_SHAPLEY, SHAPLEY_ORDERS

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.occlusion import Occlusion, ShapleySampling
from autorel_jax.attribution.methods.surrogates import KernelShap, Lime


def at_tokens(row, scores):
    """Scores of units [N, U] at the tokens of a row [N, T]."""
    found = np.zeros((len(scores), 9))
    found[:, UNITS[row] >= 0] = scores[:, UNITS[row][UNITS[row] >= 0]]
    return found


def every_part(units):
    return np.array(list(itertools.product([False, True], repeat=units)))


def shapley(row):
    """Shapley values [C, U] of a row by their definition, and the logits of the empty part."""
    units = UNITS[row].max() + 1
    parts = every_part(units)
    values = dict(zip(map(tuple, parts), part_logits(row, parts), strict=True))
    found = np.zeros((3, units))
    for part, value in values.items():
        for unit in np.flatnonzero(~np.array(part)):
            size = sum(part)
            share = math.factorial(size) * math.factorial(units - size - 1) / math.factorial(units)
            joined = tuple(on or place == unit for place, on in enumerate(part))
            found[:, unit] += share * (values[joined] - value)
    return found, values[(False,) * units]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_kernel_shap_of_all_parts_is_exact(row):
    """8 units, and 3."""
    _, scores, measured = exact(KernelShap(samples=2**8 - 2))
    expected, start = shapley(row)
    assert relative_error(scores[row], at_tokens(row, expected)) <= METHOD_EXACT
    np.testing.assert_allclose(measured[row, :, 0], start, rtol=METHOD_EXACT)


def test_kernel_shap_of_some_parts_is_near():
    """200 samples of 254 parts: the sum is exact, the values are near; the text of 3 units has all of its 6 parts."""
    logits, scores, measured = exact(KernelShap(samples=200))
    np.testing.assert_allclose(scores.sum(axis=2)[:3], (logits - measured[..., 0])[:3], atol=METHOD_EXACT)
    assert METHOD_EXACT < relative_error(scores[0], at_tokens(0, shapley(0)[0])) <= SAMPLED_SHAPLEY
    assert relative_error(scores[2], at_tokens(2, shapley(2)[0])) <= METHOD_EXACT


def test_shapley_sampling_adds_up_and_comes_near():
    logits, scores, measured = exact(ShapleySampling(samples=3))
    np.testing.assert_allclose(scores.sum(axis=2)[:3], (logits - measured[..., 0])[:3], atol=METHOD_EXACT)
    _, many, _ = exact(ShapleySampling(samples=600))
    assert relative_error(many[0], at_tokens(0, shapley(0)[0])) <= SHAPLEY_ORDERS


def test_shapley_sampling_of_one_order_by_hand():
    """One order's gains, unit by unit."""
    method = ShapleySampling(samples=1, seed=4)
    _, scores, _ = exact(method)
    order = orders(method, numbers=[0])[0]
    parts = np.array([order[0][:8] < size for size in range(9)])
    gains = np.diff(part_logits(0, parts), axis=0)  # [8, C], in the order that units come
    assert relative_error(scores[0], at_tokens(0, gains[order[0][:8]].T)) <= METHOD_EXACT


def orders(method, numbers):
    """The random orders [G, B, U] that a method of that seed draws."""
    texts = Texts(*map(jax.numpy.asarray, TEXTS))
    keys = draws.text_keys(method.seed, texts)
    return np.asarray(draws.ranks(keys, np.array(numbers), np.array([8, 8, 3, 0]), 9))


def test_orders_are_permutations_and_differ():
    found = orders(ShapleySampling(), range(50))
    assert (np.sort(found, axis=2) == np.arange(9)).all()
    assert (found[:, 2, 3:] == np.arange(3, 9)).all()  # what is no unit stays where it is
    assert len(np.unique(found[:, 0], axis=0)) == 50
    assert len(np.unique(found[:, 2], axis=0)) == 6


def test_occlusion_by_token():
    _, scores, _ = exact(Occlusion())
    for row in (0, 2):
        units = UNITS[row].max() + 1
        lost = part_logits(row, np.ones((1, units), bool)) - part_logits(row, ~np.eye(units, dtype=bool))
        assert relative_error(scores[row], at_tokens(row, lost.T)) <= METHOD_EXACT
    assert not scores[3].any()  # [CLS] alone


def test_occlusion_by_word():
    """Tokens 1 to 3 are one word, 4 and 5 another."""
    units = np.array([-1, 0, 0, 0, 1, 1, -1, -1, -1], np.int32)
    texts = Texts(IDS[:1], MASK[:1], TYPES[:1], units[None])
    _, scores, _ = exact(Occlusion(), texts, EYE[:1])
    parts = np.array([[True] * 8, [False] * 3 + [True] * 5, [True] * 3 + [False] * 2 + [True] * 3])
    whole, *without = part_logits(0, parts)
    expected = np.zeros((3, 9))
    expected[:, 1:4] = (whole - without[0])[:, None] / 3
    expected[:, 4:6] = (whole - without[1])[:, None] / 2
    assert relative_error(scores[0], expected) <= METHOD_EXACT


def lime_samples(method):
    """What LIME fits to for the first text: parts [P, U], logits [P, C] and weights [P], by its definition."""
    texts = Texts(*map(jax.numpy.asarray, TEXTS))
    keys, numbers = draws.text_keys(method.seed, texts), np.arange(method.samples)
    sizes = np.minimum(1 + np.floor(np.asarray(draws.per_text(draws.uniform, keys, numbers))[:, 0] * 8), 8)
    sizes[0] = 0
    parts = orders(method, numbers)[:, 0, :8] >= sizes[:, None]
    cosine = parts.sum(axis=1) / np.maximum(np.sqrt(parts.sum(axis=1) * 8), 1e-300)
    return parts, part_logits(0, parts), np.sqrt(np.exp(-((100 * (1 - cosine)) ** 2) / method.width**2))


LIME = Lime(samples=60, width=30, ridge=0.7)


def test_lime_is_a_weighted_ridge_regression():
    """As a least squares problem: rows scaled by the root of their weight, and rows for the penalty."""
    _, scores, measured = exact(LIME)
    parts, logits, weights = lime_samples(LIME)
    root = np.sqrt(weights)[:, None]
    rows = np.block([[root * parts, root], [np.sqrt(LIME.ridge) * np.eye(8), np.zeros((8, 1))]])
    solved = np.linalg.lstsq(rows, np.concatenate([root * logits, np.zeros((8, 3))]), rcond=None)[0]
    assert relative_error(scores[0], at_tokens(0, solved[:-1].T)) <= METHOD_EXACT
    np.testing.assert_allclose(measured[0, :, 0], solved[-1], rtol=METHOD_EXACT)
    mean = np.average(logits, axis=0, weights=weights)
    missed = (weights[:, None] * (logits - parts @ solved[:-1] - solved[-1]) ** 2).sum(axis=0)
    r_squared = 1 - missed / (weights[:, None] * (logits - mean) ** 2).sum(axis=0)
    np.testing.assert_allclose(measured[0, :, 1], r_squared, rtol=METHOD_EXACT)
    assert parts[0].all()
    assert {1, 8} <= set((~parts).sum(axis=1))


def test_lime_is_what_scikit_learn_fits():
    linear_model = pytest.importorskip("sklearn.linear_model")
    _, scores, measured = exact(LIME)
    parts, logits, weights = lime_samples(LIME)
    model = linear_model.Ridge(alpha=LIME.ridge).fit(parts.astype(float), logits, sample_weight=weights)
    assert relative_error(scores[0], at_tokens(0, model.coef_)) <= METHOD_EXACT
    np.testing.assert_allclose(measured[0, :, 0], model.intercept_, rtol=METHOD_EXACT)
    score = [
        linear_model.Ridge(alpha=LIME.ridge)
        .fit(parts.astype(float), logits[:, label], sample_weight=weights)
        .score(parts.astype(float), logits[:, label], sample_weight=weights)
        for label in range(3)
    ]
    np.testing.assert_allclose(measured[0, :, 1], score, rtol=METHOD_EXACT)


def test_too_few_samples_give_finite_scores():
    for method in (Lime(samples=2, ridge=0), KernelShap(samples=2)):
        _, scores, measured = exact(method)
        assert np.isfinite(scores).all()
        assert np.isfinite(measured).all()
