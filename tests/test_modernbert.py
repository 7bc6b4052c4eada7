"""ModernBERT: what it alone has. Angles, windows, the first layer, the mean, config.json, and what it conserves."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from measures import relative_error
from models import FAMILIES, random_params, refusal
from questions import answer, token_readouts, token_relevance
from test_optimizer import train_config
from test_rules import drawn, pulled
from tolerances import CERTIFICATE, CONSERVATION, FORWARD, LEDGER_FLOAT64, RULE

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward
from autorel_jax.families.modernbert import FLAGS, ModernDetails
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS
from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.model.heads import alike
from autorel_jax.model.parameters import parameters
from autorel_jax.model.positions import Places
from autorel_jax.model.rotary import near_tokens, turned, turns
from autorel_jax.training.optimizer import frozen, optimizer
from autorel_jax.weights.params import to_params, to_tensors

CONFIG = FAMILIES["modernbert"]
MEAN = dataclasses.replace(CONFIG, details=dataclasses.replace(CONFIG.details, classifier_pooling="mean"))
BIASED = dataclasses.replace(
    CONFIG, details=dataclasses.replace(MEAN.details, **dict.fromkeys(FLAGS, True)), labels=("only",)
)
LENGTHS = np.array([12, 7, 1])
MASK = (np.arange(12) < LENGTHS[:, None]).astype(np.int32)
IDS = np.random.default_rng(0).integers(5, CONFIG.vocab_size, MASK.shape).astype(np.int32)
TYPES = np.zeros_like(IDS)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def exact(config, scale=0.3):
    return jax.tree.map(np.float64, random_params(config, scale=scale))


# ---------------------------------------------------------------- rotary positions


def angles(layer, tokens=5):
    """The table [2, T, K] of local (0) or global (1) layers."""
    return turns(CONFIG, {}, tokens, jnp.dtype("float64")).tables[layer]


def of_head(x, layer):
    """`turned` for one text and head: x [T, K]."""
    return turned(jnp.asarray(x)[None, :, None], angles(layer, len(x)))[0, :, 0]


@pytest.mark.parametrize(("layer", "theta"), [(0, 10000.0), (1, 160000.0)])
def test_turned_oracle(layer, theta):
    x = drawn(5, 4)
    assert relative_error(of_head(x, layer), oracles.turned(x, theta)) <= RULE


def test_turned_by_hand():
    # place 0 stays; at place 1 the first pair, features 0 and 2, turns by 1 rad, the second by θ^(-1/2) = 0.01
    x = np.array([[1.0, 1, 0, 0], [1, 1, 0, 0]])
    expected = [[1, 1, 0, 0], [np.cos(1), np.cos(0.01), np.sin(1), np.sin(0.01)]]
    np.testing.assert_allclose(of_head(x, 0), expected, rtol=RULE)


def test_turned_conserves():
    """For each pair of features, x c sums to y c: angles are constants, and a turn has no bias."""
    x, c = drawn(5, 4), drawn(5, 4, seed=1)
    into = x * pulled(functools.partial(of_head, layer=1), x, c)
    out = np.asarray(of_head(x, 1)) * c
    assert relative_error(into[:, :2] + into[:, 2:], out[:, :2] + out[:, 2:]) <= CONSERVATION


def test_turned_scores_depend_on_the_distance_alone():
    """The identity for which the positions are made: moving both tokens changes no product."""
    query, key = np.broadcast_to(drawn(4), (5, 4)), np.broadcast_to(drawn(4, seed=1), (5, 4))
    scores = np.asarray(of_head(query, 0) @ of_head(key, 0).T)
    np.testing.assert_allclose(scores[1:, 1:], scores[:-1, :-1], rtol=RULE)


def test_a_window_by_hand():
    mask = np.array([[1, 1, 1, 0]], bool)
    places = turns(dataclasses.replace(CONFIG, details=ModernDetails(local_attention=3)), {}, 4, jnp.dtype("float64"))
    local = near_tokens(mask, Places(places, False), 4)
    assert local[0].astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]]
    assert near_tokens(mask, Places(places, True), 1)[0].astype(int).tolist() == [[1, 1, 1, 0]]


def test_a_token_beyond_every_window_does_not_matter():
    """With local layers alone, L layers of window w carry nothing farther than L w."""
    sliding = ("sliding_attention",) * 3
    config = dataclasses.replace(CONFIG, details=ModernDetails(local_attention=2, layer_types=sliding))
    ids = IDS[:1]
    params = exact(config)
    logits = np.asarray(forward(config, None, params, ids, MASK[:1], TYPES[:1]))
    for place, same in ((4, True), (3, False)):
        changed = ids.copy()
        changed[0, place] = 3
        found = np.asarray(forward(config, None, params, changed, MASK[:1], TYPES[:1]))
        assert (relative_error(found, logits) <= FORWARD) == same


def test_a_padded_query_that_sees_nothing_is_no_nan():
    params = exact(MEAN)
    ids, mask = np.tile(IDS[:1], 1), (np.arange(12) < 1).astype(np.int32)[None]
    logits = np.asarray(forward(MEAN, None, params, ids, mask, TYPES[:1]))
    alone = np.asarray(forward(MEAN, None, params, ids[:, :1], mask[:, :1], TYPES[:1, :1]))
    assert relative_error(logits, alone) <= FORWARD


# ---------------------------------------------------------------- layers and head


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_first_layer_has_no_norm(depth):
    config = dataclasses.replace(CONFIG, num_hidden_layers=depth)
    made = parameters(config)
    assert made["layers/attention_norm/scale"].shape[0] == max(depth - 2, 0)
    assert ("last_layer/attention_norm/scale" in made) == (depth > 1)
    tensors = to_tensors(random_params(config), config)
    named = sorted(name for name in tensors if "attn_norm" in name)
    assert named == [f"model.layers.{number}.attn_norm.weight" for number in range(1, depth)]
    jax.tree.map(np.testing.assert_array_equal, to_params(tensors, config, "here").params, random_params(config))


def test_the_mean_by_hand():
    found = alike(np.array([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    np.testing.assert_allclose(found, [[1 / 3, 1 / 3, 1 / 3, 0], [1, 0, 0, 0], [0, 0, 0, 0]], rtol=RULE)


def test_the_mean_is_linear():
    """Each token gets its part of the mean by contribution, and padding nothing."""
    x, c, mask = drawn(1, 4, 3), drawn(1, 3, seed=1), np.array([[1, 1, 1, 0]])

    def mean(x):
        return jnp.einsum("bq,bqd->bd", alike(mask), x)

    into = x * pulled(mean, x, c)
    assert relative_error(into.sum(axis=1), np.asarray(mean(jnp.asarray(x))) * c) <= CONSERVATION
    assert not into[:, 3].any()


SUMS = {"raw_attention": 1, "rollout": 1, "lat": 4, "generic_attention": None}


@pytest.mark.parametrize(("name", "total"), SUMS.items())
def test_attention_methods_start_from_the_mean(name, total):
    """Rows of attention add up to 1 and so do their means; generic attention keeps at least what it starts from."""
    texts = Texts(IDS, MASK, TYPES)
    _, scores, _ = answer(METHODS[name], texts, params=exact(MEAN), config=MEAN)
    assert not scores[:, 0][MASK == 0].any()
    if total is None:
        assert (scores[:, 0] >= np.asarray(alike(MASK)) * (1 - RULE)).all()
    else:
        np.testing.assert_allclose(scores.sum(axis=-1), total, rtol=RULE)
    if name == "raw_attention":  # by its definition, from the weights of the last layer
        params = {"params": exact(MEAN)}
        x = Bert(MEAN).apply(params, Bert(MEAN).apply(params, IDS, method="lookup"), TYPES, method="embed")
        last = Bert(MEAN).apply(params, x, MASK, method="attend")[2]
        rows = [last[b, :, :length].mean(axis=(0, 1)) for b, length in enumerate(LENGTHS)]
        np.testing.assert_allclose(scores[:, 0], rows, rtol=RULE)


@pytest.mark.parametrize("config", [CONFIG, MEAN], ids=["cls", "mean"])
def test_sums_of_tokens_are_the_logit_but_for_the_classifiers_bias(config):
    """The certificate: with cp_lrp nothing else absorbs, as no other parameter is added to anything."""
    params, method = exact(config), COMPOSITES["cp_lrp"]
    at = Settings(config, method, WORD_EMBEDDINGS)
    weights = np.broadcast_to(np.eye(2), (3, 2, 2))
    logits, scores = token_relevance(at, params, IDS, MASK, TYPES, weights, at.values)
    expected = logits - params["classifier"]["bias"]
    size = np.abs(scores).sum(axis=-1)
    assert np.abs(scores.sum(axis=-1) - expected).max() <= CERTIFICATE * size.max()
    assert np.abs(params["classifier"]["bias"]).min() > 1e6 * CERTIFICATE * size.max()  # so the comparison can fail


@pytest.mark.parametrize("method", ["attnlrp", "cp_lrp", "gradient_x_input", "epsilon"])
def test_the_ledger_closes_with_biases_and_the_mean(method):
    at = Settings(
        BIASED, COMPOSITES[method], WORD_EMBEDDINGS, None, True, ("layers", "attention", "heads", "neurons"), 5
    )
    weights = np.ones((3, 1, 1))
    logits, scores, found = token_readouts(at, exact(BIASED), IDS, MASK, TYPES, weights, at.values)
    kept = np.concatenate([np.asarray(item) for item in found["absorbed"].values()], axis=-1)
    gap = logits[..., None].sum(axis=-1) - scores.sum(axis=-1) - kept.sum(axis=-1)
    assert np.abs(gap).max() <= LEDGER_FLOAT64 * (np.abs(scores).sum(axis=-1) + np.abs(kept).sum(axis=-1)).max()
    # The residual stream, layer by layer: what a layer absorbs is the difference of its two ends.
    stream, absorbed = np.asarray(found["layers"]).sum(axis=-1), sum(map(np.asarray, found["absorbed"].values()))
    assert relative_error(np.diff(stream, axis=-1), absorbed[..., 1:-1]) <= CONSERVATION
    assert not np.moveaxis(np.asarray(found["layers"]), -1, 1)[MASK == 0].any()
    gates = np.abs(found["absorbed"]["gate"]).max()
    assert (gates > 1e6 * RULE * np.abs(scores).max()) == (method == "gradient_x_input")


def test_bert_lrp_is_refused():
    for name in ("bert_lrp", "bert_lrp_jacobian"):
        said = refusal(Settings, CONFIG, COMPOSITES[name], COMPOSITES[name].reads[0])
        assert "rotary positions and a gated feed-forward, which ModernBERT has" in said


@pytest.mark.slow
def test_8192_tokens():
    """The longest text, of a model of 3 narrow layers: each token near the end still counts."""
    with jax.enable_x64(False):
        details = ModernDetails(global_every=3)
        changes = {"max_position_embeddings": 8192, "hidden_size": 8, "num_attention_heads": 1, "details": details}
        config = dataclasses.replace(CONFIG, **changes)
        ids = np.random.default_rng(0).integers(5, 60, (1, 8192))
        params, mask, other = random_params(config, scale=1.0), np.ones_like(ids), ids.copy()
        other[0, -1] = (ids[0, -1] + 1) % 60
        found = [np.asarray(forward(config, None, params, given, mask, 0 * ids)) for given in (ids, other)]
        assert np.isfinite(found).all()
        assert (found[0] != found[1]).any()


# ---------------------------------------------------------------- config.json

ROPE = ("rope_parameters", "global_rope_theta", "local_rope_theta", "global_attn_every_n_layers")
RAW = {key: value for key, value in config_json(CONFIG).items() if key not in (*ROPE, "norm_eps")}
FULL, SLIDING = "full_attention", "sliding_attention"
V5 = {FULL: {"rope_type": "default", "rope_theta": 5e4}, SLIDING: {"rope_type": "default", "rope_theta": 2e3}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {}),
        ({"global_rope_theta": 5e4, "local_rope_theta": 2000}, {"global_theta": 5e4, "local_theta": 2e3}),
        ({"rope_parameters": V5}, {"global_theta": 5e4, "local_theta": 2e3}),
        ({"rope_parameters": {FULL: {"rope_theta": 5e4}}}, {"global_theta": 5e4}),
        ({"rope_parameters": None, "global_rope_theta": 5e4}, {"global_theta": 5e4}),
        ({"global_attn_every_n_layers": 2}, {"global_every": 2}),
        ({"layer_types": [FULL, SLIDING, SLIDING]}, {"global_every": 3}),
        ({"layer_types": [FULL, SLIDING, FULL]}, {"global_every": 2}),
        ({"layer_types": [SLIDING, SLIDING, FULL]}, {"layer_types": (SLIDING, SLIDING, FULL)}),
        ({"layer_types": [FULL, SLIDING, FULL], "global_attn_every_n_layers": 2}, {"global_every": 2}),
        ({"classifier_pooling": "mean"}, {"classifier_pooling": "mean"}),
        ({"classifier_bias": True, "norm_bias": None}, {"classifier_bias": True}),
    ],
    ids=str,
)
def test_spellings_of_config_json(keys, expected):
    read = parse_config({**RAW, **keys})
    assert read.details == dataclasses.replace(CONFIG.details, **{"global_every": 3, **expected})
    assert parse_config(config_json(read)) == read


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"rope_scaling": {"rope_type": "yarn"}},
            "rope_scaling={'rope_type': 'yarn'} is not supported",
        ),
        ({"rope_parameters": {FULL: {"rope_type": "yarn"}}}, "rope_type='yarn' is not supported"),
        ({"rope_parameters": {FULL: {"factor": 2}}}, "rope_parameters.full_attention={'factor': 2} is not supported"),
        ({"rope_parameters": {"rope_theta": 1e4}}, "expected an object with full_attention and sliding_attention"),
        (
            {"rope_parameters": V5, "global_rope_theta": 1e4},
            "=10000.0, but rope_parameters says 50000.0",
        ),
        ({"global_rope_theta": "1e4"}, "global_rope_theta='1e4': expected a number above 0"),
        ({"local_rope_theta": None}, "local_rope_theta=None: expected a number above 0"),
        ({"rope_theta": 1e4}, "rope_theta=10000.0 is not supported; accepted: rope_parameters, or global_rope_theta"),
        ({"layer_types": [FULL, SLIDING]}, "layer_types=['full_attention', 'sliding_attention']: expected"),
        ({"layer_types": [FULL, SLIDING, "linear"]}, "expected full_attention or sliding_attention for each of 3"),
        (
            {"layer_types": [FULL, SLIDING, FULL], "global_attn_every_n_layers": 3},
            "global_attn_every_n_layers=3, but layer_types says otherwise",
        ),
        ({"global_attn_every_n_layers": 0}, "expected a whole number of at least 1"),
        ({"local_attention": -1}, "local_attention=-1: expected a whole number of at least 0"),
        ({"classifier_pooling": "max"}, "classifier_pooling='max' is not supported; accepted: cls, mean"),
        ({"classifier_activation": "mish"}, "classifier_activation='mish' is not supported"),
        ({"mlp_bias": "no"}, "mlp_bias='no': expected true or false"),
        ({"position_embedding_type": "relative_key"}, "ModernBERT's are rotary"),
        ({"head_dim": 8}, "head_dim=8 is not supported"),
        ({"norm_eps": 1e-5, "layer_norm_eps": 1e-12}, "layer_norm_eps=1e-12 beside norm_eps=1e-05"),
        ({"layer_norm_eps": 1e-6}, "layer_norm_eps=1e-06 beside norm_eps=1e-05"),
    ],
    ids=str,
)
def test_settings_that_are_refused_by_name(keys, said):
    assert said in refusal(parse_config, {**RAW, **keys})


def test_one_epsilon_under_either_name():
    for other in ({}, {"layer_norm_eps": 1e-6}, {"layer_norm_eps": None}):
        assert parse_config({**RAW, "norm_eps": 1e-6, **other}).layer_norm_eps == 1e-6
    assert parse_config({**RAW, "layer_norm_eps": 1e-5}).layer_norm_eps == 1e-5


@pytest.mark.slow  # compiles many programs
def test_dropout_where_each_rate_belongs():
    """Zero everywhere but in one place: that place alone drops out."""
    names = ("embedding_dropout", "attention_dropout", "mlp_dropout", "classifier_dropout")
    params, key = exact(CONFIG), jax.random.key(0)

    def logits(**rates):
        config = parse_config({**RAW, **dict.fromkeys(names, 0.0), **rates})
        return np.asarray(
            Bert(config).apply({"params": params}, IDS, MASK, TYPES, deterministic=False, rngs={"dropout": key})
        )

    plain = logits()
    assert relative_error(plain, forward(parse_config(RAW), None, params, IDS, MASK, TYPES)) <= FORWARD
    for name in names:
        assert relative_error(logits(**{name: 0.5}), plain) > 1e-3, name


def test_frozen_layers_where_the_first_has_no_norm():
    """Its row of the stack is that of the second layer, so that it stays as it is with that one."""
    params = random_params(CONFIG)
    for count, norm, kernel in ((0, False, False), (1, False, [True, False]), (2, True, True)):
        held = frozen(train_config(freeze_layers=count), params)["layers"]
        assert np.array_equal(held["attention_norm"]["scale"], norm)
        assert np.array_equal(held["joint"]["kernel"], kernel)
    transformation = optimizer(train_config(freeze_layers=1), 3, params)
    updates, _ = transformation.update(jax.tree.map(np.ones_like, params), transformation.init(params), params)
    still = jax.tree.map(lambda update: not np.asarray(update).any(), updates["layers"])
    assert not still["attention_norm"]["scale"]
    assert not np.asarray(updates["layers"]["joint"]["kernel"][0]).any()
    assert np.asarray(updates["layers"]["joint"]["kernel"][1]).any()


def test_tensors_of_masked_words_are_not_needed():
    tensors = to_tensors(random_params(CONFIG), CONFIG)
    needless = {"decoder.weight": (60, 16), "decoder.bias": (60,), "model.rotary_emb.inv_freq": (2,)}
    found = to_params(tensors | {name: np.zeros(shape, np.float32) for name, shape in needless.items()}, CONFIG, "here")
    assert sorted(found.ignored) == sorted(needless)
    assert "head.dense.weight" in tensors  # the pooler, without the prefix that other tensors have
    assert "classifier.bias" in tensors


def test_a_window_that_is_said_twice():
    raw = config_json(FAMILIES["modernbert"])
    half = raw["local_attention"] // 2
    assert parse_config(raw | {"sliding_window": half}).details.window == half
    assert f"sliding_window={half + 1} is not half of" in refusal(parse_config, raw | {"sliding_window": half + 1})
