"""Record differences: two records -> whether they are equal, equal within rounding, or what differs, in lines.

Hashes, names, settings, texts, words and predictions must be the same; numbers may be apart by the bounds of
rounding.py. Texts are found by their hash, so their order is free. Used by verify.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autorel_jax.auditing.record_entries import Entry
from autorel_jax.auditing.rounding import UNITS, bounds_of, distance
from autorel_jax.data.label_ids import is_missing, known_labels, meant
from autorel_jax.errors import InputError, listing, one_line
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.model.config import BertConfig
from autorel_jax.report.view import joined

Record = Mapping[str, Any]
# Of what was asked; what they came to is compared.
RESOLVED = ("method", "parameters", "references", "read_at", "max_length")
TIE = 1e-3  # of the highest logit: two that are so near may change places by little
EXACT = {  # of a result, and what it is in words
    "target": "target",
    "prediction": "prediction",
    "fillings": "list of likeliest fillings",
    "span": "place",
    "span_segment": "place",
    "truncated_tokens": "number of word pieces cut off",
    "words_sha256": "words",
    "words": "list of words",
    "span_text": "text of the place",
}
WHOLE = {  # fields that hold no float
    field.name
    for config in (BertConfig, ExplainConfig)
    for field in dataclasses.fields(config)
    if "float" not in str(field.type)
} | {*EXACT}


@dataclasses.dataclass
class Differences:
    """What differs between two records.

    Attributes:
      facts: lines about the model and the question.
      texts: lines about texts, one for each that differs.
      compared: how many texts are in both.
      more: how many of `texts` are of a text that the record lacks.
      largest: kind of numbers -> the largest distance found, in the units of rounding.py.
      left_out: how many rows of a file could not be read now.
    """

    facts: list[str]
    texts: list[str] = dataclasses.field(default_factory=list)
    compared: int = 0
    more: int = 0
    largest: dict[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(UNITS, 0.0))
    left_out: int = 0

    def __bool__(self) -> bool:
        return bool(self.facts or self.texts)

    @property
    def is_exact(self) -> bool:
        """Whether all numbers are the same, bit for bit."""
        return not self and not any(self.largest.values())


def differences(old: Record, new: Record, of_rows: Sequence[str] = ()) -> Differences:
    """What differs.

    Args:
      old: what numbers are measured by.
      new: the other.
      of_rows: what else of a text's row must be the same, `id` or `label`; hashed texts have neither.

    Raises:
      InputError: one has words and the other hashes, or both have hashes of different salts.
    """
    if old["salt"] != new["salt"]:
        raise InputError(
            "The records cannot be compared: one has words and the other hashes, or their hashes have different salts. "
            "Verify each with the model and the texts."
        )
    if "label" in of_rows:
        old, new = map(with_names, (old, new))
    found = Differences([*model_lines(old["model"], new["model"]), *question_lines(old["question"], new["question"])])
    bounds = bounds_of(old["model"]["dtype"], old["question"]["name"])
    for place, ours, theirs in matched(old, new):
        if ours is None or theirs is None:
            lacks = "the texts now" if theirs is None else "the record"
            found.more += ours is None
            found.texts.append(f"text {place}{named(ours or theirs)} is not among those of {lacks}")
            continue
        found.compared += 1
        if lines := [*result_lines(ours, theirs, bounds, found.largest), *row_lines(ours, theirs, of_rows)]:
            more = f" (and {len(lines) - 1} more differences in this text)" if len(lines) > 1 else ""
            found.texts.append(f"text {place}{named(ours)}: {lines[0]}{more}")
    return found


def against(old: Record, new: Record) -> Differences:
    """What differs between two records that were written, in what they say of their making too.

    Labels count where both have some. Ids are mostly numbers of rows, so they count where the texts are in one order.
    """
    orders = [[entry["sha256"] for entry in each["texts"]] for each in (old, new)]
    labelled = has_labels(old) and has_labels(new)
    found = differences(old, new, ["label"] * labelled + ["id"] * (orders[0] == orders[1]))
    found.facts += asked_lines(old["question"], new["question"])
    found.facts += left_out_lines(old["left_out"], new["left_out"])
    return found


def left_out_lines(old: int, new: int) -> Iterator[str]:
    """What differs in how many rows could not be read."""
    if old != new:
        yield f"rows left out: they were {old}, now {new}"


def has_labels(record: Record) -> bool:
    """Whether a text of the record has a label of its own."""
    return not all(is_missing(entry.get("label")) for entry in record["texts"])


def with_names(record: Record) -> Record:
    """A record whose texts' labels are named as the model names them; a label that it does not know stays as it is."""
    names = record["question"]["asked"].get("zero_shot") or record["model"]["labels"]
    known = known_labels(names)
    texts = [entry | {"label": name_of(entry.get("label"), names, known)} for entry in record["texts"]]
    return {**record, "texts": texts}


def name_of(label: Any, names: Sequence[str], known: dict[str, int]) -> Any:
    """The model's name of a text's label, by the rule of data/label_ids.py."""
    of_data_set = tuple(label) if isinstance(label, list) else label  # as it was before it was JSON
    number = meant(of_data_set, names, known, "the label")
    return None if is_missing(label) else label if number is None else names[number]


def asked_lines(old: Record, new: Record) -> Iterator[str]:
    """What differs in what was asked and is compared by what it came to; to ask for the default by name does not."""
    for name in RESOLVED:
        values = [each["asked"].get(name) or None for each in (old, new)]
        defaults = None in values and all(came_to(*one) for one in zip((old, new), (name, name), values, strict=True))
        if not same(name, *values) and not defaults:
            yield f"asked: {name} was {shown(values[0])}, now {shown(values[1])}"


def came_to(question: Record, name: str, value: Any) -> bool:
    """Whether what was asked, if anything, is what a question says that it came to."""
    known = question["parameters"] | {"max_length": question["max_length"]}
    asked = value if name == "parameters" and value else {name: value}
    return value is None or all(one in known and same(one, known[one], two) for one, two in asked.items())


# ---- the model and the question


def model_lines(old: Record, new: Record) -> Iterator[str]:
    """What differs between two models."""
    if old["dtype"] != new["dtype"]:
        yield f"dtype: it was {old['dtype']}, now {new['dtype']}"
    if old["labels"] != new["labels"]:
        same = sorted(old["labels"]) == sorted(new["labels"])
        how = "are the same in another order" if same else "differ"
        yield f"labels {how}: they were {', '.join(old['labels'])}, now {', '.join(new['labels'])}"
    yield from weight_lines(old["weights"], new["weights"])
    yield from value_lines("tokenizer", old["tokenizer"], new["tokenizer"])
    yield from value_lines("config", completed(old["config"], new["config"]), completed(new["config"], old["config"]))


def completed(config: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config with the fields that its version did not know yet, where the other has their defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(BertConfig)}
    new = {name: value for name, value in other.items() if value == defaults.get(name, dataclasses.MISSING)}
    return {**new, **config}


def weight_lines(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Which tensors differ."""
    both = old.keys() & new.keys()
    changed = [name for name in old if name in both and old[name] != new[name]]
    if changed:
        yield f"weights: {len(changed)} of {len(old)} tensors differ: {listing(changed)}"
    for names, what in ((old.keys() - both, "are not there now"), (new.keys() - both, "were not there")):
        if names:
            yield f"weights: {len(names)} tensors {what}: {listing(sorted(names))}"


def question_lines(old: Record, new: Record) -> Iterator[str]:
    """What differs between two questions; what was asked for by name and is the default all the same does not."""
    asked = [{name: value for name, value in each["asked"].items() if name not in RESOLVED} for each in (old, new)]
    resolved = [
        {name: value for name, value in each.items() if name not in ("asked", "content")} for each in (old, new)
    ]
    yield from value_lines("question", *asked)
    found = list(value_lines("method", *resolved))
    yield from found
    if not found and old["content"] != new["content"]:
        yield "method: rules or parameters of one name do another thing"


def value_lines(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A line for each value that differs; nested ones with dots between."""
    for name in dict.fromkeys([*old, *new]):
        one, two = old.get(name), new.get(name)
        if isinstance(one, dict) and isinstance(two, dict):
            yield from value_lines(f"{what}: {name}", one, two)
        elif not same(name, one, two) or (name in old) != (name in new):
            yield f"{what}: {name} was {shown(one)}, now {shown(two)}"


def same(name: str, old: Any, new: Any) -> bool:
    """Whether two values are one, of one type; a parameter or a field of floats may be a whole number too."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(name, *pair) for pair in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(one, old[one], new[one]) for one in old)
    if name in WHOLE or bool in (type(old), type(new)):
        return type(old) is type(new) and old == new
    return old == new


def shown(value: Any) -> str:
    """A value in a message."""
    return one_line(repr(value), 80)


# ---- the texts


def matched(old: Record, new: Record) -> Iterator[tuple[int, Entry | None, Entry | None]]:
    """Pairs of entries of the same text, with their place from 1; None for what one record lacks.

    A text that is there several times is matched as often, with the one that is most like it.
    """
    ours, theirs = dict(enumerate(old["texts"])), dict(enumerate(new["texts"]))  # those that are not matched yet
    pairs: dict[int, int] = {}
    for marks in (4, 3, 2, 1):  # that are the same
        places: dict[Any, deque[int]] = {}
        for place, entry in theirs.items():
            places.setdefault(marks_of(entry)[:marks], deque()).append(place)
        found = {
            place: there.popleft() for place, entry in ours.items() if (there := places.get(marks_of(entry)[:marks]))
        }
        pairs |= found
        ours = {place: entry for place, entry in ours.items() if place not in found}
        taken = set(found.values())
        theirs = {place: entry for place, entry in theirs.items() if place not in taken}
    for place, entry in enumerate(old["texts"]):
        yield place + 1, entry, new["texts"][pairs[place]] if place in pairs else None
    for place, entry in theirs.items():
        yield place + 1, None, entry


def marks_of(entry: Entry) -> tuple[str, tuple[str, ...], str, str]:
    """A text and what tells apart two entries of it, the weightiest first."""
    targets = tuple(result["target"] for result in entry["results"])
    return entry["sha256"], targets, repr(entry.get("label")), repr(entry.get("id"))


def row_lines(old: Entry, new: Entry, of_rows: Sequence[str]) -> Iterator[str]:
    """What differs in what a text's row says of it."""
    for name in of_rows:
        if not same(name, old.get(name), new.get(name)):
            yield f"its {name} was {shown(old.get(name))}, now {shown(new.get(name))}"


def result_lines(old: Entry, new: Entry, bounds: Mapping[str, float], largest: dict[str, float]) -> Iterator[str]:
    """What differs in a text; notes the largest distances."""
    if len(old["results"]) != len(new["results"]):
        yield f"it had {counted(len(old['results']), 'result')}, now {len(new['results'])}"
        return
    for one, two in zip(old["results"], new["results"], strict=True):
        of = f"{one['target']}: " if len(old["results"]) > 1 else ""
        for name, what in EXACT.items():
            if not same(name, one.get(name), two.get(name)):
                yield f"{of}its {what} was {shown(one.get(name))}, now {shown(two.get(name))}{tie(name, one)}"
        yield from (of + line for line in number_lines(one, two, bounds, largest))


def number_lines(old: Record, new: Record, bounds: Mapping[str, float], largest: dict[str, float]) -> Iterator[str]:
    """Which numbers of a result are further apart than rounding."""
    items = [one["ledger"] or {} for one in (old, new)]
    if items[0].keys() != items[1].keys():
        yield f"its ledger had {', '.join(items[0]) or 'nothing'}, now {', '.join(items[1]) or 'nothing'}"
        items = [{}, {}]
    series = {
        "scores": (old["scores"], new["scores"], names_of(old)),
        "logits": (
            [old["target_value"], old["probability"], *old["logits"]],  # a probability moves by less than logits do
            [new["target_value"], new["probability"], *new["logits"]],
            ["the target's value", "the probability", *(f"logit {place}" for place in range(len(old["logits"])))],
        ),
        "ledger": (list(items[0].values()), list(items[1].values()), [f"{name} of the ledger" for name in items[0]]),
    }
    for kind, (ours, theirs, names) in series.items():
        apart = distance(kind, ours, theirs)
        largest[kind] = max(largest[kind], apart)
        if apart <= bounds[kind]:
            continue
        if len(ours) != len(theirs):
            yield f"it had {len(ours)} {kind}, now {len(theirs)}"
            continue
        worst = max(range(len(ours)), key=lambda place: gap(ours[place], theirs[place]))
        yield (
            f"{names[worst]} was {number(ours[worst])}, now {number(theirs[worst])}, which is {apart:.2g} of "
            f"{UNITS[kind]}; rounding is at most {bounds[kind]:g}"
        )


def gap(old: float | None, new: float | None) -> float:
    """How far two numbers are apart; infinitely where one alone is not finite."""
    if old is None or new is None:
        return 0.0 if old is new else math.inf
    return abs(old - new)


def names_of(result: Record) -> list[str]:
    """The words of a result as they are named in a line, by their numbers where there are hashes alone."""
    if "words" in result:
        return [f"word {place}, {shown(word)}," for place, word in enumerate(result["words"], start=1)]
    return [f"word {place}" for place in range(1, len(result["scores"]) + 1)]


def tie(name: str, result: Record) -> str:
    """What to know where a prediction differs that was hardly one."""
    logits = sorted((logit for logit in result["logits"] if logit is not None), reverse=True)
    near = name == "prediction" and len(logits) > 1 and logits[0] - logits[1] < TIE * max(1, abs(logits[0]))
    return f" (its two highest logits are {logits[0] - logits[1]:.2g} apart)" if near else ""


def named(entry: Entry) -> str:
    """The beginning of an entry's text, where it is kept."""
    if "text" not in entry:
        return ""
    return f" ({shown(joined(entry['text']))})"


def number(value: float | None) -> str:
    """A number in a message."""
    return "not finite" if value is None else f"{value:.6g}"


def counted(count: int, what: str) -> str:
    """`1 result`, `2 results`."""
    return f"{count} {what}{'' if count == 1 else 's'}"
