"""Composites on whole models: logits unchanged, conservation, and the raw jax.vjp form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import random_params, tiny_config
from tolerances import BATCH, BFLOAT16, CONSERVATION, FORWARD, RULE

from autorel_jax import relevance
from autorel_jax.bert import Bert
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import ATTNLRP, COMPOSITES, CP_LRP, READ_POINTS, WORD_EMBEDDINGS, Composite, composite
from autorel_jax.ops import PLAIN

NAMES = tuple(COMPOSITES)
CONFIG = tiny_config(labels=("a", "b", "c"))
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, CONFIG.vocab_size, (4, 9)).astype(np.int32)
MASK = (np.arange(9) < np.array([[9], [9], [4], [1]])).astype(np.int32)
TYPES = ((np.arange(9) > 4) * MASK).astype(np.int32)


def settings(name, read_at=None, dtype=None):
    chosen = COMPOSITES[name]
    return relevance.Settings(CONFIG, chosen, read_at or chosen.reads[0], dtype)


def explained(name, params=None, weights=None, ids=IDS, mask=MASK, types=TYPES, **options):
    params = random_params(CONFIG) if params is None else params
    found = relevance.token_relevance(settings(name, **options), params, ids, mask, types, weights)
    return [np.asarray(array) for array in found]


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "relu", "silu", "tanh"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_plain_models(name, hidden_act):
    config = dataclasses.replace(CONFIG, hidden_act=hidden_act)
    params = jax.tree.map(np.float64, random_params(CONFIG))
    with jax.enable_x64(True):
        plain, ruled = (
            jax.jit(Bert(config, ops).apply)({"params": params}, IDS, MASK, TYPES)
            for ops in (PLAIN, COMPOSITES[name].ops)
        )
        assert relative_error(ruled, plain) <= FORWARD


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_rows(name):
    logits, scores = explained(name)
    assert not scores[:, 0][MASK == 0].any()  # padding: exactly 0
    row_logits, row_scores = np.zeros_like(logits), np.zeros_like(scores)
    for row, length in enumerate(MASK.sum(axis=1)):
        alone = (array[row : row + 1, :length] for array in (IDS, MASK, TYPES))
        (row_logits[row],), (row_scores[row, :, :length],) = explained(name, None, None, *alone)
    assert relative_error(row_logits, logits) <= BATCH
    assert relative_error(row_scores, scores) <= BATCH


@pytest.mark.parametrize("name", NAMES)
def test_no_recompilation_on_the_second_call(name):
    explained(name)
    before = relevance.token_relevance._cache_size()
    explained(name, random_params(CONFIG, seed=5), ids=IDS[::-1])
    assert relevance.token_relevance._cache_size() == before


@pytest.mark.parametrize("name", NAMES)
def test_all_classes_from_one_pass_are_each_class_alone(name):
    every = np.broadcast_to(np.eye(3, dtype=np.float32), (4, 3, 3))
    _, together = explained(name, weights=every)
    for label in range(3):
        _, alone = explained(name, weights=every[:, [label]])
        assert relative_error(together[:, label], alone[:, 0]) <= BATCH


@pytest.mark.parametrize("name", ["attnlrp", "cp_lrp", "gradient_x_input"])
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
    """The params with every bias, LayerNorm shift, position and type embedding at zero."""
    names = ("bias", "position", "type")
    return jax.tree.map_with_path(lambda path, leaf: leaf * 0.0 if path[-1].key in names else leaf, params)


@pytest.mark.parametrize("depth", [1, 3])
def test_cp_lrp_conserves_where_nothing_absorbs(depth):
    """Σ R = logit, at the word embeddings, which are then the sum of the embeddings."""
    config = dataclasses.replace(CONFIG, num_hidden_layers=depth)
    params = jax.tree.map(np.float64, without_absorbers(random_params(config, scale=0.5)))
    with jax.enable_x64(True):
        at = relevance.Settings(config, CP_LRP, WORD_EMBEDDINGS)
        logits, scores = relevance.token_relevance(at, params, IDS, MASK, TYPES, None)
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
            relevance.token_relevance(
                relevance.Settings(CONFIG, chosen, WORD_EMBEDDINGS), params, IDS, MASK, TYPES, None
            )[1]
            for chosen in (twin, CP_LRP, ATTNLRP)
        )
        assert relative_error(found, expected) <= RULE
        assert relative_error(other, expected) > 1e6 * RULE  # so the comparison can fail


@pytest.mark.parametrize("read_at", READ_POINTS)
@pytest.mark.parametrize("name", NAMES)
def test_the_raw_form_maps_relevance_to_relevance(classifier, name, read_at):
    """jax.vjp of `logits_of` from R = logit · onehot gives what the library call gives for that label."""
    batch = classifier.batch(["a good film", "bad"])
    if read_at not in COMPOSITES[name].reads:
        with pytest.raises(InputError, match="cannot be read at 'word_embeddings'; accepted: embeddings"):
            classifier.logits_of(name, batch, read_at)
        return
    x = classifier.embeddings(name, batch, read_at)
    logits, vjp = jax.vjp(jax.jit(classifier.logits_of(name, batch, read_at)), x)
    onehot = jnp.eye(logits.shape[1])[jnp.array([2, 0])]
    (found,) = vjp(logits * onehot)
    assert found.shape == x.shape
    expected = relevance.token_relevance(
        classifier.settings(name, read_at), classifier.params, batch.ids, batch.mask, batch.types, onehot[:, None]
    )[1]
    assert relative_error(found.sum(axis=-1), expected[:, 0]) <= BATCH


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_relevance_is_float32_and_close(name):
    _, exact = explained(name)
    _, coarse = explained(name, dtype=jnp.dtype("bfloat16"))
    assert coarse.dtype == np.float32
    assert relative_error(coarse, exact) <= BFLOAT16


def test_an_unknown_method_lists_those_there_are():
    with pytest.raises(
        InputError, match=r"Unknown method 'lrp'\. Available: attnlrp, cp_lrp, gradient_x_input, bert_lrp"
    ):
        composite("lrp")


def test_a_composite_prints_as_its_table():
    assert str(COMPOSITES["bert_lrp"]).splitlines() == [
        "linear      signed_weights",
        "contract    plain",
        "add         plain",
        "softmax     plain",
        "layer_norm  plain",
        "activation  skipped",
        "residual    whole_block",
        "stabilizer = 1e-07",
    ]
