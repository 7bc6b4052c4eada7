"""Predict: token ids of any texts -> logits, in batches of few shapes; the same ids are computed once.

Used by asking.py and cases.py, and by programs with measures of their own (`ar.predict`). N texts, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.classifier import Classifier, forward
from autorel_jax.errors import InputError, check_count
from autorel_jax.explaining.config import BATCH_SIZE, BATCH_SIZES
from autorel_jax.explaining.fitting import fitted
from autorel_jax.explaining.shapes import batch_shape, few_if_long, padded_length
from autorel_jax.faithfulness.units import Reading
from autorel_jax.model.inputs import check_ids
from autorel_jax.text.batches import pad


class Predictions(NamedTuple):
    """What a classifier makes of N texts."""

    logits: np.ndarray  # [N, C]
    probabilities: np.ndarray | None  # [N, C] float64; None for a regression


def predict(
    classifier: Classifier, ids: Sequence[Any], types: Sequence[Any] | None = None, *, batch_size: int | None = None
) -> Predictions:
    """What a classifier makes of token ids, in batches of few shapes.

    Args:
      classifier: from `load`.
      ids: the token ids of each text, special tokens among them, without padding.
      types: the segment ids of each text; None: 0 everywhere.
      batch_size: texts in a batch; None: 32 on a CPU, else 256.

    Raises:
      InputError: ids that the model does not know, a text that is empty or longer than the model reads.
    """
    if batch_size is not None:
        check_count("batch_size", batch_size)
    classifier.check_whole_texts("predict is for")
    types = [np.zeros(len(row), np.int32) for row in ids] if types is None else types
    if len(types) != len(ids):
        raise InputError(f"{len(ids)} rows of ids but {len(types)} of types; give one for each text.")
    tables, longest = classifier.params["embeddings"], classifier.config.longest_text
    for number, (row, kinds) in enumerate(zip(ids, types, strict=True)):
        if not 0 < len(row) == len(kinds) <= longest:
            raise InputError(
                f"ids[{number}] has {len(row)} tokens and types[{number}] {len(kinds)}; expected as many of both, 1 to "
                f"{longest}."
            )
        check_ids(np.asarray(row), len(tables["word"]), "token ids")
        if "type" in tables:
            check_ids(np.asarray(kinds), len(tables["type"]), "segment ids")
    rows = [Reading(np.asarray(row, np.int32), np.asarray(of, np.int32)) for row, of in zip(ids, types, strict=True)]
    logits = Predictor(classifier, batch_size).logits(rows)
    return Predictions(logits, classifier.probabilities(logits))


class Predictor:
    """A classifier's logits of readings, each of which is computed once as long as it is remembered.

    Attributes:
      computed: how many readings it has computed.
    """

    def __init__(self, classifier: Classifier, batch_size: int | None = None):
        self.classifier = classifier
        self.batch_size = batch_size or BATCH_SIZES.get(jax.default_backend(), BATCH_SIZE)
        self.computed = 0
        self._known: dict[bytes, np.ndarray] = {}

    def forget(self) -> None:
        """Drops all that it remembers: other texts follow."""
        self._known.clear()

    def logits(self, rows: Sequence[Reading]) -> np.ndarray:
        """The logits [N, C] of readings, in their order."""
        keys = [row.key for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        missing = list(new.values())
        order = sorted(range(len(missing)), key=lambda place: -len(missing[place].ids))
        batches = self._batches([len(missing[place].ids) for place in order], order)
        names = list(new)
        for places, logits in fitted(lambda places: self._compute([missing[place] for place in places]), batches):
            self._known |= {names[place]: row for place, row in zip(places, logits, strict=False)}
        self.computed += len(missing)
        return np.array([self._known[key] for key in keys]).reshape(len(keys), self.classifier.config.num_labels)

    def _batches(self, lengths: Sequence[int], order: Sequence[int]) -> Iterator[Sequence[int]]:
        """The places in batches; `lengths` are theirs, falling."""
        start = 0
        while start < len(order):
            size = few_if_long(self.batch_size, lengths[start])
            yield order[start : start + size]
            start += size

    def _compute(self, rows: Sequence[Reading]) -> jax.Array:
        """The logits of a batch, padding last. Not waited for."""
        classifier = self.classifier
        length = padded_length(max(len(row.ids) for row in rows), classifier.config.longest_text, len(rows))
        batch = pad(rows, length, batch_shape(len(rows), self.batch_size), classifier.tokenizer.pad_id)
        with classifier.precision():
            return forward(
                classifier.config, jnp.dtype(classifier.dtype), classifier.params, batch.ids, batch.mask, batch.types
            )
