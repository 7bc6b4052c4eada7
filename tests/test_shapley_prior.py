"""KernelSHAP with a prior: exact where it can be, its posterior against an oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, random_params, refusal
from questions import CONFIG, LENGTHS, TEXTS, UNITS, answer, exact, rows, token_relevance
from test_coalition_methods import at_tokens, shapley
from tolerances import BATCH, METHOD_EXACT, RULE

from autorel_jax.attribution.methods.shapley_prior import RIDGES, USUAL, VAGUE, near_prior
from autorel_jax.attribution.methods.surrogates import KernelShap
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import COMPOSITES

NEAR = KernelShap(samples=40, prior="attnlrp")


@pytest.mark.parametrize("row", [0, 1, 2])
def test_kernel_shap_of_all_parts_is_exact_with_a_prior(row):
    """8 units, and 3: what was expected does not count."""
    _, scores, measured = exact(NEAR.set(samples=2**8 - 2))
    expected, start = shapley(row)
    assert relative_error(scores[row], at_tokens(row, expected)) <= METHOD_EXACT
    np.testing.assert_allclose(measured[row, :, 0], start, rtol=METHOD_EXACT)


def test_kernel_shap_with_a_prior_adds_up():
    """40 of 254 parts; the text of 3 units has all of its 6, and one without units gets nothing."""
    logits, scores, measured = exact(NEAR)
    np.testing.assert_allclose(scores.sum(axis=2)[:3], (logits - measured[..., 0])[:3], atol=METHOD_EXACT)
    assert relative_error(scores[2], at_tokens(2, shapley(2)[0])) <= METHOD_EXACT
    assert not scores[3].any()
    assert METHOD_EXACT < relative_error(scores[0], at_tokens(0, shapley(0)[0])) < 0.5


def posterior(z, d, r):
    """ψ by the model of the module's docstring: covariances of the m half differences, written out."""
    r = r / np.linalg.norm(r)
    found, chances = [], []
    for ridge in RIDGES:
        prior = np.eye(len(r)) / ridge + np.outer(r, r) / VAGUE  # of ψ, in units of σ²
        covariance = np.eye(len(d)) + z @ prior @ z.T
        solved = np.linalg.solve(covariance, d)
        found.append(prior @ z.T @ solved)
        fit = len(d) * np.log(d @ solved) + np.linalg.slogdet(covariance)[1]
        chances.append(-0.5 * fit - 0.5 * ((np.log10(ridge) - np.log10(USUAL)) / 0.5) ** 2)
    chances = np.exp(np.array(chances) - max(chances))
    return chances @ np.array(found) / chances.sum()


@pytest.mark.parametrize("pairs", [1, 4, 30])
def test_near_prior_is_the_mean_under_its_model(pairs):
    rng = np.random.default_rng(pairs)
    z, r = rng.standard_normal((2, pairs, 7)), rng.standard_normal((2, 3, 7))
    d = np.einsum("bmu,bnu->bmn", z, r) + rng.standard_normal((2, pairs, 3))
    with jax.enable_x64(True):
        sums = np.einsum("bmu,bmv->buv", z, z), np.einsum("bmu,bmn->bun", z, d), (d**2).sum(axis=1)
        found = near_prior(*map(jnp.asarray, (*sums, r)), pairs)
    for text in range(2):
        for target in range(3):
            expected = posterior(z[text], d[text, :, target], r[text, target])
            assert relative_error(found[text, target], expected) <= RULE


def test_near_prior_without_differences_or_relevance_is_finite():
    zeros = np.zeros((1, 5, 5)), np.zeros((1, 5, 1)), np.zeros((1, 1))
    for relevance in (np.zeros((1, 1, 5)), np.arange(5.0)[None, None]):
        assert not np.asarray(near_prior(*map(jnp.float32, (*zeros, relevance)), 3)).any()
    gram = np.float32(np.eye(5)[None])
    found = near_prior(gram, np.float32(np.ones((1, 5, 1))), np.float32([[5]]), np.float32(np.zeros((1, 1, 5))), 3)
    assert np.isfinite(found).all()
    assert np.ptp(found) < 1e-6


def test_a_text_with_a_prior_does_not_depend_on_its_batch():
    _, scores, _ = answer(NEAR)
    (alone,) = answer(NEAR, rows(1, length=LENGTHS[1]))[1]
    assert relative_error(alone, scores[1]) <= BATCH
    before = token_scores._cache_size()
    _, other, _ = answer(NEAR.set(samples=30, seed=4, baseline="pad"))
    assert token_scores._cache_size() == before
    assert relative_error(other, scores) > BATCH
    _, few, _ = answer(NEAR.set(samples=2))
    assert np.isfinite(few).all()


def test_what_a_prior_can_be():
    said = refusal(KernelShap, prior="lrp")
    assert said == f"prior=lrp: expected one of none, {', '.join(COMPOSITES)}."
    modern = FAMILIES["modernbert"]
    assert "bert_lrp is for layers as BERT's" in refusal(
        Settings, modern, KernelShap(prior="bert_lrp"), "word_embeddings"
    )
    assert KernelShap(prior="gamma").content() != KernelShap(prior="epsilon").content()


@pytest.mark.slow
def test_the_prior_is_the_relevance_of_the_units():
    """Of two samples hardly anything is known: nearly all is an offset and a multiple of the relevance."""
    _, scores, _ = exact(NEAR.set(samples=2, prior="cp_lrp"))
    settings = Settings(CONFIG, COMPOSITES["cp_lrp"], "word_embeddings")
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        weights = np.broadcast_to(np.eye(3), (4, 3, 3))
        _, relevance = token_relevance(settings, params, *TEXTS[:3], weights, {})
    for target in range(3):
        mine, theirs = (np.asarray(array)[0, target, UNITS[0] >= 0] for array in (scores, relevance))
        assert abs(np.corrcoef(mine, theirs)[0, 1]) > 0.5
