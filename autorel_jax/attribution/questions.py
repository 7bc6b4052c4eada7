"""Questions: what is explained of a text by a head with outputs at each token -> weights over all of them.

    an entity   Σ over its n tokens of the logit of the label that each was given, / n
    a label     Σ over the n tokens of a word of that label's logit, / n; a contrast likewise
    an answer   the start logit of its first token + the end logit of its last one

Used by explaining/on_tokens.py. T tokens, C labels, N questions of a text.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.attribution.targets import Targets
from autorel_jax.model.config import START_AND_END

MOST = 32  # questions of a text that are computed together
COUNTS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, MOST)  # to which they are padded, as each is a program of its own
ANSWER = " + ".join(START_AND_END)  # the name of the target of an answer


class Question(NamedTuple):
    """One target of a text.

    Attributes:
      name: of the target.
      tokens: the places of the tokens that it is about, in their order; of no answer the first special token.
      weights: [n, C] of their logits.
      predicted: what was predicted, how likely (0 to 1), and its logit; None: the label of the highest logit there.
    """

    name: str
    tokens: np.ndarray
    weights: np.ndarray
    predicted: tuple[str, float, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Questions(Targets):
    """The targets of a batch of rows: `asked` holds as many for each row as for any other, or fewer."""

    weights: None = None
    names: None = None
    asked: Sequence[Sequence[Question]]

    def batch(self, places: Sequence[int], tokens: int) -> np.ndarray:
        """[B, N, T * C] for rows that are padded to T tokens; a question that a row lacks weighs nothing."""
        count = padded_count(max(len(self.asked[place]) for place in places))
        labels = self.asked[places[0]][0].weights.shape[1]
        weights = np.zeros((len(places), count, tokens, labels))  # a third, say, as precise as the model computes
        for row, place in enumerate(places):
            for number, question in enumerate(self.asked[place]):
                weights[row, number, question.tokens] = question.weights
        return weights.reshape(len(places), count, -1)


def padded_count(questions: int) -> int:
    """The number of questions that so many are padded to."""
    return next(count for count in COUNTS if count >= questions)


def mean(weights: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Weights of labels [C] at the mean over the tokens [n]: [n, C]."""
    return np.repeat(weights[None].astype(float) / len(tokens), len(tokens), axis=0)


def ends(weights: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Weights of start and end [2] at the first and the last of the tokens [n]: [n, 2]."""
    placed = np.zeros((len(tokens), 2))
    placed[0, 0], placed[-1, 1] = weights
    return placed
