"""Occlusion and Shapley sampling: what a target loses when a unit goes, from the whole text or from any part of it."""

import dataclasses

import jax.numpy as jnp

from autorel_jax.attribution.method import Values
from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.coalitions import Perturbation, game, to_tokens
from autorel_jax.attribution.methods.parameters import MOST_SAMPLES, Number, seed, traced
from autorel_jax.attribution.methods.plain import Scores
from autorel_jax.attribution.targeted_batch import TargetedBatch, summed
from autorel_jax.model.ops import contract


@dataclasses.dataclass(frozen=True)
class Occlusion(Perturbation):
    """What the target loses when one unit alone is switched off.

        R_u = target(text) - target(text without u)

    Answers: Which single token or word does the decision hang on?
    Scores: Signed, in units of the logit; they add up to nothing, for units may stand in for each other.
    Cost: units + 1 forward passes.
    Source: Zeiler and Fergus 2014 (arXiv 1311.2901); for text Li et al. 2016 (arXiv 1612.08220).
    """

    name = "occlusion"
    note = "each score is what the logit loses without that unit alone; they do not add up to the logit"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        played = game(batch, values)
        units = jnp.arange(batch.texts.units.shape[1])

        def step(numbers, live):
            here = units == numbers[:, None]  # [G, U]; units that a text does not have are not read
            lost = played.whole - played.value(~here[:, None])
            return contract("gbn,gu->bnu", lost, here.astype(lost.dtype))

        found = to_tokens(summed(step, played.counts.max(), batch.group), batch.texts)
        return played.logits, found, {}


@dataclasses.dataclass(frozen=True)
class ShapleySampling(Perturbation):
    """What the target gains on average when a unit is added to those before it in a random order.

    Answers: As KernelSHAP: what is each unit's fair share of the target, over all parts of the text?
    Scores: Signed; they add up to the target's logit minus that of the text with all units off, baseline_logit.
    Cost: `samples` · (units - 1) + 2 forward passes.
    Source: Castro et al. 2009 (10.1016/j.cor.2008.04.004); Štrumbelj and Kononenko 2010 (JMLR 11).
    """

    samples: int = traced(
        25, Number(1, MOST_SAMPLES, whole=True), "random orders; the error falls with their square root"
    )
    seed: int = seed()
    name = "shapley_sampling"
    diagnostics = ("baseline_logit",)

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        played, keys = game(batch, values), draws.text_keys(values["seed"], batch.texts)
        length = batch.texts.units.shape[1]
        last, start = played.counts[:, None] - 1, played.empty  # [B, 1], [B, N]
        between = jnp.maximum(played.counts.max() - 1, 1)  # coalitions of an order that are neither empty nor whole

        def step(numbers, live):
            """Coalition j of an order holds its first j + 1 units: a gain for the last of them, a loss for the next."""
            order = draws.ranks(keys, numbers // between, played.counts, length)  # [G, B, U]
            j = (numbers % between)[:, None, None]
            inside = live[:, None, None] & (j < last)
            credit = ((order == j).astype(start.dtype) - (order == j + 1)) * inside
            first = (order == 0).astype(start.dtype) * ((j == 0) & live[:, None, None])
            final = (order == last).astype(start.dtype) * ((j == 0) & live[:, None, None])
            gains = contract("gbn,gbu->bnu", played.value(order <= j), credit)
            ends = played.whole[..., None] * final.sum(axis=0)[:, None] - start[..., None] * first.sum(axis=0)[:, None]
            return gains + ends

        total = summed(step, values["samples"] * between, batch.group) / values["samples"]
        found = to_tokens(total, batch.texts)
        return played.logits, found, {"baseline_logit": start}
