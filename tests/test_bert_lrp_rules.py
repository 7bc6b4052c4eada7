"""The rules of the original BERT_LRP by hand, by identity and by what they conserve; the rest is in test_rules.py."""

import dataclasses
import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from test_rules import ACTIVATIONS, BIAS, KERNEL, drawn, pulled
from tolerances import STABILIZED

from autorel_jax.lrp import bert_lrp
from autorel_jax.model.ops import PLAIN, Ops


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_signed_weights_by_hand():
    x, kernel = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [2.0, 3.0]])
    # z⁺ = [5, 6], z⁻ = [0, -1]; R' = [1 + 3, 7]; ΣR = 16
    found = pulled(lambda x: bert_lrp.signed_weights(x, kernel, jnp.zeros(2)), x, [[10.0, 6.0]])
    expected = [[float(Fraction(4 * 16, 11)), float(Fraction(7 * 16, 11))]]
    np.testing.assert_allclose(found, expected, rtol=STABILIZED)


@dataclasses.dataclass(frozen=True)
class Tripled:
    """A block that multiplies by 3 through ops.linear, and drops all but the first token."""

    ops: Ops

    def __call__(self, values, params, x):
        return self.ops.linear(x[:, :1], params, jnp.zeros(1))


def test_whole_block_by_hand():
    """y = x + 3x; R + (plain: 3 R) + (signed_weights on one feature: R), for the one token that the block returns."""
    block = Tripled(dataclasses.replace(PLAIN, linear=bert_lrp.signed_weights, residual=bert_lrp.whole_block))
    x = np.array([[[2.0], [5.0]]])

    def f(x):
        return bert_lrp.whole_block(block, {}, jnp.full((1, 1), 3.0), x)

    assert f(jnp.asarray(x)).tolist() == [[[8.0]]]
    np.testing.assert_allclose(pulled(f, x, [[[7.0]]]), [[[7 + 21 + 7], [0]]], rtol=STABILIZED)


def attended(query, key, value, seen=(True, True)):
    """What `jacobian` gives to query, key and value [T, 1] of one head for the relevance [3, 1] of the context."""
    inputs = [jnp.asarray(part, float).reshape(1, -1, 1, 1) for part in (query, key, value)]
    mask = jnp.asarray(seen)[None]
    _, pull = jax.vjp(lambda *inputs: bert_lrp.jacobian(PLAIN, *inputs, mask), *inputs)
    return [part.ravel().tolist() for part in pull(jnp.array([3.0, 1.0]).reshape(1, 2, 1, 1))]


def test_jacobian_by_hand():
    """Query 0 attends evenly: M is ½ v for both outputs, so each value gets ½ · ½ ΣR = 1; scaled by Σ|R| / 2 = 2."""
    for found, expected in zip(attended([0, 0], [1, -1], [4, -2]), ([0, 0], [0, 0], [2, 2]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=STABILIZED, atol=0)


def test_jacobian_leaves_masked_tokens_out():
    """One token attends to itself alone: its value gets all of its relevance, and the masked one nothing."""
    found = attended([1, 5], [1, 5], [4, 5], seen=(True, False))
    np.testing.assert_allclose(np.ravel(found), [0, 0, 0, 0, 4, 0], rtol=STABILIZED, atol=0)


def test_skipped_is_the_gradient_of_the_identity():
    x, c = drawn(3, 5), drawn(3, 5, seed=1)
    for name in ACTIVATIONS:
        found = pulled(functools.partial(bert_lrp.skipped, name), x, c)
        np.testing.assert_array_equal(found, pulled(lambda x: x, x, c))


def test_signed_weights_on_positive_numbers_is_lrp_0():
    x, kernel, relevance = np.abs(drawn(3, 4)), np.abs(KERNEL), np.abs(drawn(3, 5, seed=1))
    found = pulled(lambda x: bert_lrp.signed_weights(x, jnp.asarray(kernel), jnp.zeros(5)), x, relevance)
    lrp_0 = x * ((relevance / (x @ kernel)) @ kernel.T)
    assert relative_error(found, lrp_0) <= STABILIZED


def test_signed_weights_conserves():
    x, relevance = drawn(3, 4), drawn(3, 5, seed=1)
    found = pulled(lambda x: bert_lrp.signed_weights(x, jnp.asarray(KERNEL), jnp.asarray(BIAS)), x, relevance)
    np.testing.assert_allclose(found.sum(axis=1), relevance.sum(axis=1), rtol=0, atol=STABILIZED)
