"""The rules of linear maps by hand, by identity and by what they conserve; the rest is in test_rules.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from test_rules import BIAS, KERNEL, drawn, pulled
from tolerances import CONSERVATION, RULE, SUM_FLOAT32

from autorel_jax.lrp import linear

RULES = {  # with stabilizers that absorb nothing
    "epsilon": (linear.epsilon, (0.0,)),
    "gamma": (linear.gamma, (0.25,)),
    "alpha_beta": (linear.alpha_beta, (2.0, 0.0)),
    "zplus": (linear.zplus, (0.0,)),
}
X, C = drawn(3, 4), drawn(3, 5, seed=7)
# by hand: contributions [[3, 1], [-2, -2]], bias [1, -1], z = [2, -2]
HAND = np.array([[1.0, -2.0]]), np.array([[3.0, 1.0], [1.0, 1.0]]), np.array([1.0, -1.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def pulled_linear(rule, x, kernel, bias, c, *parameters):
    kernel, bias = jnp.asarray(kernel), jnp.asarray(bias)
    return pulled(lambda x: rule(x, kernel, bias, *parameters), x, c)


def by_hand(rule, relevance, *parameters):
    """The relevance of the two inputs of HAND for that of its outputs, z c."""
    x, kernel, bias = HAND
    return (x * pulled_linear(rule, x, kernel, bias, [[relevance[0] / 2, relevance[1] / -2]], *parameters))[0].tolist()


# ---------------------------------------------------------------- by hand


def test_epsilon_by_hand():
    # R / (z + ε sign z) = [6 / 3, -3 / -3]: [3, -2] · 2 + [1, -2] · 1; bias 2 - 1, ε 2 - 1 the rest: 7 - 6 + 2 = 3
    assert by_hand(linear.epsilon, [6.0, -3.0], 1.0) == pytest.approx([7, -6], rel=RULE)


def test_gamma_by_hand():
    # γ = 1 doubles what has the output's sign: [6, -2 | 2] sums to 6, [1, -4 | -2] to -5; R / those = [1, 2]
    assert by_hand(linear.gamma, [6.0, -10.0], 1.0) == pytest.approx([6 + 2, -2 - 8], rel=RULE)


def test_alpha_beta_by_hand():
    # z⁺ = [3 + 1, 1], z⁻ = [-2, -2 - 1]; α = 2: input 0 gets 2 · 3/4 · 4 + 2 · 1/1 · 3, input 1 -(2/2) · 4 - 2/3 · 3
    assert by_hand(linear.alpha_beta, [4.0, 3.0], 2.0, 0.0) == pytest.approx([6 + 6, -4 - 2], rel=RULE)
    # a stabilizer of 1 makes that z⁺ = [5, 2], z⁻ = [-3, -4]
    stabilized = by_hand(linear.alpha_beta, [15.0, 4.0], 2.0, 1.0)
    assert stabilized == pytest.approx([2 * 3 / 5 * 15 + 2 * 1 / 2 * 4, -2 / 3 * 15 - 2 / 4 * 4], rel=RULE)


def test_zplus_by_hand():
    assert by_hand(linear.zplus, [4.0, 3.0], 0.0) == pytest.approx([3 + 3, 0], rel=RULE)


# ---------------------------------------------------------------- by identity


def test_epsilon_0_is_the_gradient_also_at_0():
    x, kernel, bias = np.array([[1.0, -1.0]]), np.array([[1.0, 2.0], [1.0, 1.0]]), np.zeros(2)  # z = [0, 1]
    c = np.array([[3.0, 5.0]])
    assert pulled_linear(linear.epsilon, x, kernel, bias, c, 0.0).tolist() == (c @ kernel.T).tolist()
    absorbed = pulled_linear(linear.epsilon, x, kernel, bias, c, 1e-6)  # all that z = 0 has goes to ε
    assert relative_error(absorbed, [[10 / (1 + 1e-6), 5 / (1 + 1e-6)]]) <= RULE


def test_gamma_0_is_lrp_0():
    assert relative_error(pulled_linear(linear.gamma, X, KERNEL, BIAS, C, 0.0), C @ KERNEL.T) <= RULE


def test_large_gamma_is_zplus_where_outputs_are_positive():
    c = np.where(X @ KERNEL + BIAS > 0, C, 0)
    large = pulled_linear(linear.gamma, X, KERNEL, BIAS, c, 1e12)
    assert relative_error(large, pulled_linear(linear.zplus, X, KERNEL, BIAS, c, 0.0)) <= RULE
    flipped = pulled_linear(linear.gamma, X, -KERNEL, -BIAS, -c, 1e12)  # where they are negative it is z⁻
    assert relative_error(flipped, large) <= RULE


def test_alpha_1_is_zplus():
    found = pulled_linear(linear.alpha_beta, X, KERNEL, BIAS, C, 1.0, 1e-9)
    assert relative_error(found, pulled_linear(linear.zplus, X, KERNEL, BIAS, C, 1e-9)) <= RULE


def test_alpha_beta_of_inputs_and_weights_at_least_0_is_lrp_0():
    x, kernel = np.abs(X), np.abs(KERNEL)
    found = pulled_linear(linear.zplus, x, kernel, np.zeros(5), C, 0.0)
    assert relative_error(found, C @ kernel.T) <= RULE


# ---------------------------------------------------------------- by what they conserve, and where they could fail


@pytest.mark.parametrize("name", RULES)
def test_all_but_the_bias_conserves(name):
    rule, parameters = RULES[name]
    x, kernel = drawn(3, 20), drawn(20, 5)  # so many that each output has contributions of both signs
    x[:, -1] = 1  # the last row of the kernel as a bias, so that its share is counted too
    found = pulled_linear(rule, x, kernel, np.zeros(5), C, *parameters)
    np.testing.assert_allclose((x * found).sum(axis=1), ((x @ kernel) * C).sum(axis=1), rtol=0, atol=CONSERVATION)
    apart = pulled_linear(rule, x[:, :-1], kernel[:-1], kernel[-1], C, *parameters)
    assert relative_error(apart, found[:, :-1]) <= RULE


@pytest.mark.parametrize("name", ["alpha_beta", "zplus"])
def test_an_output_without_positive_contributions_does_not_disturb_the_others(name):
    """In float32, where ½ (xW + |x| |W|) leaves rounding in place of 0."""
    rule, parameters = RULES[name][0], (1.0, 1e-9)[-len(RULES[name][1]) :]
    x = np.abs(drawn(64, 96)).astype(np.float32)
    kernel = np.concatenate([-np.abs(drawn(96, 40)), np.abs(drawn(96, 1, seed=1))], axis=1).astype(np.float32)
    with jax.enable_x64(False):
        c = np.ones((64, 41), np.float32)
        found = pulled_linear(rule, x, kernel, np.zeros(41, np.float32), c, *parameters)
    assert relative_error(found, np.broadcast_to(kernel[:, -1], (64, 96))) <= SUM_FLOAT32


def test_zeros_give_zeros():
    """Rows of zeros, for instance of padding: no 0 / 0."""
    for rule, parameters in RULES.values():
        found = pulled_linear(rule, np.zeros((2, 4)), KERNEL, np.zeros(5), np.zeros((2, 5)), *parameters)
        assert not found.any(), rule


def test_a_new_value_does_not_recompile():
    for rule, parameters in RULES.values():

        @jax.jit
        def back(x, c, *values, rule=rule):
            return jax.vjp(lambda x: rule(x, jnp.asarray(KERNEL), jnp.asarray(BIAS), *values), x)[1](c)[0]

        one, other = (np.asarray(back(X, C, *(value + more for value in parameters))) for more in (0.0, 0.5))
        assert back._cache_size() == 1
        assert relative_error(one, other) > RULE


def test_values_can_be_mapped_over():
    gammas = jnp.array([0.0, 0.25, 1.0])

    def back(gamma):
        return jax.vjp(lambda x: linear.gamma(x, jnp.asarray(KERNEL), jnp.asarray(BIAS), gamma), X)[1](jnp.asarray(C))[
            0
        ]

    for found, value in zip(jax.vmap(back)(gammas), gammas, strict=True):
        assert relative_error(found, back(value)) <= RULE
