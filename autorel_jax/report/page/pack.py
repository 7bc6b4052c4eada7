"""Pack: a Collection -> what the page's script reads, as JSON; data.js is the way back.

Numbers are little-endian typed arrays in base64, the smallest type that holds them; scores are float32, as they are
in the results. Spans count UTF-16 units, as JavaScript does. Used by save.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from autorel_jax.evaluation import words
from autorel_jax.evaluation.collection import Collection, Series, Units
from autorel_jax.evaluation.doubts import doubts
from autorel_jax.report import colour
from autorel_jax.report.json_values import plain
from autorel_jax.report.ledger import NAMES, NEGLIGIBLE

Packed = dict[str, str]

LAST = 2**53  # stands for infinity, which JSON has no number for
INTEGERS = {"u8": np.uint8, "u16": np.uint16, "u32": np.uint32}


def integers(values: Any) -> Packed:
    """Whole numbers from 0 on."""
    array = np.asarray(values, np.int64)
    largest = int(array.max(initial=0))
    name = next(name for name, kind in INTEGERS.items() if largest <= np.iinfo(kind).max)
    return packed(array.astype(INTEGERS[name]), name)


def floats(values: Any) -> Packed:
    """Numbers as float32; None becomes NaN."""
    return packed(np.asarray([np.nan if value is None else value for value in values], np.float32), "f32")


def packed(array: np.ndarray, name: str) -> Packed:
    """A typed array in base64."""
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return {"type": name, "data": base64.b64encode(data).decode("ascii")}


class Names:
    """Strings that come again and again -> numbers."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a string."""
        return self.numbers.setdefault(name, len(self.numbers))

    def column(self, names: Iterable[str | None]) -> dict[str, Any]:
        """Strings as numbers from 1, 0 for None, and what they stand for."""
        numbers = integers([0 if name is None else self.number(name) + 1 for name in names])
        return {"names": list(self.numbers), "of": numbers}


def pack(collection: Collection, level: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """All that the page shows.

    Args:
      collection: the results.
      level: "word" or "token", which the page shows first.
      notes: what to say at its head.
    """
    keys = words.keys(collection)
    _, begins = words.ngrams(collection, keys, 1)
    every = list(collection.series.values())
    found = [words.occurrences(collection, series, begins, 1) for series in every]
    tokens = collection.has_tokens and len(collection.tokens.names) > 0
    return {
        "about": about(collection),
        "other": other(collection),
        "notes": list(notes),
        "level": level,
        "texts": texts(collection),
        "words": units(collection, collection.words) | {"keys": integers(keys.of_words + 1)},
        "tokens": units(collection, collection.tokens, Names()) if tokens else None,
        "keys": keys.names,
        "series": [one_series(collection, series) for series in every],
        "tables": [table(collection, series, each, len(keys.names)) for series, each in zip(every, found, strict=True)],
        "pulls": pulls(collection, found, len(keys.names)),
        "constants": constants(),
    }


def constants() -> dict[str, Any]:
    """What the page's script shares with Python."""
    warm, cool = (",".join(map(str, rgb)) for rgb in (colour.FOR, colour.AGAINST))
    return {
        "strongest": words.STRONGEST,
        "prior": words.PRIOR,
        "z": words.Z,
        "added": words.HALF,
        "listed": [[min(below, LAST), count] for below, count in words.LISTED],
        "colour": {"warm": warm, "cool": cool, "opaque": colour.OPAQUE, "faint": colour.FAINT},
        "ledger": NAMES,
        "negligible": NEGLIGIBLE,
    }


def about(collection: Collection) -> dict[str, Any]:
    """Where the scores come from."""
    model, own = collection.model or {}, collection.own_methods
    return {
        "model": str(model.get("name", "")),
        "weights": str(model.get("weights_sha256", "")),
        "version": collection.version,
        "methods": [
            {"name": name, "parameters": plain(parameters)}
            | ({"model": collection.other.model} if number >= own else {})
            for number, (name, parameters) in enumerate(collection.methods)
        ],
    }


def other(collection: Collection) -> dict[str, Any] | None:
    """What another model made of the texts; None if none is compared."""
    if collection.other is None:
        return None
    every = [collection.other.predictions.get(place) for place in range(len(collection))]
    return {
        "model": collection.other.model,
        "prediction": Names().column(every),
        "split": collection.other.split,
        "more": collection.other.more,
    }


def texts(collection: Collection) -> dict[str, Any]:
    """The texts, column by column."""
    every = collection.texts
    pairs, files = [text.pair for text in every], [text.file for text in every]
    names = list(dict.fromkeys(name for text in every for name in text.kept))
    return {
        "id": [text.id for text in every],
        "text": [text.text for text in every],
        "pair": pairs if any(pair is not None for pair in pairs) else None,
        "file": files if len(set(files)) > 1 else None,
        "prediction": Names().column(text.prediction for text in every),
        "label": Names().column(text.label for text in every),
        "probability": [plain(text.probability) for text in every],
        "truncated": integers([text.truncated for text in every]),
        "kept": {name: [plain(text.kept.get(name)) for text in every] for name in names},
    }


def units(collection: Collection, of: Units, names: Names | None = None) -> dict[str, Any]:
    """The words or word pieces of all texts.

    A word is the stretch of text that its span names, so only other names (special tokens) are written; every name of
    a word piece is, for which `names` is given.
    """
    spans = np.array(of.spans, np.int64).reshape(-1, 2)
    owners, odd = np.asarray(of.owners), {}
    for number, (begin, end) in enumerate(pairwise(of.offsets)):
        text = collection.texts[number]
        segments = owners[begin:end]
        if names is not None:
            segments = np.asarray(collection.words.owners)[collection.words.offsets[number] + segments]
        both = (text.text, text.pair or "")
        if names is None:
            for place in range(begin, end):
                start, stop = spans[place]
                name = of.names[place]
                if stop < start or both[segments[place - begin]][start:stop] != name:
                    odd[place] = name
        if any(max(each, default="") > "\uffff" for each in both):
            for segment, each in enumerate(both):
                real = spans[begin:end, 1] >= spans[begin:end, 0]
                mine = begin + np.flatnonzero((segments == segment) & real)
                spans[mine] = in_utf_16(each)[spans[mine].clip(max=len(each))]
    made = {
        "offsets": integers(of.offsets),
        "starts": integers(spans[:, 0]),
        "ends": integers(spans[:, 1]),
        "owners": integers(owners),
    }
    return made | ({"odd": odd} if names is None else {"pieces": names.column(of.names)})


def in_utf_16(text: str) -> np.ndarray:
    """The place of each character in UTF-16, and their number."""
    return np.cumsum([0, *(1 + (character > "\uffff") for character in text)])


def one_series(collection: Collection, series: Series) -> dict[str, Any]:
    """The scores of one method for one target, and what is known of each explanation."""
    warnings = Names()
    doubted = doubts(collection, series)
    of_each = [
        [warnings.number(text) for text in (*facts.get("warnings", ()), *more)]
        for facts, more in zip(series.facts, doubted, strict=True)
    ]
    return {
        "method": series.method,
        "target": series.target,
        "isScore": series.is_score,
        "rows": integers(series.rows),
        "scores": packed(np.asarray(series.scores, np.float32), "f32"),
        "tokenScores": packed(np.asarray(series.token_scores, np.float32), "f32") if series.token_scores else None,
        "value": [facts.get("target_value") for facts in series.facts],
        "explained": [facts.get("explained") for facts in series.facts],
        "warnings": {"names": list(warnings.numbers), "of": {row: each for row, each in enumerate(of_each) if each}},
        "ledgers": {row: facts["ledger"] for row, facts in enumerate(series.facts) if "ledger" in facts},
        "diagnostics": {row: facts["diagnostics"] for row, facts in enumerate(series.facts) if "diagnostics" in facts},
        "readouts": {
            row: {name: readout(value) for name, value in facts["readouts"].items()}
            for row, facts in enumerate(series.facts)
            if "readouts" in facts
        },
    }


def readout(value: Any) -> dict[str, Any]:
    """An array of numbers with its shape."""
    array = np.asarray(value, np.float64)
    return {"shape": list(array.shape), **packed(array.astype(np.float32).ravel(), "f32")}


def table(collection: Collection, series: Series, found: words.Occurrences, count: int) -> dict[str, Any]:
    """The words of a series; association with the label only where the target is a label of the data."""
    labels = [text.label for text in collection.texts]
    made = summarized(words.summary(found, count))
    if series.target in labels:
        having, having_label = words.label_counts(found, count, labels, series.target)
        there = words.finite_texts(collection, series)
        among = [label for label, mark in zip(labels, there, strict=True) if mark and label is not None]
        labelled, of_label = len(among), among.count(series.target)
        made |= {
            "labelled": integers(having),
            "ofLabel": integers(having_label),
            "association": floats(words.association(having, having_label, labelled, of_label)),
            "all": [labelled, of_label],
        }
    return made


def summarized(summary: words.Summary) -> dict[str, Any]:
    """Statistics column by column."""
    return {
        "texts": integers(summary.texts),
        "mean": floats(summary.mean),
        "spread": floats(summary.spread),
        "half": floats(summary.half),
        "strongest": integers(summary.strongest),
    }


def pulls(collection: Collection, found: Sequence[words.Occurrences], count: int) -> list[dict[str, Any] | None]:
    """For each method what words do for the predicted label; None where no prediction is known to be wrong."""
    right, wrong = words.right_and_wrong(collection)
    made: list[dict[str, Any] | None] = []
    every = list(collection.series.values())
    for number in range(len(collection.methods)):
        if number >= collection.own_methods:  # predictions of another model
            made.append(None)
            continue
        of_method = [place for place, series in enumerate(every) if series.method == number]
        predicted = words.for_predicted(
            collection, [found[place] for place in of_method], [every[place] for place in of_method]
        )
        if not wrong[predicted.text].any():
            made.append(None)
            continue
        pull = words.pull(predicted, count, wrong, right)
        made.append(
            {
                "wrong": summarized(pull.wrong),
                "right": summarized(pull.right),
                "difference": floats(pull.difference),
                "half": floats(pull.half),
            }
        )
    return made
