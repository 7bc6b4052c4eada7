"""LIME and KernelSHAP: a linear model of the target over which units are on, fitted to random parts of the text.

Both add up the sums that their regression needs while they go, so that memory does not grow with the samples.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import jax.numpy as jnp

from autorel_jax.attribution.method import Outcome, Values
from autorel_jax.attribution.methods import draws, pairs
from autorel_jax.attribution.methods.by_rules import ByRules, Rules
from autorel_jax.attribution.methods.coalitions import Game, Perturbation, game, to_tokens
from autorel_jax.attribution.methods.parameters import MOST_SAMPLES, Number, seed, static, traced
from autorel_jax.attribution.methods.plain import Scores
from autorel_jax.attribution.methods.shapley_prior import near_prior
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch, summed
from autorel_jax.lrp.composites import Composite
from autorel_jax.model.ops import Array, contract

NO_PRIOR = "none"
ENOUGH = 4  # samples for each unit; with about 2, scores of two seeds may differ by as much as the largest score


class Surrogate(Perturbation):
    """A regression on samples."""

    def doubts(self, outcome: Outcome) -> Iterator[str]:
        yield from super().doubts(outcome)
        least = self.enough * outcome.units
        if self.samples < least and 2**outcome.units - 2 > self.samples:
            yield f"{self.name}: {self.samples} samples are few for {outcome.units} units; take at least {least}"

    @property
    def enough(self) -> int:
        """How many samples a unit takes."""
        return ENOUGH


@dataclasses.dataclass(frozen=True)
class Lime(Surrogate):
    """A ridge regression of the target on which units are on, in parts of the text, the nearer the heavier.

        distance d = 100 (1 - √(units on / units)),   weight √exp(-d² / width²)

    Answers: Which linear model of its units behaves like the classifier around this text?
    Scores: Signed, in units of the logit; their sum and `intercept` are the linear model's value for the text, and
        `r_squared` says how well it fits the samples.
    Cost: `samples` + 1 forward passes.
    Source: Ribeiro et al. 2016 (arXiv 1602.04938); distance, kernel and ridge are those of their program for text:
        the number of units that go is drawn first, from 1 to all, then which. All units stay in the model.
    """

    samples: int = traced(500, Number(1, MOST_SAMPLES, whole=True), "parts of the text, the whole one among them")
    width: float = traced(25.0, Number(1e-3), "of the kernel, in percent of the cosine distance; the authors' value")
    ridge: float = traced(1.0, Number(), "penalty on the squares of the scores; the authors' value")
    seed: int = seed()
    name = "lime"
    diagnostics = ("intercept", "r_squared")
    worst: ClassVar = {"r_squared": min}
    note = "scores are slopes of a linear model of the classifier; see r_squared for how well it fits"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        played, keys = game(batch, values), draws.text_keys(values["seed"], batch.texts)
        length, counts = batch.texts.units.shape[1], played.counts
        present = jnp.arange(length) < counts[:, None]  # [B, U]

        def step(numbers, live):
            drawn = draws.per_text(draws.uniform, keys, numbers)  # [G, B]
            gone = jnp.minimum(1 + (drawn * counts).astype(jnp.int32), counts)
            gone = jnp.where(numbers[:, None] == 0, 0, gone)
            on = present & (draws.ranks(keys, numbers, counts, length) >= gone[..., None])
            kept = ((counts - gone) / jnp.maximum(counts, 1)).astype(played.whole.dtype)
            weight = jnp.exp(-jnp.square(100 * (1 - jnp.sqrt(kept)) / values["width"]) / 2) * live[:, None]
            return moments(weight, on, played.value(on) - played.whole)

        sums = summed(step, values["samples"], batch.group)
        weight, z, zz, y, zy, yy = sums
        mean_z, mean_y = z / weight[:, None], y / weight[:, None]
        centred = zz - weight[:, None, None] * mean_z[:, :, None] * mean_z[:, None]
        together = zy - weight[:, None, None] * mean_z[:, :, None] * mean_y[:, None]
        penalty = jnp.where(present, values["ridge"], 1)[..., None] * jnp.eye(length, dtype=zz.dtype)
        slopes = jnp.linalg.solve(centred + stabilized(penalty, centred), together)  # [B, U, N]
        offset = mean_y - contract("bun,bu->bn", slopes, mean_z)
        spread = yy - weight[:, None] * mean_y**2
        missed = spread - contract("bun,bun->bn", slopes, 2 * together - contract("buv,bvn->bun", centred, slopes))
        fit = jnp.where(spread > 0, 1 - missed / jnp.where(spread > 0, spread, 1), 1)
        found = to_tokens(jnp.moveaxis(slopes, 1, 2), batch.texts)
        return played.logits, found, {"intercept": played.whole + offset, "r_squared": fit}


def moments(weight: Array, on: Array, y: Array) -> tuple[Array, ...]:
    """Weighted sums over samples: weight [G, B], on [G, B, U], y [G, B, N].

    Returns Σw [B], Σwz [B, U], Σwzz [B, U, U], Σwy [B, N], Σwzy [B, U, N] and Σwy² [B, N].
    """
    z = on.astype(y.dtype)
    weighted, times = weight[..., None] * z, weight[..., None] * y
    return (
        weight.sum(axis=0),
        weighted.sum(axis=0),
        contract("gbu,gbv->buv", weighted, z),
        times.sum(axis=0),
        contract("gbu,gbn->bun", z, times),
        (times * y).sum(axis=0),
    )


@dataclasses.dataclass(frozen=True)
class KernelShap(ByRules, Surrogate):
    """Shapley values as the weighted regression whose slopes they are, on random parts of the text or on all of them.

        minimise Σ_z π(z) (target(z) - target(∅) - φ·z)²  with  Σ φ = target(all) - target(∅)
        π(z) = (n - 1) / (C(n, k) k (n - k))   for k of n units on

    Where `samples` suffice for all 2ⁿ - 2 parts, each is computed once, and the result is exact. Otherwise parts come
    with their complements: the smallest sizes are computed whole, as far as `samples` suffice, and what is left is
    shared among the larger sizes by π, in parts that are cut from random orders of the units, so that all units are on
    about equally often. With a `prior`, φ is drawn to an offset plus a multiple of the composite's relevance, the more
    the less the samples say (benchmarks/RESULTS.md).

    Answers: What is each unit's fair share of the target, over all parts of the text?
    Scores: Signed; they add up to the target's logit minus that of the text with all units off, baseline_logit.
    Cost: `samples` + 2 forward passes, fewer for short texts; with a prior one gradient more.
    Source: Lundberg and Lee 2017 (arXiv 1705.07874); complements: Covert and Lee 2021 (arXiv 2012.01536); small
        parts first: the authors' program. Even orders and the prior are ours.
    """

    samples: int = traced(
        512, Number(2, MOST_SAMPLES, whole=True, even=True), "parts of the text, in pairs; of up to 9 units all"
    )
    seed: int = seed()
    prior: str = static(
        NO_PRIOR, Rules(NO_PRIOR), "the composite whose relevance says what to expect; none: the regression alone"
    )
    name = "kernel_shap"
    chosen = "prior"
    diagnostics = ("baseline_logit",)

    @property
    def enough(self) -> int:
        """Fewer with a prior."""
        return 1 if self.made else ENOUGH

    def check(self, settings: Settings) -> None:
        """Also for a model that the composite is not for."""
        super().check(settings)
        if self.made:
            settings.of(self.made)

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        played, keys = game(batch, values), draws.text_keys(values["seed"], batch.texts)
        start = played.empty
        if self.made:
            expected = relevance_of_units(batch, self.made, values["rules"])
            found = near_relevance(batch, played, start, keys, values["samples"], expected)
        else:
            found = regression(batch, played, start, keys, values["samples"])
        return played.logits, to_tokens(found, batch.texts), {"baseline_logit": start}


def regression(batch: TargetedBatch, played: Game, start: Array, keys: Array, samples: Array) -> Array:
    """Shapley values [B, N, U] by the regression alone; `start` are the targets' values with all units off [B, N]."""
    length, counts, kind = batch.texts.units.shape[1], played.counts, start.dtype
    plan = pairs.planned(keys, counts, samples // 2, length, kind)
    present = jnp.arange(length) < counts[:, None]

    def step(numbers, live):
        on, weight = pairs.smaller_parts(plan, keys, numbers, counts, length)
        both, twice = jnp.concatenate([on, ~on & present]), jnp.tile(weight.astype(kind) * live[:, None], (2, 1))
        _, _, zz, _, zy, _ = moments(twice, both, played.value(both) - start)
        return twice.sum(axis=0), zz, zy

    total, zz, zy = summed(step, plan.number.max(), max(1, batch.group // 2))
    scale = 1 / jnp.maximum(total, jnp.finfo(kind).tiny)[:, None, None]
    identity = jnp.where(present, 0, 1)[..., None] * jnp.eye(length, dtype=kind)
    both = jnp.concatenate([zy * scale, present[..., None].astype(kind)], axis=-1)
    solved = jnp.linalg.solve(zz * scale + stabilized(identity, zz * scale), both)
    free, one = solved[..., :-1], solved[..., -1:]  # without the constraint [B, U, N]; what moves its sum [B, U, 1]
    excess = (free.sum(axis=1) - (played.whole - start))[:, None]
    slopes = free - one * excess / jnp.where(counts > 0, one.sum(axis=(1, 2)), 1)[:, None, None]
    return jnp.moveaxis(slopes, 1, 2)


def near_relevance(
    batch: TargetedBatch, played: Game, start: Array, keys: Array, samples: Array, expected: Array
) -> Array:
    """Shapley values [B, N, U], drawn to the relevance of units [B, N, U]."""
    length, counts, kind = batch.texts.units.shape[1], played.counts, start.dtype
    plan = pairs.planned(keys, counts, samples // 2, length, kind)
    gained = played.whole - start
    present, many = jnp.arange(length) < counts[:, None], jnp.maximum(counts, 1).astype(kind)

    def step(numbers, live):
        on, weight = pairs.smaller_parts(plan, keys, numbers, counts, length)
        value, other = jnp.split(played.value(jnp.concatenate([on, ~on & present])), 2)
        share = on.sum(axis=-1).astype(kind) / many
        half = (value - other) / 2 - gained * (share - 0.5)[..., None]
        weight = weight.astype(kind) * live[:, None]
        _, _, zz, _, zd, dd = moments(weight, jnp.where(present, on - share[..., None], 0), half)
        return zz, zd, dd

    zz, zd, dd = summed(step, plan.number.max(), max(1, batch.group // 2))
    expected = jnp.where(present[:, None], expected - (expected.sum(axis=-1) / many[:, None])[..., None], 0)
    size = jnp.maximum(jnp.trace(zz, axis1=1, axis2=2), jnp.finfo(kind).tiny)[:, None, None]
    beside = jnp.where(present[:, None] & present[..., None], 1, jnp.eye(length, dtype=kind))  # what zz has nothing of
    alone = jnp.moveaxis(jnp.linalg.solve(zz / size + stabilized(beside, zz / size), zd / size), 1, 2)
    found = jnp.where(plan.exact[:, None, None], alone, near_prior(zz, zd, dd, expected, samples // 2))
    return jnp.where(present[:, None], found + (gained / many[:, None])[..., None], 0)


def relevance_of_units(batch: TargetedBatch, composite: Composite, values: Values) -> Array:
    """The relevance of each unit [B, N, U]."""
    units = batch.texts.units
    tokens = batch.relevance_by(composite, values)
    members = units[:, None] == jnp.arange(units.shape[1])[:, None]
    return contract("but,bnt->bnu", members.astype(tokens.dtype), tokens)


def stabilized(penalty: Array, matrix: Array) -> Array:
    """A penalty [B, U, U] with as much more on the diagonal as rounding leaves in the matrix [B, U, U].

    So the system has a solution also where samples are too few for it.
    """
    rounding = jnp.finfo(matrix.dtype).eps * jnp.maximum(jnp.trace(matrix, axis1=1, axis2=2), 1)
    return penalty + rounding[:, None, None] * jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
