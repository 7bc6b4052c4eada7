"""Splits: TaskConfig and a folder -> the texts and labels of a split. Used by training/prepare.py and benchmarks.

`read_split` reads one split, `settle` names the labels of a task that does not. N rows, C labels.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax.data import answers, label_names, labels, tags, tfds
from autorel_jax.data.annotated import CONLL, SQUAD
from autorel_jax.data.assumed import OWN, first_lines, mark_of_rows
from autorel_jax.data.clean import clean
from autorel_jax.data.kinds import BY_SUFFIX, suffix_of
from autorel_jax.data.label_ids import as_number, described, in_names
from autorel_jax.data.lines import check_encoding
from autorel_jax.data.moments import Moment
from autorel_jax.data.records import Optional, Record
from autorel_jax.data.tables import ANNOTATED, TABLE_FORMATS, read_table, without_header
from autorel_jax.data.task import DEV, SPLITS, TRAIN, TaskConfig
from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.model.config import MULTI, REGRESSION, START_AND_END
from autorel_jax.text.segments import encodable

HOLD_OUT_SEED = 0  # of the rows held out as dev; not the run's seed, so that runs are compared on the same rows
SUFFIXES = {suffix: name for suffix, name in BY_SUFFIX.items() if name in TABLE_FORMATS}
SUFFIXES |= dict.fromkeys((".conll", ".bio", ".iob"), CONLL)
FORMATS = {  # problem -> those of TABLE_FORMATS that hold what it needs; others take all that are not ANNOTATED
    TOKEN_LABELS: (CONLL, "jsonl", "json", "parquet"),
    ANSWERS: (SQUAD, "jsonl", "json", "parquet"),
}


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of a split, in the order of the file."""

    name: str  # train, dev or test
    texts: list[str] | list[tuple[str, ...]]  # or, where each word has a label, the words of each
    pairs: list[str] | None  # the second texts; None: the task has none
    # int32 [N]; multi-label: float32 [N, C] of 0 and 1; regression: float32 [N]. Of words an int32 array for each
    # text, of answers a tuple of Marked (data/answers.py) for each question
    labels: np.ndarray
    ids: list[str | int] | None  # None: the task names no id column
    left_out: int = 0  # rows without a label; see TaskConfig.skip_unlabelled

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> "Split":
        """Some of the rows, by their places."""
        pick = [None if column is None else [column[row] for row in rows] for column in (self.texts, self.pairs)]
        ids = None if self.ids is None else [self.ids[row] for row in rows]
        return Split(self.name, *pick, self.labels[np.asarray(rows, np.int64)], ids, self.left_out)


def read_split(task: TaskConfig, split: str, folder: Path, seed: int = HOLD_OUT_SEED) -> Split:
    """A split (train, dev or test) of a task that names its labels (see `settle`), read from the folder.

    Where `dev_fraction` takes the place of a dev set, train and dev are the two parts of the training data;
    `seed` decides which rows are held out.

    Raises:
      InputError: a split, file or column is missing, or a row cannot be used; with file and line.
    """
    (only,) = read_splits(task, [split], folder, seed)
    return only


def read_splits(task: TaskConfig, splits: Sequence[str], folder: Path, seed: int = HOLD_OUT_SEED) -> Iterator[Split]:
    """Several splits, each when it is asked for, as `read_split` has them; no file is read twice."""
    whole = held_out = None
    for split in splits:
        if split not in SPLITS:
            raise InputError(f"Unknown split {split!r}; accepted: {', '.join(SPLITS)}.")
        if task.problem != REGRESSION and not task.labels:
            raise ValueError("the task names no labels: settle it first")
        if not task.dev_fraction or split not in (TRAIN, DEV):
            yield _split(task, split, source(task, split), folder)
            continue
        if whole is None:
            whole = _split(task, TRAIN, task.train, folder)
            held_out = hold_out(whole, task.dev_fraction, seed, by_pair=task.problem == ANSWERS)
        part = whole.take(np.flatnonzero(held_out == (split == DEV)).tolist())
        yield dataclasses.replace(part, name=split)


def settle(task: TaskConfig, folder: Path) -> TaskConfig:
    """The task with its labels named: itself if it does, else by what occurs in the training data, sorted.

    A regression's output is named after its column; labels of TensorFlow Datasets are named there.

    Raises:
      InputError: as for `read_split`; or the training data have a single label.
    """
    if task.labels:
        return task
    if task.problem in (REGRESSION, ANSWERS):
        return dataclasses.replace(task, labels=(task.label,) if task.problem == REGRESSION else START_AND_END)
    names = tfds.label_names(task, folder) if task.tfds else ()
    if not names:
        rows = records(task, TRAIN, task.train, folder)
        labelled = [(record.where, record.values[2]) for record in rows if not lacks_label(record, task)]
        if not labelled:
            raise nothing(task, TRAIN, task.train, folder)
        names = names_of(task, labelled)
    if len(names) < (1 if task.problem == MULTI else 2):
        only = f"only the label {names[0]!r}" if names else "no label"
        name = task.train if task.tfds else located(folder, task.train)
        raise InputError(f"{name} has {only}; a classification needs at least two.")
    return dataclasses.replace(task, labels=names, values=names)


def names_of(task: TaskConfig, labelled: labels.Labelled) -> tuple[str, ...]:
    """The names of all labels that occur."""
    if task.problem == TOKEN_LABELS:
        return tags.distinct(labelled, task.label)
    return label_names.distinct(labelled, task.separator if task.problem == MULTI else None)


def source(task: TaskConfig, split: str) -> str:
    """The file or TFDS split of a split."""
    name = getattr(task, split)
    if not name:
        instead = " or dev_fraction" if split == DEV else ""
        raise InputError(f"[task] {task.name} names no {split} data; set {split}{instead}.")
    return name


def records(task: TaskConfig, split: str, name: str, folder: Path) -> Iterator[Record]:
    """The text, pair, label and id of each row of a file or TFDS split, as they stand there."""
    wanted = (task.text, task.pair, task.label, task.id)
    if task.tfds:
        return tfds.records(task, name, wanted, folder)
    path = located(folder, name)
    if not path.is_file():
        problem = "is no file" if path.exists() else "does not exist"
        raise InputError(
            f"{path} {problem}: the {split} data of {task.name}. Put it into {folder}, or give its folder (--data-dir)."
        )
    check_encoding(task.encoding)
    form = kind(task, path)
    if form == CONLL and task.skip_unlabelled:
        raise InputError(
            f"[task] skip_unlabelled=true does not go with {path}: in a CoNLL file each word has a label; leave it out."
        )
    if task.problem == ANSWERS and form != SQUAD:
        return flat_answers(read_table(path, form, (*wanted, Optional(answers.IMPOSSIBLE)), (), task.encoding))
    if task.columns and not task.delimiter and form in OWN:
        mark_of_rows(first_lines(path, task.encoding), form, len(task.columns), str(path))  # refuses what is in doubt
    read = read_table(path, form, wanted, task.columns, task.encoding, task.delimiter)
    rows = (record._replace(values=tuple(map(plain_label, record.values))) for record in read)
    return without_header(rows, wanted, "[task] columns") if task.columns else rows


def flat_answers(rows: Iterator[Record]) -> Iterator[Record]:
    """Rows of questions, whose answers are as they and a column of is_impossible say."""
    for record in rows:
        text, pair, label, row, impossible = record.values
        label = answers.unless_impossible(plain_label(label), impossible, record.where)
        yield record._replace(values=(text, pair, label, row))


def plain_label(value: Any) -> Any:
    """A decimal as a number, and a class of a data set as its name; in lists too."""
    return list(map(plain_label, value)) if isinstance(value, list) else as_number(in_names(value))


def located(folder: Path, name: str) -> Path:
    """Where a file of that name is: in the folder, unless it says itself."""
    return folder / os.path.expanduser(name)  # pathlib's raises for ~nobody


def kind(task: TaskConfig, path: Path) -> str:
    """The format of a file: one of TABLE_FORMATS, as the task says or by its suffix."""
    name = task.format or SUFFIXES.get(suffix_of(path))
    if task.problem == ANSWERS and not task.format and name == "json":
        name = SQUAD
    formats = FORMATS.get(task.problem) or tuple(form for form in TABLE_FORMATS if form not in ANNOTATED)
    if name in formats:
        return name
    if task.format in TABLE_FORMATS:
        raise InputError(
            f"[task] format={task.format!r} does not go with problem={task.problem!r}; accepted: {', '.join(formats)}."
        )
    if task.format:
        raise InputError(f"[task] format={task.format!r} is unknown; accepted: {', '.join(formats)}.")
    suffixes = [suffix for suffix, form in SUFFIXES.items() if form in formats]
    of_words = task.problem == TOKEN_LABELS
    hint = " A word and its label a line, whatever the suffix, is format = 'conll'." if of_words else ""
    raise InputError(
        f"{path}: the suffix is not one of {', '.join(suffixes)}; set [task] format to one of {', '.join(formats)}."
        f"{hint}"
    )


def _split(task: TaskConfig, split: str, name: str, folder: Path) -> Split:
    texts, pairs, labelled, ids, left_out = [], [], [], {}, 0
    of_words = task.problem == TOKEN_LABELS
    read_text = tags.words if of_words else functools.partial(_text, task)
    for record in records(task, split, name, folder):
        if lacks_label(record, task):
            left_out += 1
            continue
        text, pair, label, row = record.values
        texts.append(read_text(text, task.text, record.where))
        if task.pair is not None:
            pairs.append(_text(task, pair, task.pair, record.where))
        if of_words:
            tags.check_tags(label, len(texts[-1]), task.label, record.where)
        if task.problem == ANSWERS:
            label = answers.read_answers(label, pairs[-1], record.where)
        labelled.append((record.where, label))
        if task.id is not None:
            _add(ids, row, record.where)
    if not texts:
        raise nothing(task, split, name, folder)
    if task.problem == ANSWERS:
        encoded = answers.as_column([found for _, found in labelled])
    else:
        encoded = (tags if of_words else labels).encode(task, labelled)
    return Split(
        split,
        texts,
        pairs if task.pair is not None else None,
        encoded,
        list(ids) if task.id is not None else None,
        left_out,
    )


def lacks_label(record: Record, task: TaskConfig) -> bool:
    """Whether a row is left out for want of a label; an InputError where such rows are not."""
    label = record.values[2]
    if not is_missing(label, task):
        return False
    if not task.skip_unlabelled and task.problem == ANSWERS:
        raise InputError(
            f"{record.where}: it has no answer, and {answers.IMPOSSIBLE} is not true; give one of them. To leave such "
            "questions out: --skip-unlabelled, [task] skip_unlabelled = true."
        )
    if not task.skip_unlabelled:
        empty = " (none of several labels: an empty list or string)" if task.problem == MULTI else ""
        raise InputError(
            f"{record.where}: {described(label)}; every row needs one{empty}. To leave such rows out: "
            "--skip-unlabelled, [task] skip_unlabelled = true."
        )
    return True


def is_missing(label: Any, task: TaskConfig) -> bool:
    """Whether a row has no label: null, NaN, an empty field. An empty field of a multi-label row is no labels."""
    if isinstance(label, str):
        return task.problem != MULTI and label.strip().lower() in ("", "nan")
    return label is None or label != label


def nothing(task: TaskConfig, split: str, name: str, folder: Path) -> InputError:
    """What to say of a file or TFDS split without rows."""
    return InputError(f"{name if task.tfds else located(folder, name)} is empty: {task.name} has no {split} data.")


def _text(task: TaskConfig, value: Any, column: str, where: str) -> str:
    if not isinstance(value, str) or isinstance(value, Moment):
        said = "null" if value is None else one_line(value if isinstance(value, Moment) else repr(value))
        raise InputError(f"{where}: {column!r} is {said}; a text is a string.")
    return encodable(clean(value) if task.clean else value, f"{where}: {column!r}")


def _add(ids: dict[str | int, str], row: Any, where: str) -> None:
    """Adds an id to those seen, or says where it stands already."""
    if isinstance(row, bool) or not isinstance(row, str | int):
        raise InputError(f"{where}: the id {one_line(row)} is neither a string nor a whole number.")
    if row in ids:
        raise InputError(f"{where}: the id {one_line(row)!r} is a duplicate, see {ids[row]}; ids are different.")
    ids[row] = where


def hold_out(split: Split, fraction: float, seed: int, by_pair: bool = False) -> np.ndarray:
    """[N] bool: the rows that are dev. Rows with one text stay together, so that none is in both parts.

    With `by_pair`, those with one second text.

    Raises:
      InputError: so few texts that one part would be empty.
    """
    keys = list(zip(split.pairs if by_pair else split.texts, split.pairs or split.texts, strict=True))
    different = list(dict.fromkeys(keys))
    count = max(1, round(fraction * len(different)))
    if count >= len(different):
        raise InputError(
            f"[task] dev_fraction={fraction} of {len(different)} different texts leaves none to train on; "
            "use less, or give a dev file."
        )
    chosen = np.random.default_rng(seed).permutation(len(different))[:count]
    dev = {different[i] for i in chosen}
    return np.array([key in dev for key in keys])
