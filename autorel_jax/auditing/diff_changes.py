"""Diff changes: the results of two models or methods for the same texts -> what changed in predictions and in words.

Used by diff.py. A text is the same if its id, its text and its pair are; a text's numbers are of targets that both
results have. N texts, W words of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.attribution.targets import LOG_PROBABILITY
from autorel_jax.auditing.diff_alignment import Aligned, aligned, special
from autorel_jax.auditing.diff_labels import Labels, listed_labels
from autorel_jax.auditing.diff_results import is_whole
from autorel_jax.errors import InputError, one_line
from autorel_jax.evaluation.collection import Collection
from autorel_jax.evaluation.compare import add_other, check_common, in_both
from autorel_jax.evaluation.ranks import spearman
from autorel_jax.evaluation.records import check_named, labels_of, model_of, predicted_logit
from autorel_jax.evaluation.words import keys, least, ngrams, occurrences, summary
from autorel_jax.report.view import joined

Record = Mapping[str, Any]
Targets = dict[str, Record]  # of one text: target -> its result
NEEDED = (
    "id",
    "text",
    "prediction",
    "target",
    "logits",
    "probabilities",
    "words",
    "word_relevance",
    "word_spans",
    "word_segments",
)
FEWEST = 3  # words that have a rank correlation
STRONGEST = 3  # words that are named with a flip
OLD, NEW = "the old results", "the new results"
OLD_ALONE, NEW_ALONE = "that the old results have alone", "that the new results have alone"
NO_TARGET, NO_WORDS = "without a target that both have", "in which a word of one is no part of the other"
NOT_FINITE = "with scores that are not finite"
REASONS = (OLD_ALONE, NEW_ALONE, NO_TARGET, NO_WORDS, NOT_FINITE)  # why a text's words are not compared


class Both(NamedTuple):
    """A text with the results of both sides."""

    old: Targets
    new: Targets

    @property
    def first(self) -> tuple[Record, Record]:
        """One result of each side: predictions are the same in all."""
        return next(iter(self.old.values())), next(iter(self.new.values()))


class Compared(NamedTuple):
    """The words of a text, by target, and their rank correlation."""

    number: int  # of the text among those that both have, from 0
    words: dict[str, Aligned]
    correlation: float | None  # the mean over its targets; None: too few words, or scores that do not vary
    is_short: bool


class WordChange(NamedTuple):
    """What a word does for a target, as a share of a text's Σ|relevance|, in the texts that hold it."""

    word: str
    texts: int
    old: float
    new: float
    change: float
    half: float  # of its interval of 95 %
    example: int  # the text, as `number` of Compared, in which it changed most


def by_text(results: Iterable[Any], where: str) -> dict[tuple[Any, ...], list[Targets]]:
    """Results by their text; of a text that comes several times each is apart.

    Raises:
      InputError: they lack what is needed, are of several models or methods, or of no classifier of whole texts, or
        rows cannot be told apart.
    """
    texts: dict[tuple[Any, ...], list[Targets]] = {}
    about = None
    for result in results:
        record = result if isinstance(result, dict) else result.to_dict()
        if lacking := [name for name in NEEDED if name not in record]:
            raise InputError(f"{where}: the results have no {', '.join(lacking)}; write them with all columns.")
        if not is_whole(record):
            raise InputError(f"{where}: text {one_line(record['id'])} is damaged; write the results anew.")
        logit = predicted_logit(record)
        if logit is not None and len(labels := labels_of(record)) == len(record["logits"]):
            check_named(record, labels, logit, f"{where}, text {one_line(record['id'])}")
        if record.get("span_text") is not None or record.get("fillings") or record["target"] == "start + end":
            raise InputError(
                f"{where}: results of entities, answers or masks; compared are classifiers of whole texts."
            )
        if record["target"] == "margin":
            raise InputError(f"{where}: the target is margin, whose runner-up may be another label; give a contrast.")
        this = [model_of(record), (record.get("method") or {}).get("name"), parameters(record)]
        about = about or this
        if this != about:
            raise InputError(f"{where}: results of several models or methods; give those of one.")
        pair = record.get("text_pair")
        key = (str(record["id"]), joined(record["text"]), None if pair is None else joined(pair))
        there = texts.setdefault(key, [])
        entry = next((entry for entry in there if record["target"] not in entry), None)
        if entry is None:
            there.append(entry := {})
        entry[record["target"]] = record
    if not texts:
        raise InputError(f"{where}: there are no results.")
    check_rows([entry for there in texts.values() for entry in there], where)
    return texts


def check_rows(entries: Sequence[Targets], where: str) -> None:
    """Raises InputError where results of one text may be of one row or of several.

    A run explains all rows for the same targets, or each for one of its own.
    """
    most, fewest = max(entries, key=len), min(entries, key=len)
    if len(most) == 1 or len(fewest) == len(set().union(*entries)):
        return
    several, few = (
        f"text {one_line(next(iter(one.values()))['id'], 40)} has results for {one_line(', '.join(one), 60)}"
        for one in (most, fewest)
    )
    raise InputError(
        f"{where}: {several}; {few} alone. Whether the former are of one row, explained for several targets, or of "
        "several rows with one id cannot be told: give each row an id of its own, or compare the models on the texts."
    )


def parameters(record: Record) -> Any:
    """Those of the method."""
    return (record.get("method") or {}).get("parameters")


def matched(old: Iterable[Any], new: Iterable[Any]) -> tuple[list[Both], dict[str, int], Labels | None]:
    """The texts that both have, how many each has alone, and the labels where both list them.

    Raises:
      InputError: there is no such text, or one of the results cannot be compared.
    """
    ours, theirs = by_text(old, OLD), by_text(new, NEW)
    both = [Both(*pair) for key, one in ours.items() for pair in zip(one, theirs.get(key, []), strict=False)]
    if not both:
        raise InputError("None of the texts is in both results; a text is the same if id, text and pair are.")
    names = [
        {
            name
            for text in both
            for one in text[side].values()
            for name in (one["prediction"]["label"], one["target"], *labels_of(one))
        }
        for side in (0, 1)
    ]
    check_common(*map(sorted, names))
    counts = [sum(map(len, texts.values())) - len(both) for texts in (ours, theirs)]
    listed = [
        listed_labels((record for entries in texts.values() for entry in entries for record in entry.values()), where)
        for texts, where in ((ours, OLD), (theirs, NEW))
    ]
    labels = None if None in listed else Labels(*listed)
    return both, dict(zip((OLD_ALONE, NEW_ALONE), counts, strict=True)), labels


def words_of(texts: Sequence[Both]) -> tuple[list[Compared], Counter[str]]:
    """The words of each text that can be compared, and why others cannot."""
    found, reasons = [], Counter(dict.fromkeys(REASONS, 0))
    for number, text in enumerate(texts):
        targets = [target for target in text.old if target in text.new]
        words = {target: aligned(text.old[target], text.new[target]) for target in targets}
        if not targets:
            reasons[NO_TARGET] += 1
        elif None in words.values():
            reasons[NO_WORDS] += 1
        elif any(None in (*one.old, *one.new, *specials(text, target)) for target, one in words.items()):
            reasons[NOT_FINITE] += 1
        else:
            short = any(len(one.words) < FEWEST for one in words.values())
            ranks = [] if short else [spearman(np.array(one.old), np.array(one.new)) for one in words.values()]
            known = ranks and None not in ranks
            found.append(Compared(number, words, float(np.mean(ranks)) if known else None, short))
    return found, reasons


def specials(text: Both, target: str) -> tuple[float | None, float | None]:
    """Σ|score| of the special tokens on both sides."""
    return special(text.old[target]), special(text.new[target])


def word_changes(texts: Sequence[Both], compared: Sequence[Compared], most: int) -> dict[str, list[WordChange]]:
    """The words whose role changed most for each target: those whose change is surest.

    Sure is how much of the change its interval leaves, |change| - half. Formulas are those of evaluation/words.py.
    """
    sides = [Collection(), Collection()]
    for one in compared:
        for target in one.words:
            for side, record in zip(sides, of_side(texts[one.number], one, target), strict=True):
                side.add(record)
    if not compared:
        return {}
    collection, other = sides
    add_other(collection, other)
    words = keys(collection)
    runs, begins = ngrams(collection, words, 1)
    made = {}
    for target in dict.fromkeys(target for method, target in collection.series if method == 0):
        each = [occurrences(collection, collection.series[side, target], begins, 1) for side in (0, 1)]
        old, new, difference = in_both(*each)
        before, after, change = (summary(found, len(runs)) for found in (old, new, difference))
        sure = np.where(change.texts >= least(len(collection)), np.abs(change.mean) - change.half, -np.inf)
        chosen = [place for place in np.argsort(-sure, kind="stable")[:most] if sure[place] > 0]
        made[target] = [
            WordChange(
                words.names[runs[place][0]],
                int(change.texts[place]),
                *(float(side.mean[place]) for side in (before, after, change)),
                float(change.half[place]),
                compared[example(difference, place)].number,
            )
            for place in chosen
        ]
    return made


def of_side(text: Both, compared: Compared, target: str) -> Iterator[dict[str, Any]]:
    """The aligned words of a text as records of both sides, with all special tokens as one."""
    one = compared.words[target]
    for record, scores, beside in zip(text[:2], (one.old, one.new), specials(text, target), strict=True):
        known = record[target]
        yield {
            "id": compared.number,
            "text": known["text"],
            "text_pair": known.get("text_pair"),
            "target": target,
            "prediction": known["prediction"],
            "words": [*one.words, "[special]"],
            "word_relevance": [*scores, beside],
            "word_spans": [*([start, end] for _, start, end in one.places), None],
            "word_segments": [*(segment for segment, _, _ in one.places), 0],
        }


def example(difference: Any, key: int) -> int:
    """The text in which an n-gram changed most."""
    chosen = np.flatnonzero(difference.key == key)
    return int(difference.text[chosen[np.argmax(np.abs(difference.share[chosen]))]])


def strongest(targets: Targets, labels: Sequence[str]) -> list[str] | None:
    """The words of a text that speak most for the first of some labels that was explained; None where none was."""
    found = (targets.get(kind + label) for label in labels for kind in ("", LOG_PROBABILITY))
    record = next(filter(None, found), None)
    if record is None:
        return None
    columns = zip(record["words"], record["word_spans"], record["word_relevance"], strict=True)
    scored = [(score, word) for word, span, score in columns if span is not None and score is not None and score > 0]
    return [one_line(word, 40) for _, word in sorted(scored, key=lambda one: -one[0])[:STRONGEST]]
