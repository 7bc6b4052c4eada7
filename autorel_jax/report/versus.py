"""Versus: the explanations of two passages for one query -> what made one more relevant than the other.

    score of A - score of B = Σ words of the query (A - B) + Σ words of A - Σ words of B + special tokens + the rest

The rest is what the scores of words do not account for: biases, positions, what rules absorb. Public as `ar.versus`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.report import view

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

MOST = 60  # characters of a passage in a headline


class QueryWord(NamedTuple):
    """A word of the query beside two passages; one that was cut off there counts 0."""

    word: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        """Above 0 where it makes A the more relevant one."""
        return self.a - self.b


@dataclass(frozen=True, eq=False)
class Versus:
    """Two passages for one query.

    Attributes:
      a: the explanation of passage A, for the same query, target, model and method as that of B.
      b: that of passage B.
    """

    a: Explanation
    b: Explanation

    def __post_init__(self):
        for name, what in (
            ("text", "queries"),
            ("target", "targets"),
            ("method", "methods"),
            ("weights_sha256", "models"),
            ("parameters", "parameters of the method"),
        ):
            if getattr(self.a, name) != getattr(self.b, name):
                raise InputError(f"two passages are compared for one query, but these have different {what}.")
        if self.a.text_pair is None or self.b.text_pair is None:
            raise InputError("two passages are compared for one query; these are no pairs of a query and a passage.")

    @property
    def margin(self) -> float:
        """By how much A's score is higher, in units of the logit."""
        return self.a.target_value - self.b.target_value

    @property
    def query(self) -> tuple[QueryWord, ...]:
        """The words of the query in their order."""
        sides = [
            {unit.span: unit for unit in view.units(one, view.WORD) if unit.segment == 0 and unit.span is not None}
            for one in (self.a, self.b)
        ]
        spans = sorted(sides[0].keys() | sides[1].keys())
        a, b = ([float(side[span].score) if span in side else 0.0 for span in spans] for side in sides)
        names = [(sides[0].get(span) or sides[1][span]).text for span in spans]
        return tuple(map(QueryWord, names, a, b))

    @property
    def parts(self) -> dict[str, float]:
        """Where the margin comes from; they add up to it."""
        found = {
            "words of the query": sum(word.difference for word in self.query),
            "words of A": of_passage(self.a),
            "words of B": -of_passage(self.b),
            "special tokens": of_special(self.a) - of_special(self.b),
        }
        return found | {"the rest": self.margin - sum(found.values())}

    def lines(self) -> Iterator[str]:
        """As text for a terminal."""
        number = view.amount_format(amount for one in (self.a, self.b) for amount in one.word_relevance)
        for name, one in (("A", self.a), ("B", self.b)):
            yield f"{name}  {one.target_value:.3f}  {shortened(one)}"
        yield f"A scores {abs(self.margin):.3f} {'higher' if self.margin >= 0 else 'lower'} than B:"
        amounts = {name: number(amount) for name, amount in self.parts.items()}
        width = max(map(len, amounts.values()))
        yield from (f"  {amount:>{width}}  {name}" for name, amount in amounts.items())
        words = sorted(self.query, key=lambda word: -abs(word.difference))
        rows = [(view.visible(word.word), number(word.a), number(word.b), number(word.difference)) for word in words]
        rows = [("word of the query", "A", "B", "A - B"), *rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        yield ""
        for name, *columns in rows:
            numbers = "  ".join(f"{text:>{wide}}" for text, wide in zip(columns, widths[1:], strict=True))
            yield f"  {numbers}  {name}"  # the name last, as its printed width depends on the terminal

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        from markupsafe import escape

        from autorel_jax.report.html import fragment

        return f"<pre>{escape(self)}</pre>{fragment([self.a, self.b])}"


def of_passage(explanation: Explanation) -> float:
    """Σ over the words of the second text."""
    return sum(float(unit.score) for unit in view.units(explanation, view.WORD) if unit.segment == 1 and unit.span)


def of_special(explanation: Explanation) -> float:
    """Σ over special tokens."""
    return sum(float(unit.score) for unit in view.units(explanation, view.WORD) if unit.span is None)


def shortened(explanation: Explanation) -> str:
    """The beginning of the passage, with its id."""
    text = view.visible(view.joined(explanation.text_pair))
    return f"{view.visible(str(explanation.id))}: {text if len(text) <= MOST else text[: MOST - 2] + ' …'}"


def versus(a: Explanation, b: Explanation) -> Versus:
    """Why passage A is more relevant to a query than passage B, or less: `a` and `b` are of `rank` or `explain`.

    Raises:
      InputError: they differ in query, target, model or method, or are no pairs.
    """
    return Versus(a, b)
