"""Saliency, SmoothGrad, integrated and expected gradients: completeness, limits, and which of them are another."""

import dataclasses

import jax
import numpy as np
import pytest
from measures import relative_error
from models import random_params, refusal
from questions import BASELINE_IDS, CONFIG, EYE, MASK, TEXTS, answer, exact, token_relevance
from tolerances import BATCH, COMPLETENESS, EXPECTED_GRADIENTS, METHOD_EXACT

from autorel_jax.attribution import relevance
from autorel_jax.attribution.methods.gradients import ExpectedGradients, Saliency, SmoothGrad
from autorel_jax.attribution.methods.integrated import IntegratedGradients
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import COMPOSITES, GRADIENT, READ_POINTS

BASELINES = ("zero", "pad", "mask")


def baseline_logits(baseline):
    """Logits in float64 where the baseline stands in place of every token."""
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        at = Settings(CONFIG, COMPOSITES["gradient_x_input"], "word_embeddings")
        row = 0 if baseline == "zero" else params["embeddings"]["word"][BASELINE_IDS[baseline]]
        x = np.broadcast_to(row, (*MASK.shape, CONFIG.hidden_size)).astype(float)
        f = relevance.from_embeddings(at, params, TEXTS.mask, TEXTS.types, {})
        return np.asarray(jax.jit(f)(x))


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_add_up(baseline):
    """Σ R = logit - baseline's logit + delta, and by Gauss and Legendre the delta is next to nothing."""
    logits, scores, measured = exact(IntegratedGradients(baseline=baseline))
    start, delta, steps = np.moveaxis(measured, 2, 0)
    assert relative_error(start, baseline_logits(baseline)) <= METHOD_EXACT
    np.testing.assert_allclose(scores.sum(axis=2), logits - start + delta, atol=METHOD_EXACT)
    assert np.abs(delta).max() <= COMPLETENESS * np.abs(logits - start).max()
    assert (steps == 50).all()


def test_riemann_sums_converge_with_the_square_of_the_steps():
    """Twice the middles of steps leave a quarter of the delta."""
    few, more = (np.abs(exact(IntegratedGradients(rule="riemann", steps=n))[2][..., 1]) for n in (20, 40))
    assert 0.2 * few.max() < more.max() < 0.3 * few.max()


def test_steps_are_doubled_text_by_text():
    """Until the delta is below the tolerance, or the steps are too many; a text that is done keeps its result."""
    few = IntegratedGradients(steps=2, rule="riemann")
    _, _, at_first = exact(few)
    bound = float(np.median(np.abs(at_first[..., 1])))
    _, scores, measured = exact(few.set(tolerance=bound / 20, max_steps=2**10))
    _, delta, steps = np.moveaxis(measured, 2, 0)
    assert np.abs(delta).max() <= bound / 20
    assert len(np.unique(steps)) > 1
    for doubled in np.unique(steps):
        _, fixed, _ = exact(IntegratedGradients(steps=int(doubled), rule="riemann"))
        np.testing.assert_allclose(scores[steps == doubled], fixed[steps == doubled], atol=METHOD_EXACT)
    _, _, cut_short = exact(few.set(tolerance=bound / 20, max_steps=7))
    assert cut_short[..., 2].max() == 4


@pytest.mark.parametrize("reduce", ["l1", *(pytest.param(norm, marks=pytest.mark.slow) for norm in ("l2", "squared"))])
def test_smoothgrad_without_noise_is_saliency(reduce):
    _, found, _ = exact(SmoothGrad(sigma=0, samples=2, reduce=reduce))
    _, expected, _ = exact(Saliency(norm=reduce))
    assert relative_error(found, expected) <= METHOD_EXACT


def test_smoothgrad_times_input_without_noise_is_gradient_x_input():
    _, found, _ = exact(SmoothGrad(sigma=0, samples=2, reduce="times_input"))
    with jax.enable_x64(True):
        at = Settings(CONFIG, COMPOSITES["gradient_x_input"], "word_embeddings")
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        _, expected = token_relevance(at, params, *TEXTS[:3], EYE, {})
        assert relative_error(found, expected) <= METHOD_EXACT


@pytest.mark.parametrize("name", ["attnlrp", pytest.param("gamma", marks=pytest.mark.slow)])
def test_smoothgrad_of_a_composite_without_noise_is_the_composite(name):
    """Also of one with parameters."""
    _, found, _ = exact(SmoothGrad(sigma=0, samples=2, reduce="times_input", composite=name))
    with jax.enable_x64(True):
        at = Settings(CONFIG, COMPOSITES[name], "word_embeddings")
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        _, expected = token_relevance(at, params, *TEXTS[:3], EYE, at.values)
        assert relative_error(found, expected) <= METHOD_EXACT


def test_integrated_gradients_of_a_composite_are_the_mean_of_its_multipliers():
    """Three points of the path from 0, one by one: c = R / x at each, times x."""
    _, found, measured = exact(IntegratedGradients(steps=3, rule="riemann", composite="attnlrp"))
    made = dataclasses.replace(COMPOSITES["attnlrp"], boundary=GRADIENT.boundary)
    with jax.enable_x64(True):
        at = Settings(CONFIG, made, "word_embeddings")
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        x = relevance.embeddings(at, params, TEXTS.ids, TEXTS.types)
        f = relevance.from_embeddings(at, params, TEXTS.mask, TEXTS.types, {})
        multipliers = jax.jit(jax.grad(lambda x: f(x)[:, 1].sum()))
        mean = np.mean([np.asarray(multipliers(x * place)) for place in (1 / 6, 1 / 2, 5 / 6)], axis=0)
        expected = (mean * np.asarray(x)).sum(axis=-1)
        logits = np.asarray(f(x) - f(x * 0))[:, 1]
    assert relative_error(found[:, 1], expected * TEXTS.mask) <= METHOD_EXACT
    np.testing.assert_allclose(measured[:, 1, 1], found[:, 1].sum(axis=1) - logits, atol=METHOD_EXACT)


@pytest.mark.slow
def test_expected_gradients_take_a_composite_too():
    _, found, _ = exact(ExpectedGradients(baseline="zero", samples=400, composite="attnlrp"))
    _, expected, _ = exact(IntegratedGradients(composite="attnlrp"))
    assert relative_error(found, expected) <= EXPECTED_GRADIENTS
    _, plain, _ = exact(IntegratedGradients())
    assert relative_error(expected, plain) > 0.01


@pytest.mark.parametrize("method", [SmoothGrad, IntegratedGradients, ExpectedGradients])
def test_composites_without_multipliers_are_refused(method):
    able = ", ".join(["gradient", *(name for name in COMPOSITES if not name.startswith("bert_lrp"))])
    for name in ("bert_lrp", "bert_lrp_jacobian"):
        said = refusal(method, composite=name)
        assert said == (
            f"composite={name}: expected one of {able}. {name} carries relevance itself, which cannot stand in for a "
            "gradient."
        )
    assert refusal(method, composite="lrp") == f"composite=lrp: expected one of {able}."
    assert refusal(method, composite=3) == f"composite=3: expected one of {able}."


def test_a_composite_on_a_path_has_no_tolerance():
    said = refusal(IntegratedGradients, composite="attnlrp", tolerance=0.1)
    assert said.startswith("tolerance=0.1: with composite=attnlrp scores do not come closer to the difference of")


def test_norms_are_of_one_gradient():
    """Of a vector of D numbers, l2 <= l1 <= √D l2; the square of l2 is `squared`."""
    l1, l2, squared = (exact(Saliency(norm=norm))[1] for norm in ("l1", "l2", "squared"))
    assert relative_error(l2**2, squared) <= METHOD_EXACT
    assert (l2 <= l1 * (1 + METHOD_EXACT)).all()
    assert (l1 <= np.sqrt(CONFIG.hidden_size) * l2 * (1 + METHOD_EXACT)).all()


def test_the_gradient_at_a_sum_is_that_at_its_parts():
    """But not that behind the LayerNorm."""
    words, total, normed = (answer(Saliency(), read_at=point)[1] for point in READ_POINTS)
    assert relative_error(total, words) <= BATCH
    assert relative_error(normed, words) > 0.01


def test_more_noise_is_another_result():
    still, noisy = (answer(SmoothGrad(samples=3, sigma=sigma))[1] for sigma in (0.0, 0.3))
    assert relative_error(noisy, still) > 0.01


@pytest.mark.parametrize("baseline", ["zero", "pad"])
def test_expected_gradients_of_one_baseline_are_integrated_gradients(baseline):
    _, found, _ = exact(ExpectedGradients(baseline=baseline, samples=400))
    _, expected, _ = exact(IntegratedGradients(baseline=baseline))
    assert relative_error(found, expected) <= EXPECTED_GRADIENTS


def test_expected_gradients_add_up_to_what_the_vocabulary_lacks():
    """Σ R = logit - mean logit of texts drawn from the vocabulary, up to the error of both means."""
    from autorel_jax.classifier import forward

    logits, scores, _ = exact(ExpectedGradients(samples=2000))
    ids = np.random.default_rng(3).integers(0, CONFIG.vocab_size, (2000, 9))
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        mask, types = (np.repeat(part[:1], 2000, axis=0) for part in (TEXTS.mask, TEXTS.types))
        drawn = np.asarray(forward(CONFIG, None, params, ids, mask, types))
    error = np.sqrt(drawn.var(axis=0) / 2000)
    gained = logits[0] - drawn.mean(axis=0)
    assert (np.abs(scores[0].sum(axis=1) - gained) <= 6 * error).all()
    assert np.abs(gained).max() > 20 * error.max()  # so that it can fail
