"""Two models: two Explainers and rows -> the results of each for the same targets. `diff` is the call for programs.

Used by cli/diff.py. Public as `ar.diff`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from autorel_jax.attribution.targets import GIVEN, LOG_PROBABILITY, MARGIN, PREDICTED
from autorel_jax.auditing.diff import Diff, compared
from autorel_jax.auditing.diff_changes import NEW_ALONE, OLD_ALONE, Both, matched
from autorel_jax.auditing.diff_labels import Labels, check_different
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError
from autorel_jax.evaluation.compare import check_common
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.given import columns_of
from autorel_jax.explaining.part import explained, prepared

Progress = Callable[[int], object]
OF_PREDICTED = {PREDICTED: GIVEN, LOG_PROBABILITY + PREDICTED: LOG_PROBABILITY + GIVEN}


class Results(NamedTuple):
    """What two Explainers made of the same rows."""

    texts: list[Both]  # those that both explained
    alone: dict[str, int]  # how many one of them alone did
    old: list[dict[str, Any]]  # all results, row after row
    new: list[dict[str, Any]]
    labels: Labels
    left_out: int  # rows that neither explained
    apart: tuple[bool, bool]  # whether the labels of each have a probability of their own


def explained_by_both(
    old: Explainer,
    new: Explainer,
    rows: Iterable[Row | Rejected],
    devices: Sequence[Any] = (),
    progress: Progress = lambda done: None,
) -> Results:
    """The results of both. A text that the new one predicts otherwise is also explained for the old prediction.

    So its words are compared for one label.

    Raises:
      InputError: the two cannot be compared.
    """
    labels, items = checked(old, new), list(rows)
    first, second = (results(explainer, items, progress) for explainer in (old, new))
    if old.config.target in OF_PREDICTED and not old.config.zero_shot:
        for number, also in for_old(new, items, first, second, devices).items():
            second[number] += also
    sides = [
        {number: {one["target"]: one for one in each} for number, each in side.items()} for side in (first, second)
    ]
    texts = [Both(one, sides[1][number]) for number, one in sides[0].items() if number in sides[1]]
    alone = [sum(number not in other for number in side) for side, other in (sides, sides[::-1])]
    flat = [[one for number in sorted(side) for one in side[number]] for side in (first, second)]
    left_out = len(items) - len(first.keys() | second.keys())
    apart = tuple(are_apart(explainer) for explainer in (old, new))
    return Results(texts, dict(zip((OLD_ALONE, NEW_ALONE), alone, strict=True)), *flat, labels, left_out, apart)


def are_apart(explainer: Explainer) -> bool:
    """Whether labels have a probability each, so that several may be given, or none."""
    config = explainer.config
    if config.zero_shot:
        return config.multi_label or len(config.zero_shot) == 1
    return explainer.classifier.config.is_sigmoid


def results(
    explainer: Explainer, items: Sequence[Row | Rejected], progress: Progress
) -> dict[int, list[dict[str, Any]]]:
    """The number of a row -> its results; rows that have none are left out."""
    made: dict[int, list[dict[str, Any]]] = {}
    start = 0
    for number, chunk in enumerate(explainer.chunks(items)):
        part = prepared(explainer, number, chunk)
        _, pairs = explained(explainer, part, progress)
        places = {id(item): start + place for place, item in enumerate(part.items)}
        for row, explanation in pairs:
            made.setdefault(places[id(row)], []).append(explanation.to_dict())
        start += len(chunk)
    return dict(sorted(made.items()))


def for_old(
    new: Explainer,
    items: Sequence[Row | Rejected],
    first: dict[int, Any],
    second: dict[int, Any],
    devices: Sequence[Any],
) -> dict[int, list[dict[str, Any]]]:
    """The new results for what the old side predicted, of texts that the new one predicts otherwise."""
    labels = new.classifier.config.labels
    wanted = {number: first[number][0]["prediction"]["label"] for number in first if number in second}
    asked = {
        number: dataclasses.replace(items[number], label=f"id:{labels.index(label)}")
        for number, label in wanted.items()
        if label in labels and label != second[number][0]["prediction"]["label"]
    }
    if not asked:
        return {}
    config = dataclasses.replace(new.config, target=OF_PREDICTED[new.config.target])
    made = results(Explainer(new.classifier, config, devices), list(asked.values()), lambda done: None)
    return {number: made[place] for place, number in enumerate(asked) if place in made}


def checked(old: Explainer, new: Explainer) -> Labels:
    """The labels of both; InputError where the two cannot be compared."""
    for explainer in (old, new):
        explainer.classifier.check_whole_texts("compared are")
        if explainer.config.target == MARGIN or callable(explainer.config.target):
            what = f"the target {MARGIN}, or a function"
            raise InputError(f"{what}, may be of other labels in each; give a contrast.")
    if old.config.target != new.config.target:
        raise InputError(f"the targets are {old.config.target!r} and {new.config.target!r}; give both the same.")
    labels = Labels(*(one.config.zero_shot or one.classifier.config.labels for one in (old, new)))
    for names in labels:
        check_different(names)
    check_common(*labels, "models")
    return labels


def diff(
    old: Any,
    new: Any,
    texts: Iterable[Any] | str | None = None,
    pairs: Iterable[Any] | str | None = None,
    *,
    labels: Iterable[str | int] | None = None,
    **options: Any,
) -> Diff:
    """What changes from one model, method or result to another: predictions, and the words behind them.

    Args:
      old: a classifier from `load`, or an Explainer, as of another method; without texts, results that `read_results`
        or `explain` gives.
      new: likewise.
      texts: N texts, as of `explain`.
      pairs: N second texts.
      labels: N labels, for target="given".
      **options: fields of ExplainConfig, for both classifiers.

    Raises:
      InputError: they cannot be compared, or an option is unknown.
    """
    if texts is None:
        if options or pairs is not None or labels is not None:
            raise InputError("without texts, two results are compared, for which there are no options.")
        return compared(*matched(old, new))
    fields = [field.name for field in dataclasses.fields(ExplainConfig)]
    if unknown := sorted(options.keys() - set(fields)):
        raise InputError(f"Unknown option {', '.join(unknown)}. Available: {', '.join(fields)}.")
    explainers = [explainer_of(side, options) for side in (old, new)]
    columns = columns_of(texts, pairs, labels)
    count = len(columns["texts"])
    numbered = enumerate(zip(*(column or [None] * count for column in columns.values()), strict=True), start=1)
    made = explained_by_both(*explainers, [Row(number, *row) for number, row in numbered])
    return compared(made.texts, made.alone, made.labels, made.left_out, made.apart)


def explainer_of(side: Any, options: dict[str, Any]) -> Explainer:
    """The Explainer of a side."""
    if isinstance(side, Explainer):
        if options:
            raise InputError(f"An Explainer has its options; leave out {', '.join(options)}, or give classifiers.")
        return side
    if not isinstance(side, Classifier):
        raise InputError(f"Compared are two classifiers or Explainers on texts; one is a {type(side).__name__}.")
    return Explainer(side, ExplainConfig(**options))
