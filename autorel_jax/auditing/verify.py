"""Verify: a record and a classifier -> what differs when its texts are explained again. Used by cli/verify.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autorel_jax.attribution.registry import named
from autorel_jax.auditing.record import Recorder, gather
from autorel_jax.auditing.record_differences import Differences, counted, differences, left_out_lines, model_lines
from autorel_jax.auditing.record_entries import row_of
from autorel_jax.auditing.record_facts import asked_config, model_facts
from autorel_jax.auditing.record_file import Record
from autorel_jax.auditing.rounding import UNITS, bounds_of
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.explainer import Explainer

Rows = Iterable[Row | Rejected]


def rows_of(record: Record, given: Rows | None) -> Rows:
    """The rows to explain: those given, else those of the record.

    Raises:
      InputError: the record has hashes in place of texts, and none are given.
    """
    if given is not None:
        return given
    if record["salt"]:
        raise InputError("The record has hashes in place of texts; give the file of the texts, as it was given then.")
    return [row_of(place, entry) for place, entry in enumerate(record["texts"], start=1)]


def method_of(record: Record, composite: Any = None) -> Any:
    """The method of a record; `composite` is one from a file.

    Raises:
      InputError: the method has a name that this program does not know.
    """
    name = record["question"]["name"]
    if composite is not None:
        return composite
    try:
        return named(name)
    except InputError:
        raise InputError(
            f"The record's method {one_line(name)!r} is not known to this version; if it is of a file, give that by "
            "--composite-file."
        ) from None


def verified(
    record: Record,
    classifier: Classifier,
    rows: Rows,
    method: Any,
    batch_size: int | None = None,
    devices: Sequence[Any] = (),
    progress: Callable[[int], object] = lambda done: None,
    of_rows: Sequence[str] = (),
    of_file: bool = False,
) -> Differences:
    """Explains the rows again as the record says, and compares; `of_rows` as of `differences`.

    Where the rows are those of a file again, and not the record's own, as many of them must be left out.

    Raises:
      InputError: it cannot be done, and the model is not what is to blame.
    """
    other_model = list(model_lines(record["model"], model_facts(classifier)))
    try:
        config = asked_config(record["question"]["asked"], method, batch_size)
        recorder = Recorder(Explainer(classifier, config, devices), record["salt"])
        gather(recorder, rows, progress)
    except InputError as error:
        if not other_model:
            raise
        return Differences([*other_model, f"the texts cannot be explained again: {error}"])
    if of_file:
        leave_out_unexplained(recorder, record)
    found = differences(record, recorder.record(), of_rows)
    if of_file:
        found.left_out = recorder.left_out
        found.facts += left_out_lines(record["left_out"], found.left_out)
    return found


def leave_out_unexplained(recorder: Recorder, record: Record) -> None:
    """Counts texts without an explanation as left out, as a record beside an output of rows does, as many as it did."""
    known = {entry["sha256"] for entry in record["texts"]}
    others = [entry for entry in recorder.entries if not entry["results"] and entry["sha256"] not in known]
    gone = list(map(id, others[: max(record["left_out"] - recorder.left_out, 0)]))
    recorder.entries = [entry for entry in recorder.entries if id(entry) not in gone]
    recorder.left_out += len(gone)


def verdict(found: Differences, record: Record) -> str:
    """The line that says what came out."""
    texts = counted(found.compared, "text")
    if found:
        differ = f"{len(found.texts) - found.more} of {len(record['texts'])} texts"
        more = f", and {counted(found.more, 'text')} not in the record" if found.more else ""
        return f"differs: {len(found.facts)} of the model or the question, {differ}{more}"
    said = record["summary"]
    for count, what in (
        (said["without_results"], "without an explanation"),
        (said["not_finite"], "not finite in part"),
    ):
        texts += f", {count} {what}" if count else ""
    if found.is_exact:
        return f"equal, bit for bit: {texts}"
    bounds = bounds_of(record["model"]["dtype"], record["question"]["name"])
    measured = (
        f"{kind} {found.largest[kind]:.1g} (at most {bounds[kind]:g}) of {unit}"
        for kind, unit in UNITS.items()
        if found.largest[kind]
    )
    return f"equal within rounding: {texts}; largest difference of {'; of '.join(measured)}"


def changes_of_place(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two environments, which is no difference by itself."""
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{name} was {one_line(old.get(name))}, now {one_line(new.get(name))}"
