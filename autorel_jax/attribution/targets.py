"""Targets: what is explained, a label's name or "predicted" -> weights over scores. Used by explainer.py.

A target is a weighted sum of scores. Scores are the logits unless a target names a function of them: then one label is
its weight 1, a contrast (a label minus another) 1 and -1.
"""

import dataclasses
import numbers
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.model.config import REGRESSION, SINGLE, is_sigmoid

# Besides a label's name or id, and a pair of labels. A margin is that of the predicted label over the runner-up.
PREDICTED, GIVEN, ALL, MARGIN = KINDS = ("predicted", "given", "all", "margin")
LOG_PROBABILITY = "log_probability:"  # before a label, or a kind that means labels: the logarithm of its probability
Target = str | int | tuple[str | int, str | int] | Callable[[jax.Array], jax.Array]
Score = Callable[[jax.Array], jax.Array]  # logits [C] -> scores [S], differentiable; hashable


def is_function(target: Any) -> bool:
    """Whether a target is a function of the logits, and not a weighted sum of them."""
    return callable(target) or target == MARGIN or (isinstance(target, str) and target.startswith(LOG_PROBABILITY))


def without_log(target: Any) -> Any:
    """A target without its "log_probability:", if it has one."""
    return target.removeprefix(LOG_PROBABILITY) if isinstance(target, str) else target


@dataclasses.dataclass(frozen=True)
class Targets:
    """The targets of a batch of rows.

    Attributes:
      weights: [B, N, S] float32: N targets for each row; None where each row explains the label it predicts.
      names: for each row, the names of its N targets; None likewise.
      score: logits [C] -> the scores [S] that are weighted; None: the logits themselves.
      prefix: of the name of a predicted label.
    """

    weights: np.ndarray | None
    names: tuple[tuple[str, ...], ...] | None
    score: Score | None = None
    prefix: str = ""

    def batch(self, places: Sequence[int], tokens: int) -> np.ndarray | None:
        """The weights of the rows at `places` [B, N, S], whatever the tokens they are padded to."""
        return None if self.weights is None else self.weights[list(places)]


def resolve(
    target: Target,
    labels: Sequence[str],
    label_id: Callable[[str | int], int],
    given: Sequence[tuple[str | int, str | int | None]],
    problem: str = SINGLE,
) -> Targets:
    """A target as the user names it -> Targets of the B rows whose (id, label) are `given`.

    Args:
      target: "predicted", "given" (each row's own label), "all" (every label, one by one), a label's name or id, or
        a pair (a, b) for the contrast a - b; any of these but the pair after "log_probability:"; "margin", the
        predicted label's logit minus the runner-up's; or a function of JAX from logits [C] to a number.
      labels: the model's C label names.
      label_id: name or id -> id, or an InputError.
      given: each row's id and label (None where it has none).
      problem: one of config.PROBLEMS.

    Raises:
      InputError: an unknown label, a row without the label it needs, a contrast of a label with itself, or a function
        that does not map logits to a number.
    """
    target = target.item() if isinstance(target, np.generic) else target
    if callable(target):
        return everywhere(Function(target), [function_name(target, len(labels))], len(given))
    if not isinstance(target, str | numbers.Integral | list | tuple):
        raise InputError(
            f"The target is {target!r}; expected {', '.join(KINDS)}, a label's name or id, {LOG_PROBABILITY}LABEL, two "
            "labels or a function of the logits."
        )
    if isinstance(target, str) and target.startswith(LOG_PROBABILITY):
        return log_probability(target, labels, label_id, given, problem)
    if target == PREDICTED:
        return Targets(None, None)
    if target == MARGIN:
        if len(labels) < 2:
            raise InputError(f"The target {MARGIN!r} needs two labels at least; this model has one output.")
        return everywhere(margin, [MARGIN], len(given))
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


def reads_given(target: Target) -> bool:
    """Whether the target needs each row's own label."""
    return isinstance(target, str) and target in (GIVEN, LOG_PROBABILITY + GIVEN)


def everywhere(score: Score, names: Sequence[str], rows: int) -> Targets:
    """Targets that are the scores themselves, one after the other, the same for every row."""
    weights = np.eye(len(names), dtype=np.float32)
    return Targets(np.broadcast_to(weights, (rows, *weights.shape)), (tuple(names),) * rows, score)


def log_probability(
    target: str,
    labels: Sequence[str],
    label_id: Callable[[str | int], int],
    given: Sequence[tuple[str | int, str | int | None]],
    problem: str,
) -> Targets:
    """Targets of "log_probability:…"."""
    rest = target.removeprefix(LOG_PROBABILITY)
    if problem == REGRESSION:
        raise InputError(f"The target {target!r} needs probabilities, which a regression does not have.")
    if rest == MARGIN or rest.startswith(LOG_PROBABILITY):
        raise InputError(
            f"The target {target!r} has no label after {LOG_PROBABILITY!r}; give a label, predicted or all."
        )
    found = resolve(rest, labels, label_id, given)
    names = None if found.names is None else tuple(tuple(f"{LOG_PROBABILITY}{n}" for n in row) for row in found.names)
    score = jax.nn.log_sigmoid if is_sigmoid(problem, len(labels)) else jax.nn.log_softmax
    return dataclasses.replace(found, names=names, score=score, prefix=LOG_PROBABILITY)


def margin(logits: jax.Array) -> jax.Array:
    """The highest logit minus the second: logits [C] -> [1]."""
    first, second = jax.lax.top_k(logits, 2)[0]
    return (first - second)[None]


@dataclasses.dataclass(frozen=True)
class Function:
    """A user's function of the logits as a score: logits [C] -> [1]."""

    function: Callable[[jax.Array], jax.Array]

    def __call__(self, logits: jax.Array) -> jax.Array:
        """The function's value as an array of one."""
        return jnp.reshape(self.function(logits), (1,))


def function_name(function: Any, labels: int) -> str:
    """Its name, or an InputError if it does not map logits to a number."""
    name = getattr(function, "__name__", type(function).__name__)
    if not isinstance(function, Hashable):
        raise InputError(f"The target {name} is a function without a hash; give one that has, such as a plain `def`.")
    try:
        made = jax.eval_shape(function, jax.ShapeDtypeStruct((labels,), jnp.float32))
    except Exception as error:  # whatever a user's function may raise
        raise InputError(
            f"The target {name} fails for logits [{labels}]: {type(error).__name__}: {one_line(error)}."
        ) from error
    if getattr(made, "shape", None) != () or not jnp.issubdtype(made.dtype, jnp.floating):
        raise InputError(f"The target {name} must give a number for logits [{labels}]; it gives {made}.")
    return name


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
        raise InputError(
            f"A contrast needs two labels, got {len(pair)}: {', '.join(map(str, pair))}. One label "
            "for all texts is given by itself, one for each text as labels=[…] with target='given'."
        )
    a, b = (label_id(label) for label in pair)
    if a == b:
        raise InputError(f"A contrast needs two labels; {labels[a]!r} was given twice.")
    weights = np.zeros((1, len(labels)), np.float32)
    weights[0, a], weights[0, b] = 1, -1
    return weights, (f"{labels[a]} - {labels[b]}",)
