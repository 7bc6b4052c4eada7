"""The ledger: what each op absorbs by hand and against other ways to it, and that all of it adds up to the target."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import random_params, refusal, tiny_config
from questions import token_readouts, token_relevance
from test_composites import CONSERVING, without_absorbers
from test_rules import BIAS, KERNEL, drawn
from tolerances import BATCH, CONSERVATION, LEDGER_FLOAT32, LEDGER_FLOAT64, RULE

from autorel_jax.attribution import relevance
from autorel_jax.attribution.method import Absorbed
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composites import COMPOSITES, EMBEDDING_SUM, EMBEDDINGS, MULTIPLIER, READ_POINTS, WORD_EMBEDDINGS
from autorel_jax.lrp.taps import READOUTS, Audited
from autorel_jax.model import ops
from autorel_jax.report.ledger import NAMES, ledger_of

CONFIG = tiny_config(labels=("a", "b", "c"))
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, CONFIG.vocab_size, (4, 9)).astype(np.int32)
MASK = (np.arange(9) < np.array([[9], [9], [4], [1]])).astype(np.int32)  # ragged, padded
TYPES = ((np.arange(9) > 4) * MASK).astype(np.int32)  # a second segment
TARGETS = np.concatenate([np.eye(3), [[1, 0, -1]]]).astype(np.float32)  # each class, a contrast
ABLE = {name: method for name, method in COMPOSITES.items() if method.boundary is MULTIPLIER}
OTHERS = {
    "ratio, transparent": COMPOSITES["alpha_beta"].derive("own", layer_norm=rules.transparent, add=rules.ratio),
    "detached, halved": COMPOSITES["attnlrp"].derive("own", softmax=rules.detached),
}
METHODS = ABLE | OTHERS
SOME = ("attnlrp", "cp_lrp", "epsilon")  # each method is a program to compile, which takes seconds
EACH = [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


def settings(method, read_at=WORD_EMBEDDINGS, config=CONFIG, audit=True, readouts=READOUTS, neurons=5):
    return Settings(config, method, read_at, None, audit, readouts, neurons)


def read(at, dtype, params=None, weights=TARGETS, rows=slice(None)):
    """Logits, relevance of the tokens and readings, for N targets of each row."""
    params = random_params(at.config, scale=0.2) if params is None else params
    ids, mask, types = (array[rows] for array in (IDS, MASK, TYPES))
    with jax.enable_x64(dtype == np.float64):
        params = jax.tree.map(dtype, params)
        weights = np.broadcast_to(weights, (len(ids), *np.shape(weights)))
        given = params, ids, mask, types, weights, at.values
        return jax.tree.map(np.asarray, token_readouts(at, *given))


@functools.cache
def found(name, dtype=np.float64):
    """`read` of a method of METHODS with everything asked for."""
    return read(settings(METHODS[name]), dtype)


def items_of(scores, readings):
    """All items of each text and target: [B, N, I]."""
    kept = np.concatenate(list(readings["absorbed"].values()), axis=-1)
    sides = [readings[name] for name in ("positions", "segments") if name in readings]
    return np.concatenate([scores, *sides, kept], axis=-1).astype(np.float64)


def gap(logits, scores, readings, weights=TARGETS):
    """The largest |target - Σ items| / Σ|items| over texts and targets."""
    items = items_of(scores, readings)
    return np.max(np.abs(logits @ weights.T - items.sum(axis=-1)) / np.abs(items).sum(axis=-1))


# ---------------------------------------------------------------- it closes


@pytest.mark.parametrize("name", EACH)
def test_it_closes_in_float64(name):
    assert gap(*found(name)) <= LEDGER_FLOAT64


@pytest.mark.parametrize(
    "name", ["attnlrp", *(pytest.param(name, marks=pytest.mark.slow) for name in ABLE if name != "attnlrp")]
)
def test_it_closes_in_float32(name):
    assert gap(*found(name, np.float32)) <= LEDGER_FLOAT32


@pytest.mark.parametrize(
    ("read_at", "depth"),
    [pytest.param(EMBEDDING_SUM, 3, marks=pytest.mark.slow), (EMBEDDINGS, 1), (WORD_EMBEDDINGS, 1)],
)
def test_it_closes_wherever_it_is_read_and_for_one_layer(read_at, depth):
    config = dataclasses.replace(CONFIG, num_hidden_layers=depth)
    logits, scores, readings = read(settings(METHODS["epsilon"], read_at, config, readouts=()), np.float64)
    assert gap(logits, scores, readings) <= LEDGER_FLOAT64
    assert ("positions" in readings) == (read_at == WORD_EMBEDDINGS)
    assert readings["absorbed"]["linear.bias"].shape == (4, 4, depth + 2)
    before = readings["absorbed"]["layer_norm.bias"][..., 0]  # that of the embeddings: behind it where it is read there
    assert before.any() == (read_at != EMBEDDINGS)


@pytest.mark.parametrize("name", EACH)
def test_what_layers_absorb_is_the_difference_of_their_relevance(name):
    """The read-out of the residual stream and the ledger agree layer by layer, and both with the two ends."""
    logits, scores, readings = found(name)
    stream, kept = readings["layers"].sum(axis=-1), sum(readings["absorbed"].values())
    sides = (scores + readings["positions"] + readings["segments"]).sum(axis=-1)
    ends = np.concatenate([sides[..., None], stream, (logits @ TARGETS.T)[..., None]], axis=-1)
    assert relative_error(np.diff(ends, axis=-1), kept) <= CONSERVATION
    assert readings["logits"] == pytest.approx(logits @ TARGETS.T, rel=RULE)


@pytest.mark.parametrize("name", ["attnlrp", pytest.param("gamma", marks=pytest.mark.slow)])
def test_logits_and_scores_are_those_without_it(name):
    logits, scores, _ = found(name)
    at = settings(METHODS[name], audit=False, readouts=())
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.2))
        weights = np.broadcast_to(TARGETS, (4, 4, 3))
        expected = token_relevance(at, params, IDS, MASK, TYPES, weights, at.values)
        assert relative_error(logits, expected[0]) <= RULE
        assert relative_error(scores, expected[1]) <= RULE


@pytest.mark.parametrize("name", EACH)
def test_a_contrast_is_the_difference_of_its_ledgers(name):
    _, scores, readings = found(name)
    items = items_of(scores, readings)
    assert relative_error(items[:, 0] - items[:, 2], items[:, 3]) <= RULE


def test_padding_absorbs_nothing():
    _, scores, readings = found("attnlrp", np.float32)
    alone = read(settings(METHODS["attnlrp"]), np.float32, rows=slice(2, 3))
    assert relative_error(items_of(*alone[1:])[0], items_of(scores, readings)[2]) <= BATCH
    for name in ("positions", "segments", "layers", "attention", "heads"):
        assert not np.moveaxis(readings[name], -1, 1)[MASK == 0].any()


# ---------------------------------------------------------------- by hand


def absorbed(audited, *arguments, c=1.0, taps, **parameters):
    """What an op absorbs, for each tap and text, where the multiplier c arrives."""

    def f(taps):
        return audited(*arguments, taps=taps, **parameters)

    with jax.enable_x64(True):
        arguments = [jnp.asarray(a, float) if isinstance(a, list | np.ndarray) else a for a in arguments]
        out, pull = jax.vjp(f, {name: jnp.zeros(len(arguments[audited.inputs[0]])) for name in taps})
        return {
            name: found.tolist() for name, found in pull(jnp.broadcast_to(jnp.asarray(c, float), out.shape))[0].items()
        }


def test_linear_by_hand():
    # z = 1·3 + 2·4 + 5 = 16, c = 2: R = 32, of it 22 to x and 10 to the bias
    x, kernel, bias = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    plain = absorbed(Audited(ops.linear, (0,), 2), x, kernel, bias, c=2.0, taps=("rule", "bias"))
    assert plain == {"rule": [0.0], "bias": [10.0]}
    # ε = 16 halves the multiplier: 11 to x, 5 to the bias, 16 kept
    rule = Audited(linear.epsilon, (0,), 2)
    assert absorbed(rule, x, kernel, bias, c=2.0, taps=("rule", "bias"), epsilon=16.0) == {
        "rule": [16.0],
        "bias": [5.0],
    }


def test_layer_norm_by_hand():
    # y = [-1, 1] · [2, 3] + [1, 1] = [-1, 4], c = 1: R = 3, of it 2 to β; the plain gradient is 0 for x, so 1 stays
    x, scale, shift = np.array([[1.0, 3.0]]), np.array([2.0, 3.0]), np.array([1.0, 1.0])
    for rule, kept in ((rules.frozen, 0.0), (ops.layer_norm, 1.0)):
        found = absorbed(Audited(rule, (0,), 2), x, scale, shift, 0.0, taps=("rule", "bias"))
        assert found == {"rule": [pytest.approx(kept, abs=RULE)], "bias": [2.0]}


def test_the_product_by_hand():
    # [1, 2] · [3, 4] = 11 with c = 1: each factor's gradient holds 11, half of it with the rule
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    for rule, kept in ((rules.halved, 0.0), (ops.contract, -11.0)):
        found = absorbed(Audited(rule, (1, 2)), "bi,bi->b", a, b, taps=("rule",))
        assert found == {"rule": [kept]}


# ---------------------------------------------------------------- against other ways to it

LINEAR = [
    (ops.linear, {}),
    (linear.epsilon, {"epsilon": 0.5}),
    (linear.gamma, {"gamma": 0.25}),
    (linear.alpha_beta, {"alpha": 2.0, "stabilizer": 0.1}),
    (linear.zplus, {"stabilizer": 0.1}),
]


@pytest.mark.parametrize(("rule", "parameters"), LINEAR, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bias_is_the_weight_of_an_input_that_is_1(rule, parameters):
    """Its multiplier, for each row, is the one that the rule gives to such an input of the same map without a bias."""
    with jax.enable_x64(True):
        x, c = jnp.asarray(drawn(3, 4)), jnp.asarray(drawn(3, 5, seed=7))
        kernel, bias = jnp.asarray(KERNEL), jnp.broadcast_to(BIAS, (3, 5))
        more, wide = jnp.concatenate([x, jnp.ones((3, 1))], axis=1), jnp.concatenate([kernel, BIAS[None]])
        (expected,) = jax.vjp(lambda x: rule(x, wide, jnp.zeros(5), **parameters), more)[1](c)
        to_x, to_bias = jax.vjp(lambda x, bias: rule(x, kernel, bias, **parameters), x, bias)[1](c)
        assert relative_error(to_x, expected[:, :-1]) <= RULE
        assert relative_error((bias * to_bias).sum(axis=1), expected[:, -1]) <= RULE


def test_the_items_of_biases_are_bias_times_gradient():
    """By the gradient with respect to the parameters, of one text: no tap takes part."""
    at = settings(METHODS["attnlrp"], audit=False, readouts=())
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.2))
        row = [jnp.asarray(array[:1]) for array in (IDS, MASK, TYPES)]
        x = relevance.embeddings(at, params, row[0], row[2])

        def first_logit(params):
            return relevance.from_embeddings(at, params, row[1], row[2], {})(x)[0, 0]

        shares = jax.tree.map(lambda p, g: np.asarray(p * g), params, jax.jit(jax.grad(first_logit))(params))
    kept = found("attnlrp")[2]["absorbed"]
    maps = ("query", "key", "value", "attention_output", "inner", "output")
    for item, names, outside in (
        ("linear.bias", maps, (0, shares["pooler"]["bias"].sum() + shares["classifier"]["bias"].sum())),
        ("layer_norm.bias", ("attention_norm", "output_norm"), (shares["embeddings"]["norm"]["bias"].sum(), 0)),
    ):
        stack = sum(shares["layers"][name]["bias"].sum(axis=1) for name in names)
        last = sum(shares["last_layer"][name]["bias"].sum() for name in names)
        assert relative_error(kept[item][0, 0], [outside[0], *stack, last, outside[1]]) <= RULE


@pytest.mark.parametrize("name", ["gamma", pytest.param("transparent", marks=pytest.mark.slow)])
def test_nothing_is_absorbed_where_relevance_is_conserved(name):
    at = settings(CONSERVING[name], EMBEDDING_SUM, readouts=())
    logits, scores, readings = read(at, np.float64, without_absorbers(random_params(CONFIG, scale=0.5)))
    size = np.abs(scores).sum(axis=-1).min()
    assert all(np.abs(kept).max() <= CONSERVATION * size for kept in readings["absorbed"].values())
    assert gap(logits, scores, readings) <= LEDGER_FLOAT64


@pytest.mark.slow
def test_what_each_method_absorbs():
    """Rules that conserve have no items but biases; what the others keep is where their docstrings say."""

    def keeps(name):
        _, scores, readings = found(name)
        size = np.abs(items_of(scores, readings)).sum(axis=-1).max()
        return {item for item, kept in readings["absorbed"].items() if np.abs(kept).max() > RULE * size}

    biases = {"linear.bias", "layer_norm.bias"}
    assert keeps("cp_lrp") == biases
    assert keeps("attnlrp") == keeps("gamma") == keeps("blend") == biases | {"softmax"}
    assert keeps("epsilon") == biases | {"softmax", "linear"}
    assert keeps("gradient_x_input") == biases | {"softmax", "contract", "layer_norm", "activation"}
    assert keeps("ratio, transparent") == {
        "linear.bias",
        "linear",
        "softmax",
        "layer_norm",
    }  # its LayerNorm has no shift


# ---------------------------------------------------------------- what it refuses, what it says


@pytest.mark.parametrize("name", ["bert_lrp", "bert_lrp_jacobian"])
def test_methods_without_a_ledger_say_why(name):
    for asked in ({"audit": True}, {"readouts": ("heads",)}):
        said = refusal(Settings, CONFIG, COMPOSITES[name], EMBEDDINGS, **asked)
        assert said.startswith(f"{name} has no audit and no read-outs: its rules rescale relevance")
        assert said.endswith(f"Methods that have them: {', '.join(ABLE)}.")


def own_attention(table, query, key, value, mask, drop=None):
    return ops.attention(table, query, key, value, mask)


def test_what_cannot_be_read_is_refused():
    method = COMPOSITES["attnlrp"].derive("mine", attention=own_attention)
    assert "mine has no audit and no read-outs: its rule for attention" in refusal(settings, method)
    said = refusal(settings, METHODS["attnlrp"], readouts=("logits",))
    assert said == f"Unknown read-out 'logits'. Available: {', '.join(READOUTS)}."
    for read_at in READ_POINTS[1:]:
        said = refusal(settings, METHODS["attnlrp"], read_at, readouts=("segments",))
        assert said.startswith("The read-out 'segments' needs read_at='word_embeddings'; at ")


def ledger(value, words, special=0.0, **kept):
    """A ledger of two tokens, with what a model of one layer absorbs in it."""
    items = {item: np.array([0.0, kept.get(item.replace(".", "_"), 0.0), 0.0]) for item in NAMES}
    absorbed = Absorbed(items, np.array(value))
    return ledger_of(value, np.array([special, words]), np.array([True, False]), absorbed, function=False)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (
            ledger(2.0, 0.06, 0.06, linear_bias=1.5, layer_norm_bias=0.38),
            "94 % of this logit sits in biases, 6 % in the tokens: read the scores as relative to each other, not as "
            "parts of it.",
        ),
        (
            ledger(-1.0, -2.0, softmax=1.0),
            "-100 % of this logit sits in softmax, 200 % in the tokens: read the scores as "
            "relative to each other, not as parts of it.",
        ),
        (ledger(2.0, 1.9, linear_bias=0.1), "The scores account for 95 % of this logit: read them as its parts."),
        (
            ledger(0.01, 3.0, linear_bias=-2.99),
            "This logit (0.01) is what is left of parts of 5.99 in all that cancel: read the scores as relative to "
            "each other.",
        ),
        (ledger(0.0, 0.0), "Nothing reaches the tokens, and nothing is absorbed: the scores say nothing."),
        (ledger(float("nan"), 1.0), "Some items are not finite numbers: the scores say nothing."),
    ],
)
def test_the_conclusion(kept, said):
    assert kept.conclusion == said


def test_its_rows_leave_out_what_is_negligible():
    kept = ledger(2.0, 0.5, linear_bias=1.5, softmax=1e-9)
    assert kept.rows == [("words", 0.5, ""), ("biases of linear layers", 1.5, "layer 1")]
    assert kept.rounding == pytest.approx(-1e-9, abs=1e-15)
