"""Judging: what the model says of a split -> its metrics and its report, for each kind of task.

Used by loop.py and finish.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.data.task import TaskConfig
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.training import answer_metrics, metrics, tag_metrics
from autorel_jax.training.batches import Examples

Outputs = Sequence[np.ndarray]  # of each row, in order, what `Judge.read` kept


class Judge(NamedTuple):
    """How a kind of task is judged.

    Attributes:
      read: (examples, row numbers [R], logits [R, C] or [R, T, C]) -> what is kept of each row until all are there.
      evaluate: (task, examples, outputs) -> the task's METRICS by name.
      details: likewise with those metrics -> all that the report shows, as JSON holds it.
      report: details -> text.
    """

    read: Callable[[Any, np.ndarray, np.ndarray], Outputs]
    evaluate: Callable[[TaskConfig, Any, Outputs], dict[str, float]]
    details: Callable[[TaskConfig, Any, Outputs, Mapping[str, float]], dict[str, Any]]
    report: Callable[[Mapping[str, Any]], str]


def logits_of(examples: Examples, rows: np.ndarray, logits: np.ndarray) -> Outputs:
    """The logits [C] of each row."""
    return list(logits)


def evaluate_texts(task: TaskConfig, examples: Examples, logits: Outputs) -> dict[str, float]:
    """The metrics of labels of whole texts."""
    return metrics.evaluate(task.problem, np.stack(logits), examples.labels)


def details_of_texts(
    task: TaskConfig, examples: Examples, logits: Outputs, values: Mapping[str, float]
) -> dict[str, Any]:
    """Their details."""
    return metrics.details(task.problem, np.stack(logits), examples.labels, task.labels, values)


TEXTS = Judge(logits_of, evaluate_texts, details_of_texts, metrics.report)
OTHERS = {
    TOKEN_LABELS: Judge(tag_metrics.predicted, tag_metrics.evaluate, tag_metrics.details, tag_metrics.report),
    ANSWERS: Judge(answer_metrics.read, answer_metrics.evaluate, answer_metrics.details, answer_metrics.report),
}


def judge_of(task: TaskConfig) -> Judge:
    """How a task is judged."""
    return OTHERS.get(task.problem, TEXTS)
