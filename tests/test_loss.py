"""Losses by hand and against PyTorch, as sums that parts of a batch and padded rows leave exact; class weights."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import refusal
from tolerances import LOSS, LOSS_PARTS

from autorel_jax.data.task import TaskConfig
from autorel_jax.model.config import MULTI, PROBLEMS, REGRESSION, SINGLE
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.loss import class_weights, loss

ROWS, CLASSES = 7, 4
OUTPUTS = {SINGLE: CLASSES, MULTI: CLASSES, REGRESSION: 1}


def batch(problem, rows=ROWS, seed=0):
    """Logits of order 2 and labels."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((rows, OUTPUTS[problem]))
    labels = {
        SINGLE: rng.integers(0, CLASSES, rows),
        MULTI: rng.integers(0, 2, (rows, CLASSES)),
        REGRESSION: rng.standard_normal(rows),
    }
    return logits, labels[problem]


def sums(problem, logits, labels, weights=None, **settings):
    """The two sums of NumPy arrays in float64, as floats."""
    weights = np.ones(len(logits)) if weights is None else weights
    with jax.enable_x64(True):
        call = jax.jit(functools.partial(loss, problem, **settings))
        return tuple(map(float, call(logits, labels, weights)))


def softplus(x):
    return math.log1p(math.exp(x))


# Logits 0 and log 3 give probabilities 1/4 and 3/4. Weights of classes 2 and 5; the second row counts 3.
BY_HAND = [  # problem, logits, labels, weights of the rows, settings, the two sums
    (SINGLE, [[0, math.log(3)], [0, 0]], [0, 1], [1, 3], {}, math.log(4) + 3 * math.log(2), 4),
    (
        SINGLE,
        [[0, math.log(3)], [0, 0]],
        [0, 1],
        [1, 3],
        {"class_weights": np.array([2.0, 5.0])},
        2 * math.log(4) + 3 * 5 * math.log(2),
        2 + 3 * 5,
    ),
    (
        SINGLE,  # a fifth of the target spread over both classes: 0.9 and 0.1
        [[0, math.log(3)]],
        [0],
        [1],
        {"smoothing": 0.2, "class_weights": np.array([2.0, 5.0])},
        2 * 0.9 * math.log(4) + 5 * 0.1 * math.log(4 / 3),
        2,
    ),
    (
        MULTI,
        [[0, 1], [2, -1]],
        [[1, 0], [1, 1]],
        [1, 3],
        {"class_weights": np.array([2.0, 5.0])},
        (2 * math.log(2) + softplus(1)) / 2 + 3 * (2 * softplus(-2) + 5 * softplus(1)) / 2,
        4,
    ),
    (REGRESSION, [[1.5], [-2.0]], [1.0, 1.0], [1, 3], {}, 0.25 + 3 * 9, 4),
]


@pytest.mark.parametrize(("problem", "logits", "labels", "weights", "settings", "total", "mass"), BY_HAND)
def test_by_hand(problem, logits, labels, weights, settings, total, mass):
    found = sums(problem, np.array(logits, float), np.array(labels), np.array(weights), **settings)
    np.testing.assert_allclose(found, (total, mass), rtol=LOSS)


@pytest.mark.parity
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_pytorch(smoothing, weighted):
    torch = pytest.importorskip("torch")
    weights = np.array([0.5, 2.0, 1.0, 3.0]) if weighted else None
    logits, labels = batch(SINGLE)
    total, mass = sums(SINGLE, logits, labels, smoothing=smoothing, class_weights=weights)
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(weights) if weighted else None, label_smoothing=smoothing)
    np.testing.assert_allclose(total / mass, theirs(torch.tensor(logits), torch.tensor(labels)), rtol=LOSS)


@pytest.mark.parity
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_of_pytorch(weighted):
    torch = pytest.importorskip("torch")
    weights = np.array([0.5, 2.0, 1.0, 3.0]) if weighted else None
    logits, labels = batch(MULTI)
    total, mass = sums(MULTI, logits, labels, class_weights=weights)
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights) if weighted else None)
    expected = theirs(torch.tensor(logits), torch.tensor(labels, dtype=torch.float64))
    np.testing.assert_allclose(total / mass, expected, rtol=LOSS)


@pytest.mark.parity
def test_squared_error_of_pytorch():
    torch = pytest.importorskip("torch")
    logits, labels = batch(REGRESSION)
    total, mass = sums(REGRESSION, logits, labels)
    expected = torch.nn.MSELoss()(torch.tensor(logits)[:, 0], torch.tensor(labels))
    np.testing.assert_allclose(total / mass, expected, rtol=LOSS)


def settings_of(problem):
    weights = None if problem == REGRESSION else np.array([0.5, 2.0, 1.0, 3.0])
    return {"smoothing": 0.1 if problem == SINGLE else 0.0, "class_weights": weights}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_parts_of_a_batch_add_up(problem):
    logits, labels = batch(problem)
    found = [sums(problem, logits[cut], labels[cut], **settings_of(problem)) for cut in (slice(3), slice(3, ROWS))]
    whole = sums(problem, logits, labels, **settings_of(problem))
    np.testing.assert_allclose(np.sum(found, axis=0), whole, rtol=LOSS_PARTS)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("garbage", [1e4, np.nan])
def test_padding_counts_exactly_nothing(problem, garbage):
    logits, labels = batch(problem)
    filler = np.full((2, OUTPUTS[problem]), garbage)
    wrong = np.full((2, *labels.shape[1:]), garbage if problem == REGRESSION else 1, labels.dtype)
    inputs = np.concatenate([logits, filler]), np.concatenate([labels, wrong]), np.r_[np.ones(ROWS), 0, 0]
    assert sums(problem, *inputs, **settings_of(problem)) == sums(problem, logits, labels, **settings_of(problem))
    call = functools.partial(loss, problem, labels=inputs[1], weights=inputs[2], **settings_of(problem))
    slope = jax.jit(jax.grad(lambda x: call(x)[0]))(np.float32(inputs[0]))
    assert (slope[-2:] == 0).all()
    assert (slope[:-2] != 0).all()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_finite_at_extreme_logits(problem, size):
    logits, labels = batch(problem)
    call = functools.partial(loss, problem, labels=labels, weights=np.ones(ROWS), **settings_of(problem))
    value, slope = jax.jit(jax.value_and_grad(lambda x: call(x)[0]))(np.float32(size * np.sign(logits)))
    assert jnp.isfinite(value)
    assert value > abs(size)  # what is wrong costs something, rather than being clipped away
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize(("dtype", "expected"), [("bfloat16", "float32"), ("float32", "float32")])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_in_float32_at_least(problem, dtype, expected):
    logits, labels = batch(problem)
    call = functools.partial(loss, problem, **settings_of(problem))
    found = jax.eval_shape(call, jnp.asarray(logits, dtype), labels, np.ones(ROWS))
    assert [value.dtype for value in found] == [expected, expected]


@pytest.mark.parametrize("problem", [MULTI, REGRESSION])
def test_smoothing_is_of_single_labels(problem):
    logits, labels = batch(problem)
    message = refusal(sums, problem, logits, labels, smoothing=0.1)
    assert message == f"label_smoothing=0.1 is for {SINGLE}; the problem is {problem}: set it to 0."


def weights_of(given, labels, problem=SINGLE, names=("bad", "fair", "good")):
    task = TaskConfig(train="train.tsv", problem=problem, labels=names)
    return class_weights(TrainConfig(task, class_weights=given), np.array(labels), 3)


def test_no_class_weights():
    assert weights_of((), [0, 1, 2]) is None


def test_balanced_classes_have_one_mass():
    weights = weights_of(("balanced",), [0, 0, 0, 1, 2, 2])
    np.testing.assert_allclose(weights, [6 / 9, 6 / 3, 6 / 6], rtol=LOSS)


def test_balanced_labels_weigh_positives_as_negatives():
    weights = weights_of(("balanced",), [[1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 0, 1]], MULTI)
    np.testing.assert_allclose(weights, [1 / 3, 3 / 1, 2 / 2], rtol=LOSS)


def test_given_class_weights():
    np.testing.assert_array_equal(weights_of(("0.5", "1", "2e1"), [0]), [0.5, 1, 20])


@pytest.mark.parametrize(
    ("given", "labels", "problem", "message"),
    [
        (
            ("balanced",),
            [0, 0, 2],
            SINGLE,
            "class_weights=balanced: none of the 3 training rows have the label 'fair'; take it out of [task] labels, "
            "or give 3 numbers.",
        ),
        (
            ("balanced",),
            [[1, 1, 0], [0, 1, 1]],
            MULTI,
            "class_weights=balanced: all of the 2 training rows have the label 'fair'; take it out of [task] labels, "
            "or give 3 numbers.",
        ),
        (
            ("1", "2"),
            [0],
            SINGLE,
            "['1', '2']: expected balanced, or one finite number greater than 0 for each of the 3",
        ),
        (("1", "0", "2"), [0], SINGLE, "finite number greater than 0"),
        (("1", "nan", "2"), [0], SINGLE, "finite number greater than 0"),
        (("1", "inf", "2"), [0], SINGLE, "finite number greater than 0"),
        (("balanced", "1", "2"), [0], SINGLE, "['balanced', '1', '2']: expected balanced, or 3 numbers."),
    ],
)
def test_class_weights_that_are_refused(given, labels, problem, message):
    assert message in refusal(weights_of, given, labels, problem)


def test_a_regression_has_no_classes():
    message = refusal(weights_of, ("balanced",), [0.5], REGRESSION, ())
    assert message == "class_weights=['balanced']: a regression has no classes; leave class_weights out."
