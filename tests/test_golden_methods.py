"""Parity in float64 with Captum, with the attentions of transformers and with the original BERT_LRP's tracing."""

import functools

import jax
import numpy as np
import pytest
from measures import relative_error
from test_golden import GOLDEN, LXT, golden
from tolerances import GOLDEN_IG, GOLDEN_LAT, GOLDEN_METHOD

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods.attention import GenericAttention, LayerwiseAttentionTracing, Rollout
from autorel_jax.attribution.methods.gradients import Saliency
from autorel_jax.attribution.methods.integrated import IntegratedGradients
from autorel_jax.attribution.methods.occlusion import Occlusion
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch

MODELS = [*LXT[:-1], pytest.param(LXT[-1], marks=pytest.mark.slow)]


def baselines(name):
    return np.load(GOLDEN / f"{name.replace('attnlrp', 'baselines')}.npz")


def asked(name, method):
    """Settings, params, texts, weights of the target and values for a golden model; every token is a unit."""
    arrays, config, params = golden(name)
    ids, mask, types = (arrays[f"in/{key}"] for key in ("input_ids", "attention_mask", "token_type_ids"))
    units = np.where(mask == 1, np.arange(ids.shape[1]), -1)
    weights = np.eye(len(config.labels))[arrays["out/target"]][:, None]
    values = method.values(config, {"pad": 0, "mask": None})
    return Settings(config, method, method.reads[0]), params, Texts(ids, mask, types, units), weights, values


def scored(name, method):
    with jax.enable_x64(True):
        return np.asarray(token_scores(*asked(name, method)).relevance)[:, 0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("norm", "size"), [("l1", np.abs), pytest.param("squared", np.square, marks=pytest.mark.slow)])
def test_saliency(name, norm, size):
    expected = size(baselines(name)["saliency_abs"]).sum(axis=-1)
    assert relative_error(scored(name, Saliency(norm=norm)), expected) <= GOLDEN_METHOD


@functools.partial(jax.jit, static_argnums=0)
def contributions(settings, params, texts, weights, values):
    return settings.method.contributions(TargetedBatch(settings, params, texts, weights), values)[1]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("baseline", ["zero", "pad"])
def test_integrated_gradients(name, baseline):
    """Number by number of every token's vector."""
    with jax.enable_x64(True):
        settings, *arrays = asked(name, IntegratedGradients(baseline=baseline))
        found = np.asarray(contributions(settings, *arrays))[:, 0]
    assert relative_error(found, baselines(name)[f"ig_{baseline}_gl50"]) <= GOLDEN_IG


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("method", "array"),
    [
        (GenericAttention(), "generic_attention_cls"),
        (Rollout(), "rollout_cls"),
        (Occlusion(baseline="pad"), "occlusion_pad_logit_drop"),
    ],
    ids=["generic_attention", "rollout", "occlusion"],
)
def test_number_for_each_token(name, method, array):
    assert relative_error(scored(name, method), baselines(name)[array]) <= GOLDEN_METHOD


def test_layerwise_attention_tracing():
    """The original computes a part of it in float32."""
    found = scored("bert_lrp_lat12", LayerwiseAttentionTracing())
    assert relative_error(found, golden("bert_lrp_lat12")[0]["out/lat"][..., 0]) <= GOLDEN_LAT
