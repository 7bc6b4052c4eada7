"""Record: an Explainer and rows -> all that its scores depend on and the scores, as JSON that can be checked later.

A record is a dict; docs/audit.md says what it holds. verify.py makes a second one and compares both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.auditing.entries import Entry, entry_of
from autorel_jax.auditing.facts import environment, model_facts, question_facts
from autorel_jax.auditing.rounding import BOUNDS
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import Pairs, Part, explained, prepared
from autorel_jax.families.family import MASKED, TEXT_LABELS
from autorel_jax.files import disk_faults, new_text
from autorel_jax.foreign import fault_in
from autorel_jax.report.json_values import plain

SCHEMA = 1  # raised when a part of a record changes its meaning or goes away
MARK = "autorel_record"  # under which a record has its schema
EXPECTED = "expected a .json that autorel record, or --record of autorel explain, wrote"
PARTS = {  # of a record, and what JSON has of them
    "environment": dict,
    "model": {"name": str, "dtype": str, "labels": list, "weights": dict, "config": dict, "tokenizer": dict},
    "question": {"asked": dict, "name": str, "content": str, "rules": dict, "parameters": dict, "max_length": int},
    "salt": str,
    "texts": list,
    "left_out": int,
    "summary": {"without_results": int, "not_finite": int},
    "sha256": str,
}
RESULT = {  # of an explanation
    "target": str,
    "prediction": str,
    "logits": list,
    "fillings": list,
    "truncated_tokens": int,
    "words_sha256": str,
    "scores": list,
}

Record = dict[str, Any]


class Recorder:
    """Gathers entries while rows are explained.

    Attributes:
      explainer: that explains them.
      salt: "" to keep words, else what goes before everything that is hashed.
      entries: of the rows, in their order.
      left_out: how many rows could not be read.
    """

    def __init__(self, explainer: Explainer, salt: str = ""):
        self.explainer, self.salt = explainer, salt
        self.question = question_facts(explainer)  # refuses early what no record can hold
        config = explainer.config
        self.labels = config.zero_shot or explainer.classifier.config.labels
        if salt and config.at is not None and not config.at.startswith(("word:", "token:")):
            raise InputError("--hash-texts keeps no words, but --at names some; give word:NUMBER or token:NUMBER.")
        if salt and config.references:
            raise InputError("--hash-texts keeps no words, but --references are kept as they are; leave one out.")
        if salt and explainer.classifier.config.task == MASKED:
            raise InputError(
                "--hash-texts keeps no words, but of a mask words are all that is predicted; leave it out."
            )
        self.entries: list[Entry] = []
        self.left_out = 0

    def add_part(self, items: Sequence[Row | Rejected], part: Part, pairs: Pairs) -> None:
        """Adds rows as they were read, with the explanations that those of the part have, if any."""
        results: dict[int, list[dict[str, Any]]] = {}
        for row, explanation in pairs:
            results.setdefault(id(row), []).append(explanation.to_dict())
        for item, of_part in zip(items, part.items, strict=True):
            if isinstance(item, Rejected) or fault_in([item.text, item.pair, plain(item.label), item.id]):
                self.left_out += 1
            else:
                self.add(item, results.get(id(of_part), []))

    def add(self, row: Row, results: Sequence[Mapping[str, Any]]) -> None:
        """Adds a row with its explanations as `Explanation.to_dict` gives them."""
        self.entries.append(entry_of(row, results, self.salt, self.labels))

    def record(self) -> Record:
        """The record.

        Raises:
          InputError: no row was read.
        """
        if not self.entries:
            raise InputError("There is nothing to record: no text could be read.")
        made = {
            MARK: SCHEMA,
            "environment": environment(self.explainer.config.split_words),
            "model": model_facts(self.explainer.classifier),
            "question": self.question,
            "salt": self.salt,
            "texts": self.entries,
            "left_out": self.left_out,
            "summary": summary(self.entries, self.explainer.classifier.config.task == TEXT_LABELS),
        }
        return made | {"sha256": seal(made)}


def gather(
    recorder: Recorder, rows: Iterable[Row | Rejected], progress: Callable[[int], object] = lambda done: None
) -> None:
    """Explains rows and adds them; those that cannot be explained are added without results."""
    explainer = recorder.explainer
    for number, items in enumerate(explainer.chunks(rows)):
        part = prepared(explainer, number, items)
        _, pairs = explained(explainer, part, progress)
        recorder.add_part(items, part, pairs)


def with_ledger(classifier: Classifier, config: ExplainConfig, devices: Sequence[Any] = ()) -> Explainer:
    """The Explainer of a config, with an audit where the method, the model and the way to read long texts have one."""
    with contextlib.suppress(InputError):
        return Explainer(classifier, dataclasses.replace(config, audit=True), devices)
    return Explainer(classifier, config, devices)


def new_salt() -> str:
    """A salt that no other record has."""
    return secrets.token_hex(16)


def summary(entries: Sequence[Entry], whole_texts: bool) -> dict[str, Any]:
    """What is in a record, in numbers; predictions are counted where each text has one label."""
    results = [result for entry in entries for result in entry["results"]]
    counts = Counter(entry["results"][0]["prediction"] for entry in entries if entry["results"])
    return {
        "texts": len(entries),
        "without_results": sum(not entry["results"] for entry in entries),
        "results": len(results),
        "truncated_texts": sum(any(one["truncated_tokens"] for one in entry["results"]) for entry in entries),
        "not_finite": sum(not finite(result) for result in results),
        "predictions": dict(sorted(counts.items())) if whole_texts else {},
    }


def finite(result: Mapping[str, Any]) -> bool:
    """Whether all numbers of a result are there; JSON has none for NaN and inf."""
    return None not in (result["target_value"], *result["logits"], *result["scores"])


def is_whole(record: Any) -> bool:
    """Whether a record has all its parts."""
    if not has(record, PARTS) or record["model"]["dtype"] not in BOUNDS:
        return False
    text = {"sha256": str, "results": list} | ({} if record["salt"] else {"text": object})
    results = (result for entry in record["texts"] if has(entry, text) for result in entry["results"])
    return all(has(entry, text) for entry in record["texts"]) and all(has(result, RESULT) for result in results)


def has(value: Any, parts: Mapping[str, Any]) -> bool:
    """Whether a value of JSON is an object with these parts, each of its type or with parts of its own."""
    if not isinstance(value, dict):
        return False
    return all(
        has(value.get(name), kind) if isinstance(kind, dict) else isinstance(value.get(name), kind)
        for name, kind in parts.items()
    )


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 of all else in a record: it shows damage, but is no signature."""
    rest = {name: value for name, value in record.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def save_record(record: Record, path: Path) -> None:
    """Writes a record, a line for each text, whole or not at all."""
    with new_text(path) as stream, disk_faults(path):
        begin, end = json.dumps(record | {"texts": []}, indent=1, allow_nan=False).split('"texts": []')
        stream.write(f'{begin}"texts": [')
        for place, entry in enumerate(record["texts"]):
            stream.write(f"{',' if place else ''}\n{json.dumps(entry, allow_nan=False)}")
        stream.write(f"\n ]{end}\n")


def read_record(path: Path) -> Record:
    """A record from its file.

    Raises:
      InputError: it cannot be read, is no record or one of another schema, or is not as it was written.
    """
    try:
        text = Path(path).read_bytes().decode()
        record = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {EXPECTED}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({one_line(error)}); {EXPECTED}.") from None
    if not isinstance(record, dict) or MARK not in record:
        raise InputError(f"{path} is no record; {EXPECTED}.")
    if record[MARK] != SCHEMA:
        raise InputError(
            f"{path} is a record of schema {one_line(record[MARK])}; this version reads {SCHEMA}. Verify it with the "
            "version of autorel-jax that wrote it."
        )
    if fault_in(record) or not is_whole(record) or record["sha256"] != seal(record):
        raise InputError(f"{path} is damaged or was edited: its content does not have the SHA-256 that it says.")
    return record
