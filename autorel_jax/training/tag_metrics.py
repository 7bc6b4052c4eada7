"""Tag metrics: the logits of a split's tokens -> F1 of entities by seqeval, and the share of words that are right.

An entity is right where its kind, its first and its last word are (seqeval's default, that of CoNLL's script). Words
that were not read count too: they are wrong, and of no entity. Used by judging.py.
T tokens, W words of a sentence, C labels.
"""

import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorel_jax.attribution.entities import OUTSIDE, tags_of
from autorel_jax.data.tags import in_one
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.training.metrics import finite, label_table, metric_line
from autorel_jax.training.tagging import TaggedExamples

NOTHING = -1  # in place of a label: the word was not read, or a logit is NaN


def check() -> None:
    """Raises InputError where the library is missing."""
    if importlib.util.find_spec("seqeval") is None:
        raise InputError("labels of words are measured by seqeval; run: pip install 'autorel-jax[train]'")


def predicted(examples: TaggedExamples, rows: np.ndarray, logits: np.ndarray) -> list[np.ndarray]:
    """The label of each word [W] of the rows of those numbers, NOTHING where there is none: logits [R, T, C]."""
    found = []
    for row, each in zip(rows, logits, strict=True):
        words = examples.words[slice(*examples.encoded.offsets[row : row + 2])]
        places = np.flatnonzero(words >= 0)
        chosen = np.full(len(examples.gold[row]), NOTHING)
        at = each[places]
        chosen[words[places]] = np.where(np.isnan(at).any(axis=1), NOTHING, at.argmax(axis=1))
        found.append(chosen)
    return found


def evaluate(task: TaskConfig, examples: TaggedExamples, found: Sequence[np.ndarray]) -> dict[str, float]:
    """f1, precision and recall of entities, over all kinds (micro), and accuracy of words; 0 / 0 is 0."""
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    gold, said = in_one(examples.gold), in_one(found)
    true, guessed = as_entities(task.labels, examples.gold), as_entities(task.labels, found)
    precision = recall = f1 = 0.0
    if kinds(true) | kinds(guessed):
        precision, recall, f1, _ = precision_recall_fscore_support(true, guessed, average="micro", zero_division=0)
    values = {"f1": f1, "precision": precision, "recall": recall, "accuracy": (gold == said).mean()}
    return {name: float(value) for name, value in values.items()}


def as_entities(labels: Sequence[str], rows: Sequence[np.ndarray]) -> list[list[str]]:
    """The labels of each sentence as seqeval reads them, so that entities are those of attribution/entities.py.

    Labels without a prefix get I-, and ends have the letters of IOBES.
    """
    names = [OUTSIDE if tag.kind == OUTSIDE else f"{letter(*tag[1:])}-{tag.kind}" for tag in ordered(labels)]
    names.append(OUTSIDE)  # of NOTHING, which is -1
    return [[names[label] for label in row] for row in rows]


def ordered(labels: Sequence[str]) -> list[Any]:
    """The tag of each label."""
    tags = tags_of(labels)
    return [tags[label] for label in labels]


def letter(begins: bool, ends: bool) -> str:
    """How IOBES writes a word that begins an entity, or ends one."""
    return ("S" if ends else "B") if begins else ("E" if ends else "I")


def kinds(rows: Sequence[Sequence[str]]) -> Counter[str]:
    """How many entities of each kind there are."""
    from seqeval.metrics.sequence_labeling import get_entities

    return Counter(kind for row in rows for kind, _, _ in get_entities(list(row)))


def details(
    task: TaskConfig, examples: TaggedExamples, found: Sequence[np.ndarray], metrics: Mapping[str, float]
) -> dict[str, Any]:
    """All that `report` shows, as JSON holds it.

    Returns:
      rows: sentences; words, and how many of them have no prediction (unread); metrics: those given; entities: of
        each kind precision, recall, f1 and the numbers of entities that there are (support) and that are predicted.
    """
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    true, guessed = as_entities(task.labels, examples.gold), as_entities(task.labels, found)
    support, predicted = kinds(true), kinds(guessed)
    names = sorted(support | predicted)
    columns = [[]] * 3
    if names:
        *columns, _ = precision_recall_fscore_support(true, guessed, average=None, zero_division=0)
    entries = [
        dict(zip(("precision", "recall", "f1"), map(float, values), strict=True))
        for values in zip(*columns, strict=True)
    ]
    return {
        "rows": len(examples),
        "words": sum(map(len, examples.gold)),
        "unread": int(sum((row == NOTHING).sum() for row in found)),
        "metrics": finite(metrics),
        "entities": [
            {"entity": name, **entry, "support": support[name], "predicted": predicted[name]}
            for name, entry in zip(names, entries, strict=True)
        ],
    }


def report(details: Mapping[str, Any]) -> str:
    """The metrics and the scores of each kind of entity, as text."""
    blocks = [metric_line(details["metrics"], f"{details['rows']} sentences, {details['words']} words")]
    if details["entities"]:
        blocks.append(label_table(details["entities"]))
    if details["unread"]:
        blocks.append(f"Words without a prediction, which count as wrong and of no entity: {details['unread']}.")
    return "\n\n".join(blocks) + "\n"
