"""Counterfactual: a text and its copy with few other words -> whether the scores of these words tell what changes.

    told = Σ R of the text's words that the copy lacks - Σ R of the copy's words that the text lacks
    real = logit of the target for the text - that for the copy

Both texts are explained for the same target, what the model predicts for the first. Used by run.py. U units.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.faithfulness.cases import Case


class Change(NamedTuple):
    """How the logit of one pair changes."""

    told: float
    real: float

    @property
    def agrees(self) -> float | None:
        """1 if both have one sign, else 0; None where nothing changes."""
        return float(np.sign(self.told) == np.sign(self.real)) if self.real else None


def changed(first: Case, second: Case) -> tuple[np.ndarray, np.ndarray]:
    """Which units of each of two texts the other lacks [U each], by the longest common stretches of their tokens."""
    sides = [pieces(case) for case in (first, second)]
    found = [np.ones(len(side), bool) for side in sides]
    for block in difflib.SequenceMatcher(None, *sides, autojunk=False).get_matching_blocks():
        found[0][block.a : block.a + block.size] = False
        found[1][block.b : block.b + block.size] = False
    return found[0], found[1]


def pieces(case: Case) -> list[tuple[int, ...]]:
    """The token ids of each unit."""
    return [tuple(case.tokens.ids[case.units == unit].tolist()) for unit in range(case.count)]


def change(pair: Sequence[Case], scores: Sequence[np.ndarray], logits: Sequence[float]) -> Change:
    """What the scores [U each] of both texts tell of the change of the target's logit."""
    first, second = changed(*pair)
    return Change(float(scores[0][first].sum() - scores[1][second].sum()), float(logits[0] - logits[1]))
