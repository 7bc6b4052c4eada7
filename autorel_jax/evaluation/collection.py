"""Collection: records of results (a line of .jsonl each) -> the texts, and every score in flat arrays.

A text that was explained for several targets, or by several methods, is one entry here, and each pair of method and
target is a Series. N texts, M words of all texts, one after the other. Used by words.py, compare.py and report/page.
"""

from __future__ import annotations

import contextlib
import json
import reprlib
from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.data.label_ids import ids_assumed, known_labels, label_number, names_assumed
from autorel_jax.errors import InputError, listing, one_line
from autorel_jax.evaluation.records import (
    OF_SPAN,
    are_parts_of_one,
    check_named,
    check_same,
    is_score,
    label_of,
    labels_of,
    model_of,
    number,
    numbers_in,
    predicted_logit,
)
from autorel_jax.report import view
from autorel_jax.report.explanation import FIELDS
from autorel_jax.report.whole import OF_TOKENS, OF_WORDS  # one text has all of its tokens' or none

NEEDED = ("id", "text", "target", "prediction", *OF_WORDS)
SHOWN = 5  # labels in a message
SPECIAL = (1, 0)  # stands for the span of a special token: no text ends before it begins


class Text(NamedTuple):
    """One text, as it was given, with what the classifier made of it."""

    id: str | int
    text: str
    pair: str | None
    file: str | None
    prediction: str
    probability: float | None
    label: Any  # as in the data; after `name_labels` a str, in the words of the model where they are known
    truncated: int
    kept: dict[str, Any]  # columns that passed through
    span: tuple[str, ...] = ()  # what of it a model with outputs at tokens was asked about; not of an answer it found


class Other(NamedTuple):
    """Results of another model for the same texts; their scores are series of the collection."""

    model: str
    first: int  # of its methods, by the place in `Collection.methods`
    predictions: dict[int, str]  # the place of a text -> what was predicted there
    split: int  # texts that were split into other words, and have no scores
    more: int  # texts that are there alone


class Units:
    """The words, or the word pieces, of all texts: names, spans and owners in flat arrays.

    Attributes:
      names: [M] as in the results.
      spans: [2 M] start and end in characters of the unit's own text; SPECIAL for special tokens.
      owners: [M] of words their segment, 0 or 1; of word pieces the place of their word in the text.
      offsets: [N + 1] where the units of each text begin.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.spans, self.owners, self.offsets = array("i"), array("i"), array("i", [0])

    def add(self, names: Sequence[str], spans: Iterable[Sequence[int] | None], owners: Iterable[int]) -> None:
        """Adds the units of one more text."""
        self.names.extend(names)
        for span in spans:
            self.spans.extend(span or SPECIAL)
        self.owners.extend(owners)
        self.offsets.append(len(self.names))

    def of(self, place: int) -> list[str | None]:
        """The names of a text's units, None for special tokens, whose names differ between models."""
        start, end = self.offsets[place : place + 2]
        spans = zip(self.spans[2 * start : 2 * end : 2], self.spans[2 * start + 1 : 2 * end : 2], strict=True)
        return [None if span == SPECIAL else name for name, span in zip(self.names[start:end], spans, strict=True)]

    def differ(self, place: int, names: Sequence[str]) -> bool:
        """Whether the units of a text are others than these."""
        return self.names[self.offsets[place] : self.offsets[place + 1]] != list(names)


class Series:
    """All scores of one method for one target.

    Attributes:
      method: its place in `Collection.methods`.
      target: as in the results.
      rows: [R] the texts that have scores, by their place, in the order in which they came.
      scores: of their words, one text after the other.
      token_scores: of their word pieces.
      inside: roughly the characters that all ledgers and read-outs take.
      facts: [R] what else is known of each explanation, by its name in .jsonl.
      is_score: whether all of them are scores of pairs, as rerankers give them, and not of a label.
    """

    def __init__(self, method: int, target: str):
        self.method, self.target = method, target
        self.rows = array("i")
        self.scores, self.token_scores = array("f"), array("f")
        self.facts: list[dict[str, Any]] = []
        self.inside = 0
        self.is_score = True
        self.known: set[int] = set()


class Collection:
    """Results over many texts, gathered record by record with `add`.

    Attributes:
      texts: [N].
      words, tokens: their units; no tokens if the results do not hold them.
      methods: (name, parameters) of each.
      series: (method, target) -> Series, in the order in which they came.
      model, version: of all records, which must agree in the model.
      other: what another model made of the texts, if it is compared (compare.py).
      names: the place of a logit -> the label, as far as the results list them, or a prediction shows it.
      labels_listed: those that the results list; none where they do not.
      several: whether a text may have several labels at once: then they do not add up to 1.
      outputs: the logits of a text; None where they are not of labels of the whole text.
      tells_outputs: whether all results have logits and probabilities, without which `several` is not known.
    """

    def __init__(self, label_column: str | None = None):
        self.label_column = label_column
        self.texts: list[Text] = []
        self.words, self.tokens = Units(), Units()
        self.methods: list[tuple[str, dict[str, Any]]] = []
        self.series: dict[tuple[int, str], Series] = {}
        self.model: dict[str, Any] | None = None
        self.version = ""
        self.other: Other | None = None
        self.names: dict[int, str] = {}
        self.labels_listed: list[str] = []
        self.outputs: int | None = None
        self.several = False
        self.tells_outputs = True
        self.has_tokens: bool | None = None
        self._places: dict[Any, list[int]] = {}
        self._known_methods: dict[str, tuple[int, Any]] = {}

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def own_methods(self) -> int:
        """How many of the methods are of its own model; those of the other one come after."""
        return len(self.methods) if self.other is None else self.other.first

    def add(self, record: Mapping[str, Any], label: Any = None, where: str = "the results") -> None:
        """Adds one explanation.

        Args:
          record: as `Explanation.to_dict` makes it, with the columns that passed through under their own names.
          label: the true label of its text; None to take that of the label column.
          where: for messages.

        Raises:
          InputError: the record lacks what a report needs, is of another model, or has other words than an earlier
            one of the same text.
        """
        if lacking := [name for name in NEEDED if record.get(name) is None]:
            raise InputError(
                f"{where}: the results have no {', '.join(lacking)}; expected at least {', '.join(NEEDED)}: write "
                "them without --columns."
            )
        self._check_model(record, where)
        series = self._series_of(record, where)
        place = self._place_of(record, series, label, where)
        has_tokens = all(record.get(name) is not None for name in OF_TOKENS)
        if self.has_tokens not in (None, has_tokens):
            raise InputError(f"{where}: some results have word pieces ({', '.join(OF_TOKENS)}), others do not.")
        self.has_tokens = has_tokens
        if place == len(self.texts) - 1 and len(self.words.offsets) == len(self.texts):  # a new text
            self.words.add(record["words"], record["word_spans"], record["word_segments"])
            if has_tokens:
                self.tokens.add(record["tokens"], record["token_spans"], record["token_words"])
        elif self.words.differ(place, record["words"]) or (has_tokens and self.tokens.differ(place, record["tokens"])):
            raise InputError(
                f"{where}: text {one_line(record['id'])!r} was explained with other words before; results that were "
                "split into words in different ways make two reports, or one with --compare."
            )
        series.rows.append(place)
        series.known.add(place)
        series.scores.extend(map(number, record["word_relevance"]))
        if has_tokens:
            series.token_scores.extend(map(number, record["token_relevance"]))
        facts = {name: record[name] for name in OF_EXPLANATION if record.get(name) not in EMPTY}
        series.inside += 6 * sum(numbers_in(facts.get(name)) for name in ("ledger", "readouts"))
        series.facts.append(facts)
        series.is_score = series.is_score and is_score(record)

    def _check_model(self, record: Mapping[str, Any], where: str) -> None:
        model = model_of(record)
        if not self.texts:
            self.model, self.version = model, str(record.get("version", ""))
        elif model != self.model:
            ours, theirs = ((each or {}).get("name", "an unknown model") for each in (self.model, model))
            raise InputError(
                f"{where}: results of the model {one_line(theirs)!r} beside results of {one_line(ours)!r}; one report "
                "has one model. Give the second file to --compare."
            )

    def _series_of(self, record: Mapping[str, Any], where: str) -> Series:
        method = record.get("method") or {}
        name = str(method.get("name", "unknown method"))
        key = json.dumps([name, method.get("parameters")], sort_keys=True, default=str)
        rules = method.get("rules")
        if key not in self._known_methods:
            self._known_methods[key] = len(self.methods), rules
            self.methods.append((name, method.get("parameters") or {}))
        place, before = self._known_methods[key]
        if None not in (rules, before) and rules != before:  # a .parquet does not tell them
            raise InputError(
                f"{where}: results of {one_line(name)!r} with other rules than before under the same name; make two "
                "reports, or explain again with a name for each."
            )
        target = str(record["target"])
        return self.series.setdefault((place, target), Series(place, target))

    def _place_of(self, record: Mapping[str, Any], series: Series, label: Any, where: str) -> int:
        """The place of the record's text, which is added if it has this series already or is new."""
        pair = record.get("text_pair")
        text, pair = view.joined(record["text"]), None if pair is None else view.joined(pair)
        about = [record.get(name) for name in OF_SPAN]  # an entity is an entry of its own
        label = self._label_of(record, label, where)
        key = (record.get("file"), record["id"], text, pair, str(label), *map(str, about))
        places = self._places.setdefault(key, [])
        for place in places:
            if place not in series.known:
                return place
        prediction = record["prediction"] or {}
        if not isinstance(prediction, Mapping) or "label" not in prediction:
            raise InputError(f"{where}: the results do not say what was predicted; write them without --columns.")
        self.tells_outputs &= record.keys() >= OF_OUTPUTS
        logit = predicted_logit(record)
        if logit is not None:
            self.names.setdefault(logit, prediction["label"])
            self.outputs = len(record["logits"])
            if len(labels := labels_of(record)) == self.outputs:
                check_named(record, labels, logit, where)
                check_same(labels, self.labels_listed or labels, where)
                self.labels_listed, self.names = labels, dict(enumerate(labels))
            self.several |= self.outputs > 1 and not are_parts_of_one(record["probabilities"])
        kept = {name: value for name, value in record.items() if name not in OURS}
        if record.get(OF_SPAN[0]) is not None:
            kept = {OF_SPAN[0]: record[OF_SPAN[0]], **kept}
        places.append(len(self.texts))
        self.texts.append(
            Text(
                record["id"],
                text,
                pair,
                record.get("file"),
                str(prediction["label"]),
                prediction.get("probability"),
                label,
                int(record.get("truncated_tokens") or 0),
                kept,
                () if about[0] in (None, prediction["label"]) else tuple(map(str, about)),
            )
        )
        return places[-1]

    def _label_of(self, record: Mapping[str, Any], label: Any, where: str) -> Any:
        """The true label of a record's text; another one makes another text, as where several people gave one each."""
        if label is None and self.label_column is not None:
            if self.label_column not in record:
                raise InputError(
                    f"{where}: the results have no column {self.label_column!r}; explain again with --keep-columns "
                    f"{self.label_column}."
                )
            label = record[self.label_column]
        return label_of(label)

    def labels(self, texts: Set[int]) -> list[str]:
        """The labels of the model as far as they are known, and what some texts were explained for, sorted."""
        targets = {series.target for series in self.series.values() if not texts.isdisjoint(series.rows)}
        return sorted({*targets, *self.names.values(), *(self.texts[place].prediction for place in texts)})

    def name_labels(self, required: bool) -> list[str]:
        """Gives the labels the model's names, by the rule of data/label_ids.py; returns what is to be said of it.

        Of labels that no text was predicted as the names are not known, and numbers that are theirs stay as they are.

        Args:
          required: whether it is refused that no label is one of the model's; else they are dropped.

        Raises:
          InputError: no label is one of the model's.
        """
        given = {(type(text.label), text.label): text.label for text in self.texts if text.label is not None}
        names = {*self.names.values(), *(text.prediction for text in self.texts), *(key[1] for key in self.series)}
        in_order = [self.names.get(place, f"LABEL_{place}") for place in range(self.outputs or 0)]
        known = known_labels(in_order)  # of a label that no text was predicted as, a name that says nothing
        meant = {key: label if label in names else self._named(label, known) for key, label in given.items()}
        unknown = sorted(str(given[key]) for key, name in meant.items() if name is None)
        no_one_label = "has one output" if self.outputs == 1 else "may give several labels" if self.several else ""
        if given and required and not self.tells_outputs:
            raise InputError(
                f"The results lack {' or '.join(sorted(OF_OUTPUTS))}, so it is not known whether a text may have "
                "several labels; explain again with both in --columns, or leave the labels out."
            )
        drop = not given or bool(no_one_label) or len(unknown) == len(given) or not self.tells_outputs
        notes = []
        if given and not self.tells_outputs:
            notes = ["Without logits and probabilities no prediction is known to be right: labels are left out."]
        elif given and no_one_label:
            notes = [f"The model {no_one_label}, so no prediction is right or wrong: labels of the data are left out."]
        elif unknown and drop and required:
            listed = ", ".join(map(reprlib.repr, unknown[:SHOWN]))
            raise InputError(
                f"None of the labels in the data ({listed}) is a label of the model "
                f"({', '.join(sorted(names))}); a label is the model's name for it, or its number where no "
                "name tells of a number."
            )
        elif unknown:
            listed = listing((one_line(label, 60) for label in unknown), SHOWN)
            notes = [f"Labels in the data that are no prediction or target of these results: {listed}."]
        if not drop and any(meant[key] and ids_assumed(in_order, label) for key, label in given.items()):
            listed = ", ".join(f"{place} is {name!r}" for place, name in sorted(self.names.items())[:SHOWN])
            notes.append(f"Labels that are numbers are read as ids of the model: {listed}.")
        elif not drop and any(names_assumed(in_order, label) for label in given.values()):
            notes.append("Labels that are numbers are read as names of labels of the model, not as ids.")
        if drop:
            self.label_column = None

        def named(label: Any) -> str | None:
            return None if drop or label is None else meant[type(label), label] or str(label)

        self.texts = [
            text._replace(
                label=named(text.label),
                kept={name: value for name, value in text.kept.items() if name != self.label_column},
            )
            for text in self.texts
        ]
        return notes

    def _named(self, label: Any, known: Mapping[str, int]) -> str | None:
        """The model's name for a label; None where that is not certain."""
        with contextlib.suppress(InputError):  # what cannot be a label is an unknown one
            return self.names.get(label_number(label, known, "the label"))
        return None


OF_EXPLANATION = ("target_value", "explained", "warnings", "diagnostics", "ledger", "readouts")
OF_OUTPUTS = frozenset(("logits", "probabilities"))
EMPTY = (None, [], {}, ())
OURS = frozenset((*FIELDS, "file"))  # all other fields of a record are columns that passed through


def lengths(units: Units, rows: np.ndarray) -> np.ndarray:
    """How many units each of these texts has."""
    return np.diff(np.asarray(units.offsets))[rows]


def places(units: Units, rows: np.ndarray) -> np.ndarray:
    """The places in the flat arrays of all units of these texts, one text after the other."""
    offsets = np.asarray(units.offsets)
    count = lengths(units, rows)
    begin = np.repeat(offsets[rows] - np.concatenate([[0], np.cumsum(count)[:-1]]), count) if len(rows) else []
    return np.asarray(begin, np.int64) + np.arange(int(count.sum()))
