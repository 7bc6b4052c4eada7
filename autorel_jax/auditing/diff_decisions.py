"""Diff decisions: the results of one side -> the labels that each text is given. Used by diff.py.

A model, where it is at hand, says whether its labels exclude each other and in which order they are. Results alone say
neither in words, so that both are found from their numbers, or cannot be told. N texts, C labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autorel_jax.attribution.probabilities import HALF
from autorel_jax.attribution.targets import LOG_PROBABILITY
from autorel_jax.evaluation.records import are_parts_of_one

Record = Mapping[str, Any]
Targets = Mapping[str, Record]  # of one text: target -> its result
SAME = 1e-5  # how far the softmax of logits may be from probabilities that are rounded to float32


def decisions(
    sides: Sequence[Targets], labels: Sequence[str] | None, apart: bool | None = None
) -> list[tuple[str, ...] | None]:
    """The labels that each text of one side is given; None where that cannot be told.

    Args:
      sides: [N].
      labels: the model's, in its order; None: they are found where every one was explained.
      apart: whether labels have a probability each, so that all are given that have a half or more; None: the results
        tell.
    """
    firsts = [next(iter(targets.values())) for targets in sides]
    apart = are_apart(firsts) if apart is None else apart
    if apart is None:
        return [either_way(record) for record in firsts]
    if not apart:
        return [one_label(record) for record in firsts]
    labels = labels or names_of(sides)
    return [None if labels is None else given_labels(record, labels) for record in firsts]


def are_apart(records: Sequence[Record]) -> bool | None:
    """Whether labels have a probability each; None where the numbers are those of either kind.

    Those of labels that exclude each other add up to 1 in all texts, but so may others: they must be the softmax.
    """
    known = [(record["logits"], chances(record)) for record in records if chances(record)]
    if not all(are_parts_of_one(found) for _, found in known):
        return True
    are_softmax = all(is_softmax(*one) for one in known)
    return False if are_softmax and (not known or not all(is_sigmoid(*one) for one in known)) else None


def is_softmax(logits: Sequence[float | None], found: Sequence[float]) -> bool:
    """Whether probabilities are the softmax of the logits."""
    if None in logits:
        return True
    parts = [math.exp(logit - max(logits)) for logit in logits]
    return near([part / sum(parts) for part in parts], found)


def is_sigmoid(logits: Sequence[float | None], found: Sequence[float]) -> bool:
    """Whether probabilities are the sigmoids of the logits."""
    return None in logits or near([0.5 + 0.5 * math.tanh(logit / 2) for logit in logits], found)


def near(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two series of probabilities are equal but for rounding."""
    return len(first) == len(second) and all(abs(a - b) < SAME for a, b in zip(first, second, strict=True))


def chances(record: Record) -> list[float]:
    """The probabilities of the labels, if they are all known."""
    known = record.get("probabilities") or []
    return [] if None in known else list(known)


def one_label(record: Record) -> tuple[str, ...] | None:
    """The label with the highest logit, of several."""
    return None if len(record["logits"]) < 2 or None in record["logits"] else (record["prediction"]["label"],)


def either_way(record: Record) -> tuple[str, ...] | None:
    """The label that alone has a half or more, which is given whether or not labels exclude each other."""
    return (record["prediction"]["label"],) if sum(chance >= HALF for chance in chances(record)) == 1 else None


def given_labels(record: Record, labels: Sequence[str]) -> tuple[str, ...] | None:
    """The labels whose probability is a half or more."""
    known = chances(record)
    if not known or len(known) != len(labels):
        return None
    return tuple(label for label, chance in zip(labels, known, strict=True) if chance >= HALF)


def names_of(sides: Sequence[Targets]) -> list[str] | None:
    """The labels in the order of the logits [C]; None where not all are known, or the place of one is not clear.

    The value of a target that is a label is its logit, and the prediction is the likeliest. The order of results says
    nothing: they may come from several files.
    """
    possible: dict[str, set[int]] = {}
    count = {len(record["logits"]) for targets in sides for record in targets.values()}
    for targets in sides:
        for name, places in places_of(targets):
            possible[name] = possible.get(name, places) & places
    labels = {name: places for name, places in possible.items() if places}  # other targets are contrasts
    order = {min(places): name for name, places in labels.items() if len(places) == 1}
    if len(count) != 1 or len(order) != len(labels) or sorted(order) != list(range(*count)):
        return None
    return [order[place] for place in range(*count)]


def places_of(targets: Targets) -> Iterator[tuple[str, set[int]]]:
    """The names that one text tells something of, and the places of the logits that may be theirs."""
    for target, record in targets.items():
        logits = record["logits"]
        if None in logits or not logits:
            continue
        value, name = record.get("target_value"), target.removeprefix(LOG_PROBABILITY)
        found = logits if name == target else logarithms(chances(record))
        if value is not None:
            yield name, {place for place, one in enumerate(found) if abs(one - value) <= SAME * max(1, abs(value))}
        known = chances(record) or logits
        yield record["prediction"]["label"], {place for place, one in enumerate(known) if one == max(known)}


def logarithms(found: Sequence[float]) -> list[float]:
    """Those of probabilities."""
    return [math.log(chance) if chance > 0 else -math.inf for chance in found]
