"""Part: some rows of a corpus -> their explanations in a file, apart from all others.

No row ends a run: where a part cannot be tokenized, explained or written, its rows are tried one by one, and those at
fault are left out. Used by parts.py, on_ray.py and cli/stream.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.data.label_ids import is_missing
from autorel_jax.data.row import ROW_FAULTS, Rejected, Row, reason_of, reject
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.usable import usable
from autorel_jax.families.family import TEXT_LABELS
from autorel_jax.model.config import SINGLE
from autorel_jax.report.explanation import Explanation
from autorel_jax.text.tokens import Tokens

Pairs = list[tuple[Row, Explanation]]  # one or more for each row, one after the other


class Part(NamedTuple):
    """Rows of the input, numbered `number` * part_rows and on."""

    number: int
    items: Sequence[Row | Rejected]
    tokens: Mapping[int, Tokens]  # by the place of a row among the items

    @property
    def places(self) -> list[int]:
        """Where the rows are that are not left out."""
        return [place for place, item in enumerate(self.items) if isinstance(item, Row)]

    @property
    def rejected(self) -> list[Rejected]:
        """Those that are left out."""
        return [item for item in self.items if isinstance(item, Rejected)]


def prepared(explainer: Explainer, number: int, items: Sequence[Row | Rejected]) -> Part:
    """A part whose rows are tokenized."""
    part = Part(number, [item if isinstance(item, Rejected) else usable(item, explainer) for item in items], {})

    def tokenize(places: Sequence[int]) -> dict[int, Tokens]:
        tokens = explainer.tokenize([part.items[place] for place in places])
        return dict(zip(places, tokens, strict=True))

    tokens, faults = tried(tokenize, part.places, "tokenized")
    return without(part, faults)._replace(tokens=tokens)


def explained(explainer: Explainer, part: Part, progress: Callable[[int], object]) -> tuple[Part, Pairs]:
    """The explanations of a part, each with its row; the part without the rows that turned out to have none."""
    left = len(part.places)

    def count(rows: int) -> None:  # a row that is tried again counts once
        nonlocal left
        rows, left = min(rows, left), max(left - rows, 0)
        progress(rows)

    without_any: dict[int, str] = {}

    def explain(places: Sequence[int]) -> Pairs:
        if not places:
            return []
        rows = [part.items[place] for place in places]
        made = explainer.explain_each(rows, count, [part.tokens[place] for place in places])
        faults = {place: found for place, found in zip(places, made, strict=True) if isinstance(found, InputError)}
        without_any.update({place: str(fault) for place, fault in faults.items()})
        return [
            (row, explanation)
            for row, found in zip(rows, made, strict=True)
            if not isinstance(found, InputError)
            for explanation in found
        ]

    progress(len(part.rejected))
    pairs, faults = tried(explain, part.places, "explained")
    progress(left)
    return without(part, faults | without_any), pairs


def written(made: Any, explainer: Explainer, path: Path, part: Part, pairs: Pairs) -> dict[str, Any]:
    """Writes a part in a format of formats.py; returns what the summary needs to know of it."""
    of = {id(item): place for place, item in enumerate(part.items)}
    groups: dict[int, Pairs] = {place: [] for place in part.places}
    for row, explanation in pairs:
        groups[of[id(row)]].append((row, explanation))

    def write(places: Sequence[int]) -> None:
        made.write(path, [pair for place in places for pair in groups[place]])

    _, faults = tried(write, part.places, "written")
    part = without(part, faults)
    marks = together(mark(explainer, *groups[place][0]) for place in part.places)
    return {
        "rows": len(part.places),
        "rejected": [item.record for item in part.rejected],
        **marks._asdict(),
    }


class Marks(NamedTuple):
    """How the labels of rows go with what was predicted."""

    labelled: int = 0  # rows whose label is one of the model's
    right: int = 0  # of these, that are predicted so
    unknown: int = 0  # rows whose label the model does not have
    example: str = ""  # why the first of these is unknown


def together(marks: Iterable[Marks]) -> Marks:
    """The marks of all rows."""
    every = list(marks)
    counts = (sum(one[place] for one in every) for place in range(3))
    return Marks(*counts, next((one.example for one in every if one.example), ""))


def mark(explainer: Explainer, row: Row, explanation: Explanation) -> Marks:
    """How the label of a row goes with its prediction; no mark where it has none, or `no_mark` says why."""
    zero_shot = explainer.config.zero_shot
    if is_missing(row.label) or no_mark(explainer):
        return Marks()
    try:
        if not zero_shot:
            name = explainer.classifier.config.labels[explainer.row_label(row.label)]
        elif row.label in zero_shot:  # its labels are words, whatever the model's own are
            name = row.label
        else:
            raise InputError(f"Unknown label {one_line(repr(row.label))}. The labels are {', '.join(zero_shot)}.")
    except InputError as error:
        return Marks(unknown=1, example=str(error))
    return Marks(labelled=1, right=int(name == explanation.prediction.label))


def no_mark(explainer: Explainer) -> str:
    """Why no prediction is right or wrong, of whatever label; empty where it is one or the other."""
    model, config = explainer.classifier.config, explainer.config
    if model.task != TEXT_LABELS:
        return f"is for {model.task.replace('_', ' ')}"
    if config.zero_shot:
        return "may give several labels" if config.multi_label else ""
    if model.num_labels < 2:
        return "has one output"
    return "" if model.problem == SINGLE else "may give several labels"


def tried(call: Callable[[Sequence[int]], Any], places: Sequence[int], stage: str) -> tuple[Any, dict[int, str]]:
    """What the call makes of the places; without those at fault, and why, where it fails for all of them together.

    Raises:
      Exception: one of ROW_FAULTS that no single place is the cause of.
    """
    try:
        return call(places), {}
    except ROW_FAULTS as error:
        faults = {place: reason for place in places if (reason := fault_of(call, place, stage))}
        if not faults:
            raise
        rest = [place for place in places if place not in faults]
        if not rest and len(places) > 1 and not isinstance(error, InputError):
            raise  # a fault of the program, not of each of them
        return call(rest), faults


def fault_of(call: Callable[[Sequence[int]], Any], place: int, stage: str) -> str | None:
    """Why the call fails at that place alone; None if it does not."""
    try:
        call([place])
    except ROW_FAULTS as error:
        return reason_of(error, stage)
    return None


def without(part: Part, faults: Mapping[int, str]) -> Part:
    """The part, with the rows at those places left out."""
    if not faults:
        return part
    items: Iterable[Row | Rejected] = (
        reject(item, faults[place]) if place in faults else item for place, item in enumerate(part.items)
    )
    return part._replace(items=list(items))
