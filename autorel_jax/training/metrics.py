"""Metrics: logits and labels of an evaluation -> numbers by name, and a report for people.

Defined for whatever comes in, without warnings, so that a run never ends over a bad evaluation: a row with a NaN
among its logits predicts nothing, a quotient 0 / 0 is 0, and so is the correlation of what does not vary. All that
can choose a checkpoint is finite. Used by the training loop. scikit-learn and SciPy are imported when needed.

Shapes: N rows, C classes; logits [N, C]; labels are ids [N], or 0 and 1 [N, C], or of a regression numbers [N].
"""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autorel_jax.errors import InputError
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.foreign import visible
from autorel_jax.model.config import MULTI, REGRESSION, SINGLE

METRICS = {  # the first is what chooses the best checkpoint by default
    SINGLE: ("accuracy", "macro_f1", "matthews"),
    MULTI: ("micro_f1", "macro_f1", "accuracy"),
    REGRESSION: ("pearson", "spearman", "mse"),
    TOKEN_LABELS: ("f1", "precision", "recall", "accuracy"),  # see tag_metrics.py
    ANSWERS: ("f1", "exact_match"),  # see answer_metrics.py
}
LESS_IS_BETTER = ("mse",)  # and so cannot choose a checkpoint
LONGEST_NAME, LONGEST_HEADING = 24, 12  # cells of a label's name before its row, and above its column
WIDEST_TABLE = 1000  # cells, more than any: a table is not wrapped to the screen, so that a log has it whole
LARGEST_MATRIX = 20  # labels whose confusion matrix still fits a screen


def selector(select: str | None, problem: str) -> str:
    """The name of the metric that chooses the best checkpoint, greater being better, or InputError."""
    names = tuple(name for name in METRICS[problem] if name not in LESS_IS_BETTER)
    if select is None:
        return names[0]
    if select not in names:
        raise InputError(f"select={select!r} cannot choose a checkpoint of a {problem}; accepted: {', '.join(names)}.")
    return select


def evaluate(problem: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The problem's METRICS by name, in their order.

    accuracy: part of the rows whose prediction is right; multi-label: all labels of the row.
    macro_f1: mean of the labels' F1; a label that neither occurs nor is predicted does not count.
    micro_f1: F1 over all pairs of a row and a label.
    matthews: Matthews' correlation for any number of classes; predicting nothing is one more class.
    pearson, spearman: correlation with the labels; 0 for fewer than two rows or where a prediction is not finite.
    mse: mean squared error; NaN where a prediction is.

    Shapes: logits [N, C] with N >= 1; a multi-label problem predicts the labels with logits above 0.
    """
    values = regression(logits, labels) if problem == REGRESSION else classification(problem, logits, labels)
    return {name: float(values[name]) for name in METRICS[problem]}


def regression(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """pearson, spearman and mse of logits [N, 1] and labels [N]."""
    from scipy.stats import pearsonr, spearmanr

    predicted, labels = np.asarray(logits, np.float64)[:, 0], np.asarray(labels, np.float64)
    values = {"pearson": 0.0, "spearman": 0.0, "mse": np.mean((predicted - labels) ** 2)}
    if np.isfinite(predicted).all() and np.ptp(predicted) > 0 and np.ptp(labels) > 0:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what varies in its last digit has a correlation, if an inexact one
            values["pearson"] = pearsonr(predicted, labels).statistic
            values["spearman"] = spearmanr(predicted, labels).statistic
    return values


def classification(problem: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """accuracy, macro_f1, micro_f1 and matthews of logits [N, C]."""
    from sklearn.metrics import f1_score

    true, predicted = truth(problem, labels, np.shape(logits)[1]), predictions(problem, logits)
    f1 = scores(true, predicted)["f1"]
    values = {
        "accuracy": (true == predicted).all(axis=1).mean(),
        "macro_f1": 0 if np.isnan(f1).all() else np.nanmean(f1),
        "micro_f1": f1_score(true.ravel(), predicted.ravel(), zero_division=0),
    }
    return values if problem == MULTI else values | {"matthews": matthews(true, predicted)}


def truth(problem: str, labels: np.ndarray, classes: int) -> np.ndarray:
    """The labels as bools [N, C]."""
    labels = np.asarray(labels)
    return labels.astype(bool) if problem == MULTI else labels[:, None] == np.arange(classes)


def predictions(problem: str, logits: np.ndarray) -> np.ndarray:
    """What logits [N, C] predict, as bools [N, C]; of several greatest logits the first."""
    logits = np.asarray(logits, np.float64)
    chosen = logits > 0 if problem == MULTI else truth(problem, logits.argmax(axis=1), logits.shape[1])
    return chosen & ~np.isnan(logits).any(axis=1, keepdims=True)


def scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall and f1 [C] of bools [N, C]; 0 / 0 is NaN here."""
    from sklearn.metrics import precision_recall_fscore_support

    # With a column more, since scikit-learn takes a single one for the ids of two classes.
    pair = (np.pad(array, ((0, 0), (0, 1))) for array in (true, predicted))
    columns = precision_recall_fscore_support(*pair, average=None, zero_division=np.nan)
    return {name: column[:-1] for name, column in zip(("precision", "recall", "f1"), columns, strict=False)}


def matthews(true: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews' correlation of bools [N, C], at most one of them true in each row."""
    from sklearn.metrics import matthews_corrcoef

    ids = [np.where(array.any(axis=1), array.argmax(axis=1), -1) for array in (true, predicted)]
    return matthews_corrcoef(*ids) if len(np.unique(ids)) > 1 else 0.0  # of one class alone it warns


def details(
    problem: str, logits: np.ndarray, labels: np.ndarray, names: Sequence[str], metrics: Mapping[str, float]
) -> dict[str, Any]:
    """All that `report` shows, as JSON holds it; `metrics` are those of `evaluate`.

    Returns:
      rows: N; metrics: those given, None where not finite; of classifications also labels: for each its
      name, precision, recall, f1, and the numbers of rows that have it (support) and are predicted to (predicted);
      of a single-label problem also confusion: rows by [true label][predicted label], and unpredicted: rows with NaN.
    """
    result = {"rows": len(labels), "metrics": finite({name: metrics[name] for name in METRICS[problem]})}
    if problem == REGRESSION:
        return result
    true, predicted = truth(problem, labels, len(names)), predictions(problem, logits)
    columns = {name: np.nan_to_num(column) for name, column in scores(true, predicted).items()}
    columns |= {"support": true.sum(axis=0), "predicted": predicted.sum(axis=0)}
    result["labels"] = [
        {"label": name} | {key: column[i].item() for key, column in columns.items()} for i, name in enumerate(names)
    ]
    if problem == SINGLE:
        result["confusion"] = (true.T.astype(int) @ predicted).tolist()
        result["unpredicted"] = int((~predicted.any(axis=1)).sum())
    return result


def finite(values: Any) -> Any:
    """The same with None, JSON's null, for each number that is NaN or infinite, as JSON has neither."""
    if isinstance(values, Mapping):
        return {name: finite(value) for name, value in values.items()}
    return None if isinstance(values, float) and not math.isfinite(values) else values


def report(details: Mapping[str, Any]) -> str:
    """The metrics, each label's scores and the confusion matrix of `details` as text."""
    blocks = [metric_line(details["metrics"], f"{details['rows']} rows")]
    if "labels" in details:
        blocks.append(label_table(details["labels"]))
    if "confusion" in details:
        blocks.append(matrix_table(details["confusion"], [entry["label"] for entry in details["labels"]]))
        if details["unpredicted"]:
            blocks.append(f"Rows without a prediction, a logit being NaN: {details['unpredicted']}.")
    return "\n\n".join(blocks) + "\n"


def metric_line(metrics: Mapping[str, float | None], of: str) -> str:
    """The metrics, and what they are of."""
    values = ("NaN" if value is None else f"{value:.4f}" for value in metrics.values())
    return f"{'  '.join(f'{name} {value}' for name, value in zip(metrics, values, strict=True))}  ({of})"


def label_table(entries: Sequence[dict[str, Any]]) -> str:
    """A line for each label, below the names of the columns."""
    lines = [list(entries[0])]
    for entry in entries:
        name, *values = entry.values()
        lines.append([cut(name, LONGEST_NAME), *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values)])
    return table(lines)


def matrix_table(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The confusion matrix, or a line in place of a large one."""
    if len(names) > LARGEST_MATRIX:
        return f"No confusion matrix here: {len(names)} labels are more than {LARGEST_MATRIX}."
    lines = [["true \\ predicted", *(cut(name, LONGEST_HEADING) for name in names)]]
    lines += [[cut(name, LONGEST_NAME), *map(str, row)] for name, row in zip(names, confusion, strict=True)]
    return table(lines)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns, the first flush left and the others flush right."""
    made = Table.grid(padding=(0, 2), pad_edge=False)
    for column in range(len(lines[0])):
        made.add_column(justify="right" if column else "left", no_wrap=True)
    for line in lines:
        made.add_row(*map(Text, line))
    # A file wherever it runs, with FORCE_COLOR and in a notebook too.
    plain = {"color_system": None, "force_terminal": False, "force_jupyter": False, "legacy_windows": False}
    console = Console(file=io.StringIO(), width=WIDEST_TABLE, **plain)
    console.print(made)
    return console.file.getvalue().rstrip("\n")


def cut(name: str, cells: int) -> str:
    """A label's name on one line, of at most so many cells."""
    name = visible(" ".join(str(name).split()))
    return name if cell_len(name) <= cells else set_cell_size(name, cells - 1).rstrip() + "…"
