"""Targets: what is explained, a label's name or "predicted" -> weights over the logits. Used by explainer.py.

A target is a weighted sum of the logits: one label, or a label minus another (a contrast).
"""

import dataclasses
import numbers
from collections.abc import Callable, Sequence

import numpy as np

from autorel_jax.errors import InputError

PREDICTED, GIVEN, ALL = KINDS = (
    "predicted",
    "given",
    "all",
)  # besides a label's name or id, and a pair of labels
Target = str | int | tuple[str | int, str | int]


@dataclasses.dataclass(frozen=True)
class Targets:
    """The targets of a batch of rows.

    Attributes:
      weights: [B, N, C] float32: N targets for each row; None where each row explains the label it predicts.
      names: for each row, the names of its N targets; None likewise.
    """

    weights: np.ndarray | None
    names: tuple[tuple[str, ...], ...] | None


def resolve(
    target: Target,
    labels: Sequence[str],
    label_id: Callable[[str | int], int],
    given: Sequence[tuple[str | int, str | int | None]],
) -> Targets:
    """A target as the user names it -> Targets of the B rows whose (id, label) are `given`.

    Args:
      target: "predicted", "given" (each row's own label), "all" (every label, one by one), a label's name or id, or
        a pair (a, b) for the contrast a - b.
      labels: the model's C label names.
      label_id: name or id -> id, or an InputError.
      given: each row's id and label (None where it has none).

    Raises:
      InputError: an unknown label, a row without the label it needs, or a contrast of a label with itself.
    """
    if not isinstance(target, str | numbers.Integral | list | tuple):
        raise InputError(f"The target is {target!r}; expected {', '.join(KINDS)}, a label's name or id, or two labels.")
    if target == PREDICTED:
        return Targets(None, None)
    one_hot = np.eye(len(labels), dtype=np.float32)
    if target == GIVEN:
        ids = [given_id(row, label, label_id) for row, label in given]
        return Targets(one_hot[ids][:, None], tuple((labels[i],) for i in ids))
    if target == ALL:
        weights, names = one_hot, tuple(labels)
    elif isinstance(target, str | numbers.Integral):
        index = label_id(target)
        weights, names = one_hot[[index]], (labels[index],)
    else:
        weights, names = contrast(target, labels, label_id)
    rows = len(given)
    return Targets(np.broadcast_to(weights, (rows, *weights.shape)), (names,) * rows)


def given_id(row: str | int, label: str | int | None, label_id: Callable[[str | int], int]) -> int:
    """The id of a row's own label; an InputError names the row."""
    if label is None:
        raise InputError(f"Text {row} has no label, which target 'given' needs; name the column of labels.")
    try:
        return label_id(label)
    except InputError as error:
        raise InputError(f"Text {row}: {error}") from None


def contrast(
    pair: Sequence[str | int], labels: Sequence[str], label_id: Callable[[str | int], int]
) -> tuple[np.ndarray, tuple[str]]:
    """Weights [1, C] and the name of "label a minus label b"."""
    if len(pair) != 2:
        raise InputError(f"A contrast needs two labels, got {len(pair)}: {pair!r}.")
    a, b = (label_id(label) for label in pair)
    if a == b:
        raise InputError(f"A contrast needs two labels; {labels[a]!r} was given twice.")
    weights = np.zeros((1, len(labels)), np.float32)
    weights[0, a], weights[0, b] = 1, -1
    return weights, (f"{labels[a]} - {labels[b]}",)
