"""Metrics against loops over rows, the cases in which they are undefined, and the report."""

import json
import math

import numpy as np
import pytest
from models import refusal
from tolerances import METRIC

from autorel_jax.model.config import MULTI, PROBLEMS, REGRESSION, SINGLE
from autorel_jax.training.metrics import METRICS, details, evaluate, report, selector

NAMES = ("bad", "fair", "good", "unused")


def single(seed):
    """40 rows of four classes, of which 3 neither occurs nor is predicted, and 2 is only predicted."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((40, 4))
    logits[:, 3] = -9
    return logits, rng.integers(0, 2, 40)


def multi(seed):
    """40 rows of four labels; 2 never occurs and 3 neither occurs nor is predicted."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((40, 4)), rng.integers(0, 2, (40, 4))
    logits[:, 3], labels[:, 2:] = -9, 0
    return logits, labels


def counts(pairs):
    """(precision, recall, F1) of pairs (true, predicted) of bools; a quotient 0 / 0 is 0, and F1 None if that is."""
    both = sum(true and predicted for true, predicted in pairs)
    missed = sum(true and not predicted for true, predicted in pairs)
    wrong = sum(predicted and not true for true, predicted in pairs)
    if not both + missed + wrong:
        return 0, 0, None
    precision = both / (both + wrong) if both + wrong else 0
    recall = both / (both + missed) if both + missed else 0
    return precision, recall, 2 * both / (2 * both + missed + wrong)


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values)


def correlation(a, b):
    """Pearson's, from its definition."""
    da, db = [x - mean(a) for x in a], [x - mean(b) for x in b]
    products = sum(x * y for x, y in zip(da, db, strict=True))
    return products / math.sqrt(sum(x * x for x in da) * sum(y * y for y in db))


def ranks(values):
    """1 for the least; equal values share the mean of their ranks."""
    return [sum(other < x for other in values) + (sum(other == x for other in values) + 1) / 2 for x in values]


def matthews(true, predicted):
    """The correlation of two series of one-hot vectors (Gorodkin 2004): cov(X, Y) / sqrt(cov(X, X) cov(Y, Y))."""
    rows, classes = len(true), set(true) | set(predicted)

    def covariance(a, b):
        total = 0
        for c in classes:
            mean_a, mean_b = sum(x == c for x in a) / rows, sum(x == c for x in b) / rows
            total += sum(((x == c) - mean_a) * ((y == c) - mean_b) for x, y in zip(a, b, strict=True))
        return total

    return covariance(true, predicted) / math.sqrt(covariance(true, true) * covariance(predicted, predicted))


def assert_metrics(found, expected):
    """The names in their order, and the values."""
    assert list(found) == list(expected)
    assert all(type(value) is float for value in found.values())
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=METRIC, abs=METRIC), name


@pytest.mark.parametrize("seed", range(3))
def test_single(seed):
    logits, labels = single(seed)
    predicted = [max(range(4), key=lambda c: row[c]) for row in logits]
    f1 = [counts([(y == c, p == c) for y, p in zip(labels, predicted, strict=True)])[2] for c in range(4)]
    assert f1[2] == 0
    assert f1[3] is None
    expected = {
        "accuracy": mean([int(y == p) for y, p in zip(labels, predicted, strict=True)]),
        "macro_f1": mean(f1),
        "matthews": matthews(list(labels), predicted),
    }
    assert_metrics(evaluate(SINGLE, logits, labels), expected)


@pytest.mark.parametrize("seed", range(3))
def test_multi(seed):
    logits, labels = multi(seed)
    pairs = [
        [(y == 1, x > 0) for y, x in zip(*columns, strict=True)] for columns in zip(labels.T, logits.T, strict=True)
    ]
    f1 = [counts(column)[2] for column in pairs]
    assert f1[2:] == [0, None]
    expected = {
        "micro_f1": counts([pair for column in pairs for pair in column])[2],
        "macro_f1": mean(f1),
        "accuracy": mean([int(all(column[i][0] == column[i][1] for column in pairs)) for i in range(40)]),
    }
    assert 0 < expected["accuracy"] < 1
    assert_metrics(evaluate(MULTI, logits, labels), expected)


@pytest.mark.parametrize("seed", range(3))
def test_regression(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, 30) / 2  # with ties
    logits = labels[:, None] + rng.standard_normal((30, 1))
    predicted = [row[0] for row in logits]
    expected = {
        "pearson": correlation(predicted, list(labels)),
        "spearman": correlation(ranks(predicted), ranks(labels)),
        "mse": mean([(p - y) ** 2 for p, y in zip(predicted, labels, strict=True)]),
    }
    assert_metrics(evaluate(REGRESSION, logits, labels), expected)


NAN, INF = math.nan, math.inf
UNDEFINED = [  # problem, logits, labels, the values
    (SINGLE, [[1, 0]], [0], (1, 1, 0)),
    (SINGLE, [[1, 0]], [1], (0, 0, 0)),
    (SINGLE, [[1, 0]] * 4, [0] * 4, (1, 1, 0)),  # one class alone
    (SINGLE, [[1, 1]] * 4, [0, 0, 0, 1], (3 / 4, 3 / 7, 0)),  # a tie is the first's, and 1 is never predicted
    (SINGLE, [[NAN, NAN]] * 2, [0, 1], (0, 0, 0)),
    (SINGLE, [[1, 0], [9, NAN]], [0, 0], (1 / 2, 2 / 3, 0)),  # a row with NaN is wrong even where NaN is elsewhere
    (
        SINGLE,
        [[0, 1], [1, 0], [0, 1], [1, NAN]],
        [1, 0, 1, 0],
        (3 / 4, 5 / 6, 6 / math.sqrt(80)),
    ),  # no class is a class
    (SINGLE, [[INF, 0], [-INF, 0]], [0, 1], (1, 1, 1)),
    (MULTI, [[1, 1]], [[1, 1]], (1, 1, 1)),
    (MULTI, [[-1, 0]], [[0, 0]], (0, 0, 1)),  # nothing to find, nothing found; a logit of 0 predicts nothing
    (MULTI, [[-1, -1]] * 2, [[0, 1]] * 2, (0, 0, 0)),
    (MULTI, [[NAN, 1], [1, 1]], [[0, 1], [1, 1]], (4 / 5, (1 + 2 / 3) / 2, 1 / 2)),
    (MULTI, [[1], [1], [1]], [[1], [1], [0]], (4 / 5, 4 / 5, 2 / 3)),  # a single label
    (REGRESSION, [[1]], [3], (0, 0, 4)),
    (REGRESSION, [[1], [1]], [3, 1], (0, 0, 2)),
    (REGRESSION, [[1], [2]], [3, 3], (0, 0, 5 / 2)),
    (REGRESSION, [[NAN], [2]], [3, 1], (0, 0, NAN)),
    (REGRESSION, [[INF], [2]], [3, 1], (0, 0, INF)),
    (REGRESSION, [[1], [1 + 2**-52]], [3, 1], (-1, -1, 2)),  # the least that varies
]


@pytest.mark.parametrize(("problem", "logits", "labels", "values"), UNDEFINED)
def test_defined_where_the_definition_is_not(problem, logits, labels, values):
    found = evaluate(problem, np.array(logits, float), np.array(labels))
    assert tuple(found) == METRICS[problem]
    assert tuple(found.values()) == pytest.approx(values, rel=METRIC, abs=METRIC, nan_ok=True)


@pytest.mark.parametrize(("problem", "logits", "labels", "values"), UNDEFINED)
def test_details_are_json(problem, logits, labels, values):
    found = detailed(problem, np.array(logits, float), np.array(labels), NAMES[: len(logits[0])])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for value, expected in zip(found["metrics"].values(), values, strict=True):
        assert value == (pytest.approx(expected, rel=METRIC, abs=METRIC) if math.isfinite(expected) else None)


def detailed(problem, logits, labels, names):
    return details(problem, logits, labels, names, evaluate(problem, logits, labels))


def reported(*arguments):
    return report(detailed(*arguments))


def test_logits_of_a_model():
    logits, labels = single(0)
    narrow = logits.astype(np.float32)
    assert evaluate(SINGLE, narrow, labels.astype(np.int32)) == evaluate(SINGLE, logits, labels)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_selector(problem):
    assert selector(None, problem) == METRICS[problem][0]
    for name in METRICS[problem]:
        if name != "mse":
            assert selector(name, problem) == name


@pytest.mark.parametrize(
    ("select", "problem", "accepted"),
    [
        ("f1", SINGLE, "accuracy, macro_f1, matthews"),
        ("matthews", MULTI, "micro_f1, macro_f1, accuracy"),
        ("mse", REGRESSION, "pearson, spearman"),
    ],
)
def test_what_cannot_choose(select, problem, accepted):
    message = refusal(selector, select, problem)
    assert message == f"select='{select}' cannot choose a checkpoint of a {problem}; accepted: {accepted}."


def test_details_of_single_labels():
    logits, labels = single(1)
    logits[5, 1] = NAN
    predicted = [None if i == 5 else max(range(4), key=lambda c: row[c]) for i, row in enumerate(logits)]
    pairs = list(zip(labels.tolist(), predicted, strict=True))
    found = detailed(SINGLE, logits, labels, NAMES)
    assert found["rows"] == 40
    assert found["unpredicted"] == 1
    assert found["confusion"] == [[pairs.count((y, p)) for p in range(4)] for y in range(4)]
    for c, entry in enumerate(found["labels"]):
        precision, recall, f1 = counts([(y == c, p == c) for y, p in pairs])
        values = (precision, recall, f1 or 0, sum(y == c for y, _ in pairs), predicted.count(c))
        assert_entry(entry, NAMES[c], values)


def assert_entry(entry, name, values):
    assert list(entry) == ["label", "precision", "recall", "f1", "support", "predicted"]
    assert entry.pop("label") == name
    assert tuple(entry.values()) == pytest.approx(values, rel=METRIC)


def test_details_of_multiple_labels():
    logits, labels = multi(1)
    found = detailed(MULTI, logits, labels, NAMES)
    assert set(found) == {"rows", "metrics", "labels"}
    for name, y, x, entry in zip(NAMES, labels.T, logits.T, found["labels"], strict=True):
        precision, recall, f1 = counts([(a == 1, b > 0) for a, b in zip(y, x, strict=True)])
        assert_entry(entry, name, (precision, recall, f1 or 0, y.sum(), (x > 0).sum()))


SINGLE_REPORT = """\
accuracy 0.6667  macro_f1 0.6667  matthews 0.5000  (3 rows)

label                     precision  recall      f1  support  predicted
a label whose name does…     1.0000  0.5000  0.6667        2          1
日本                         0.5000  1.0000  0.6667        1          2

true \\ predicted          a label who…  日本
a label whose name does…             1     1
日本                                 0     1
"""
MULTI_REPORT = """\
micro_f1 0.5000  macro_f1 0.3333  accuracy 0.5000  (2 rows)

label  precision  recall      f1  support  predicted
a         0.5000  1.0000  0.6667        1          2
b         0.0000  0.0000  0.0000        1          0
"""


def test_report_of_single_labels():
    names = ("a label whose name\ndoes not end soon", "日本")
    text = reported(SINGLE, np.array([[1.0, 0], [0, 1], [0, 1]]), np.array([0, 0, 1]), names)
    assert text == SINGLE_REPORT


def test_report_of_multiple_labels():
    text = reported(MULTI, np.array([[1.0, -1], [1, -1]]), np.array([[1, 0], [0, 1]]), ("a", "b"))
    assert text == MULTI_REPORT


def test_report_of_a_regression():
    text = reported(REGRESSION, np.array([[1.0], [3.0], [2.0]]), np.array([1, 2, 3]), ("stars",))
    assert text == "pearson 0.5000  spearman 0.5000  mse 0.6667  (3 rows)\n"


def test_report_names_what_has_no_prediction():
    text = reported(SINGLE, np.array([[NAN, 0], [0, 1]]), np.array([0, 1]), ("a", "b"))
    assert text.endswith("Rows without a prediction, a logit being NaN: 1.\n")
    assert "mse NaN" in reported(REGRESSION, np.array([[NAN]]), np.array([1]), ())


def test_report_of_many_labels():
    names = [f"intent {i}" for i in range(21)]
    text = reported(SINGLE, np.eye(21), np.arange(21), names)
    assert text.count("intent") == 21
    assert text.endswith("No confusion matrix here: 21 labels are more than 20.\n")
    assert reported(SINGLE, np.eye(20), np.arange(20), names[:20]).count("intent") == 3 * 20
