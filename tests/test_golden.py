"""Parity in float64 with what LXT and the original BERT_LRP computed (tests/golden/README.md)."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from measures import relative_error
from tolerances import (
    GOLDEN_ATTNLRP,
    GOLDEN_ATTNLRP_TWIN,
    GOLDEN_BERT_LRP,
    GOLDEN_GRADIENT,
    GOLDEN_LOGITS,
)

from autorel_jax.attribution import relevance
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp import bert_lrp
from autorel_jax.lrp.composites import ATTNLRP, BERT_LRP_JACOBIAN, COMPOSITES, EMBEDDINGS, WORD_EMBEDDINGS
from autorel_jax.model import ops
from autorel_jax.model.config import BertConfig
from autorel_jax.weights.params import to_params

GOLDEN = Path(__file__).parent / "golden"
LXT = ("attnlrp_small", "attnlrp_deep", "attnlrp_wide")
ORIGINAL = ("bert_lrp_small", "bert_lrp_wide", "bert_lrp_lat12")


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def lxt_activation(name, x):
    """LXT's identity rule, with its own quotient in place of the closed form."""
    return ops.activation(name, x)


lxt_activation.defvjp(
    lambda name, x: (ops.activation(name, x), x),
    lambda name, x, c: (c * ops.activation(name, x) / (x + 1e-10),),
)
LXT_TWIN = dataclasses.replace(ATTNLRP, ops=dataclasses.replace(ATTNLRP.ops, activation=lxt_activation))


@functools.cache
def golden(name):
    """The arrays of a file, its config, and its weights as our params tree in float64."""
    arrays = np.load(GOLDEN / f"{name}.npz")
    values = json.loads((GOLDEN / f"{name}.json").read_text())
    labels = tuple(str(label) for label in range(values.pop("num_labels")))
    config = BertConfig(**values, labels=labels)
    tensors = {key.removeprefix("weight/"): arrays[key] for key in arrays.files if key.startswith("weight/")}
    params = to_params(tensors, config, name)[0]
    return arrays, config, jax.tree.map(np.float64, params)


def explained(name, composite, read_at, seed_of):
    """Logits [B, C] and relevance [B, T, D] from the cotangent that seed_of(logits, onehot of the target) gives."""
    arrays, config, params = golden(name)
    ids, mask, types = (arrays[f"in/{key}"] for key in ("input_ids", "attention_mask", "token_type_ids"))
    onehot = np.eye(len(config.labels))[arrays["out/target"]]
    with jax.enable_x64(True):
        settings = Settings(config, composite, read_at)
        return jax.device_get(run(settings, params, ids, mask, types, onehot, settings.values, seed_of))


@functools.partial(jax.jit, static_argnums=(0, 7))
def run(settings, params, ids, mask, types, onehot, values, seed_of):
    x = relevance.embeddings(settings, params, ids, types)
    logits, pull = jax.vjp(relevance.from_embeddings(settings, params, mask, types, values), x)
    return logits, pull(seed_of(logits, onehot))[0]


def one(logits, onehot):
    return onehot


def logit(logits, onehot):
    return logits * onehot


@pytest.mark.parametrize("name", LXT + ORIGINAL)
def test_logits_and_gradient_x_input(name):
    read_at = WORD_EMBEDDINGS if name in LXT else EMBEDDINGS
    logits, found = explained(name, COMPOSITES["gradient_x_input"], read_at, one)
    arrays = golden(name)[0]
    assert relative_error(logits, arrays["out/logits"]) <= GOLDEN_LOGITS
    assert relative_error(found, arrays["out/gradient_x_input"]) <= GOLDEN_GRADIENT


@pytest.mark.parametrize("name", ORIGINAL)
@pytest.mark.parametrize("seed", [logit, one])
def test_bert_lrp(name, seed):
    _, found = explained(name, COMPOSITES["bert_lrp"], EMBEDDINGS, seed)
    expected = golden(name)[0][f"out/lrp_quick_seed_{seed.__name__}"]
    assert relative_error(found, expected) <= GOLDEN_BERT_LRP


def jacobian_among_all(table, query, key, value, mask, drop=None, scores=None, stabilizer=1e-7):
    """The original's sums over outputs, padding among them."""
    return bert_lrp.jacobian_among(query, key, value, mask, np.ones(mask.shape), stabilizer)


PADDING_TWIN = dataclasses.replace(
    BERT_LRP_JACOBIAN, ops=dataclasses.replace(BERT_LRP_JACOBIAN.ops, attention=jacobian_among_all)
)


@pytest.mark.parametrize("method", [BERT_LRP_JACOBIAN, PADDING_TWIN], ids=["ours", "padding counted"])
def test_bert_lrp_jacobian(method):
    """Ours where there is no padding, which the original counts as outputs; its twin that does so everywhere."""
    arrays = golden("bert_lrp_small")[0]
    _, found = explained("bert_lrp_small", method, EMBEDDINGS, logit)
    rows = arrays["in/attention_mask"].all(axis=1) | (method is PADDING_TWIN)
    assert rows.sum() >= 2
    expected = arrays["out/lrp_jacobian_seed_logit"]
    assert relative_error(found[rows], expected[rows]) <= GOLDEN_BERT_LRP
    assert relative_error(arrays["out/lrp_quick_seed_logit"][rows], expected[rows]) > GOLDEN_BERT_LRP  # the other one


@pytest.mark.parametrize("name", LXT)
@pytest.mark.parametrize(
    ("composite", "bound"), [(LXT_TWIN, GOLDEN_ATTNLRP_TWIN), (COMPOSITES["attnlrp"], GOLDEN_ATTNLRP)]
)
def test_attnlrp(name, composite, bound):
    _, found = explained(name, composite, WORD_EMBEDDINGS, one)
    assert relative_error(found, golden(name)[0]["out/attnlrp"]) <= bound
