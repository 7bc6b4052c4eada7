"""Asking: many measurements at once -> what each of them finds.

A measurement is a generator: it yields parts of its text, [K, U] true where a unit is in, is sent the Values of these,
and returns its numbers. So its formula stands alone, while the parts that all of them ask for share batches and are
computed once. Used by evaluator.py. U units, K parts, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autorel_jax.faithfulness.units import readings
from autorel_jax.text.tokens import Tokens

if TYPE_CHECKING:
    from autorel_jax.faithfulness.predict import Predictor

Numbers = Mapping[str, Any]  # name -> a number, or a list of the numbers along a curve


class Values(NamedTuple):
    """What the classifier makes of K parts of a text."""

    logits: np.ndarray  # [K, C] float64
    logit: np.ndarray  # [K] of the target
    probability: np.ndarray  # [K] of the target
    hit: np.ndarray  # [K] whether the target is what is predicted


Measurement = Generator[np.ndarray, Values, Numbers]


class Job(NamedTuple):
    """A measurement and its text."""

    tokens: Tokens
    units: np.ndarray  # [T] the unit of each token; -1: none
    token: int | None  # in place of one that is taken away
    target: int  # the class
    measurement: Measurement


def values_of(logits: np.ndarray, target: int, probabilities: Callable[[np.ndarray], np.ndarray]) -> Values:
    """Logits [K, C] as Values of a target."""
    logits = logits.astype(np.float64)
    return Values(logits, logits[:, target], probabilities(logits)[:, target], logits.argmax(axis=1) == target)


def found_by(jobs: Sequence[Job], predictor: Predictor) -> list[Numbers]:
    """What each of the measurements finds."""
    found: list[Numbers] = [{}] * len(jobs)
    asked: dict[int, np.ndarray] = {}

    def go_on(place: int, values: Values | None) -> None:
        try:
            asked[place] = jobs[place].measurement.send(values)
        except StopIteration as end:
            found[place] = end.value
            asked.pop(place, None)

    for place in range(len(jobs)):
        go_on(place, None)
    while asked:
        here = list(asked.items())
        parts = [list(readings(jobs[place].tokens, jobs[place].units, on, jobs[place].token)) for place, on in here]
        logits = predictor.logits([part for of_text in parts for part in of_text])
        ends = np.cumsum([len(of_text) for of_text in parts])
        for (place, _), of_text in zip(here, np.split(logits, ends[:-1]), strict=True):
            go_on(place, values_of(of_text, jobs[place].target, predictor.classifier.probabilities))
    return found
