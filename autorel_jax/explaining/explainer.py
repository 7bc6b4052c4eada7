"""Explainer: a classifier, a method and a target -> an Explanation of each text. `explain` is the call for notebooks.

Rows are tokenized in chunks, sorted by length within one, explained in batches of few shapes (so that little is
compiled and little is padded), and come back in the order they went in. Used by cli/explain.py and corpus/.
"""

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import sharding
from autorel_jax.attribution import targets
from autorel_jax.attribution.methods import Method, named
from autorel_jax.attribution.methods.coalitions import unit_numbers
from autorel_jax.attribution.methods.question import Texts
from autorel_jax.attribution.methods.scores import Settings, token_scores
from autorel_jax.attribution.readouts import of_target, token_readouts
from autorel_jax.attribution.relevance import token_relevance
from autorel_jax.attribution.targets import Targets
from autorel_jax.classifier import Classifier
from autorel_jax.data.rows import Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import BATCH_SIZE, BATCH_SIZES, WINDOWS, ExplainConfig
from autorel_jax.explaining.fitting import fitted
from autorel_jax.lrp.composites import RELEVANCE
from autorel_jax.report import ledger
from autorel_jax.report.explanation import Explanation, Explanations, Prediction
from autorel_jax.text import layout, windows
from autorel_jax.text.tokens import Text, Tokens, pad
from autorel_jax.text.windows import Excerpt, Window
from autorel_jax.text.words import pool

# Tokens that a batch is padded to; beyond, multiples of 512. In a large batch padding costs more than a program does.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
FINE_LENGTHS = (*range(8, 64, 8), *range(64, 128, 16), *range(128, 256, 32), *range(256, 513, 64))
LARGE = 16  # rows
DIAGNOSTICS = "diagnostics"  # among the readings of a method that is no composite


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
        batch_size, prefetch, split_punctuation, long, stride.

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


class Read(NamedTuple):
    """What was computed for one row, of the padded length T.

    For N targets: logits [C], probabilities [C] (None for a regression), the target's scores [S], relevance [N, T], and
    what else was asked for.
    """

    logits: np.ndarray
    probabilities: np.ndarray | None
    scored: np.ndarray
    relevance: np.ndarray
    readings: Mapping[str, Any]


class Explainer:
    """Explains rows of text with one classifier, method and target; compiled programs are shared between calls.

    Threads may share it. Batches are divided among the `devices`, if they are given; else they go where JAX puts them.
    """

    def __init__(self, classifier: Classifier, config: ExplainConfig, devices: Sequence[jax.Device] = ()):
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"The classifier is a {type(classifier).__name__}; expected what autorel_jax.load returns."
            )
        classifier.tokens([], max_length=config.max_length)  # refuses a length that cannot be
        if config.long == WINDOWS and targets.is_function(config.target):
            raise InputError(
                f"The target {config.target!r} is a function of the logits, which is not read in windows; use "
                "long='truncate'."
            )
        self.max_length = config.max_length or classifier.config.longest_text
        self.classifier = classifier
        self.config = config
        self.method = named(config.method).set(config.parameters)
        if isinstance(self.method, Method):
            self.settings, self.values = method_settings(classifier, config, self.method)
        else:
            settings = classifier.settings(self.method, config.read_at)
            inside = {"audit": config.audit, "readouts": tuple(config.readouts), "neurons": config.neurons}
            self.settings = dataclasses.replace(settings, **inside)
            self.values = self.settings.values
        self.parameters = {"read_at": self.settings.read_at, **self.method.record()}
        self.rules = dict(self.method.rules)
        self.mesh = sharding.make_mesh(devices) if len(devices) > 1 else None
        self.params = classifier.params
        if self.mesh:
            self.params = sharding.put(self.params, sharding.layout_of(self.mesh, self.params, "replicate"))
        kind = devices[0].platform if devices else jax.default_backend()
        self.one_hot = np.eye(len(classifier.config.labels))  # [C, C], the weights of predicted labels
        self.batch_size = config.batch_size or max(len(devices), 1) * BATCH_SIZES.get(kind, BATCH_SIZE)
        self.limits: dict[int, int] = {}  # tokens -> rows that fit, where a batch did not fit the memory

    def explain(
        self, rows: Iterable[Row], progress: Callable[[int], object] = lambda done: None
    ) -> Iterator[Explanation]:
        """Rows -> their explanations in the same order, with one chunk of rows in memory.

        `progress` is called with the number of rows that were finished since its last call.
        """
        rows, batches = iter(rows), 1  # chunks grow, so that the first result comes soon
        while chunk := list(itertools.islice(rows, batches * self.batch_size)):
            yield from self.explain_chunk(chunk, progress)
            batches = min(2 * batches, self.config.prefetch)

    def explain_chunk(
        self, rows: Sequence[Row], progress: Callable[[int], object], tokens: Sequence[Tokens] | None = None
    ) -> Iterator[Explanation]:
        """As `explain`; every row is tokenized and its target resolved first; `tokens` are known ones."""
        tokens = self.tokenize(rows) if tokens is None else tokens
        given = [(row.id, row.label) for row in rows]
        model = self.classifier.config
        goal = targets.resolve(self.config.target, model.labels, self.classifier.label_id, given, model.problem)
        long = [place for place in range(len(rows)) if len(tokens[place].ids) > self.max_length]
        short = sorted(set(range(len(rows))).difference(long))
        found: dict[int, list[Explanation]] = {}
        for batch, (*arrays, readings) in self.scores(tokens, goal, short):
            logits, scored, relevance = arrays
            probabilities = self.classifier.probabilities(logits)
            for row, place in enumerate(batch):  # padded rows last
                likely = None if probabilities is None else probabilities[row]
                own = jax.tree.map(lambda array, row=row: array[row], readings) if readings else {}
                read = Read(logits[row], likely, scored[row], relevance[row], own)
                found[place] = self.describe(rows[place], tokens[place], goal, place, read)
            progress(len(batch))
        for place, read, logits, relevance in self.documents(tokens, goal, long):
            whole = Read(logits, self.classifier.probabilities(logits), logits, relevance, {})
            made = self.describe(rows[place], tokens[place], goal, place, whole)
            found[place] = [dataclasses.replace(explanation, windows=read) for explanation in made]
            progress(1)
        yield from itertools.chain.from_iterable(found[place] for place in range(len(rows)))

    def scores(
        self, tokens: Sequence[Tokens | Excerpt], goal: Targets, places: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], list[Any]]]:
        """Of the rows at `places`, the longest first: the places of a batch, and what `compute` gives for it."""

        def too_large(batch: Sequence[int]) -> None:
            self.limits[self.length(tokens, batch[:1])] = len(batch) // 2

        batches = self.batches(tokens, places)
        return fitted(lambda batch: self.compute(tokens, goal, batch), batches, too_large)

    def batches(self, tokens: Sequence[Tokens | Excerpt], places: Sequence[int]) -> Iterator[list[int]]:
        """The places in batches, the longest rows first."""
        order = sorted(places, key=lambda place: -len(tokens[place].ids))
        while order:
            size = min(self.limits.get(self.length(tokens, order[:1]), self.batch_size), self.batch_size)
            yield order[:size]
            order = order[size:]

    def length(self, tokens: Sequence[Tokens | Excerpt], places: Sequence[int]) -> int:
        """The tokens that a batch is padded to."""
        longest = max(len(tokens[place].ids) for place in places)
        return padded_length(longest, self.classifier.config.longest_text, len(places))

    def documents(
        self, tokens: Sequence[Tokens], goal: Targets, places: Sequence[int]
    ) -> Iterator[tuple[int, tuple[Window, ...], np.ndarray, np.ndarray]]:
        """Of each row at `places`, which are read in windows: its place, its windows, logits [C], relevance [N, T]."""
        template = self.classifier.tokenizer.facts.single
        before, after = layout.around(template)
        room = layout.room(template, self.max_length)
        stride = min(self.config.stride or max(room // 2, 1), room)
        for place in places:
            pieces = len(tokens[place].ids) - before - after
            ranges = windows.cut(pieces, room, stride)
            shares = windows.weights(ranges, pieces)
            parts = [windows.excerpt(tokens[place], window, template) for window in ranges]
            asked = None if goal.weights is None else goal.weights[place]
            logits, relevance = self.explain_parts(parts, asked, range(len(parts)))
            whole = (shares @ np.stack([logits[k] for k in range(len(parts))])).astype(logits[0].dtype)
            if asked is None:
                # A window that would decide otherwise has explained its own decision, not the text's.
                others = [k for k in range(len(parts)) if logits[k].argmax() != whole.argmax()]
                asked = np.eye(len(whole), dtype=np.float32)[[whole.argmax()]]
                relevance |= self.explain_parts(parts, asked, others)[1]
            read = [
                Window(window.start + before, window.stop + before, float(share), logits[k])
                for k, (window, share) in enumerate(zip(ranges, shares, strict=True))
            ]
            found = [relevance[k] for k in range(len(parts))]
            yield place, tuple(read), whole, windows.stitch(found, ranges, shares, pieces, template)

    def explain_parts(
        self, parts: Sequence[Excerpt], asked: np.ndarray | None, places: Sequence[int]
    ) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Logits [C] and relevance [N, T] of the windows at `places`, for targets of the weights `asked` [N, C]."""
        weights = None if asked is None else np.broadcast_to(asked, (len(parts), *asked.shape))
        logits, relevance = {}, {}
        for batch, arrays in self.scores(parts, Targets(weights, None), places):
            found, _, scores, _ = arrays
            for place, row_logits, row_relevance in zip(batch, found, scores, strict=False):
                logits[place], relevance[place] = row_logits, row_relevance[:, : len(parts[place].ids)]
        return logits, relevance

    def tokenize(self, rows: Sequence[Row]) -> list[Tokens]:
        """The rows' texts, or pairs of texts, as Tokens; an InputError names the row that has none."""
        pairs = [row.pair for row in rows]
        alone = all(pair is None for pair in pairs)
        try:
            if self.config.long == WINDOWS and alone:
                split = self.config.split_punctuation
                return self.classifier.tokenizer(
                    [row.text for row in rows], max_length=sys.maxsize, split_punctuation=split
                )
            return self.classifier.tokens(
                [row.text for row in rows],
                None if alone else pairs,
                max_length=self.config.max_length,
                split_punctuation=self.config.split_punctuation,
            )
        except InputError as error:
            if len(rows) == 1:
                raise InputError(f"Text {rows[0].id}: {error}") from None
            for row in rows:
                self.tokenize([row])
            raise

    def compute(self, tokens: Sequence[Tokens | Excerpt], goal: Targets, places: Sequence[int]) -> tuple[Any, ...]:
        """Logits [B, C], the target's scores [B, S], relevance [B, N, T] and readings of the rows at `places`.

        Not waited for; padding comes last. A method's own diagnostics [B, N, M] are among the readings.
        """
        classifier, settings, tokens = self.classifier, self.settings, [tokens[place] for place in places]
        size = batch_shape(len(tokens), self.batch_size, 1 if self.mesh is None else self.mesh.size)
        batch = pad(tokens, self.length(tokens, range(len(tokens))), size, classifier.tokenizer.pad_id)
        weights = goal.weights
        if weights is not None:
            weights = weights[[*places, *[places[0]] * (size - len(places))]]
        arrays = (batch.ids, batch.mask, batch.types, weights)
        if isinstance(self.method, Method):
            if goal.score is not None:
                raise InputError(f"{self.method.name} explains labels and contrasts, not functions of the logits.")
            arrays = (*arrays, unit_numbers(self.method, tokens, batch.ids.shape))
        if self.mesh:
            arrays = jax.device_put(arrays, sharding.by_rows(self.mesh))
        if isinstance(self.method, Method):
            *texts, weights, units = arrays
            logits, scores, found = token_scores(settings, self.params, Texts(*texts, units), weights, self.values)
            return logits, logits, scores, {DIAGNOSTICS: found}
        if goal.score is not None:
            settings = dataclasses.replace(settings, score=goal.score)
        read = {}
        if settings.audit or settings.readouts:
            logits, relevance, read = token_readouts(settings, self.params, *arrays, self.values)
        else:
            logits, relevance = token_relevance(settings, self.params, *arrays, self.values)
        scored = logits if goal.score is None else jax.vmap(goal.score)(logits)
        return logits, scored, relevance, read

    def describe(self, row: Row, tokens: Tokens, goal: Targets, place: int, read: "Read") -> list[Explanation]:
        """One Explanation for each target of a row."""
        classifier, labels = self.classifier, self.classifier.config.labels
        logits, probabilities, scored, relevance, readings = read
        best = int(logits.argmax())
        probability = None if probabilities is None else float(probabilities[best])
        relevance = relevance[:, : len(tokens.ids)]
        names = (goal.prefix + labels[best],) if goal.names is None else goal.names[place]
        weights = self.one_hot[best : best + 1] if goal.weights is None else goal.weights[place]
        values = (weights @ scored).tolist()
        each = [{}] * len(weights)
        if DIAGNOSTICS in readings:
            each = [dict(zip(self.method.diagnostics, found.tolist(), strict=True)) for found in readings[DIAGNOSTICS]]
        return [
            Explanation(
                id=row.id,
                text=row.text,
                text_pair=row.pair,
                prediction=Prediction(labels[best], probability, float(logits[best])),
                target=name,
                target_logit=value,
                logits=logits,
                probabilities=probabilities,
                method=self.method.name,
                parameters=self.parameters,
                rules=dict(self.rules),
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
                warnings=(*tokens.warnings, *self.doubts(tokens, scores, logits, row_weights, goal, found)),
                model=classifier.name,
                weights_sha256=classifier.fingerprint,
                diagnostics=found,
                **self.inside(tokens, scores, value, readings, number, goal),
            )
            for number, (name, scores, row_weights, value, found) in enumerate(
                zip(names, relevance, weights, values, each, strict=True)
            )
        ]

    def inside(
        self, tokens: Tokens, scores: np.ndarray, value: float, readings: Mapping[str, Any], number: int, goal: Targets
    ) -> dict[str, Any]:
        """The fields `ledger` and `readouts` for a row's target of that number: scores [T], readings [N, ...]."""
        if isinstance(self.method, Method) or not readings:
            return {}
        own = jax.tree.map(lambda array: array[number], dict(readings))
        found = of_target(self.settings, own, len(tokens.ids))
        if not self.settings.audit:
            return {"readouts": found}
        special = np.array([span is None for span in tokens.spans])
        return {"readouts": found, "ledger": ledger.made(value, scores, special, own, function=goal.score is not None)}

    def doubts(
        self,
        tokens: Tokens,
        scores: np.ndarray,
        logits: np.ndarray,
        weights: np.ndarray,
        goal: Targets,
        measured: Mapping[str, float],
    ) -> Iterator[str]:
        """What to know before trusting the scores of a target: weights · logits, both [C], or a function."""
        if tokens.truncated:
            yield f"{tokens.truncated} word pieces beyond {len(tokens.ids)} tokens were cut off and not read"
        if not np.isfinite(scores).all():
            yield "some scores are not finite numbers"
        linear, method = goal.score is None, self.method
        if isinstance(method, Method):
            units = unit_numbers(method, [tokens], (1, len(tokens.ids))).max() + 1
            yield from method.doubts(measured, float(weights @ logits), int(units))
            return
        lowest = 0.0
        if method.boundary is RELEVANCE:  # its rules start from R = logit, sign and all
            lowest = logits[weights != 0].min() if linear else logits.min()
        if lowest < 0:
            yield f"a logit of the target is negative ({lowest:.3g}), which flips the signs of {method.name}"
        elif linear and (target_logit := weights @ logits) < 0:
            yield f"the target's logit is negative ({target_logit:.3g}): the scores sum towards a number below 0"


def method_settings(classifier: Classifier, config: ExplainConfig, method: Method) -> tuple[Settings, Any]:
    """What is compiled, and its values, for a method that is no composite."""
    if config.audit or config.readouts or config.long == WINDOWS:
        raise InputError(f"{method.name} has no audit, no read-outs and no windows; use a composite for them.")
    point, tokenizer = config.read_at or method.reads[0], classifier.tokenizer
    settings = Settings(classifier.config, method, point, jnp.dtype(classifier.dtype))
    return settings, method.values(classifier.config, {"pad": tokenizer.pad_id, "mask": tokenizer.mask_id})


def batch_shape(rows: int, batch_size: int, devices: int = 1) -> int:
    """The rows that a batch is padded to: the batch size, or a power of two for a smaller one, for equal devices."""
    return -(-min(batch_size, 1 << (rows - 1).bit_length()) // devices) * devices


def padded_length(longest: int, positions: int, rows: int) -> int:
    """The tokens that a batch of so many rows is padded to, never beyond the model's positions."""
    fits = (length for length in (FINE_LENGTHS if rows >= LARGE else LENGTHS) if length >= longest)
    return min(next(fits, -(-longest // 512) * 512), positions)
