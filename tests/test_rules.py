"""Each rule four ways: by hand, against the oracle, by identity with another rule, and by contract."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from measures import relative_error
from tolerances import CONSERVATION, FORWARD, NEAR_ZERO, RULE

from autorel_jax.lrp import bert_lrp, gates, linear, rules
from autorel_jax.model import ops
from autorel_jax.model.ops import PLAIN, Ops

ACTIVATIONS = tuple(ops.ACTIVATIONS)
MATMUL = "ij,jk->ik"


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def pulled(f, x, cotangent):
    """What f's vjp returns for its one input."""
    return np.asarray(jax.vjp(f, jnp.asarray(x))[1](jnp.asarray(cotangent))[0])


@dataclasses.dataclass(frozen=True)
class Case:
    """A rule as a function of one array, its plain twin, an input and the oracle of what goes to that input."""

    name: str
    rule: object
    plain: object
    shape: tuple[int, ...]
    oracle: object

    def __str__(self):
        return self.name


def activation_case(rule, oracle, name):
    return Case(
        f"{rule.__name__}-{name}",
        functools.partial(rule, name),
        functools.partial(ops.activation, name),
        (3, 5),
        lambda x, c: oracle(name, x, c),
    )


@dataclasses.dataclass(frozen=True)
class First:
    """A block as whole_block takes it: the tanh of a linear map, of the first token alone."""

    ops: Ops

    def __call__(self, values, params, x):
        return self.ops.activation("tanh", self.ops.linear(x[:, :1], *params))


BERT_LRP = dataclasses.replace(PLAIN, linear=bert_lrp.signed_weights, activation=bert_lrp.skipped)
SQUARE, OFFSET = drawn(4, 4, seed=10), drawn(4, seed=11)
A, B = drawn(3, 4, seed=1), drawn(4, 5, seed=2)
MASK = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
SCALE, SHIFT, EPSILON = drawn(5, seed=3), drawn(5, seed=4), 1e-3
KERNEL, BIAS = drawn(4, 5, seed=5), drawn(5, seed=6)
HEAD = [drawn(3, 2, seed=seed) for seed in (12, 13, 14)]  # query, key, value of three tokens
SEEN = np.array([True, True, False])


def like(x, *arrays):
    """Arrays in the dtype of x, as a model casts its weights."""
    return [jnp.asarray(array, x.dtype) for array in arrays]


def linear_case(rule, oracle, *parameters):
    return Case(
        f"{rule.__name__}-{'-'.join(map(str, parameters))}",
        lambda x: rule(x, *like(x, KERNEL, BIAS), *parameters),
        lambda x: ops.linear(x, *like(x, KERNEL, BIAS)),
        (3, 4),
        lambda x, c: oracle(x, KERNEL, BIAS, c, *parameters),
    )


def jacobian_case(which, name):
    """The rule of attention as a function of one of query, key and value, for one text and head."""

    def attention(rule):
        def f(x):
            parts = [part if place != which else x for place, part in enumerate(like(x, *HEAD))]
            return rule(PLAIN, *(part[None, :, None] for part in parts), jnp.asarray(SEEN)[None])[0, :, 0]

        return f

    def oracle(x, r):
        return oracles.jacobian([part if place != which else x for place, part in enumerate(HEAD)], SEEN, r)[which]

    return Case(f"jacobian-{name}", attention(bert_lrp.jacobian), attention(ops.attention), (3, 2), oracle)


def of_head(contract, weights, value):
    """A product of attention weights [T, S] and values [S, K] as a model writes it, for one text and head."""
    return contract(ops.CONTEXT, weights[None, None], value[None, :, None])[0, :, 0]


def with_blend(blend):
    return lambda equation, a, b: rules.blended(equation, a, b, blend)


def blended_cases(blend):
    rule = with_blend(blend)
    return [
        Case(
            f"blended-weights-{blend}",
            lambda a: of_head(rule, a, *like(a, B)),
            lambda a: of_head(ops.contract, a, *like(a, B)),
            (3, 4),
            lambda a, c: oracles.blended(a, B, c, blend)[0] / a,
        ),
        Case(
            f"blended-values-{blend}",
            lambda b: of_head(rule, *like(b, A), b),
            lambda b: of_head(ops.contract, *like(b, A), b),
            (4, 5),
            lambda b, c: oracles.blended(A, b, c, blend)[1] / b,
        ),
        Case(
            f"blended-scores-{blend}",
            lambda a: rule(MATMUL, a, *like(a, B)),
            lambda a: ops.contract(MATMUL, a, *like(a, B)),
            (3, 4),
            lambda a, c: oracles.halved(a, B, c)[0] / a,
        ),
    ]


CASES = [
    *(case for blend in (0.0, 0.3, 1.0) for case in blended_cases(blend)),
    *(linear_case(linear.epsilon, oracles.epsilon, value) for value in (0.0, 1e-6, 0.01, 1.0)),
    *(linear_case(linear.gamma, oracles.gamma, value) for value in (0.0, 0.25, 100.0)),
    *(linear_case(linear.alpha_beta, oracles.alpha_beta, alpha, 1e-9) for alpha in (1.0, 1.5, 2.0)),
    linear_case(linear.zplus, lambda *given: oracles.alpha_beta(*given[:-1], 1.0, given[-1]), 0.1),
    *(
        Case(
            f"transparent-{value}",
            lambda x, value=value: rules.transparent(x, SCALE, SHIFT, EPSILON, value),
            lambda x: ops.layer_norm(x, SCALE, SHIFT, EPSILON),
            (3, 5),
            lambda x, c, value=value: oracles.transparent(x, SCALE, SHIFT, EPSILON, c, value),
        )
        for value in (0.0, 0.1)
    ),
    Case(
        "ratio-left",
        lambda a: rules.ratio(a, jnp.asarray(A)),
        lambda a: a + jnp.asarray(A),
        (3, 4),
        lambda a, c: oracles.ratio(a, A, c),
    ),
    Case(
        "ratio-right-broadcast",
        lambda b: rules.ratio(jnp.asarray(A), b),
        lambda b: jnp.asarray(A) + b,
        (1, 4),
        lambda b, c: oracles.ratio(np.repeat(b, 3, axis=0), A, c).sum(axis=0, keepdims=True),
    ),
    *(jacobian_case(which, name) for which, name in enumerate(("query", "key", "value"))),
    *(activation_case(rules.secant, oracles.secant, name) for name in ACTIVATIONS),
    *(activation_case(bert_lrp.skipped, oracles.skipped, name) for name in ACTIVATIONS),
    Case(
        "halved-left",
        lambda a: rules.halved(MATMUL, a, jnp.asarray(B)),
        lambda a: ops.contract(MATMUL, a, jnp.asarray(B)),
        (3, 4),
        lambda a, c: oracles.halved(a, B, c)[0] / a,
    ),
    Case(
        "halved-right",
        lambda b: rules.halved(MATMUL, jnp.asarray(A), b),
        lambda b: ops.contract(MATMUL, jnp.asarray(A), b),
        (4, 5),
        lambda b, c: oracles.halved(A, b, c)[1] / b,
    ),
    Case(
        "gate_halved-activated",
        lambda a: gates.gate_halved(a, *like(a, A)),
        lambda a: ops.gate(a, *like(a, A)),
        (3, 4),
        lambda a, c: oracles.gate_halved(a, A, c),
    ),
    Case(
        "gate_halved-linear",
        lambda b: gates.gate_halved(*like(b, A), b),
        lambda b: ops.gate(*like(b, A), b),
        (3, 4),
        lambda b, c: oracles.gate_halved(b, A, c),
    ),
    Case(
        "gate_detached-activated",
        lambda a: gates.gate_detached(a, *like(a, A)),
        lambda a: ops.gate(a, *like(a, A)),
        (3, 4),
        lambda a, c: np.zeros_like(a),
    ),
    Case(
        "gate_detached-linear",
        lambda b: gates.gate_detached(*like(b, A), b),
        lambda b: ops.gate(*like(b, A), b),
        (3, 4),
        lambda b, c: oracles.gate_detached(A, b, c),
    ),
    Case(
        "softmax",
        lambda x: ops.softmax(x, MASK),
        lambda x: jnp.where(MASK.any(1, keepdims=True), jax.nn.softmax(jnp.where(MASK, x, -1e30)), 0),
        (3, 5),
        lambda x, c: oracles.softmax(x, MASK, c * np.asarray(ops.softmax(jnp.asarray(x), MASK))) / x,
    ),
    Case(
        "detached",
        lambda x: rules.detached(x, MASK),
        lambda x: ops.softmax(x, MASK),
        (3, 5),
        lambda x, c: np.zeros_like(x),
    ),
    Case(
        "frozen",
        lambda x: rules.frozen(x, SCALE, SHIFT, EPSILON),
        lambda x: ops.layer_norm(x, SCALE, SHIFT, EPSILON),
        (3, 5),
        lambda x, c: oracles.frozen(x, SCALE, SHIFT, EPSILON, c),
    ),
    Case(
        "signed_weights",
        lambda x: bert_lrp.signed_weights(x, *like(x, KERNEL, BIAS)),
        lambda x: ops.linear(x, *like(x, KERNEL, BIAS)),
        (3, 4),
        lambda x, r: oracles.signed_weights(x, KERNEL, BIAS, r),
    ),
    Case(
        "whole_block",
        lambda x: bert_lrp.whole_block(First(BERT_LRP), {}, like(x, SQUARE, OFFSET), x),
        lambda x: ops.residual(First(PLAIN), {}, like(x, SQUARE, OFFSET), x),
        (2, 3, 4),
        lambda x, r: oracles.whole_block(x, SQUARE, OFFSET, r),
    ),
    Case("to_multiplier", rules.to_multiplier, lambda x: x, (3, 5), oracles.to_multiplier),
    Case("to_relevance", rules.to_relevance, lambda x: x, (3, 5), oracles.to_relevance),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def inputs(case):
    x = drawn(*case.shape)
    return x, drawn(*np.shape(case.plain(jnp.asarray(x))), seed=7)


# ---------------------------------------------------------------- against the oracle


@every_case
def test_oracle(case):
    x, c = inputs(case)
    expected = case.oracle(x, c)
    assert np.abs(pulled(case.rule, x, c) - expected).max() <= RULE * max(np.abs(expected).max(), 1)


# ---------------------------------------------------------------- by hand


def test_secant_by_hand():
    x, c = [-1.0, 0.0, 2.0], [3.0, 4.0, 5.0]
    assert pulled(functools.partial(rules.secant, "relu"), x, c).tolist() == [0, 0, 5]
    phi = 0.15865525393145707  # Φ(-1)
    gelu = pulled(functools.partial(rules.secant, "gelu"), x, c)
    np.testing.assert_allclose(gelu, [3 * phi, 4 / 2, 5 * 0.9772498680518208], rtol=RULE)
    tanh = pulled(functools.partial(rules.secant, "tanh"), x, c)
    np.testing.assert_allclose(tanh, [3 * math.tanh(1), 4, 5 * math.tanh(2) / 2], rtol=RULE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_secant_near_zero(name):
    """The closed form reaches its limit f'(0) smoothly, where the quotient f(x) / x cannot be computed."""
    tiny = np.array([-1e-3 - 1e-9, -1e-3 + 1e-9, -1e-300, 1e-300, 1e-3 - 1e-9, 1e-3 + 1e-9])
    found = pulled(functools.partial(rules.secant, name), tiny, np.ones(6))
    limits = {"relu": [0, 0, 0, 1, 1, 1], "tanh": [1] * 6}
    np.testing.assert_allclose(found, limits.get(name, [0.5] * 6), rtol=0, atol=NEAR_ZERO)
    np.testing.assert_allclose(found[[0, 1, 4, 5]], [oracles.quotient(name, x) for x in tiny[[0, 1, 4, 5]]], rtol=RULE)


def test_halved_by_hand():
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])  # y = 11, so c = 1 is R(y) = 11
    to_a = a * pulled(lambda a: rules.halved(MATMUL, a, b), a, [[1.0]])
    to_b = b * pulled(lambda b: rules.halved(MATMUL, a, b), b, [[1.0]])
    assert to_a.tolist() == [[1.5, 4.0]]
    assert to_b.tolist() == [[1.5], [4.0]]
    assert to_a.sum() + to_b.sum() == 11


def test_blended_by_hand():
    weights, value = np.array([[0.25, 0.75]]), np.array([[4.0], [8.0]])  # y = 1 + 6, so c = 1 is R(y) = 7
    rule = with_blend(0.5)  # a quarter to the weights
    to_weights = weights * pulled(lambda a: of_head(rule, a, jnp.asarray(value)), weights, [[1.0]])
    to_value = value * pulled(lambda b: of_head(rule, jnp.asarray(weights), b), value, [[1.0]])
    assert to_weights.tolist() == [[0.25, 1.5]]
    assert to_value.tolist() == [[0.75], [4.5]]


def test_blended_scales_the_gradients_of_query_key_and_value():
    """¼ λ, ¼ λ and 1 - ½ λ of what plain attention gives them."""
    mask, c = jnp.asarray(SEEN)[None], jnp.asarray(drawn(1, 3, 1, 2))
    parts = [jnp.asarray(part)[None, :, None] for part in HEAD]

    def gradients(contract):
        table = dataclasses.replace(PLAIN, contract=contract)
        return jax.vjp(lambda *parts: ops.attention(table, *parts, mask), *parts)[1](c)

    for blend in (0.0, 0.3, 1.0):
        shares = blend / 4, blend / 4, 1 - blend / 2
        for share, found, plain in zip(shares, gradients(with_blend(blend)), gradients(ops.contract), strict=True):
            np.testing.assert_allclose(found, share * plain, rtol=RULE)


def test_blended_with_another_value_does_not_recompile():
    @jax.jit
    def back(a, c, blend):
        return jax.vjp(lambda a: of_head(with_blend(blend), a, jnp.asarray(B)), a)[1](c)[0]

    one, other = (np.asarray(back(A, drawn(3, 5), blend)) for blend in (0.2, 0.4))
    assert back._cache_size() == 1
    np.testing.assert_allclose(other, 2 * one, rtol=RULE)


def test_softmax_by_hand():
    x = np.array([[0.0, math.log(3)]])  # s = [1/4, 3/4]; R(s) = [1, 0] is c = [4, 0]
    c = pulled(lambda x: ops.softmax(x, np.ones((1, 2), bool)), x, [[4.0, 0.0]])
    np.testing.assert_allclose(x * c, [[0, -0.75 * math.log(3)]], rtol=RULE)


def test_detached_by_hand():
    x = np.array([[0.0, math.log(3)]])
    weights = rules.detached(jnp.asarray(x), np.ones((1, 2), bool))
    np.testing.assert_allclose(weights, [[0.25, 0.75]], rtol=RULE)
    assert pulled(lambda x: rules.detached(x, np.ones((1, 2), bool)), x, [[4.0, 0.0]]).tolist() == [[0, 0]]


def test_frozen_by_hand():
    x = np.array([[1.0, 3.0]])  # mean 2, deviation 1: y = [-2, 2]; c = [1, 0] is R(y) = [-2, 0]
    found = x * pulled(lambda x: rules.frozen(x, np.full(2, 2.0), np.zeros(2), 0.0), x, [[1.0, 0.0]])
    np.testing.assert_allclose(found, [[1, -3]], rtol=RULE)


def test_transparent_by_hand():
    x = np.array([[1.0, 3.0]])  # y = [-2, 2] as above; c = [1, 2] is R(y) = [-2, 4], which passes
    ones = np.full(2, 2.0), np.zeros(2), 0.0
    assert (x * pulled(lambda x: rules.transparent(x, *ones, 0.0), x, [[1.0, 2.0]])).tolist() == [[-2, 4]]
    # with a stabilizer of 1, x / (x + 1) of it does: 1/2 and 3/4
    assert (x * pulled(lambda x: rules.transparent(x, *ones, 1.0), x, [[1.0, 2.0]])).tolist() == [[-1, 3]]
    assert pulled(lambda x: rules.transparent(x, *ones, 0.0), [[0.0, 2.0]], [[1.0, 1.0]]).tolist() == [[0, 1]]


def test_ratio_by_hand():
    a, b, c = np.array([3.0, 0.0, -2.0]), np.array([-1.0, 0.0, 0.0]), jnp.array([2.0, 5.0, 7.0])
    # y = [2, 0, -2], R(y) = [4, 0, -14]; 3/4 and 1/4 of 4; nothing of nothing; all of -14 to a
    to_a, to_b = (np.asarray(part) for part in jax.vjp(rules.ratio, jnp.asarray(a), jnp.asarray(b))[1](c))
    assert (a * to_a).tolist() == [3, 0, -14]
    assert (b * to_b).tolist() == [1, 0, 0]
    assert (to_a[1], to_b[1]) == (5, 5)  # the plain add's, where there is no ratio


def test_to_multiplier_by_hand():
    found = pulled(rules.to_multiplier, [2.0, -4.0, 0.0], [1.0, 1.0, 0.0])
    assert found.tolist() == [0.5, -0.25, 0]
    assert pulled(rules.to_multiplier, [0.0], [1.0]).tolist() == [1 / np.finfo(float).eps]


def test_to_relevance_by_hand():
    assert pulled(rules.to_relevance, [2.0, -4.0, 0.0], [3.0, 5.0, 7.0]).tolist() == [6, -20, 0]


# ---------------------------------------------------------------- by identity


def test_secant_of_relu_is_its_gradient():
    x, c = drawn(3, 5), drawn(3, 5, seed=1)
    np.testing.assert_array_equal(pulled(functools.partial(rules.secant, "relu"), x, c), pulled(jax.nn.relu, x, c))


def test_detached_is_softmax_without_a_cotangent():
    """As in CP-LRP: with a plain context product, the values get all relevance of the context."""
    scores, values, c = drawn(3, 5), drawn(5, 4, seed=1), drawn(3, 4, seed=2)

    def context(scores, values):
        return ops.contract(MATMUL, rules.detached(scores, MASK), values)

    y, pull = jax.vjp(context, jnp.asarray(scores), jnp.asarray(values))
    to_scores, to_values = pull(jnp.asarray(c))
    plain = pulled(lambda x: ops.softmax(x, MASK), scores, np.zeros((3, 5)))
    np.testing.assert_array_equal(to_scores, plain)
    assert abs((values * to_values).sum() - (y * c).sum()) <= CONSERVATION


def test_halved_is_half_the_gradient():
    c = drawn(3, 5, seed=8)
    found = pulled(lambda a: rules.halved(MATMUL, a, jnp.asarray(B)), A, c)
    np.testing.assert_allclose(found, pulled(lambda a: a @ jnp.asarray(B), A, c) / 2, rtol=RULE)


def test_frozen_is_the_gradient_plus_the_deviations_share():
    """Plain LayerNorm = frozen LayerNorm - the projection on the normalised x, so the two agree where that is 0."""
    x, c = drawn(1, 5), drawn(1, 5, seed=9)
    ones, zeros = np.ones(5), np.zeros(5)
    normed = np.asarray(ops.layer_norm(jnp.asarray(x), ones, zeros, 0.0))
    c -= normed * (c * normed).sum() / (normed**2).sum()
    frozen = pulled(lambda x: rules.frozen(x, ones, zeros, 0.0), x, c)
    assert relative_error(frozen, pulled(lambda x: ops.layer_norm(x, ones, zeros, 0.0), x, c)) <= RULE


def test_ratio_of_parts_of_one_sign_is_the_plain_add():
    a, b, c = np.abs(A), np.abs(A[::-1]), drawn(3, 4, seed=1)
    assert relative_error(pulled(lambda a: rules.ratio(a, b), a, c), c) <= RULE
    assert relative_error(pulled(lambda b: rules.ratio(a, b), b, c), c) <= RULE


def test_ratio_never_exceeds_the_relevance_of_the_sum():
    a, c = drawn(50, 4), drawn(50, 4, seed=1)
    b = -a * (1 + 1e-6 * drawn(50, 4, seed=2))  # nearly cancels
    into, out = a * pulled(lambda a: rules.ratio(a, jnp.asarray(b)), a, c), (a + b) * c
    assert (np.abs(into) <= np.abs(out)).all()
    assert np.abs(a * c).max() > 1e5 * np.abs(out).max()  # what the plain add gives


# ---------------------------------------------------------------- by contract


@every_case
def test_forward_is_unchanged(case):
    x, _ = inputs(case)
    assert relative_error(case.rule(jnp.asarray(x)), case.plain(jnp.asarray(x))) <= FORWARD


@every_case
def test_jit_and_vmap_change_nothing(case):
    x, c = inputs(case)
    expected = pulled(case.rule, x, c)
    bound = FORWARD * max(np.abs(expected).max(), 1)
    back = functools.partial(pull_back, case.rule)
    assert np.abs(jax.jit(back)(x, c) - expected).max() <= bound
    stacked = jax.vmap(back)(np.stack([x, 2 * x]), np.stack([c, c]))
    assert np.abs(stacked[0] - expected).max() <= bound
    assert np.abs(stacked[1] - pulled(case.rule, 2 * x, c)).max() <= bound


def pull_back(rule, x, c):
    return jax.vjp(rule, x)[1](c)[0]


@every_case
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_what_goes_back_has_the_dtype_of_the_input(case, dtype):
    x, c = (jnp.asarray(value, dtype) for value in inputs(case))
    with jax.enable_x64(False):
        y, pull = jax.vjp(case.rule, x)
        (found,) = pull(jnp.asarray(c, y.dtype))
    assert found.dtype == x.dtype
    assert np.isfinite(np.asarray(found, np.float64)).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_secant_conserves(name):
    x, c = drawn(3, 5), drawn(3, 5, seed=1)
    into, out = (
        x * pulled(functools.partial(rules.secant, name), x, c),
        ops.activation(name, jnp.asarray(x)) * c,
    )
    assert relative_error(into, out) <= CONSERVATION


def test_halved_conserves():
    c = drawn(3, 5, seed=1)
    to_a = A * pulled(lambda a: rules.halved(MATMUL, a, jnp.asarray(B)), A, c)
    to_b = B * pulled(lambda b: rules.halved(MATMUL, jnp.asarray(A), b), B, c)
    assert abs(to_a.sum() + to_b.sum() - (A @ B * c).sum()) <= CONSERVATION


def test_blended_conserves():
    c, rule = drawn(3, 5, seed=1), with_blend(0.3)
    to_a = A * pulled(lambda a: of_head(rule, a, jnp.asarray(B)), A, c)
    to_b = B * pulled(lambda b: of_head(rule, jnp.asarray(A), b), B, c)
    assert abs(to_a.sum() + to_b.sum() - (A @ B * c).sum()) <= CONSERVATION


def test_frozen_conserves_up_to_the_bias():
    x, c = drawn(3, 5), drawn(3, 5, seed=1)
    into = x * pulled(lambda x: rules.frozen(x, SCALE, SHIFT, EPSILON), x, c)
    out = np.asarray(ops.layer_norm(jnp.asarray(x), SCALE, SHIFT, EPSILON)) * c
    np.testing.assert_allclose(into.sum(axis=1) + (SHIFT * c).sum(axis=1), out.sum(axis=1), rtol=0, atol=CONSERVATION)


def test_ratio_conserves():
    a, b, c = drawn(3, 5), drawn(3, 5, seed=1), drawn(3, 5, seed=2)
    to_a = a * pulled(lambda a: rules.ratio(a, jnp.asarray(b)), a, c)
    to_b = b * pulled(lambda b: rules.ratio(jnp.asarray(a), b), b, c)
    assert relative_error(to_a + to_b, (a + b) * c) <= CONSERVATION


def test_transparent_conserves():
    x, c = drawn(3, 5), drawn(3, 5, seed=1)
    into = x * pulled(lambda x: rules.transparent(x, SCALE, SHIFT, EPSILON, 0.0), x, c)
    assert relative_error(into, np.asarray(ops.layer_norm(jnp.asarray(x), SCALE, SHIFT, EPSILON)) * c) <= CONSERVATION


def test_softmax_of_masked_entries_is_exactly_zero():
    """Also in a row that is masked as a whole, forward and backward."""
    x, c = drawn(3, 5), np.full((3, 5), 1e30)
    assert not np.asarray(ops.softmax(jnp.asarray(x), MASK))[~MASK].any()
    assert not pulled(lambda x: ops.softmax(x, MASK), x, c)[~MASK].any()
