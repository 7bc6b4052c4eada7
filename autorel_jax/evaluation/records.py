"""Records: one result as JSON -> what it says of its model, its labels and its outputs. Used by collection.py and diff.

A record is what `Explanation.to_dict` makes, with the columns that passed through under their own names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.data.label_ids import is_missing
from autorel_jax.errors import InputError, listing, one_line
from autorel_jax.report import view

NEAR = 1e-3  # of 1, which rounded probabilities of labels that exclude each other add up to
OF_SPAN = ("span_text", "span", "span_segment")  # what of a text a model with outputs at tokens was asked about


def check_named(record: Mapping[str, Any], labels: Sequence[str], logit: int, where: str) -> None:
    """Raises InputError where the list lacks the predicted label, or gives it another logit."""
    label, logits = record["prediction"]["label"], record["logits"]
    own = [logits[place] for place, name in enumerate(labels) if name == label]  # several where labels share a name
    if not own:
        raise InputError(
            f"{where}: {one_line(label)!r} was predicted, but the labels of the model are "
            f"{listing(map(one_line, labels))}; give both the same names."
        )
    if logits[logit] not in own:
        raise InputError(
            f"{where}: {one_line(label)!r} was predicted, but by the labels of the file it is {labels[logit]!r}; these "
            "may be the results of several models in one table. Give the files of each."
        )


def check_same(labels: Sequence[str], before: Sequence[str], where: str) -> None:
    """Raises InputError where a row lists other labels of the model than those before it."""
    if list(labels) != list(before):
        raise InputError(
            f"{where}: the labels of the model are {listing(map(one_line, labels))}, but before "
            f"{listing(map(one_line, before))}; one report has one list of labels."
        )


def predicted_logit(record: Mapping[str, Any]) -> int | None:
    """The place of the predicted label's logit; None where what was predicted is an entity, an answer or unknown.

    It need not be the highest: labels of zero-shot may each have a probability of its own.
    """
    logits, logit = record.get("logits") or [], record["prediction"].get("logit")
    one_label = record.get("probabilities") is not None or len(logits) == 1
    if record.get(OF_SPAN[0]) is not None or not one_label or None in (logit, *logits):
        return None
    return min(range(len(logits)), key=lambda place: abs(logits[place] - logit), default=None)


def model_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Which model made a record; its labels, which older results do not list, are apart."""
    model = record.get("model")
    return {name: value for name, value in model.items() if name != "labels"} if isinstance(model, dict) else None


def labels_of(record: Mapping[str, Any]) -> list[str]:
    """The labels of a record's model, in the order of its logits; none where they are not listed."""
    model = record.get("model")
    labels = model.get("labels") if isinstance(model, dict) else None
    return labels if isinstance(labels, list) and all(isinstance(label, str) for label in labels) else []


def is_score(record: Mapping[str, Any]) -> bool:
    """Whether a model with one output scored a pair; the pair of a label of zero-shot has the label in it."""
    pair = record.get("text_pair")
    return pair is not None and len(record.get("logits") or ()) == 1 and str(record["target"]) not in view.joined(pair)


def numbers_in(value: Any) -> int:
    """How many numbers nested lists and objects hold."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(1 if isinstance(item, int | float) else numbers_in(item) for item in items)


def are_parts_of_one(probabilities: Sequence[float | None]) -> bool:
    """Whether probabilities add up to 1, as those of labels that exclude each other do; also where one is not known."""
    return None in probabilities or abs(sum(probabilities) - 1) < NEAR


def number(value: float | None) -> float:
    """A score; results have null where it is not finite."""
    return math.nan if value is None else value


def label_of(value: Any) -> str | bool | int | float | None:
    """A label as it stands in the data; None where there is none."""
    if is_missing(value):
        return None
    return value if isinstance(value, str | bool | int | float) else str(value)
