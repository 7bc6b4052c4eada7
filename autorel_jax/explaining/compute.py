"""Compute: tokens of many texts and their targets -> an Answer for each, in batches that fit the device.

Used by explainer.py for whole texts, and by documents.py for the windows of long ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import sharding
from autorel_jax.attribution.method import Absorbed, Method, Result, Texts
from autorel_jax.attribution.registry import named
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targets import Targets, resolve, without_log
from autorel_jax.classifier import Classifier, forward
from autorel_jax.explaining import references
from autorel_jax.explaining.config import BATCH_SIZE, BATCH_SIZES, ExplainConfig
from autorel_jax.explaining.fitting import fitted
from autorel_jax.explaining.shapes import batch_shape, chosen_lengths, few_if_long, padded_length
from autorel_jax.families.family import MASKED
from autorel_jax.lrp.fused import SCORES
from autorel_jax.text.batches import pad
from autorel_jax.text.tokens import Tokens

if TYPE_CHECKING:
    from autorel_jax.text.windows import Window

Rows = Sequence[Tokens]  # or the Excerpts of windows
Places = Sequence[int]  # of rows among all


class Answer(NamedTuple):
    """The Result for one text, of the padded length T, as NumPy's arrays; N targets."""

    logits: np.ndarray  # [C]; of a head on tokens [T, C]
    probabilities: np.ndarray | None  # likewise; None for a regression
    scored: np.ndarray  # [S]
    relevance: np.ndarray  # [N, T]
    readouts: Mapping[str, np.ndarray] = {}  # [N, ...] each
    absorbed: Absorbed | None = None  # [N, ...]
    diagnostics: Mapping[str, np.ndarray] = {}  # [N] each
    units: int = 0  # that the method switched off, one by one
    attention: str = SCORES  # how it was computed; see lrp/fused.py
    windows: tuple[Window, ...] = ()  # in which a long text was read


class Computer:
    """A classifier and what is asked of it, on one device or several. Threads may share it."""

    def __init__(self, classifier: Classifier, config: ExplainConfig, devices: Sequence[jax.Device] = ()):
        self.classifier = classifier
        self.settings = settings_of(classifier, config)
        tokenizer = classifier.tokenizer
        ids = {"pad": tokenizer.pad_id, "mask": tokenizer.mask_id}
        with classifier.precision():
            self.values = self.method.values(classifier.config, ids)
        self.mesh = sharding.make_mesh(devices) if len(devices) > 1 else None
        self.params = classifier.params
        if self.mesh:
            self.params = sharding.put(self.params, sharding.layout_of(self.mesh, self.params, "replicate"))
        kind = devices[0].platform if devices else jax.default_backend()
        self.on_cpu = kind == "cpu"
        self.batch_size = config.batch_size or max(len(devices), 1) * BATCH_SIZES.get(kind, BATCH_SIZE)
        self.is_asked = config.batch_size is not None
        self.limits: dict[int, int] = {}  # tokens -> rows that fit, where a batch did not fit the memory
        references.check(self.method, config)
        self.about_references = references.described(config.references)
        if config.references:
            made = references.arrays(self, config)
            whole = sharding.layout_of(self.mesh, made, "replicate") if self.mesh else None
            with classifier.precision():
                self.values |= sharding.put(made, whole) if self.mesh else jax.device_put(made)

    @property
    def devices(self) -> int:
        """Among how many devices a batch is divided."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def method(self) -> Method:
        """The method that computes."""
        return self.settings.method

    def answers(
        self, rows: Rows, goal: Targets, places: Places, most: int | None = None
    ) -> Iterator[dict[int, Answer]]:
        """The rows at `places`, the longest first: of each batch the place of a row -> its Answer.

        `most` rows make a batch, where the goal has so many targets that fewer than usual fit.
        """
        lengths = self.lengths(rows, places, most)
        compute = functools.partial(self.compute, rows, goal, lengths=lengths)
        for batch, result in self.fitted(rows, places, compute, most):
            yield dict(zip(batch, self.each(rows, batch, result), strict=True))

    def logits(self, rows: Rows, places: Places) -> Iterator[dict[int, np.ndarray]]:
        """Likewise, the plain model's logits alone: of a head on tokens [T, C], padding among the T."""
        lengths = self.lengths(rows, places)

        def compute(batch: Places) -> jax.Array:
            texts, _ = self.padded(rows, batch, lengths=lengths)
            with self.classifier.precision():
                config, dtype = self.classifier.config, self.settings.dtype
                return forward(config, dtype, self.params, texts.ids, texts.mask, texts.types)

        for batch, logits in self.fitted(rows, places, compute):
            yield dict(zip(batch, self.by_token(logits), strict=False))  # rows of padding come last

    def fitted(
        self, rows: Rows, places: Places, compute: Callable[[Places], Any], most: int | None = None
    ) -> Iterator[tuple[Places, Any]]:
        """What is computed of the rows at `places`, in batches that fit the memory."""

        def too_large(batch: Places) -> None:
            self.limits[self.length(rows, batch[:1])] = len(batch) // 2

        return fitted(compute, self.batches(rows, places, most or self.batch_size), too_large)

    def lengths(self, rows: Rows, places: Places, most: int | None = None) -> Sequence[int]:
        """What full batches of these rows are padded to; none: the usual lengths, as where programs cost more."""
        if not self.on_cpu:
            return ()
        return chosen_lengths([len(rows[place].ids) for place in places], most or self.batch_size)

    def by_token(self, logits: np.ndarray) -> np.ndarray:
        """Logits of a batch [B, ...], those of a head on tokens [B, T, C]."""
        config = self.classifier.config
        return logits.reshape(len(logits), -1, config.num_labels) if config.on_tokens else logits

    def batches(self, rows: Rows, places: Places, most: int) -> Iterator[list[int]]:
        """The places in batches, the longest rows first."""
        order = sorted(places, key=lambda place: -len(rows[place].ids))
        while order:
            length = self.length(rows, order[:1])
            size = min(self.limits.get(length, most), self.at_once(length), most)
            yield order[:size]
            order = order[size:]

    def at_once(self, tokens: int) -> int:
        """The rows of a batch of so many tokens: those asked for, or else fewer where they are long."""
        return self.batch_size if self.is_asked else few_if_long(self.batch_size, tokens)

    def length(self, rows: Rows, places: Places, lengths: Sequence[int] = ()) -> int:
        """The tokens that a batch is padded to."""
        longest = max(len(rows[place].ids) for place in places)
        return padded_length(longest, self.classifier.config.longest_text, len(places), lengths)

    def compute(self, rows: Rows, goal: Targets, places: Places, lengths: Sequence[int] = ()) -> Result:
        """The Result of a batch, padding last. Not waited for."""
        texts, weights = self.padded(rows, places, goal, lengths)
        with self.classifier.precision():
            return token_scores(self.settings, self.params, texts, weights, self.values)

    def padded(
        self, rows: Rows, places: Places, goal: Targets | None = None, lengths: Sequence[int] = ()
    ) -> tuple[Texts, np.ndarray | None]:
        """A batch and the weights of its targets, if there is a goal; on the devices, if there are several."""
        here = [rows[place] for place in places]
        size = batch_shape(len(here), self.batch_size, self.devices)
        batch = pad(here, self.length(here, range(len(here)), lengths), size, self.classifier.tokenizer.pad_id)
        weights = None
        if goal is not None:
            weights = goal.batch([*places, *[places[0]] * (size - len(places))], batch.ids.shape[1])
        texts = Texts(batch.ids, batch.mask, batch.types, self.method.units(here, batch.ids.shape))
        if self.mesh:
            texts, weights = jax.device_put((texts, weights), sharding.by_rows(self.mesh))
        return texts, weights

    def each(self, rows: Rows, places: Places, result: Result) -> Iterator[Answer]:
        """The Answer of each row of a batch, whose Result is on the host."""
        logits, scored, relevance, *others = result
        logits = self.by_token(logits)
        probabilities = self.classifier.probabilities(logits)
        attention = self.settings.attention(relevance.shape[-1])
        for row, place in enumerate(places):
            likely = None if probabilities is None else probabilities[row]
            mine = jax.tree.map(lambda array, row=row: array[row], others) if any(others) else others
            units = self.method.units([rows[place]], (1, len(rows[place].ids)))
            counted = 0 if units is None else int(units.max()) + 1
            yield Answer(logits[row], likely, scored[row], relevance[row], *mine, counted, attention)


def settings_of(classifier: Classifier, config: ExplainConfig) -> Settings:
    """What is asked of which method, as the config says.

    Raises:
      InputError: an unknown method, parameter or target, or what the method does not have: a read point, a read-out,
        targets that are functions of the logits.
    """
    model = classifier.config
    if model.task == MASKED:  # whose targets are words, which a text decides about
        goal = Targets(None, None, jax.nn.log_softmax if without_log(config.target) != config.target else None)
    else:
        goal = resolve(config.target, model.labels, classifier.label_id, [], model.problem)
    method = named(config.method).set(config.parameters)
    return Settings(
        config=model,
        method=method,
        read_at=config.read_at or method.reads[0],
        dtype=jnp.dtype(classifier.dtype),
        audit=config.audit,
        readouts=tuple(config.readouts),
        neurons=config.neurons,
        score=goal.score,
    )
