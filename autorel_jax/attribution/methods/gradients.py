"""Methods that average gradients: saliency, SmoothGrad, expected gradients. Integrated gradients: integrated.py."""

import dataclasses

import jax
import jax.numpy as jnp

from autorel_jax.attribution.method import Values
from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.by_rules import OfGradients, in_place_of_gradient
from autorel_jax.attribution.methods.parameters import (
    BASELINES,
    MOST_SAMPLES,
    OTHER_IDS,
    VOCABULARY,
    Number,
    OneOf,
    seed,
    static,
    traced,
)
from autorel_jax.attribution.methods.plain import PlainMethod, Scores
from autorel_jax.attribution.targeted_batch import TargetedBatch, summed
from autorel_jax.lrp.composites import READ_POINTS
from autorel_jax.model.ops import Array

L1, L2, SQUARED, TIMES_INPUT = "l1", "l2", "squared", "times_input"
NORMS = (L1, L2, SQUARED)


def reduced(how: str, gradient: Array, x: Array) -> Array:
    """A number for each token: gradient [B, N, T, D], x [B, T, D] -> [B, N, T]."""
    if how == TIMES_INPUT:
        return (gradient * x[:, None]).sum(axis=-1)
    if how == L1:
        return jnp.abs(gradient).sum(axis=-1)
    squared = jnp.square(gradient).sum(axis=-1)
    return jnp.sqrt(squared) if how == L2 else squared


@dataclasses.dataclass(frozen=True)
class Saliency(PlainMethod):
    """The size of the gradient of the target with respect to a token's vector.

    Answers: How fast does the target change when a token's vector changes a little?
    Scores: Never negative; they add up to nothing. `norm` is l1 (Σ|∇|), l2 (its length) or squared (Σ∇²).
    Cost: one gradient, 2 forward passes.
    Source: Simonyan et al. 2014 (arXiv 1312.6034); norm = squared is the original BERT_LRP's gradient sensitivity.
    """

    norm: str = static(L1, OneOf(NORMS), "what becomes of the gradient over a token's vector")
    name = "saliency"
    reads = READ_POINTS
    note = "scores are sizes of gradients: they say how strongly, not in which direction, and add up to nothing"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        x = batch.inputs
        logits, gradient = batch.gradient(x)
        return logits, reduced(self.norm, gradient, x), {}


@dataclasses.dataclass(frozen=True)
class SmoothGrad(OfGradients):
    """The mean gradient at copies of the text whose vectors are blurred by normal noise.

    A `composite` puts its multipliers in place of the gradient; with `reduce` = times_input this is its relevance,
    smoothed.

    Answers: As saliency, but of a neighbourhood rather than of a point where the gradient may be erratic.
    Scores: As saliency for a norm; signed for `reduce` = times_input, the mean gradient times the input. They add up
        to nothing.
    Cost: `samples` gradients and a forward pass, 2 · samples + 1 forward passes.
    Source: Smilkov et al. 2017 (arXiv 1706.03825).
    """

    samples: int = traced(
        25, Number(1, MOST_SAMPLES, whole=True), "noisy copies; Smilkov et al. see little change beyond 50"
    )
    sigma: float = traced(
        0.15,
        Number(),
        "deviation of the noise, as a part of the text's largest minus its smallest "
        "activation; Smilkov et al. take 0.1 to 0.2",
    )
    reduce: str = static(L1, OneOf((*NORMS, TIMES_INPUT)), "what becomes of the mean gradient over a token's vector")
    seed: int = seed()
    composite: str = in_place_of_gradient()
    name = "smoothgrad"
    reads = READ_POINTS
    note = "scores are sizes of gradients, or gradients times inputs: they add up to nothing"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        x, texts = batch.inputs, batch.texts
        logits = batch.logits(x)
        weights, keys = batch.weights(logits), draws.text_keys(values["seed"], texts)
        tokens = (texts.mask != 0)[..., None]
        largest = jnp.where(tokens, x, -jnp.inf).max(axis=(1, 2), keepdims=True)
        smallest = jnp.where(tokens, x, jnp.inf).min(axis=(1, 2), keepdims=True)
        deviation = jnp.where(tokens, values["sigma"] * (largest - smallest), 0)

        def normal(key):
            return jax.random.normal(key, x.shape[-1:], jnp.float32)

        def step(numbers, live):
            noise = draws.per_token(normal, keys, numbers, x.shape[1]).astype(x.dtype)
            gradients = batch.gradients(weights, x + deviation * noise, self.multipliers, values["rules"])
            return jnp.where(live[:, None, None, None, None], gradients, 0).sum(axis=0)

        gradient = summed(step, values["samples"], batch.group) / values["samples"]
        return logits, reduced(self.reduce, gradient, x), {}


@dataclasses.dataclass(frozen=True)
class ExpectedGradients(OfGradients):
    """Integrated gradients whose baseline and point of the path are drawn anew for each sample.

        R = mean over x', α of (x - x') ⊙ ∇target(x' + α (x - x'))

    A `composite` puts its multipliers in place of the gradient; scores then add up to no difference of logits.

    Answers: As integrated gradients, but beside many texts rather than beside one that means nothing.
    Scores: Signed; they add up to the target's logit minus the mean of the baselines', up to the error of sampling.
    Cost: `samples` gradients and a forward pass, 2 · samples + 1 forward passes.
    Source: Erion et al. 2021 (arXiv 1906.10670). Without training data at hand, a baseline is a text of as many tokens
        drawn from the vocabulary.
    """

    samples: int = traced(
        100, Number(1, MOST_SAMPLES, whole=True), "pairs of a baseline and a point; points are spread evenly"
    )
    baseline: str = traced(
        VOCABULARY,
        OneOf((VOCABULARY, *BASELINES)),
        "where the paths begin; with a fixed one this is integrated gradients with random steps",
    )
    seed: int = seed()
    composite: str = in_place_of_gradient()
    name = "expected_gradients"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        x, keys = batch.inputs, draws.text_keys(values["seed"], batch.texts)
        logits = batch.logits(x)
        weights, fixed = batch.weights(logits), batch.baseline(values["baseline"])
        size = batch.table.shape[0]

        def step(numbers, live):
            drawn = draws.per_token(draws.uniform, keys, numbers, x.shape[1])
            some = batch.table[jnp.minimum((drawn * size).astype(jnp.int32), size - 1)]
            base = jnp.where(values["baseline"] == OTHER_IDS[VOCABULARY], some, fixed)
            within = draws.per_text(draws.uniform, keys, numbers)
            alpha = (numbers[:, None] + within) / values["samples"]  # one in each of as many equal parts of the path
            point = base + alpha[..., None, None].astype(x.dtype) * (x - base)
            gradients = batch.gradients(weights, point, self.multipliers, values["rules"])
            shares = (gradients * (x - base)[:, :, None]).sum(axis=-1)
            return jnp.where(live[:, None, None, None], shares, 0).sum(axis=0)

        return logits, summed(step, values["samples"], batch.group) / values["samples"], {}
