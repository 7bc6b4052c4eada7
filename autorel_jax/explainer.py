"""Explainer: a classifier, a method and a target -> an Explanation of each text. `explain` is the call for notebooks.

Texts are tokenized in windows, sorted by length within one, explained in batches of few shapes (so that little is
compiled and little is padded), and come back in the order they went in. Used by cli/explain.py.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from autorel_jax import ledger, targets
from autorel_jax.classifier import Classifier
from autorel_jax.config import ExplainConfig
from autorel_jax.data import Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explanation import Explanation, Explanations, Prediction
from autorel_jax.lrp.composites import RELEVANCE, composite
from autorel_jax.readouts import of_target, token_readouts
from autorel_jax.relevance import token_relevance
from autorel_jax.targets import Targets
from autorel_jax.tokens import Text, Tokens, pad
from autorel_jax.words import pool

# Tokens that a batch is padded to; beyond, multiples of 512.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def explain(
    classifier: Classifier,
    texts: Iterable[Text] | str,
    pairs: Iterable[Text] | str | None = None,
    *,
    labels: Iterable[str | int] | None = None,
    **options: Any,
) -> Explanations:
    """Which tokens and words made the classifier decide.

    Args:
      classifier: from `load`.
      texts: N texts, each a string or a list of words; one string is one text.
      pairs: N second texts, for a classifier of pairs.
      labels: N labels (names or ids), for target="given".
      **options: fields of ExplainConfig: method, parameters, target, read_at, audit, readouts, neurons, max_length,
        batch_size, window, split_punctuation.

    Returns:
      One Explanation for each text and target, in the order of the texts.

    Raises:
      InputError: an unknown option, method or label, or lists of different lengths.
    """
    fields = [field.name for field in dataclasses.fields(ExplainConfig)]
    if unknown := sorted(options.keys() - set(fields)):
        raise InputError(f"Unknown option {', '.join(unknown)}. Available: {', '.join(fields)}.")
    given = {"texts": texts, "pairs": pairs, "labels": labels}
    if texts is None:
        raise InputError("texts is None; expected a string or a list of texts.")
    columns = {name: column_of(values, name) for name, values in given.items()}
    count = len(columns["texts"])
    for name, column in columns.items():
        if column is not None and len(column) != count:
            raise InputError(f"{count} texts but {len(column)} {name}; give one for each text.")
    numbered = enumerate(zip(*(column or [None] * count for column in columns.values()), strict=True), start=1)
    rows = [Row(number, *row) for number, row in numbered]
    return Explanations(Explainer(classifier, ExplainConfig(**options)).explain(rows))


def column_of(values: Iterable[Any] | str | None, name: str) -> list[Any] | None:
    """Texts, pairs or labels as a list; one string is a list of one."""
    if values is None or isinstance(values, str):
        return None if values is None else [values]
    if isinstance(values, Mapping) or hasattr(values, "columns") or not isinstance(values, Iterable):
        raise InputError(f"{name} is a {type(values).__name__}; expected a string or a list with one for each text.")
    return list(values)


class Explainer:
    """Explains rows of text with one classifier, method and target; compiled programs are shared between calls."""

    def __init__(self, classifier: Classifier, config: ExplainConfig):
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"The classifier is a {type(classifier).__name__}; expected what autorel_jax.load returns."
            )
        classifier.tokens([], max_length=config.max_length)  # refuses a length that cannot be
        self.classifier = classifier
        self.config = config
        settings = classifier.settings(composite(config.method).set(config.parameters), config.read_at)
        inside = {"audit": config.audit, "readouts": tuple(config.readouts), "neurons": config.neurons}
        self.settings = dataclasses.replace(settings, **inside)
        self.values = self.settings.values
        self.parameters = {"read_at": self.settings.read_at, **self.settings.composite.record()}

    def explain(
        self, rows: Iterable[Row], progress: Callable[[int], object] = lambda done: None
    ) -> Iterator[Explanation]:
        """Rows -> their explanations in the same order, with one window of rows in memory.

        `progress` is called with the number of rows that were finished since its last call.
        """
        rows, batches = iter(rows), 1  # windows grow, so that the first result comes soon
        while window := list(itertools.islice(rows, batches * self.config.batch_size)):
            yield from self.explain_window(window, progress)
            batches = min(2 * batches, self.config.window)

    def explain_window(self, rows: Sequence[Row], progress: Callable[[int], object]) -> Iterator[Explanation]:
        """As `explain`; every row is tokenized and its target resolved before the first is computed."""
        tokens = self.tokenize(rows)
        given = [(row.id, row.label) for row in rows]
        model = self.classifier.config
        goal = targets.resolve(self.config.target, model.labels, self.classifier.label_id, given, model.problem)
        by_length = sorted(range(len(rows)), key=lambda place: -len(tokens[place].ids))
        size = self.config.batch_size
        batches = [by_length[start : start + size] for start in range(0, len(rows), size)]
        found: dict[int, list[Explanation]] = {}
        for places, arrays in one_ahead((places, self.compute(tokens, goal, places)) for places in batches):
            arrays = fetched(arrays)
            for row, place in enumerate(places):  # padded rows last
                own = jax.tree.map(lambda array, row=row: array[row], arrays)
                found[place] = self.describe(rows[place], tokens[place], goal, place, *own)
            progress(len(places))
        yield from itertools.chain.from_iterable(found[place] for place in range(len(rows)))

    def tokenize(self, rows: Sequence[Row]) -> list[Tokens]:
        """The rows' texts, or pairs of texts, as Tokens; an InputError names the row that has none."""
        pairs = [row.pair for row in rows]
        try:
            return self.classifier.tokens(
                [row.text for row in rows],
                None if all(pair is None for pair in pairs) else pairs,
                max_length=self.config.max_length,
                split_punctuation=self.config.split_punctuation,
            )
        except InputError as error:
            if len(rows) == 1:
                raise InputError(f"Text {rows[0].id}: {error}") from None
            for row in rows:
                self.tokenize([row])
            raise

    def compute(self, tokens: Sequence[Tokens], goal: Targets, places: Sequence[int]) -> tuple[Any, ...]:
        """Logits [B, C], the target's scores [B, S], relevance [B, N, T] and readings of the rows at `places`.

        Not waited for; padding comes last.
        """
        classifier, tokens = self.classifier, [tokens[place] for place in places]
        settings = self.settings if goal.score is None else dataclasses.replace(self.settings, score=goal.score)
        size = batch_shape(len(tokens), self.config.batch_size)
        length = padded_length(max(len(row.ids) for row in tokens), classifier.config.max_position_embeddings)
        batch = pad(tokens, length, size, classifier.tokenizer.pad_id)
        weights = goal.weights
        if weights is not None:
            weights = weights[[*places, *[places[0]] * (size - len(places))]]
        try:
            arrays = (batch.ids, batch.mask, batch.types, weights, self.values)
            read = {}
            if settings.audit or settings.readouts:
                logits, relevance, read = token_readouts(settings, classifier.params, *arrays)
            else:
                logits, relevance = token_relevance(settings, classifier.params, *arrays)
            scored = logits if goal.score is None else jax.vmap(goal.score)(logits)
            return logits, scored, relevance, read
        except jax.errors.JaxRuntimeError as error:
            raise out_of_memory(error) from None

    def describe(
        self,
        row: Row,
        tokens: Tokens,
        goal: Targets,
        place: int,
        logits: np.ndarray,
        scored: np.ndarray,
        relevance: np.ndarray,
        readings: Mapping[str, Any],
    ) -> list[Explanation]:
        """One Explanation for each target of a row: logits [C], scored [S], padded relevance [N, T] and readings."""
        classifier, labels = self.classifier, self.classifier.config.labels
        best = int(logits.argmax())
        probabilities = classifier.probabilities(logits)
        probability = None if probabilities is None else float(probabilities[best])
        relevance = relevance[:, : len(tokens.ids)]
        names = (goal.prefix + labels[best],) if goal.names is None else goal.names[place]
        weights = np.eye(len(labels))[[best]] if goal.weights is None else goal.weights[place]
        return [
            Explanation(
                id=row.id,
                text=row.text,
                text_pair=row.pair,
                prediction=Prediction(labels[best], probability, float(logits[best])),
                target=name,
                target_logit=float(row_weights @ scored),
                method=self.settings.composite.name,
                parameters=self.parameters,
                rules=self.settings.composite.rules,
                tokens=tokens.pieces,
                token_relevance=scores,
                token_words=tuple(tokens.word_index.tolist()),
                token_spans=tokens.spans,
                words=tokens.words,
                word_relevance=pool(scores, tokens),
                word_spans=tokens.word_spans,
                word_segments=tokens.word_segments,
                explained=float(scores.sum(dtype=np.float64)),
                truncated_tokens=tokens.truncated,
                warnings=(*tokens.warnings, *self.doubts(tokens, scores, logits, row_weights, goal)),
                model=classifier.name,
                weights_sha256=classifier.fingerprint,
                **self.inside(tokens, scores, float(row_weights @ scored), readings, number, goal),
            )
            for number, (name, scores, row_weights) in enumerate(zip(names, relevance, weights, strict=True))
        ]

    def inside(
        self, tokens: Tokens, scores: np.ndarray, value: float, readings: Mapping[str, Any], number: int, goal: Targets
    ) -> dict[str, Any]:
        """The fields `ledger` and `readouts` for a row's target of that number: scores [T], readings [N, ...]."""
        own = jax.tree.map(lambda array: array[number], dict(readings))
        found = of_target(self.settings, own, len(tokens.ids))
        if not self.settings.audit:
            return {"readouts": found}
        special = np.array([span is None for span in tokens.spans])
        return {"readouts": found, "ledger": ledger.made(value, scores, special, own, function=goal.score is not None)}

    def doubts(
        self, tokens: Tokens, scores: np.ndarray, logits: np.ndarray, weights: np.ndarray, goal: Targets
    ) -> Iterator[str]:
        """What to know before trusting the scores of a target: weights · logits, both [C], or a function."""
        if tokens.truncated:
            yield f"{tokens.truncated} word pieces beyond {len(tokens.ids)} tokens were cut off and not read"
        if not np.isfinite(scores).all():
            yield "some scores are not finite numbers"
        linear, method = goal.score is None, self.settings.composite
        lowest = logits[weights != 0].min() if linear else logits.min()
        if method.boundary is RELEVANCE and lowest < 0:  # its rules start from R = logit, sign and all
            yield f"a logit of the target is negative ({lowest:.3g}), which flips the signs of {method.name}"
        elif linear and (target_logit := weights @ logits) < 0:
            yield f"the target's logit is negative ({target_logit:.3g}): the scores sum towards a number below 0"


def one_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """The items, each made just before the one ahead of it is handed out: the device computes while we describe."""
    items = iter(items)
    for last in itertools.islice(items, 1):
        for item in items:
            yield last
            last = item
        yield last


def fetched(arrays: Any) -> Any:
    """Arrays on the device, in any tree -> arrays here; an InputError says what to do where memory runs out."""
    try:
        return jax.tree.map(np.asarray, arrays)
    except jax.errors.JaxRuntimeError as error:
        raise out_of_memory(error) from None


def out_of_memory(error: jax.errors.JaxRuntimeError) -> Exception:
    """What to raise for an error of the device: advice where memory ran out, else the error itself."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    return InputError(
        f"A batch does not fit the device's memory; use a smaller batch size or length ({one_line(error)})."
    )


def batch_shape(rows: int, batch_size: int) -> int:
    """The rows that a batch is padded to: the batch size, or a power of two for a smaller last batch."""
    return min(batch_size, 1 << (rows - 1).bit_length())


def padded_length(longest: int, positions: int) -> int:
    """The tokens that a batch is padded to: the next of LENGTHS, never beyond the model's positions."""
    fits = (length for length in LENGTHS if length >= longest)
    return min(next(fits, -(-longest // 512) * 512), positions)
