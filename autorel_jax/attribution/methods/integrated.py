"""Integrated gradients: the gradient averaged on a straight path, with as many steps as the text needs."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.method import Outcome, Values
from autorel_jax.attribution.methods.by_rules import PLAIN_GRADIENT, OfGradients, in_place_of_gradient
from autorel_jax.attribution.methods.parameters import BASELINES, MOST_SAMPLES, ZERO, Number, OneOf, host, traced
from autorel_jax.attribution.methods.plain import Scores
from autorel_jax.attribution.targeted_batch import TargetedBatch, chosen, summed
from autorel_jax.errors import InputError
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array

QUADRATURES = ("gauss_legendre", "riemann")  # riemann: the middle of each step
MOST_STEPS = 5000  # gauss_legendre solves a matrix of as many rows and columns: 23 s on a CPU core
MISSED = 0.05  # of the difference of logits: integrated gradients that miss more get a warning


@dataclasses.dataclass(frozen=True)
class IntegratedGradients(OfGradients):
    """The gradient, averaged on the straight path from a baseline to the text, times their difference.

        R = (x - x') ⊙ ∫₀¹ ∇target(x' + α (x - x')) dα

    A `composite` puts its multipliers in place of the gradient. These are no derivatives along the path: their scores
    do not add up to the difference of logits, however many the steps, and `tolerance` is refused.

    Answers: Which tokens account for the difference between this text's target and that of a text without content?
    Scores: Signed; they add up to the target's logit minus that of the baseline, but for convergence_delta, which is
        reported. The baseline stands in place of every token, special tokens among them.
    Cost: `steps` gradients and two forward passes, 2 · steps + 2 forward passes; more where steps are doubled.
    Source: Sundararajan et al. 2017 (arXiv 1703.01365); with a composite after LibraGrad (Mehri et al. 2025, arXiv
        2411.16760).
    """

    steps: int = host(50, Number(1, MOST_STEPS, whole=True), "points of the path; Sundararajan et al. take 20 to 300")
    rule: str = host(
        QUADRATURES[0],
        OneOf(QUADRATURES),
        "where the points lie and what they weigh; riemann is the mean of the middles of equal steps",
    )
    baseline: str = traced(ZERO, OneOf(BASELINES), "where the path begins")
    tolerance: float = host(
        0.0,
        Number(),
        "logits: steps are doubled, text by text, until convergence_delta is no larger; 0: the steps as given",
    )
    max_steps: int = host(
        1600, Number(1, MOST_SAMPLES, whole=True), "beyond which steps are not doubled; the last doubling of 50"
    )
    composite: str = in_place_of_gradient()
    name = "integrated_gradients"
    diagnostics = ("baseline_logit", "convergence_delta", "steps")
    worst: ClassVar = {"steps": max}

    def __post_init__(self):
        super().__post_init__()
        if self.tolerance and self.made:
            raise InputError(
                f"tolerance={self.tolerance:g}: with composite={self.composite} scores do not come closer to the "
                f"difference of logits with more steps; give 0, or composite={PLAIN_GRADIENT}."
            )

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

    def doubts(self, outcome: Outcome) -> Iterator[str]:
        measured = outcome.diagnostics
        delta, gained = abs(measured["convergence_delta"]), abs(outcome.value - measured["baseline_logit"])
        if self.made and delta > MISSED * gained:
            yield (
                f"{self.name}: the scores of {self.composite} miss the difference of logits by {delta:.2g}; they do "
                "not add up to it, whatever the steps"
            )
        elif not self.made and delta > (self.tolerance or MISSED * gained):
            yield (
                f"{self.name}: after {measured['steps']:g} steps the scores still miss the difference of logits by "
                f"{delta:.2g}; more steps, or a tolerance with a larger max_steps, bring them closer"
            )

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        logits, contributions, measured = self.contributions(batch, values)
        return logits, contributions.sum(axis=-1), measured

    def contributions(self, batch: TargetedBatch, values: Values) -> Scores:
        """As `scores`, before the sum over a token's vector: [B, N, T, D]."""
        x = batch.inputs
        base = jnp.broadcast_to(batch.baseline(values["baseline"]), x.shape).astype(x.dtype)
        logits = batch.logits(x)
        weights = batch.weights(logits)
        start = chosen(weights, batch.logits(base))
        steps = values["places"].shape[0]

        def integral(panels: Array) -> Array:
            """The path in `panels` equal parts, each with the points of the rule."""

            def step(numbers, live):
                place, share = values["places"][numbers % steps], values["shares"][numbers % steps]
                alpha = (numbers // steps + place) / panels
                point = base + alpha[:, None, None, None] * (x - base)
                gradients = batch.gradients(weights, point, self.multipliers, values["rules"])
                return (jnp.where(live, share / panels, 0)[:, None, None, None, None] * gradients).sum(axis=0)

            return (x - base)[:, None] * summed(step, panels * steps, batch.group)

        has_tokens = (batch.texts.mask != 0).any(axis=1)[:, None]
        gained = chosen(weights, logits) - start
        nothing = jnp.zeros((*gained.shape, *x.shape[1:]), gained.dtype)
        contributions, delta, panels = refined(
            integral, nothing, gained, has_tokens, values["tolerance"], values["panels"]
        )
        return logits, contributions, {"baseline_logit": start, "convergence_delta": delta, "steps": panels * steps}


def refined(
    integral: Callable[[Array], Array], nothing: Array, gained: Array, wanted: Array, tolerance: Array, most: Array
) -> tuple[Array, Array, Array]:
    """An integral with twice as many panels, again and again, for each text and target that it has not yet converged.

    Args:
      integral: a number of panels -> contributions [B, N, T, D], whose sums should be `gained`.
      nothing: zeros in the shape of the contributions.
      gained: [B, N] the difference of the target's values at the ends of the path.
      wanted: [B, 1] which texts count.
      tolerance: of the sums.
      most: panels beyond which nothing is doubled; 1 computes the integral once.

    Returns:
      the contributions, what their sums still miss [B, N], and the panels that each took [B, N].
    """

    def is_open(delta: Array) -> Array:
        return (jnp.abs(delta) > tolerance) & wanted

    def refine(state):
        """Twice the panels, for those whose sum is not close enough yet; the others keep what they have."""
        panels, contributions, delta, taken = state
        again, better = is_open(delta), integral(panels)
        missed = better.sum(axis=(2, 3)) - gained
        return (
            2 * panels,
            jnp.where(again[..., None, None], better, contributions),
            jnp.where(again, missed, delta),
            jnp.where(again, panels, taken),
        )

    def unfinished(state):
        panels, _, delta, _ = state
        return (panels == 1) | ((panels <= most) & is_open(delta).any())

    state = (jnp.int32(1), nothing, jnp.full_like(gained, jnp.inf), jnp.zeros_like(gained, jnp.int32))
    _, contributions, delta, panels = jax.lax.while_loop(unfinished, refine, state)
    return contributions, delta, panels


def points(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a rule looks on a path from 0 to 1, and the weight of each place; both [steps]."""
    if rule == "riemann":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    places, shares = np.polynomial.legendre.leggauss(steps)
    return (places + 1) / 2, shares / 2
