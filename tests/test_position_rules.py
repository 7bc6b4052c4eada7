"""Attention scores that know distances, DeBERTa's and MPNet's: by hand, by oracle, by identity, by contract."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from measures import relative_error
from models import FAMILIES, deberta, random_params, refusal, tiny_config
from test_rules import drawn
from tolerances import CONSERVATION, FORWARD, LEDGER_FLOAT64, RULE

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp import rules
from autorel_jax.lrp.composites import ATTNLRP, BERT_LRP, COMPOSITES, EMBEDDINGS, WORD_EMBEDDINGS
from autorel_jax.lrp.taps import Audited
from autorel_jax.model import ops, relative
from autorel_jax.model.positions import Places
from autorel_jax.report.ledger import NAMES

HALVED = ATTNLRP.derive("half to positions", position_product=rules.halved)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def model(**changes):
    """A tiny DeBERTa and the parameters of its last layer, in float64."""
    sizes = {"hidden_size": changes.pop("hidden_size", 12)}
    config = tiny_config(**deberta(**sizes | changes) | sizes, model_type="deberta-v2")
    return config, jax.tree.map(np.float64, random_params(config, scale=0.5))


def inputs(config, queries, keys, batch=2):
    """Queries [B, T, H, K] and keys [B, S, H, K]."""
    shape = config.num_attention_heads, config.head_width
    return drawn(batch, queries, *shape), drawn(batch, keys, *shape, seed=1)


def scores_of(table, config, params, tokens):
    """The scores as a function of queries and keys."""
    shared = relative.relative_table(config, params, tokens, jnp.float64)
    places = Places(shared)
    return lambda query, key: relative.disentangled(table, config, params["last_layer"], places, query, key)


CONFIGS = {
    "buckets": {},
    "own maps": {"share_att_key": False, "position_buckets": -1, "max_relative_positions": 6, "norm_rel_ebd": "none"},
    "c2p": {"pos_att_type": "c2p"},
    "p2c": {"pos_att_type": "p2c"},
}
SHAPES = [(1, 1), (11, 11), (1, 11)]  # queries and keys
each_config = pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)


# ---------------------------------------------------------------- by hand


def test_by_distance_by_hand():
    # two queries and three keys: distances j - i from -2 to 2
    found = relative.by_distance(jnp.array([[10, 11, 12, 13, 14], [20, 21, 22, 23, 24]]), 3)
    assert found.tolist() == [[12, 13, 14], [21, 22, 23]]
    assert relative.by_distance(jnp.array([[7, 8]]), 1).tolist() == [[8]]  # one token: its distance to itself


def test_buckets_by_hand():
    # up to 4 = half of 8 each distance has its own; 4, 7.09, 12.6, 22.3 (4 · (23/4)^(n/3)) are the bounds of others
    distances = np.array([0, 1, -3, 4, 5, 7, 8, 12, 13, 22, 23, -5, -23])
    assert relative.log_buckets(distances, 8, 24).tolist() == [0, 1, -3, 4, 5, 5, 6, 6, 7, 7, 7, -5, -7]
    # 8, 11.3, 16, 22.6, 32, 45.3, 64, 90.5: MPNet's bounds
    distances = np.array([0, 7, 8, 11, 12, 15, 16, 63, 64, 90, 91, 500, -1, -8, -500])
    expected = [0, 7, 8, 8, 9, 9, 10, 13, 14, 14, 15, 15, 17, 24, 31]
    assert relative.half_log_buckets(distances).tolist() == expected


def test_position_product_by_hand():
    # [1, 2] · [3, 4] = 11 with c = 1: all of it to the content, as [3, 8]; or half of it, and the ledger has the rest
    content, position = np.array([[1.0, 2.0]]), jnp.array([3.0, 4.0])
    for rule, to_content, kept in ((ops.position_product, [[3, 8]], 0), (rules.halved, [[1.5, 4]], 5.5)):
        tap = {"rule": jnp.zeros(1)}
        y, pull = jax.vjp(lambda x, tap: Audited(rule, (1,))("bk,k->b", x, position, taps=tap), content, tap)  # noqa: B023
        to_x, absorbed = pull(jnp.ones(1))
        assert y.tolist() == [11]
        assert (content * to_x).tolist() == to_content
        assert absorbed["rule"].tolist() == [kept]


def test_position_bias_by_hand():
    # 2 - 1 = 1 with c = 1: by contribution 2 to the scores, -1 to the bias; by ratio 2/3 and 1/3
    scores, bias = np.array([[2.0]]), jnp.array([[-1.0]])
    for rule, to_scores, kept in ((ops.position_bias, 2, -1), (rules.ratio, 2 / 3, 1 / 3)):
        tap = {"rule": jnp.zeros(1)}
        y, pull = jax.vjp(lambda x, tap: Audited(rule, (0,))(x, bias, taps=tap), scores, tap)  # noqa: B023
        to_x, absorbed = pull(jnp.ones((1, 1)))
        assert y.tolist() == [[1]]
        assert (scores * to_x).item() == pytest.approx(to_scores, rel=RULE)
        assert absorbed["rule"].item() == pytest.approx(kept, rel=RULE)


# ---------------------------------------------------------------- by oracle


@each_config
@pytest.mark.parametrize(("queries", "keys"), SHAPES)
def test_scores_and_what_goes_back(changes, queries, keys):
    """Of the forward values, and of AttnLRP with all or half of the products with positions to their tokens."""
    config, params = model(**changes)
    query, key = inputs(config, queries, keys)
    c = drawn(2, config.num_attention_heads, queries, keys, seed=2)
    for table, share in ((ATTNLRP.ops, 1.0), (HALVED.ops, 0.5)):
        found, pull = jax.vjp(scores_of(table, config, params, keys), query, key)
        expected, to_query, to_key = oracles.disentangled(config, params, query, key, c, share)
        assert relative_error(found, expected) <= RULE
        for ours, theirs in zip(pull(jnp.asarray(c)), (to_query, to_key), strict=True):
            assert relative_error(ours, theirs) <= RULE


@pytest.mark.parametrize("tokens", [1, 2, 140])
def test_the_biases_of_mpnet(tokens):
    config = FAMILIES["mpnet"]
    table = drawn(32, config.num_attention_heads)
    config = dataclasses.replace(config, max_position_embeddings=tokens + 2)
    found = np.asarray(relative.biases(config, {"relative": {"bias": jnp.asarray(table)}}, tokens, None))
    expected = np.array([[oracles.mpnet_bucket(i - j) for j in range(tokens)] for i in range(tokens)])
    np.testing.assert_array_equal(found, np.moveaxis(table[expected], -1, 0))


# ---------------------------------------------------------------- by identity


def test_without_positions_the_scores_are_berts():
    """A table of zeros, and no bias of the maps: the products are 0, and nothing goes to positions."""
    config, params = model(norm_rel_ebd="none")
    params["relative"]["table"] *= 0
    for name in ("query", "key"):
        params["last_layer"][name]["bias"] *= 0
    query, key = inputs(config, 7, 7)
    found, pull = jax.vjp(scores_of(HALVED.ops, config, params, 7), query, key)
    expected, plain = jax.vjp(functools.partial(ops.scaled_products, ATTNLRP.ops), query / 3**0.5, key)
    assert relative_error(found, expected) <= RULE
    c = drawn(*found.shape)
    assert relative_error(pull(c)[0], plain(c)[0] / 3**0.5) <= RULE
    assert relative_error(pull(c)[1], plain(c)[1]) <= RULE


def test_half_to_positions_is_half_the_gradient():
    config, params = model(pos_att_type="c2p")
    query, key = inputs(config, 5, 5)
    half, whole = (jax.vjp(scores_of(table, config, params, 5), query, key)[1] for table in (HALVED.ops, ops.PLAIN))
    c = drawn(2, 4, 5, 5)
    assert relative_error(half(c)[0], whole(c)[0] / 2) <= RULE


# ---------------------------------------------------------------- by contract


@each_config
def test_each_product_conserves(changes):
    """What is given to queries and keys is all of the scores' relevance where positions have none."""
    config, params = model(**changes)
    query, key = inputs(config, 6, 6)
    found, pull = jax.vjp(scores_of(ATTNLRP.ops, config, params, 6), query, key)
    c = drawn(*found.shape)
    to_query, to_key = pull(c)
    assert abs((query * to_query).sum() + (key * to_key).sum() - (found * c).sum()) <= CONSERVATION


def test_jit_and_vmap_change_nothing():
    config, params = model()
    query, key = inputs(config, 6, 6)
    f = scores_of(HALVED.ops, config, params, 6)
    c = drawn(2, 4, 6, 6)

    def back(query, c):
        return jax.vjp(f, query, jnp.asarray(key))[1](c)[0]

    expected = back(query, c)
    jitted = jax.jit(back)
    assert relative_error(jitted(query, c), expected) <= FORWARD
    assert relative_error(jitted(2 * query, c), back(2 * query, c)) <= FORWARD
    assert jitted._cache_size() == 1
    found = jax.vmap(back, in_axes=(None, 0))(query, jnp.stack([c, 3 * c]))
    assert relative_error(found, np.stack([expected, 3 * expected])) <= FORWARD


def ledger(model_type, method):
    """The relevance of tokens [T] of one text, all items by name [L + 2], and the logit; positions among the items."""
    config = FAMILIES[model_type]
    params = jax.tree.map(np.float64, random_params(config, scale=0.3))
    ids = np.random.default_rng(0).integers(5, config.vocab_size, (1, 11))
    at = Settings(config, method, WORD_EMBEDDINGS, None, True, (), 5)
    result = token_scores(at, params, Texts(ids, 1 + 0 * ids, 0 * ids), np.eye(2)[None, :1], at.values)
    items = {name: np.asarray(kept[0, 0]) for name, kept in result.absorbed.items.items()}
    beside = [result.absorbed.positions, result.absorbed.segments]
    items |= {"embeddings": np.array([sum(part.sum() for part in beside if part is not None)])}
    return np.asarray(result.relevance[0, 0]), items, float(result.logits[0, 0])


@pytest.mark.parametrize(
    ("model_type", "method", "item", "is_there"),
    [
        ("deberta-v2", ATTNLRP, "position_product", False),
        ("deberta-v2", HALVED, "position_product", True),
        ("deberta-v2", COMPOSITES["cp_lrp"].derive("cp", position_product=rules.halved), "position_product", False),
        ("mpnet", ATTNLRP, "position_bias", True),
        ("mpnet", ATTNLRP.derive("ratio", add=rules.ratio, position_bias=rules.ratio), "position_bias", True),
        ("mpnet", COMPOSITES["cp_lrp"], "position_bias", False),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_positions_get_is_an_item_of_the_ledger(model_type, method, item, is_there):
    relevance, items, logit = ledger(model_type, method)
    every = np.concatenate([relevance, *items.values()])
    assert abs(every.sum() - logit) <= LEDGER_FLOAT64 * abs(every).sum()
    kept = items[item]
    assert (abs(kept[1:-1]).min() > 1e-6) == is_there
    assert not kept[[0, -1]].any()  # no attention in embeddings and head
    assert item in NAMES


def test_the_ledger_of_a_bert_has_no_such_items():
    _, items, _ = ledger("bert", ATTNLRP)
    assert not {"position_product", "position_bias"} & items.keys()


def test_bert_lrp_is_for_layers_as_berts():
    for model_type, what in (
        ("deberta-v2", "attention scores with products of tokens and positions, which DeBERTa has"),
        ("mpnet", "attention scores with a bias for each distance, which MPNet has"),
    ):
        for method in (BERT_LRP, COMPOSITES["bert_lrp_jacobian"]):
            said = refusal(Settings, FAMILIES[model_type], method, EMBEDDINGS)
            assert said.startswith(f"{method.name} is for layers as BERT's: it has no rule for {what}. Methods")
    plain = tiny_config(**deberta(pos_att_type=""), model_type="deberta-v2")
    Settings(plain, BERT_LRP, EMBEDDINGS)  # a DeBERTa that has neither
