"""Answers: start and end logits of a text's tokens -> the best span, by the rules of transformers' pipeline.

    score(s, e) = p_start(s) p_end(e),   s <= e < s + most,   p a softmax over the context's tokens and the first token

The first token, [CLS], stands for "no answer". The pipeline is that of transformers 4; version 5 has none.
Used by explaining/on_tokens.py and training/answer_metrics.py.
T tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.attribution.probabilities import softmax


class Answer(NamedTuple):
    """A span of a context."""

    first: int  # token
    last: int
    score: float  # 0 to 1
    none: float  # the score of no answer, which is the first token's


def best_answer(logits: np.ndarray, context: np.ndarray, most: int) -> Answer | None:
    """The best span; None where the context has no token.

    Args:
      logits: [T, 2], of start and end.
      context: [T], which tokens are the context's.
      most: tokens of the longest answer.
    """
    if not context.any():
        return None
    readable = context.copy()
    readable[0] = True
    start, end = softmax(np.where(readable[:, None], logits, -np.inf), axis=0).T
    none = float(start[0] * end[0])
    inside = np.flatnonzero(context)
    scores = start[inside, None] * end[None, inside]
    width = inside[None, :] - inside[:, None] + 1
    scores = np.where((width >= 1) & (width <= most), scores, -1.0)
    first, last = np.unravel_index(scores.argmax(), scores.shape)
    return Answer(int(inside[first]), int(inside[last]), float(scores[first, last]), none)


def best_of(answers: Sequence[Answer], null: bool) -> tuple[int, bool]:
    """Of the best answers of a context's windows: the number of the one that counts, and whether it is no answer.

    With `null` there may be none: as in transformers, the window that is least sure of that decides.
    """
    best = max(range(len(answers)), key=lambda number: answers[number].score)
    least = min(range(len(answers)), key=lambda number: answers[number].none)
    return (least, True) if null and answers[least].none > answers[best].score else (best, False)
