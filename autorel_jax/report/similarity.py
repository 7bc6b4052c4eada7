"""Similarity: why two texts are alike, and how that is shown. explaining/similarity.py makes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autorel_jax.report import view

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

COSINE, DOT = MEASURES = ("cosine", "dot")
SHOWN = 10  # pairs of words in a list
VECTOR = "the vector"  # in place of the words of a text


class WordPair(NamedTuple):
    """A word of each text, and what the two add to the similarity together."""

    a: str
    b: str
    score: float


@dataclass(frozen=True, eq=False)
class Similarity:
    """Why two texts are alike.

    Attributes:
      measure: "cosine" or "dot".
      value: the similarity.
      a: the explanation of the first text, with the second one held fixed.
      b: that of the second, with the first one held fixed; None: a vector stood in its place.
      matrix: [T + 1, U + 1] what each pair of tokens adds; the last row and column are what tokens do not explain. Its
        sum is `value`, the sum of a token's row its relevance in `a`. For a vector U = 1.
    """

    measure: str
    value: float
    a: Explanation
    b: Explanation | None
    matrix: np.ndarray

    @property
    def other_words(self) -> tuple[str, ...]:
        """The words of the second text."""
        return (VECTOR,) if self.b is None else self.b.words

    @property
    def words(self) -> np.ndarray:
        """The matrix of words [W + 1, X + 1], sums over their tokens."""
        rows = np.array([*self.a.token_words, len(self.a.words)])
        columns = np.array([*((0,) if self.b is None else self.b.token_words), len(self.other_words)])
        summed = np.zeros((len(self.a.words) + 1, len(self.other_words) + 1))
        np.add.at(summed, (rows[:, None], columns[None, :]), self.matrix)
        return summed

    @property
    def share(self) -> float:
        """The part of the similarity that pairs of tokens explain; 1 where relevance is conserved."""
        return float(self.matrix[:-1, :-1].sum() / self.value) if self.value else float("nan")

    def pairs(self, count: int = SHOWN) -> list[WordPair]:
        """The pairs of words that add or take most, the strongest first; special tokens are words of their own."""
        scores = self.words[:-1, :-1]
        order = np.argsort(-np.abs(scores), axis=None, kind="stable")[:count]
        places = zip(*np.unravel_index(order, scores.shape), strict=True)
        return [WordPair(self.a.words[i], self.other_words[j], float(scores[i, j])) for i, j in places]

    def lines(self, count: int = SHOWN) -> Iterator[str]:
        """As text for a terminal."""
        yield f"{self.measure} {self.value:.3f}; pairs of words explain {self.share:.0%} of it"
        pairs = self.pairs(count)
        number = view.amount_format(pair.score for pair in pairs)
        width = max((len(number(pair.score)) for pair in pairs), default=0)
        for pair in pairs:
            yield f"  {number(pair.score):>{width}}  {view.visible(pair.a)} – {view.visible(pair.b)}"

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from markupsafe import escape

        from autorel_jax.report.html import fragment

        return f"<pre>{escape(self)}</pre>{fragment([one for one in (self.a, self.b) if one is not None])}"
