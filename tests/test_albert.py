"""ALBERT: layers that share parameters. The same numbers as a model that has them once for each layer."""

import dataclasses

import jax
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, random_params, refusal
from questions import token_readouts
from test_optimizer import train_config
from tolerances import CONSERVATION, FORWARD, LEDGER_FLOAT64, RULE

from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward
from autorel_jax.families.albert import AlbertDetails
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS
from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.model.parameters import parameters
from autorel_jax.training.optimizer import frozen
from autorel_jax.weights.names import slots
from autorel_jax.weights.params import to_params, to_tensors

CONFIG = FAMILIES["albert"]
GROUPS = dataclasses.replace(CONFIG, details=AlbertDetails(2, 2))
MASK = (np.arange(9) < np.array([[9], [4]])).astype(np.int32)
IDS = np.random.default_rng(0).integers(5, CONFIG.vocab_size, MASK.shape).astype(np.int32)
TYPES = (np.arange(9) > 4) * MASK


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def unshared(config, params):
    """A model of the same numbers whose every layer has parameters of its own: an ELECTRA, but for the head."""
    rows = np.array(config.details.rows(config.num_hidden_layers))
    apart = {name: part for name, part in params.items() if name != "layers"}
    apart["layers"] = jax.tree.map(lambda leaf: leaf[rows[:-1]], params["layers"])
    apart["last_layer"] = jax.tree.map(lambda leaf: leaf[rows[-1]], params["layers"])
    other = dataclasses.replace(config, model_type="electra", details=None, num_hidden_layers=len(rows))
    return other, apart


def test_which_layer_is_which():
    assert AlbertDetails().rows(4) == (0, 0, 0, 0)
    assert AlbertDetails(2).rows(4) == (0, 0, 1, 1)
    assert AlbertDetails(2).rows(3) == (0, 0, 1)
    assert AlbertDetails(2, 2).rows(3) == (0, 1, 0, 1, 2, 3)
    assert AlbertDetails(2, 1).stored == ("0.albert_layers.0", "1.albert_layers.0")
    assert AlbertDetails(1, 2).stored == ("0.albert_layers.0", "0.albert_layers.1")


@pytest.mark.parametrize("config", [CONFIG, GROUPS], ids=["one", "groups"])
def test_each_group_is_held_once(config):
    held = 1 if config is CONFIG else 4
    assert parameters(config)["layers/query/kernel"].shape == (held, 16, 16)
    assert not [path for path in parameters(config) if path.startswith("last_layer")]
    tensors = to_tensors(random_params(config), config)
    assert sum(name.endswith("attention.query.weight") for name in tensors) == held
    assert tensors.keys() == {slot.written for slot in slots(config).values()}
    jax.tree.map(np.testing.assert_array_equal, to_params(tensors, config, "here").params, random_params(config))


@pytest.mark.parametrize("config", [CONFIG, GROUPS], ids=["one", "groups"])
def states(config, params):
    """The tokens after the last layer: [B, T, D]."""
    model = Bert(config, every_query=True)
    x = model.apply({"params": params}, IDS, method="lookup")
    x = model.apply({"params": params}, x, TYPES, method="embed")
    return model.apply({"params": params}, x, MASK, method="encode")[0]


@pytest.mark.parametrize("config", [CONFIG, GROUPS], ids=["one", "groups"])
def test_shared_layers_compute_and_learn_as_layers_apart(config):
    """The gradient of a shared parameter is the sum over the layers that have it."""
    params = jax.tree.map(np.float64, random_params(config, scale=0.3))

    def both(config, params):
        return jax.jit(jax.value_and_grad(lambda params: (states(config, params) ** 3).sum()))(params)

    (total, found), (expected, each) = both(config, params), both(*unshared(config, params))
    assert relative_error(total, expected) <= FORWARD
    every = np.concatenate([each["layers"]["query"]["kernel"], each["last_layer"]["query"]["kernel"][None]])
    rows = np.array(config.details.rows(config.num_hidden_layers))
    sums = np.stack([every[rows == row].sum(axis=0) for row in range(len(config.stored_layers))])
    assert relative_error(found["layers"]["query"]["kernel"], sums) <= RULE


@pytest.mark.parametrize("config", [CONFIG, GROUPS], ids=["one", "groups"])
def test_relevance_by_layer(config):
    """Each layer that is run has its own row, and the ledger closes."""
    params = jax.tree.map(np.float64, random_params(config, scale=0.3))
    at = Settings(config, COMPOSITES["attnlrp"], WORD_EMBEDDINGS, None, True, ("layers", "heads"), 5)
    weights = np.broadcast_to(np.eye(2)[:1], (2, 1, 2))
    logits, scores, read = token_readouts(at, params, IDS, MASK, TYPES, weights, at.values)
    kept = sum(map(np.asarray, read["absorbed"].values()))
    sides = (np.asarray(scores) + read["positions"] + read["segments"]).sum(axis=-1)
    assert np.abs(logits[:, :1] - sides - kept.sum(axis=-1)).max() <= LEDGER_FLOAT64 * np.abs(scores).sum()
    assert read["layers"].shape == (2, 1, config.depth + 1, 9)
    assert read["heads"].shape == (2, 1, config.depth, 4, 9)
    stream = np.asarray(read["layers"]).sum(axis=-1)
    assert relative_error(np.diff(stream, axis=-1), kept[..., 1:-1]) <= CONSERVATION


def test_layers_that_share_parameters_cannot_be_frozen_one_by_one():
    params = random_params(CONFIG)
    assert "freeze_layers=1: this model's layers share their parameters" in refusal(
        frozen, train_config(freeze_layers=1), params
    )
    held = frozen(train_config(freeze_embeddings=True), params)
    assert all(jax.tree.leaves(held["embeddings"]))
    assert not any(jax.tree.leaves(held["layers"]))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"num_hidden_groups": 0}, "num_hidden_groups=0: expected a whole number of at least 1"),
        ({"num_hidden_groups": 4}, "num_hidden_groups=4: expected no more than num_hidden_layers=3"),
        ({"inner_group_num": None}, "inner_group_num=None: expected a whole number of at least 1"),
        ({"net_structure_type": 1}, "net_structure_type=1 is not supported; accepted: 0"),
        ({"down_scale_factor": 2}, "down_scale_factor=2 is not supported; accepted: 1"),
    ],
    ids=str,
)
def test_settings_that_are_refused_by_name(keys, said):
    assert said in refusal(parse_config, {**config_json(CONFIG), **keys})


def test_what_an_old_config_leaves_out():
    raw = config_json(CONFIG)
    for key in ("num_hidden_groups", "inner_group_num", "hidden_act", "classifier_dropout_prob"):
        del raw[key]
    read = parse_config({**raw, "net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0, "down_scale_factor": 1})
    assert (read.details, read.hidden_act, read.classifier_dropout) == (AlbertDetails(), "gelu_new", 0.1)


def test_a_checkpoint_with_other_groups_is_refused():
    tensors = to_tensors(random_params(GROUPS), GROUPS)
    said = refusal(to_params, tensors, CONFIG, "here")
    assert said == "here holds 2 groups of layers but num_hidden_groups=1 in the config."


def test_the_feed_forward_drops_nothing_out():
    """As in transformers, where its dropout is never used; elsewhere hidden_dropout_prob does."""
    assert dataclasses.replace(CONFIG, hidden_dropout_prob=0.5).feed_forward_dropout == 0
    assert dataclasses.replace(FAMILIES["bert"], hidden_dropout_prob=0.5).feed_forward_dropout == 0.5


def test_logits_depend_on_each_group():
    params = random_params(GROUPS, scale=0.3)
    plain = np.asarray(forward(GROUPS, None, params, IDS, MASK, TYPES))
    for row in range(4):
        changed = jax.tree.map(np.copy, params)
        changed["layers"]["output"]["kernel"][row, :, 0] += 0.5  # not all, which a LayerNorm would take away
        assert relative_error(forward(GROUPS, None, changed, IDS, MASK, TYPES), plain) > 1e-4
