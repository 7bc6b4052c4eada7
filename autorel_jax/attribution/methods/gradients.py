"""Methods that average gradients: saliency, SmoothGrad, integrated gradients, expected gradients."""

import dataclasses
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.method import (
    BASELINES,
    MOST_SAMPLES,
    OTHER_IDS,
    VOCABULARY,
    ZERO,
    Choice,
    Method,
    Number,
    host,
    measured,
    nothing_measured,
    seed,
    static,
    traced,
)
from autorel_jax.attribution.methods.question import Question, chosen, summed
from autorel_jax.attribution.relevance import attribute
from autorel_jax.lrp.composites import READ_POINTS
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array

L1, L2, SQUARED, TIMES_INPUT = "l1", "l2", "squared", "times_input"
NORMS = (L1, L2, SQUARED)
RULES = ("gauss_legendre", "riemann")  # riemann: the middle of each step
MOST_STEPS = 5000  # gauss_legendre solves a matrix of as many rows and columns: 23 s on a CPU core
MISSED = 0.05  # of the difference of logits: integrated gradients that miss more get a warning
Values = Mapping[str, Array]


def reduced(how: str, gradient: Array, x: Array) -> Array:
    """A number for each token: gradient [B, N, T, D], x [B, T, D] -> [B, N, T]."""
    if how == TIMES_INPUT:
        return (gradient * x[:, None]).sum(axis=-1)
    if how == L1:
        return jnp.abs(gradient).sum(axis=-1)
    squared = jnp.square(gradient).sum(axis=-1)
    return jnp.sqrt(squared) if how == L2 else squared


@dataclasses.dataclass(frozen=True)
class Saliency(Method):
    """The size of the gradient of the target with respect to a token's vector.

    Answers: How fast does the target change when a token's vector changes a little?
    Scores: Never negative; they add up to nothing. `norm` is l1 (Σ|∇|), l2 (its length) or squared (Σ∇²).
    Cost: one gradient, 2 forward passes.
    Source: Simonyan et al. 2014 (arXiv 1312.6034); norm = squared is the original BERT_LRP's gradient sensitivity.
    """

    norm: str = static(L1, Choice(NORMS), "what becomes of the gradient over a token's vector")
    name = "saliency"
    reads = READ_POINTS
    note = "scores are sizes of gradients: they say how strongly, not in which direction, and add up to nothing"

    def scores(self, question: Question, values: Values) -> tuple[Array, Array, Array]:
        x = question.inputs
        boundary = question.settings.composite.boundary
        logits, gradient = attribute(question.logits, x, question.given, boundary)
        found = reduced(self.norm, gradient, x)
        return logits, found, nothing_measured(found)


@dataclasses.dataclass(frozen=True)
class SmoothGrad(Method):
    """The mean gradient at copies of the text whose vectors are blurred by normal noise.

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
    reduce: str = static(L1, Choice((*NORMS, TIMES_INPUT)), "what becomes of the mean gradient over a token's vector")
    seed: int = seed()
    name = "smoothgrad"
    reads = READ_POINTS
    note = "scores are sizes of gradients, or gradients times inputs: they add up to nothing"

    def scores(self, question: Question, values: Values) -> tuple[Array, Array, Array]:
        x, texts = question.inputs, question.texts
        logits = question.logits(x)
        weights, keys = question.weights(logits), draws.text_keys(values["seed"], texts)
        tokens = (texts.mask != 0)[..., None]
        largest = jnp.where(tokens, x, -jnp.inf).max(axis=(1, 2), keepdims=True)
        smallest = jnp.where(tokens, x, jnp.inf).min(axis=(1, 2), keepdims=True)
        deviation = jnp.where(tokens, values["sigma"] * (largest - smallest), 0)

        def normal(key):
            return jax.random.normal(key, x.shape[-1:], jnp.float32)

        def step(numbers, live):
            noise = draws.per_token(normal, keys, numbers, x.shape[1]).astype(x.dtype)
            found = question.gradients(weights, x + deviation * noise)
            return jnp.where(live[:, None, None, None, None], found, 0).sum(axis=0)

        gradient = summed(step, values["samples"], question.group) / values["samples"]
        found = reduced(self.reduce, gradient, x)
        return logits, found, nothing_measured(found)


@dataclasses.dataclass(frozen=True)
class IntegratedGradients(Method):
    """The gradient, averaged on the straight path from a baseline to the text, times their difference.

        R = (x - x') ⊙ ∫₀¹ ∇target(x' + α (x - x')) dα

    Answers: Which tokens account for the difference between this text's target and that of a text without content?
    Scores: Signed; they add up to the target's logit minus that of the baseline, but for convergence_delta, which is
        reported. The baseline stands in place of every token, [CLS] and [SEP] among them.
    Cost: `steps` gradients and two forward passes, 2 · steps + 2 forward passes; more where steps are doubled.
    Source: Sundararajan et al. 2017 (arXiv 1703.01365).
    """

    steps: int = host(50, Number(1, MOST_STEPS, whole=True), "points of the path; Sundararajan et al. take 20 to 300")
    rule: str = host(
        RULES[0],
        Choice(RULES),
        "where the points lie and what they weigh; riemann is the mean of the middles of equal steps",
    )
    baseline: str = traced(ZERO, Choice(BASELINES), "where the path begins")
    tolerance: float = host(
        0.0,
        Number(),
        "logits: steps are doubled, text by text, until convergence_delta is no larger; 0: the steps as given",
    )
    max_steps: int = host(
        1600, Number(1, MOST_SAMPLES, whole=True), "beyond which steps are not doubled; the last doubling of 50"
    )
    name = "integrated_gradients"
    diagnostics = ("baseline_logit", "convergence_delta", "steps")

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> dict[str, np.ndarray]:
        doublings = max(0, (self.max_steps // self.steps).bit_length() - 1) if self.tolerance else 0
        places, shares = points(self.rule, self.steps)
        kind = jnp.result_type(float)
        return super().values(config, ids) | {
            "places": places.astype(kind),
            "shares": shares.astype(kind),
            "tolerance": np.asarray(self.tolerance, kind),
            "panels": np.asarray(1 << doublings, np.int32),
        }

    def doubts(self, measured: Mapping[str, float], target_logit: float, units: int) -> Iterator[str]:
        delta, gained = abs(measured["convergence_delta"]), abs(target_logit - measured["baseline_logit"])
        if delta > (self.tolerance or MISSED * gained):
            yield (
                f"{self.name}: after {measured['steps']:g} steps the scores still miss the difference of logits by "
                f"{delta:.2g}; more steps, or a tolerance with a larger max_steps, bring them closer"
            )

    def scores(self, question: Question, values: Values) -> tuple[Array, Array, Array]:
        logits, found, measured = self.contributions(question, values)
        return logits, found.sum(axis=-1), measured

    def contributions(self, question: Question, values: Values) -> tuple[Array, Array, Array]:
        """As `scores`, before the sum over a token's vector: [B, N, T, D]."""
        x = question.inputs
        base = jnp.broadcast_to(question.baseline(values["baseline"]), x.shape).astype(x.dtype)
        logits = question.logits(x)
        weights = question.weights(logits)
        start = chosen(weights, question.logits(base))
        gained = chosen(weights, logits) - start
        at_first = values["places"].shape[0]  # steps
        has_tokens = (question.texts.mask != 0).any(axis=1)[:, None]

        def integral(panels):
            """The path in `panels` equal parts, each with the points of the rule."""
            count = panels * at_first

            def step(numbers, live):
                place, share = values["places"][numbers % at_first], values["shares"][numbers % at_first]
                alpha = (numbers // at_first + place) / panels
                found = question.gradients(weights, base + alpha[:, None, None, None] * (x - base))
                return (jnp.where(live, share / panels, 0)[:, None, None, None, None] * found).sum(axis=0)

            return (x - base)[:, None] * summed(step, count, question.group)

        def is_open(delta):
            return (jnp.abs(delta) > values["tolerance"]) & has_tokens

        def refine(state):
            """Twice the steps, for those whose sum is not close enough yet; the others keep what they have."""
            panels, found, delta, steps = state
            again, better = is_open(delta), integral(panels)
            missed = better.sum(axis=(2, 3)) - gained
            return (
                2 * panels,
                jnp.where(again[..., None, None], better, found),
                jnp.where(again, missed, delta),
                jnp.where(again, panels * at_first, steps),
            )

        def unfinished(state):
            panels, _, delta, _ = state
            return (panels == 1) | ((panels <= values["panels"]) & is_open(delta).any())

        nothing = jnp.zeros((*gained.shape, *x.shape[1:]), gained.dtype)
        state = (jnp.int32(1), nothing, jnp.full_like(gained, jnp.inf), jnp.zeros_like(gained, jnp.int32))
        _, found, delta, steps = jax.lax.while_loop(unfinished, refine, state)
        return logits, found, measured((start, delta, steps), found)


def points(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a rule looks on a path from 0 to 1, and the weight of each place; both [steps]."""
    if rule == "riemann":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    places, shares = np.polynomial.legendre.leggauss(steps)
    return (places + 1) / 2, shares / 2


@dataclasses.dataclass(frozen=True)
class ExpectedGradients(Method):
    """Integrated gradients whose baseline and point of the path are drawn anew for each sample.

        R = mean over x', α of (x - x') ⊙ ∇target(x' + α (x - x'))

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
        Choice((VOCABULARY, *BASELINES)),
        "where the paths begin; with a fixed one this is integrated gradients with random steps",
    )
    seed: int = seed()
    name = "expected_gradients"

    def scores(self, question: Question, values: Values) -> tuple[Array, Array, Array]:
        x, keys = question.inputs, draws.text_keys(values["seed"], question.texts)
        logits = question.logits(x)
        weights, fixed = question.weights(logits), question.baseline(values["baseline"])
        size = question.table.shape[0]

        def step(numbers, live):
            drawn = draws.per_token(draws.uniform, keys, numbers, x.shape[1])
            some = question.table[jnp.minimum((drawn * size).astype(jnp.int32), size - 1)]
            base = jnp.where(values["baseline"] == OTHER_IDS[VOCABULARY], some, fixed)
            within = draws.per_text(draws.uniform, keys, numbers)
            alpha = (numbers[:, None] + within) / values["samples"]  # one in each of as many equal parts of the path
            found = question.gradients(weights, base + alpha[..., None, None].astype(x.dtype) * (x - base))
            found = (found * (x - base)[:, :, None]).sum(axis=-1)
            return jnp.where(live[:, None, None, None], found, 0).sum(axis=0)

        found = summed(step, values["samples"], question.group) / values["samples"]
        return logits, found, nothing_measured(found)
