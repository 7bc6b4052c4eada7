"""Summary: a split and its token counts -> lines that say what there is to learn from.

N rows, C labels. Used by training/prepare.py, which prints them.
"""

from collections.abc import Sequence

import numpy as np

from autorel_jax.data.splits import Split
from autorel_jax.data.tags import in_one
from autorel_jax.foreign import visible

PERCENTILES = (50, 90, 99)
MOST = 20  # classes that are listed


def summary(split: Split, lengths: Sequence[int], max_length: int, labels: Sequence[str]) -> list[str]:
    """Lines with the number of rows, the labels, the token lengths, and what is cut or empty.

    `lengths` [N] are the tokens of each row, special tokens included, before any is cut; `labels` [C] their names.
    """
    lengths = np.asarray(lengths)
    cut = int((lengths > max_length).sum())
    empty = sum(not "".join(text).strip() for text in split.texts)
    empty += sum(not text.strip() for text in split.pairs or ())
    unlabelled = f"; {_count(split.left_out, 'row')} without a label left out" if split.left_out else ""
    return [
        f"{split.name}: {_count(len(split), 'row')}{unlabelled}",
        f"  {_words(split.labels, labels) if split.labels.dtype == object else _targets(split.labels, labels)}",
        token_counts(lengths),
        f"  {_count(cut, 'row')} ({_percent(cut, len(split))}) longer than max_length={max_length} and cut; "
        f"{_count(empty, 'empty text')}",
    ]


def token_counts(lengths: np.ndarray) -> str:
    """A line with percentiles of the tokens of each row [N]."""
    at = ", ".join(f"{percent} % of rows {_percentile(lengths, percent)}" for percent in PERCENTILES)
    return f"  tokens: at most {at}, all {lengths.max()}"


def _words(tags: np.ndarray, labels: Sequence[str]) -> str:
    """How many words there are, and with each label."""
    every = in_one(tags)
    return f"{_count(len(every), 'word')}: {_targets(every, labels)}"


def _targets(targets: np.ndarray, labels: Sequence[str]) -> str:
    """Rows with each label, or the distribution of a regression's numbers."""
    shown = [visible(name) for name in labels]
    if targets.ndim == 1 and targets.dtype.kind == "f":
        values = targets.astype(np.float64)
        numbers = f"mean {values.mean():.4g}, std {values.std():.4g}, min {values.min():.4g}, max {values.max():.4g}"
        return f"{shown[0]}: {numbers}" if labels else numbers
    counts = targets.sum(0).astype(int) if targets.ndim == 2 else np.bincount(targets, minlength=len(labels))
    parts = [f"{name} {n:,} ({_percent(n, len(targets))})" for name, n in zip(shown, counts.tolist(), strict=True)]
    if targets.ndim == 2:
        none = int((targets.sum(1) == 0).sum())
        parts.append(f"without any {none:,} ({_percent(none, len(targets))})")
    return ", ".join(parts if len(labels) <= MOST else [*parts[:MOST], f"and {len(labels) - MOST} more labels"])


def _percentile(lengths: np.ndarray, percent: int) -> int:
    return int(np.percentile(lengths, percent, method="higher"))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
