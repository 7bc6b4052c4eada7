"""Random: scores without any meaning, for methods to be better than."""

import dataclasses

import jax
import jax.numpy as jnp

from autorel_jax.attribution.method import Values
from autorel_jax.attribution.methods import draws
from autorel_jax.attribution.methods.parameters import seed
from autorel_jax.attribution.methods.plain import PlainMethod, Scores
from autorel_jax.attribution.targeted_batch import TargetedBatch


@dataclasses.dataclass(frozen=True)
class Random(PlainMethod):
    """Standard normal numbers.

    Answers: What does a method look like that knows nothing? A control for measures of faithfulness.
    Scores: Signed, without meaning; the same for every target.
    Cost: one forward pass, for the prediction.
    Source: none.
    """

    seed: int = seed()
    name = "random"
    note = "scores are random numbers, the same for every label: a control, not an explanation"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        x, keys = batch.inputs, draws.text_keys(values["seed"], batch.texts)
        logits = batch.logits(x)
        drawn = draws.per_token(jax.random.normal, keys, jnp.zeros(1, jnp.int32), x.shape[1])[0].astype(logits.dtype)
        rows, targets, _ = batch.weights(logits).shape
        found = jnp.broadcast_to(drawn[:, None], (rows, targets, x.shape[1]))
        return logits, found, {}
