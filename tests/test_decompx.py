"""CP-LRP with ε = 0 against DecompX (Modarressi et al. 2023, arXiv 2306.02873): the same parts, found forwards.

DecompX carries every token's vector as a sum of parts, one for each source and one for all biases, through the model.
What the parts of the logits are must be what the rules find backwards. NumPy, float64, from the equations alone; the
parts of an activation are in proportion to those of its input. B texts of T tokens, D features, S sources.
"""

import itertools

import jax
import numpy as np
import oracles
import pytest
from measures import relative_error
from models import random_params, tiny_config
from questions import token_readouts
from tolerances import RULE

from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS

LENGTH = 7
RNG = np.random.default_rng(5)


def linear(parts, own):
    """Parts [..., S, D] of x -> those of xW + b; the last source is the biases."""
    found = parts @ own["kernel"]
    found[..., -1, :] += own["bias"]
    return found


def layer_norm(parts, own, epsilon):
    total = parts.sum(axis=-2)
    centred = parts - parts.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(total.var(axis=-1) + epsilon)
    found = centred / deviation[..., None, None] * own["scale"]
    found[..., -1, :] += own["bias"]
    return found


def activation(name, parts):
    quotient = np.vectorize(lambda x: oracles.quotient(name, x))
    return parts * quotient(parts.sum(axis=-2))[..., None, :]


def attention(parts, own, heads):
    """Of one text [T, S, D]; the weights are numbers, of the parts of the values alone."""
    x, shape = parts.sum(axis=-2), (len(parts), heads, -1)
    query, key = ((x @ own[name]["kernel"] + own[name]["bias"]).reshape(shape) for name in ("query", "key"))
    value = linear(parts, own["value"]).reshape(*parts.shape[:2], heads, -1)  # [T, S, H, K]
    context = np.zeros_like(value)
    for t, h in itertools.product(range(len(parts)), range(heads)):
        scores = np.array([query[t, h] @ key[s, h] for s in range(len(parts))]) / np.sqrt(key.shape[-1])
        weights = np.exp(scores - scores.max())
        context[t, :, h] = sum(w * part[:, h] for w, part in zip(weights / weights.sum(), value, strict=True))
    return linear(context.reshape(parts.shape), own["attention_output"])


def decomposed(config, params, ids):
    """The parts [3 T + 1, C] of the logits of one text: of words, positions, segments, and all biases."""
    tables, tokens = params["embeddings"], len(ids)
    parts = np.zeros((tokens, 3 * tokens + 1, config.hidden_size))
    for t, i in enumerate(ids):
        parts[t, [t, tokens + t, 2 * tokens + t]] = tables["word"][i], tables["position"][t], tables["type"][0]
    parts = layer_norm(parts, tables["norm"], config.layer_norm_eps)
    stack = [jax.tree.map(lambda x, n=n: x[n], params["layers"]) for n in range(config.num_hidden_layers - 1)]
    for own in (*stack, params["last_layer"]):
        parts = parts + attention(parts, own, config.num_attention_heads)
        parts = layer_norm(parts, own["attention_norm"], config.layer_norm_eps)
        inner = activation(config.hidden_act, linear(parts, own["inner"]))
        parts = layer_norm(parts + linear(inner, own["output"]), own["output_norm"], config.layer_norm_eps)
    return linear(activation("tanh", linear(parts[0], params["pooler"])), params["classifier"])


@pytest.mark.parametrize("hidden_act", ["gelu", pytest.param("relu", marks=pytest.mark.slow)])
def test_decompx_is_cp_lrp(hidden_act):
    config = tiny_config(num_hidden_layers=2, labels=("a", "b", "c"), hidden_act=hidden_act)
    params = jax.tree.map(np.float64, random_params(config, scale=0.4))
    ids = RNG.integers(0, config.vocab_size, LENGTH)
    words, positions, segments, biases = np.split(
        decomposed(config, params, ids), np.cumsum([LENGTH, LENGTH, LENGTH]), axis=0
    )
    settings = Settings(config, COMPOSITES["cp_lrp"], WORD_EMBEDDINGS, audit=True)
    ones = np.ones((1, LENGTH), np.int32)
    with jax.enable_x64(True):
        given = params, ids[None].astype(np.int32), ones, 0 * ones, np.eye(3)[None], settings.values
        logits, scores, read = token_readouts(settings, *given)
    everything = np.concatenate([words, positions, segments, biases])
    assert relative_error(everything.sum(axis=0), logits[0]) <= RULE
    for part, found in zip((words, positions, segments), (scores, read["positions"], read["segments"]), strict=True):
        assert relative_error(found[0], part.T) <= RULE
    kept = sum(np.asarray(item)[0].sum(axis=-1) for item in read["absorbed"].values())
    assert relative_error(kept, biases[0]) <= RULE
    assert np.abs(biases).min() > 0.01  # so that they count
