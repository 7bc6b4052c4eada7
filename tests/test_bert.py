"""BERT itself: padding, dropout, dtypes, rematerialisation, and what it refuses. Parity: test_bert_parity.py."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import random_params, tiny_config
from tolerances import BATCH, BFLOAT16, DROPPED, FORWARD, INIT_DEVIATION, REMATERIALISED

from autorel_jax.errors import InputError
from autorel_jax.model.config import BertConfig
from autorel_jax.model.config_file import parse_config
from autorel_jax.model.encoder import Bert, init, shapes


def batch(config, rows=3, length=7, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, config.vocab_size, (rows, length))
    return ids, np.ones_like(ids), np.zeros_like(ids)


def logits(config, params, *inputs, **options):
    model = Bert(config, **{key: options.pop(key) for key in ("dtype", "remat") if key in options})
    return model.apply({"params": params}, *inputs, **options)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_padding_changes_nothing(layers):
    config = tiny_config(num_hidden_layers=layers)
    params = random_params(config)
    ids, mask, types = batch(config)
    alone = logits(config, params, ids, mask, types)
    padded = [np.pad(array, ((0, 2), (0, 5))) for array in (ids, mask, types)]
    padded[0][:, 7:] = 11  # what stands under the padding must not matter
    together = logits(config, params, *padded)
    assert relative_error(together[:3], alone) <= BATCH
    assert np.isfinite(together).all()  # rows without any token too


def test_inputs_embeds_are_the_rows_of_the_table():
    config = tiny_config()
    params = random_params(config)
    ids, mask, types = batch(config)
    words = params["embeddings"]["word"][ids]
    found = logits(config, params, None, mask, types, inputs_embeds=words)
    np.testing.assert_array_equal(found, logits(config, params, ids, mask, types))


def test_rematerialisation_changes_neither_logits_nor_gradients():
    config = tiny_config()
    params = random_params(config)
    inputs = batch(config)

    def loss(params, remat):
        key = {"dropout": jax.random.key(1)}
        return logits(config, params, *inputs, remat=remat, deterministic=False, rngs=key).sum()

    (plain, plain_grad), (again, again_grad) = (
        jax.jit(jax.value_and_grad(loss), static_argnums=1)(params, remat) for remat in (False, True)
    )
    assert relative_error(again, plain) <= REMATERIALISED
    differences = jax.tree.map(lambda a, b: np.abs(a - b).max(), plain_grad, again_grad)
    assert max(jax.tree.leaves(differences)) <= REMATERIALISED
    # What is recomputed: the layers of the scan, and the last one.
    for remat, times in ((False, 0), (True, 2)):
        program = str(jax.make_jaxpr(jax.grad(loss), static_argnums=1)(params, remat))
        assert len(re.findall(r"= (?:remat\d?|checkpoint)\[", program)) == times


def test_dropout_is_the_keys_and_only_the_keys():
    config = tiny_config(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    params, inputs = random_params(config), batch(config)

    @jax.jit
    def dropped(key):
        return logits(config, params, *inputs, deterministic=False, rngs={"dropout": key})

    once, again, other = (dropped(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > DROPPED
    assert np.abs(once - logits(config, params, *inputs)).max() > DROPPED


def test_dropout_of_rate_zero_changes_nothing():
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    config = tiny_config(**rates)
    params, inputs = random_params(config), batch(config)
    dropped = logits(config, params, *inputs, deterministic=False, rngs={"dropout": jax.random.key(0)})
    np.testing.assert_array_equal(dropped, logits(config, params, *inputs))


def test_dropout_without_a_key_is_refused():
    config = tiny_config()
    with pytest.raises(Exception, match="dropout"):
        logits(config, random_params(config), *batch(config), deterministic=False)


def test_bfloat16_products_give_float32_logits():
    config = tiny_config()
    params, inputs = random_params(config), batch(config)
    exact, coarse = (logits(config, params, *inputs, dtype=dtype) for dtype in (None, jnp.bfloat16))
    assert coarse.dtype == jnp.float32
    assert 0 < relative_error(coarse, exact) <= BFLOAT16


def test_float64():
    config = tiny_config()
    params, inputs = jax.tree.map(np.float64, random_params(config)), batch(config)
    with jax.enable_x64(True):
        found = logits(config, params, *inputs)
        assert found.dtype == jnp.float64
        again = jax.jit(lambda params: logits(config, params, *inputs))(params)
        assert relative_error(again, found) <= FORWARD


def test_a_length_beyond_the_positions_is_refused():
    config = tiny_config(max_position_embeddings=6)
    with pytest.raises(InputError, match="7 tokens exceed the model's 6 positions; use at most 6"):
        logits(config, random_params(config), *batch(config))


def test_init_is_berts():
    config = tiny_config(initializer_range=0.02, hidden_size=64)
    params = init(config, jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes(config))
    words = params["embeddings"]["word"]
    assert np.abs(words).max() <= 2 * 0.02  # cut at two standard deviations, which leaves 0.88 of one
    assert np.std(words) == pytest.approx(0.88 * 0.02, rel=INIT_DEVIATION)
    assert not params["last_layer"]["query"]["bias"].any()
    assert (params["layers"]["output_norm"]["scale"] == 1).all()


def test_an_encoder_has_no_classifier():
    assert "classifier" not in shapes(tiny_config(labels=()))


RAW = {
    "model_type": "bert",
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "longformer"}, "model_type='longformer' is not supported; accepted: 'bert', 'roberta'"),
        ({"architectures": ["BertForMultipleChoice"]}, "architecture 'BertForMultipleChoice'"),
        ({"architectures": ["BertForTokenClassification", "BertForQuestionAnswering"]}, "architectures names several"),
        ({"architectures": ["BertLMHeadModel"]}, "architecture 'BertLMHeadModel'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"is_decoder": True}, "is_decoder=True"),
        ({"add_cross_attention": True}, "add_cross_attention=True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads="),
        ({"pooling_mode": "mean"}, "pooling_mode='mean' is not supported; BERT's head reads \\[CLS\\]"),
        ({"classifier_pooling": "mean"}, "classifier_pooling='mean'"),
        ({"num_attention_heads": 3}, "num_attention_heads=3 does not divide hidden_size=16"),
        ({"hidden_act": "mish"}, "hidden_act='mish' is unknown; accepted: gelu"),
        ({"hidden_act": ["gelu"]}, "hidden_act=\\['gelu'\\]: expected a name"),
        ({"architectures": 3}, "architectures=3: expected a list of names"),
        ({"hidden_act": None, "problem_type": "ranking"}, "problem_type='ranking' is unknown"),
        ({"hidden_size": None}, "the config lacks hidden_size"),
        ({"hidden_size": "16"}, "hidden_size='16': expected a number"),
        ({"hidden_size": 16.5}, "hidden_size=16.5 in the model's config: expected a whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers=0"),
        ({"vocab_size": True}, "vocab_size=True"),
        ({"layer_norm_eps": -1}, "layer_norm_eps=-1"),
        ({"layer_norm_eps": 10**400}, "expected a finite number of at least 0"),
        ({"num_labels": "two"}, "num_labels='two'"),
        ({"num_labels": 10**400}, "expected no more than 1048576."),
        ({"id2label": {"0": "a", "00": "b", "1": "c"}}, "has one id twice; expected 0, 1, 2"),
        ({"id2label": {"1": "a", "2": "b"}}, "id2label has the ids \\[1, 2\\]; expected 0, 1, 2"),
        ({"id2label": ["a", "b"]}, "expected an object of label names by id"),
    ],
)
def test_configs_that_are_refused_by_name(change, said):
    with pytest.raises(InputError, match=said):
        parse_config(RAW | change)


@pytest.mark.parametrize(
    ("change", "labels", "problem"),
    [
        ({"id2label": {"1": "good", "0": "bad"}}, ("bad", "good"), "single_label_classification"),
        ({"num_labels": 1}, ("LABEL_0",), "regression"),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, None, "multi_label_classification"),
        ({"num_labels": 1, "problem_type": "single_label_classification"}, None, "single_label_classification"),
    ],
)
def test_labels_and_problem(change, labels, problem):
    config = parse_config(RAW | change)
    assert labels in (None, config.labels)
    assert config.problem == problem


def test_configs_are_hashable_and_equal_by_value():
    assert hash(parse_config(RAW)) == hash(BertConfig(60, 16, 1, 4, 24))
