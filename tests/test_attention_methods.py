"""Methods that read attention: worked examples, and the weights themselves against what they must be."""

import dataclasses
import functools
from fractions import Fraction

import jax
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, random_params
from questions import CONFIG, MASK, TEXTS, exact
from tolerances import FORWARD, METHOD_EXACT

from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.methods.attention import RawAttention, rolled, rolled_out, start, traced_back
from autorel_jax.classifier import forward
from autorel_jax.families.modernbert import ModernDetails
from autorel_jax.model.encoder import Bert

LOWER = [[1 / 2, 1 / 2], [1 / 4, 3 / 4]]  # attention of the first of two layers, over two tokens
UPPER = [1 / 4, 3 / 4]  # of [CLS] in the last one
CLS, MEAN = [1], [1 / 2, 1 / 2]  # the row to start with


def in_float64(function, *arrays):
    with jax.enable_x64(True):
        return np.asarray(function(*(jax.numpy.asarray(array, float) for array in arrays)))


def test_rollout_by_hand():
    """½ (1/4, 3/4) + ½ (1, 0) = (5/8, 3/8); times LOWER (13/32, 19/32); halves of both (33/64, 31/64)."""
    found = in_float64(rolled_out, [[LOWER]], [[UPPER]], [CLS])
    assert found.tolist() == [[33 / 64, 31 / 64]]


def test_rollout_from_the_mean_by_hand():
    """The mean of UPPER and (1, 0) is (5/8, 3/8); ½ of it + ½ (1/2, 1/2) = (9/16, 7/16), and so on as above."""
    found = in_float64(rolled_out, [[LOWER]], [[UPPER, [1, 0]]], [MEAN])
    assert found.tolist() == [[(9 / 32 + 7 / 64 + 9 / 16) / 2, (9 / 32 + 21 / 64 + 7 / 16) / 2]]


def test_lat_by_hand():
    """(1/4, 3/4) LOWER = (5/16, 11/16), and a head that only looks at itself adds (1, 0)."""
    found = in_float64(traced_back, [[[LOWER, np.eye(2)]]], [[UPPER, [1, 0]]])
    assert found.tolist() == [[float(Fraction(21, 16)), 11 / 16]]


def test_generic_attention_by_hand():
    """(1, 0) + (1/4, 3/4) = (5/4, 3/4); times LOWER (13/16, 19/16); their sum (33/16, 31/16)."""
    layers = np.array([[LOWER], [[UPPER, [9, 9]]]])  # the last layer's row of the second token is not read
    assert in_float64(rolled, layers, [CLS]).tolist() == [[33 / 16, 31 / 16]]


def test_generic_attention_from_the_mean_by_hand():
    """(1/2, 1/2) + the mean (5/8, 3/8) = (9/8, 7/8); times LOWER (25/32, 39/32); their sum (61/32, 67/32)."""
    assert in_float64(rolled, [[LOWER], [[UPPER, [1, 0]]]], [MEAN]).tolist() == [[61 / 32, 67 / 32]]


def test_the_mean_counts_real_tokens_alone():
    mean = dataclasses.replace(FAMILIES["modernbert"], details=ModernDetails(classifier_pooling="mean"))
    assert in_float64(functools.partial(start, mean), [[1, 1, 0], [1, 0, 0]]).tolist() == [[1 / 2, 1 / 2, 0], [1, 0, 0]]
    assert in_float64(functools.partial(start, CONFIG), [[1, 1, 0]]).tolist() == [[1]]


def weights(read=lambda found: found):
    """Logits and attention weights of TEXTS in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))

        @jax.jit
        def run(params):
            x = Bert(CONFIG).apply({"params": params}, *TEXTS[0:1], method="lookup")
            x = Bert(CONFIG).apply({"params": params}, x, TEXTS.types, method="embed")
            return Bert(CONFIG).apply({"params": params}, x, TEXTS.mask, read, method="attend")

        plain = forward(CONFIG, None, params, *TEXTS[:3])
        return [np.asarray(part) for part in (plain, *run(params))]


def test_weights_are_those_of_the_forward_pass():
    plain, logits, layers, last = weights()
    assert relative_error(logits, plain) <= FORWARD
    assert layers.shape == (2, 4, 4, 9, 9)
    assert last.shape == (4, 4, 1, 9)
    for found in (*layers, last):
        assert not found[..., 0, :][np.broadcast_to(MASK[:, None] == 0, (4, 4, 9))].any()
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=METHOD_EXACT)


def test_reading_weights_costs_next_to_nothing():
    """As written they are computed twice; the compiled program computes them once."""
    params = random_params(CONFIG)
    x = np.zeros((4, 9, CONFIG.hidden_size), np.float32)

    def flops(method, *options):
        def run(params, x):
            return Bert(CONFIG).apply({"params": params}, x, TEXTS.mask, *options, method=method)

        return jax.jit(run).lower(params, x).compile().cost_analysis()["flops"]

    assert flops("attend", lambda found: found.mean(axis=1)) <= 1.1 * flops("classify")


@pytest.mark.parametrize(("layer", "head"), [(-1, -1), (2, 1), (0, -1), (1, 3)])
def test_raw_attention_is_the_row_of_cls(layer, head):
    _, _, layers, last = weights()
    rows = np.concatenate([layers[:, :, :, 0], last.transpose(2, 0, 1, 3)])[layer]
    expected = rows.mean(axis=1) if head == -1 else rows[:, head]
    _, scores, _ = exact(RawAttention(layer=layer, head=head))
    for target in range(3):
        assert relative_error(scores[:, target], expected) <= METHOD_EXACT


@pytest.mark.parametrize(("name", "total"), [("raw_attention", 1), ("rollout", 1), ("lat", 4)])
def test_where_the_model_looks_adds_up(name, total):
    _, scores, _ = exact(METHODS[name])
    np.testing.assert_allclose(scores.sum(axis=2), total, atol=METHOD_EXACT)


def test_generic_attention_looks_at_the_target():
    _, scores, _ = exact(METHODS["generic_attention"])
    assert (scores >= 0).all()
    assert (scores[:, :, 0] >= 1).all()
    assert relative_error(scores[:, 0], scores[:, 1]) > 1e-3
