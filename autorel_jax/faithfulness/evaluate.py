"""Evaluate: a classifier, methods and texts -> an Evaluation: how well scores predict what the classifier does.

All methods are measured on the same units, with the same target: what the classifier predicts for the whole text.
Public as `ar.evaluate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autorel_jax.classifier import Classifier, refuse_strange_process
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.given import beside, columns_of, texts_of
from autorel_jax.faithfulness import parts
from autorel_jax.faithfulness.config import CHANGED, MARKS, EvaluateConfig
from autorel_jax.faithfulness.evaluator import Evaluator
from autorel_jax.faithfulness.results import Evaluation
from autorel_jax.faithfulness.run import Progress, run
from autorel_jax.text.segments import Text


def evaluate(
    classifier: Classifier,
    texts: Iterable[Text] | str,
    pairs: Iterable[Text] | str | None = None,
    *,
    labels: Iterable[str | int] | None = None,
    marks: Iterable[Any] | None = None,
    changed: Iterable[Text | None] | None = None,
    masked_model: Classifier | None = None,
    other_model: Classifier | None = None,
    done: Path | str | None = None,
    progress: Progress = lambda done, of: None,
    **options: Any,
) -> Evaluation:
    """How well the scores of methods predict what the classifier does when words are taken away.

    Args:
      classifier: from `load`.
      texts: N texts, each a string or a list of words.
      pairs: N second texts, for a classifier of pairs.
      labels: N true labels, for the protocol word_deletion.
      marks: what people marked in each text, for the protocol people: 0 or 1 for each of its words, or such a list of
        each of several people.
      changed: a copy of each text with few other words, for the protocol counterfactual; None or NaN for a text without
        one, which is not in its results' `n`.
      masked_model: a copy of the classifier that was fine-tuned with masked words; the target is measured on it.
      other_model: of the same task, such as one of another seed, whose scores are compared where sanity is set.
      done: a file that keeps what was found; a later call with the same file goes on from there.
      progress: is called with the number of texts that are finished, and that of all.
      **options: fields of EvaluateConfig.

    Raises:
      InputError: an unknown option, method or protocol; a model that does not predict classes; a copy that is no text,
        with its place; lists of different lengths.
    """
    refuse_strange_process()
    fields = [field.name for field in dataclasses.fields(EvaluateConfig)]
    if unknown := sorted(options.keys() - set(fields)):
        raise InputError(f"Unknown option {', '.join(unknown)}. Available: {', '.join(fields)}.")
    columns = columns_of(texts, pairs, labels)
    count = len(columns["texts"])
    numbered = enumerate(zip(*(column or [None] * count for column in columns.values()), strict=True), start=1)
    given = {MARKS: beside(marks, MARKS, count), CHANGED: beside(changed, CHANGED, count)}
    kept = {name: values for name, values in given.items() if values is not None}
    if CHANGED in kept:
        kept[CHANGED] = texts_of(kept[CHANGED], CHANGED, optional=True)
    rows = [Row(number, *row, kept=tuple(of[number - 1] for of in kept.values())) for number, row in numbered]
    config = EvaluateConfig(**options)
    if marks is not None:
        config.check_marks()
    evaluator = Evaluator(classifier, config, masked_model, labels is not None, tuple(kept))
    with parts.opened(None if done is None else Path(done)) as found:
        return run(evaluator, rows, found, progress, other_model)
