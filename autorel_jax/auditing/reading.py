"""Reading: rows -> each different text with its tokens and its Explanation, chunk by chunk; and what texts predict.

Used by check.py and shortcuts.py. C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import explained, prepared
from autorel_jax.faithfulness.predict import Predictor
from autorel_jax.faithfulness.units import Reading
from autorel_jax.model.config import REGRESSION
from autorel_jax.report.explanation import Explanation
from autorel_jax.report.view import joined
from autorel_jax.text.tokens import Tokens

Progress = Callable[[int], object]


class Case(NamedTuple):
    """One text."""

    row: Row
    texts: tuple[str, ...]  # the text, and its pair if it has one
    tokens: Tokens
    explanation: Explanation

    @property
    def words(self) -> list[tuple[int, tuple[int, int], float]]:
        """The segment, the characters and the relevance of each word; special tokens are none."""
        one = self.explanation
        every = zip(one.word_segments, one.word_spans, one.word_relevance.tolist(), strict=True)
        return [(segment, span, score) for segment, span, score in every if span is not None]

    def edges(self, segment: int) -> frozenset[int]:
        """The characters at which a word of one of its texts begins or ends."""
        return frozenset(place for of, span, _ in self.words if of == segment for place in span)


@dataclasses.dataclass
class Tally:
    """What became of the rows."""

    read: int = 0
    texts: int = 0
    left_out: list[Rejected] = dataclasses.field(default_factory=list)
    again: int = 0  # rows that are the same as an earlier one
    cut: int = 0  # texts whose end the model does not read

    @property
    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rows": self.read,
            "texts": self.texts,
            "left_out": len(self.left_out),
            "left_out_first": [one.record for one in self.left_out[:5]],
            "same_as_an_earlier_row": self.again,
            "cut_off": self.cut,
        }


def cases(
    explainer: Explainer,
    rows: Iterable[Row | Rejected],
    tally: Tally,
    progress: Progress = lambda done: None,
    key: Callable[[Row], Hashable] = lambda row: None,
) -> Iterator[list[Case]]:
    """The different texts in chunks; two rows are the same if their texts and their `key` are.

    Raises:
      InputError: none can be explained, or one has scores or logits that are not finite.
    """
    known: set[Hashable] = set()
    for chunk in explainer.chunks(rows):
        new: list[Row | Rejected] = []
        for item in chunk:
            if isinstance(item, Row):
                same = (texts_of(item), key(item))
                if same in known:
                    tally.again += 1
                    continue
                known.add(same)
            new.append(item)
        tally.read += len(chunk)
        progress(len(chunk) - len(new))
        part, pairs = explained(explainer, prepared(explainer, 0, new), progress)
        tally.left_out += part.rejected
        tokens = {id(part.items[place]): part.tokens[place] for place in part.places}
        made = [Case(row, texts_of(row), tokens[id(row)], explanation) for row, explanation in pairs]
        for case in made:
            check_finite(case.explanation)
        tally.texts += len(made)
        tally.cut += sum(case.tokens.truncated > 0 for case in made)
        yield made
    if not tally.texts:
        first = f" The first: {tally.left_out[0]}" if tally.left_out else ""
        raise InputError(f"None of the {tally.read} texts can be explained.{first}")


def texts_of(row: Row) -> tuple[str, ...]:
    """The text, and its pair if it has one, as the strings that spans count characters of."""
    return tuple(joined(text) for text in (row.text, row.pair) if text is not None)


def check_finite(explanation: Explanation) -> None:
    """Raises InputError for scores or logits of which nothing can be said."""
    if not (np.isfinite(explanation.word_relevance).all() and np.isfinite(explanation.logits).all()):
        raise InputError(
            f"Text {explanation.id} has scores or logits that are not finite (NaN or infinite), so nothing can be said "
            "of this model; look at its weights, or take another method."
        )


def check_classifier(classifier: Classifier) -> None:
    """Raises InputError for a model that does not choose among labels."""
    classifier.check_whole_texts("an audit is of")
    if classifier.config.problem == REGRESSION:
        raise InputError("The model is a regression, which has no labels that could flip; give a classifier.")


class Changed:
    """Predicts texts as they are and as they are changed."""

    def __init__(self, explainer: Explainer):
        self.explainer = explainer
        self.predictor = Predictor(explainer.classifier, explainer.config.batch_size)

    def tokens(self, rows: Sequence[Row], texts: Sequence[tuple[str, ...]]) -> list[Tokens]:
        """Those of rows whose texts are changed."""
        changed = [
            dataclasses.replace(row, text=new[0], pair=new[1] if len(new) > 1 else None)
            for row, new in zip(rows, texts, strict=True)
        ]
        return self.explainer.tokenize(changed) if changed else []

    def logits(self, tokens: Sequence[Tokens]) -> np.ndarray:
        """The logits [N, C] in float64."""
        found = self.predictor.logits([Reading(one.ids, one.types) for one in tokens]).astype(np.float64)
        if not np.isfinite(found).all():
            raise InputError("The model gives logits that are not finite (NaN or infinite) for a changed text.")
        return found


def same_reading(first: Tokens, second: Tokens) -> bool:
    """Whether the model reads the same of both."""
    return Reading(first.ids, first.types).key == Reading(second.ids, second.types).key
