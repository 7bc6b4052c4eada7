"""Loss: logits and labels -> a sum of losses and a sum of weights; their quotient is what is minimised.

Sums, so that parts of a batch add up exactly and rows that only pad it (weight 0) count nothing. Also the weights of
the classes. Used by the training loop.
"""

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.model.config import MULTI, REGRESSION, SINGLE, BertConfig, default_labels
from autorel_jax.model.ops import Array
from autorel_jax.training.config import BALANCED, TrainConfig

IGNORED = -100  # the label of a token that has none, as in PyTorch and transformers


def rows_of_labels(
    config: BertConfig, logits: Array, labels: Array, mask: Array, weights: Array
) -> tuple[str, Array, Array, Array]:
    """What the loss is about: the problem, and a row of logits, a label and a weight for each choice of a label.

    A head for labels of tokens chooses at each of them; the labels of tokens that have none are IGNORED. One for
    answers chooses a start and an end among the tokens; padding, which transformers lets compete, is left out, so
    that a loss does not depend on its batch. Other heads choose once.
    Shapes: logits [B, T * C], mask [B, T], weights [B]; labels [B, T] -> [B * T, C], [B * T], [B * T]; of answers
    labels [B, 2] -> [2 B, T], [2 B], [2 B].
    """
    if config.task == ANSWERS:
        each = logits.reshape(*mask.shape, 2).swapaxes(1, 2)
        each = jnp.where(mask[:, None] != 0, each, jnp.finfo(each.dtype).min / 4)  # -inf times 0 would be NaN
        return SINGLE, each.reshape(-1, mask.shape[1]), labels.ravel(), jnp.repeat(weights, 2)
    if config.task != TOKEN_LABELS:
        return config.problem, logits, labels, weights
    there = weights[:, None] * (labels != IGNORED)
    return SINGLE, logits.reshape(-1, config.num_labels), jnp.maximum(labels, 0).ravel(), there.ravel()


def loss(
    problem: str,
    logits: Array,
    labels: Array,
    weights: Array,
    *,
    smoothing: float = 0.0,
    class_weights: np.ndarray | None = None,
) -> tuple[Array, Array]:
    """Sum of the rows' losses and sum of their weights, in float32 or what wider type the logits have.

    The quotient is, for rows of weight 1, the loss of PyTorch's CrossEntropyLoss(weight, label_smoothing),
    BCEWithLogitsLoss(pos_weight) or MSELoss. What a row of weight 0 holds, even NaN, reaches neither sum nor gradient.

    Args:
      problem: one of PROBLEMS.
      logits: [B, C]; of a regression [B, 1].
      labels: ids [B]; of a multi-label problem 0 or 1 [B, C]; of a regression numbers [B].
      weights: [B], of the rows: 1, or 0 for padding.
      smoothing: of a single-label problem's targets.
      class_weights: [C], see `class_weights`.

    Raises:
      InputError: smoothing of a problem without it.
    """
    if smoothing and problem != SINGLE:
        raise InputError(f"label_smoothing={smoothing} is for {SINGLE}; the problem is {problem}: set it to 0.")
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    weights = weights.astype(logits.dtype)
    real = weights != 0
    logits = jnp.where(real[:, None], logits, 0)
    labels = jnp.where(real[:, None] if labels.ndim > 1 else real, labels, 0)
    scale = np.ones(logits.shape[1]) if class_weights is None else class_weights
    scale = jnp.asarray(scale, logits.dtype)
    if problem == SINGLE:
        losses, mass = cross_entropy(logits, labels, scale, smoothing), scale[labels]
    elif problem == MULTI:
        losses, mass = binary_cross_entropy(logits, labels, scale), jnp.ones_like(weights)
    else:
        losses, mass = (logits[:, 0] - labels) ** 2, jnp.ones_like(weights)
    return (losses * weights).sum(), (mass * weights).sum()


def cross_entropy(logits: Array, labels: Array, scale: Array, smoothing: float) -> Array:
    """Of each row -Σ_c w_c t_c log p_c, where t = (1 - smoothing) one_hot(label) + smoothing / C.

    The mass that a row counts in the mean is w of its label, whatever the smoothing, as in PyTorch.
    Shapes: logits [B, C], labels [B], scale (w) [C] -> [B].
    """
    target = (1 - smoothing) * jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    target += smoothing / logits.shape[1]
    return -(scale * target * jax.nn.log_softmax(logits)).sum(axis=1)


def binary_cross_entropy(logits: Array, labels: Array, scale: Array) -> Array:
    """Of each row the mean over labels of -(w_c y_c log σ(x_c) + (1 - y_c) log σ(-x_c)).

    Shapes: logits (x) and labels (y) [B, C], scale (w, of the positives) [C] -> [B].
    """
    labels = labels.astype(logits.dtype)
    positive, negative = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    return -(scale * labels * positive + (1 - labels) * negative).mean(axis=1)


def class_weights(config: TrainConfig, labels: np.ndarray, outputs: int) -> np.ndarray | None:
    """The weights [C] of the classes that the config asks for; None: all count alike.

    "balanced" is N / (C n_c) for a class that n_c of N rows have, so that all classes have one mass in the sum; in a
    multi-label problem it is (N - n_c) / n_c, of the positives of a label against its negatives.

    Args:
      config: its `class_weights` and problem.
      labels: those of the training data: ids [N] or, multi-label, 0 and 1 [N, C].
      outputs: C.

    Raises:
      InputError: a regression; a class that weights cannot balance; numbers that are not one weight for each class.
    """
    given, problem = config.class_weights, config.task.problem
    if not given:
        return None
    if problem == REGRESSION:
        raise InputError(f"class_weights={list(given)}: a {problem} has no classes; leave class_weights out.")
    if given == (BALANCED,):
        return balanced(labels, config.task.labels or default_labels(outputs), problem)
    return numbers(given, outputs)


def balanced(labels: np.ndarray, names: tuple[str, ...], problem: str) -> np.ndarray:
    """The weights of "balanced", or InputError where a class has no row to weigh, or a label no row without it."""
    rows, classes = len(labels), len(names)
    multi = problem == MULTI
    counts = np.asarray(labels).sum(axis=0) if multi else np.bincount(labels, minlength=classes)
    for name, count in zip(names, counts, strict=True):
        if not count or (multi and count == rows):
            raise InputError(
                f"class_weights={BALANCED}: {'all' if count else 'none'} of the {rows} training rows have the label "
                f"{name!r}; take it out of [task] labels, or give {classes} numbers."
            )
    return (rows - counts) / counts if multi else rows / (classes * counts)


def numbers(given: tuple[str, ...], outputs: int) -> np.ndarray:
    """The weights that the config spells out, or InputError."""
    try:
        weights = np.array(given, np.float64)
    except ValueError:
        raise InputError(f"class_weights={list(given)}: expected {BALANCED}, or {outputs} numbers.") from None
    # 0 is refused too: a step whose rows all have such a class would divide by 0.
    if len(weights) != outputs or not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError(
            f"class_weights={list(given)}: expected {BALANCED}, or one finite number greater than 0 for each of the "
            f"{outputs} labels."
        )
    return weights
