"""Composites on whole models: logits unchanged, conservation, and the raw jax.vjp form."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import random_params, refusal, tiny_config
from questions import token_relevance
from tolerances import BATCH, BFLOAT16, CONSERVATION, FORWARD, RULE, SAME_TEXT

from autorel_jax.attribution import relevance
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import load
from autorel_jax.errors import InputError
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composites import (
    ATTNLRP,
    COMPOSITES,
    CP_LRP,
    EMBEDDING_SUM,
    EMBEDDINGS,
    MOST,
    MULTIPLIER,
    RULES,
    WORD_EMBEDDINGS,
    Composite,
    composite,
)
from autorel_jax.model.encoder import Bert
from autorel_jax.model.ops import PLAIN

NAMES = tuple(COMPOSITES)
CONFIG = tiny_config(labels=("a", "b", "c"))
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, CONFIG.vocab_size, (4, 9)).astype(np.int32)
MASK = (np.arange(9) < np.array([[9], [9], [4], [1]])).astype(np.int32)
TYPES = ((np.arange(9) > 4) * MASK).astype(np.int32)


def settings(method, read_at=None, dtype=None):
    chosen = composite(method)
    return Settings(CONFIG, chosen, read_at or chosen.reads[0], dtype)


def explained(name, params=None, weights=None, ids=IDS, mask=MASK, types=TYPES, **options):
    params = random_params(CONFIG) if params is None else params
    at = settings(name, **options)
    return [np.asarray(array) for array in token_relevance(at, params, ids, mask, types, weights, at.values)]


@functools.cache
def logits(hidden_act, table):
    """In float64, of a model with that activation that computes with that table."""
    config = dataclasses.replace(CONFIG, hidden_act=hidden_act)
    params = jax.tree.map(np.float64, random_params(CONFIG))
    with jax.enable_x64(True):
        return np.asarray(jax.jit(Bert(config, table).apply)({"params": params}, IDS, MASK, TYPES))


@pytest.mark.parametrize(
    ("name", "hidden_act"),
    [(name, "gelu") for name in NAMES]  # rules of activations are in these two
    + [(name, act) for name in ("attnlrp", "bert_lrp") for act in ("gelu_new", "relu", "silu", "tanh")],
)
def test_logits_are_the_plain_models(name, hidden_act):
    assert relative_error(logits(hidden_act, COMPOSITES[name].ops), logits(hidden_act, PLAIN)) <= FORWARD


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_rows(name):
    logits, scores = explained(name)
    assert not scores[:, 0][MASK == 0].any()  # padding: exactly 0
    row_logits, row_scores = logits.copy(), scores.copy()
    for row in range(4) if name in ("attnlrp", "bert_lrp") else (2,):  # each length is a program of its own
        length = MASK[row].sum()
        alone = (array[row : row + 1, :length] for array in (IDS, MASK, TYPES))
        (row_logits[row],), (row_scores[row, :, :length],) = explained(name, None, None, *alone)
    assert relative_error(row_logits, logits) <= BATCH
    assert relative_error(row_scores, scores) <= BATCH


@pytest.mark.parametrize("name", NAMES)
def test_no_recompilation_on_the_second_call(name):
    """Nor for other values of its parameters, which change the result."""
    _, first = explained(name)
    before = token_scores._cache_size()
    explained(name, random_params(CONFIG, seed=5), ids=IDS[::-1])
    for parameter in COMPOSITES[name].record():
        _, other = explained(COMPOSITES[name].set({parameter: MOST.get(parameter, 1.3)}))
        assert relative_error(other, first) > BATCH
    assert token_scores._cache_size() == before


def test_a_value_for_each_layer():
    _, single = explained(COMPOSITES["gamma"].set(gamma=0.3))
    _, equal = explained(COMPOSITES["gamma"].set(gamma=[0.3, 0.3, 0.3]))
    assert relative_error(equal, single) <= SAME_TEXT
    for layer in range(3):
        _, other = explained(COMPOSITES["gamma"].set(gamma=[0.3 if place != layer else 9.0 for place in range(3)]))
        assert relative_error(other, single) > BATCH
    said = refusal(explained, COMPOSITES["gamma"].set(gamma=[1, 2]))
    assert said.startswith("linear.gamma has 2 values but the model has 3 layers; give one number, or one for each")


def blended(blend, params):
    return explained(COMPOSITES["blend"].set(blend=blend), params)[1]


def test_blend_counts_layers_from_the_input():
    """Where the attention of a layer adds nothing, its value does not matter."""
    params = jax.tree.map(np.float64, random_params(CONFIG))
    stack = params["layers"]["attention_output"]["kernel"]
    stack[0] = 0
    with jax.enable_x64(True):
        whole, first, last = (blended(blend, params) for blend in ([1, 1, 1], [0, 1, 1], [1, 1, 0]))
        assert relative_error(first, whole) <= RULE
        assert relative_error(last, whole) > 1e6 * RULE


def test_the_middle_is_the_mean_of_all_ways_to_choose_in_each_layer():
    """What a layer passes back is affine in its value, so that the whole is affine in each layer's."""
    params = jax.tree.map(np.float64, random_params(CONFIG))
    with jax.enable_x64(True):
        corners = [blended(blend, params) for blend in itertools.product([0, 1], repeat=3)]
        assert relative_error(blended([0.5] * 3, params), np.mean(corners, axis=0)) <= RULE
        assert relative_error(explained("blend", params)[1], np.mean(corners, axis=0)) <= RULE


@pytest.mark.parametrize("name", NAMES)
def test_all_classes_from_one_pass_are_each_class_alone(name):
    every = np.broadcast_to(np.eye(3, dtype=np.float32), (4, 3, 3))
    _, together = explained(name, weights=every)
    for label in range(3):
        _, alone = explained(name, weights=every[:, [label]])
        assert relative_error(together[:, label], alone[:, 0]) <= BATCH


@pytest.mark.parametrize("name", [name for name in NAMES if COMPOSITES[name].boundary is MULTIPLIER])
def test_a_contrast_is_the_difference_of_its_classes(name):
    eye = np.broadcast_to(np.eye(3, dtype=np.float32), (4, 3, 3))
    _, each = explained(name, weights=eye)
    _, contrast = explained(name, weights=eye[:, [0]] - eye[:, [2]])
    assert relative_error(contrast[:, 0], each[:, 0] - each[:, 2]) <= BATCH


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_the_predicted_class_is_explained(name):
    logits, predicted = explained(name)
    onehot = np.eye(3, dtype=np.float32)[logits.argmax(axis=1)]
    _, chosen = explained(name, weights=onehot[:, None])
    assert relative_error(predicted, chosen) <= BATCH


def without_absorbers(params):
    """The params with every bias and LayerNorm shift at zero."""
    return jax.tree.map_with_path(lambda path, leaf: leaf * 0.0 if path[-1].key == "bias" else leaf, params)


CONSERVING = {
    "lrp_0": CP_LRP,
    "epsilon": CP_LRP.derive("epsilon", linear=linear.epsilon).set(epsilon=1e-13),
    "gamma": CP_LRP.derive("gamma", linear=linear.gamma),
    "alpha_beta": CP_LRP.derive("alpha_beta", linear=linear.alpha_beta).set(stabilizer=0),
    "zplus": CP_LRP.derive("zplus", linear=linear.zplus).set(stabilizer=0),
    "ratio": CP_LRP.derive("ratio", add=rules.ratio),
    "transparent": CP_LRP.derive("transparent", layer_norm=rules.transparent, add=rules.ratio).set(stabilizer=0),
}


@pytest.mark.parametrize(("name", "depth"), [("lrp_0", 1), *((name, 3) for name in CONSERVING)])
def test_relevance_is_conserved_where_nothing_absorbs(name, depth):
    """Σ R = logit at the sum of the embeddings: without biases and with the softmax of CP-LRP."""
    config = dataclasses.replace(CONFIG, num_hidden_layers=depth)
    params = jax.tree.map(np.float64, without_absorbers(random_params(config, scale=0.5)))
    with jax.enable_x64(True):
        at = Settings(config, CONSERVING[name], EMBEDDING_SUM)
        logits, scores = token_relevance(at, params, IDS, MASK, TYPES, None, at.values)
        np.testing.assert_allclose(scores.sum(axis=(1, 2)), logits.max(axis=1), rtol=CONSERVATION)


def constant_weights(scores, mask):
    """Attention weights by their definition, as constants."""
    masked = jnp.where(mask, scores, -jnp.inf)
    return jax.lax.stop_gradient(jnp.exp(masked) / jnp.exp(masked).sum(axis=-1, keepdims=True))


def test_attnlrp_with_constant_attention_and_plain_products_is_cp_lrp():
    twin = Composite(dataclasses.replace(ATTNLRP.ops, softmax=constant_weights, contract=jnp.einsum))
    params = jax.tree.map(np.float64, random_params(CONFIG))
    with jax.enable_x64(True):
        found, expected, other = (
            token_relevance(Settings(CONFIG, chosen, WORD_EMBEDDINGS), params, IDS, MASK, TYPES, None, {})[1]
            for chosen in (twin, CP_LRP, ATTNLRP)
        )
        assert relative_error(found, expected) <= RULE
        assert relative_error(other, expected) > 1e6 * RULE  # so the comparison can fail


@pytest.mark.parametrize(
    ("method", "other"),
    [
        (COMPOSITES["epsilon"].set(epsilon=0), ATTNLRP),
        (COMPOSITES["gamma"].set(gamma=0), ATTNLRP),
        (COMPOSITES["alpha_beta"].set(alpha=1), COMPOSITES["zplus"]),
        (COMPOSITES["blend"].set(blend=0), CP_LRP),
        (COMPOSITES["blend"].set(blend=1), ATTNLRP),
    ],
    ids=["epsilon 0", "gamma 0", "alpha 1", "blend 0", "blend 1"],
)
def test_composites_that_are_another(method, other):
    params = jax.tree.map(np.float64, random_params(CONFIG))
    with jax.enable_x64(True):
        assert relative_error(explained(method, params)[1], explained(other, params)[1]) <= RULE


def test_relevance_at_the_sum_of_embeddings_splits_into_its_parts():
    """What the words get there by their share of the sum is what is read at the words."""
    params = random_params(CONFIG)
    at = settings("attnlrp", EMBEDDING_SUM)
    total = relevance.embeddings(at, params, IDS, TYPES)
    f = relevance.from_embeddings(at, params, MASK, TYPES, {})
    read = jax.jit(jax.grad(lambda x: f(x).max(axis=-1).sum()))(total)  # x c, as it passes the boundary
    words = relevance.embeddings(settings("attnlrp"), params, IDS, TYPES)
    shares = np.asarray(read / total * words).sum(axis=-1)
    assert relative_error(shares, explained("attnlrp", params)[1][:, 0]) <= BATCH


@pytest.mark.parametrize(
    ("name", "read_at"),
    [(name, COMPOSITES[name].reads[0]) for name in NAMES]
    + [("attnlrp", EMBEDDING_SUM), ("attnlrp", EMBEDDINGS)]
    + [("bert_lrp", WORD_EMBEDDINGS), ("bert_lrp", EMBEDDING_SUM)],
)
def test_the_raw_form_maps_relevance_to_relevance(model_folder, classifier, name, read_at):
    """jax.vjp of `logits_of` from R = logit · onehot gives what the library call gives for that label."""
    if read_at not in COMPOSITES[name].reads:
        with pytest.raises(InputError, match=f"cannot be read at '{read_at}'; accepted: embeddings"):
            classifier.logits_of(name, classifier.batch(["bad"]), read_at)
        return
    with jax.enable_x64(True):  # two programs; in float32 bert_lrp_jacobian's sums differ by their rounding, 1e-5
        exact = load(model_folder, dtype="float64")
        batch = exact.batch(["a good film", "bad"])
        x = exact.embeddings(name, batch, read_at)
        logits, vjp = jax.vjp(jax.jit(exact.logits_of(name, batch, read_at)), x)
        onehot = jnp.eye(logits.shape[1])[jnp.array([2, 0])]
        (found,) = vjp(logits * onehot)
        assert found.shape == x.shape
        at = exact.settings(name, read_at)
        expected = token_relevance(at, exact.params, batch.ids, batch.mask, batch.types, onehot[:, None], at.values)[1]
        assert relative_error(found.sum(axis=-1), expected[:, 0]) <= RULE


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_relevance_is_float32_and_close(name):
    _, exact = explained(name)
    _, coarse = explained(name, dtype=jnp.dtype("bfloat16"))
    assert coarse.dtype == np.float32
    assert relative_error(coarse, exact) <= BFLOAT16


def test_a_blend_beyond_its_ends_is_refused():
    for value in (-0.1, 1.1, float("nan"), [0.5, 2], "half"):
        said = refusal(COMPOSITES["blend"].set, blend=value)
        assert said.endswith("expected a number from 0 to 1, or a list of one for each layer."), said
    said = refusal(explained, COMPOSITES["blend"].set(blend=[0, 1]))
    assert said.startswith("contract.blend has 2 values but the model has 3 layers; give one number, or one for each")


def test_an_unknown_method_lists_those_there_are():
    assert refusal(composite, "lrp") == f"Unknown method 'lrp'. Available: {', '.join(NAMES)}."


def test_a_composite_prints_as_its_table():
    assert str(COMPOSITES["bert_lrp_jacobian"]).splitlines() == [
        "linear            signed_weights  stabilizer = 1e-07",
        "contract          plain",
        "add               plain",
        "softmax           plain",
        "layer_norm        plain",
        "activation        skipped",
        "position_product  plain",
        "position_bias     plain",
        "gate              plain",
        "attention         jacobian        stabilizer = 1e-07",
        "residual          whole_block",
    ]
    made = ATTNLRP.derive("mine", linear=linear.alpha_beta).set(alpha=[1, 2])
    assert str(made).splitlines()[0] == "linear            alpha_beta   alpha = (1.0, 2.0), stabilizer = 1e-09"


def test_every_rule_in_a_composite_can_be_named():
    """In a composite file, and so in docs/rules.md."""
    for made in COMPOSITES.values():
        for op, name in made.rules.items():
            assert name in ("plain", *(rule.__name__ for rule in RULES[made.boundary].get(op, ()))), (made.name, op)
