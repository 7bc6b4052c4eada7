"""Record file: a record ↔ its .json. What is read has every part that a record has, and is as it was written.

Used by record.py, the commands and record_differences.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from autorel_jax.auditing.json_shape import NUMBER, Each, misfit
from autorel_jax.auditing.record_entries import summary, text_hash
from autorel_jax.auditing.rounding import BOUNDS
from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import TEXT_LABELS
from autorel_jax.files import disk_faults, new_text
from autorel_jax.foreign import fault_in

SCHEMA = 1  # raised when a part of a record changes its meaning or goes away
MARK = "autorel_record"  # under which a record has its schema
EXPECTED = "expected a .json that autorel record, or --record of autorel explain, wrote"
TEXT, NUMBERS = (str, [str]), [(NUMBER, None)]  # None: not finite
ASKED = {  # of the question; what is not here, explaining/config.py checks
    "method": str,
    "target": (str, int, [(str, int)]),
    "parameters": dict,
    "read_at": (str, None),
    "at": (str, None),
    "zero_shot": [str],
    "hypothesis": str,
    "split_words": str,
    "long": str,
}
PARTS = {
    "environment": dict,
    "model": {
        "name": str,
        "dtype": str,
        "labels": [str],
        "weights": Each(str),
        "config": dict,
        "tokenizer": dict,
    },
    "question": {
        "asked": ASKED,
        "name": str,
        "content": str,
        "rules": dict,
        "parameters": dict,
        "max_length": int,
    },
    "salt": str,
    "left_out": int,
    "summary": {
        "texts": int,
        "without_results": int,
        "results": int,
        "truncated_texts": int,
        "not_finite": int,
        "predictions": Each(int),
    },
    "sha256": str,
}
OPEN = ("asked",)  # what may have more than its parts
RESULT = {
    "target": str,
    "target_value": (NUMBER, None),
    "prediction": str,
    "probability": (NUMBER, None),
    "logits": NUMBERS,
    "fillings": list,
    "span": object,
    "span_segment": object,
    "truncated_tokens": int,
    "words_sha256": str,
    "scores": NUMBERS,
    "ledger": (None, Each((NUMBER, None))),
}
HASHED_TEXT = {"sha256": str, "results": [RESULT]}
KEPT_TEXT = {
    "sha256": str,
    "text": TEXT,
    "text_pair": (None, *TEXT),
    "id": (str, int),
    "label": (None, bool, NUMBER, *TEXT),
    "results": [RESULT | {"words": [str], "span_text": (str, None)}],
}

Record = dict[str, Any]


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
        record = json.loads(text, parse_constant=no_json)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {EXPECTED}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({one_line(error)}); {EXPECTED}.") from None
    if not isinstance(record, dict) or MARK not in record:
        raise InputError(f"{path} is no record; {EXPECTED}.")
    if record[MARK] is True or record[MARK] != SCHEMA:
        raise InputError(
            f"{path} is a record of schema {one_line(record[MARK])}; this version reads {SCHEMA}. Verify it with the "
            "version of autorel-jax that wrote it."
        )
    if fault_in(record) or record.get("sha256") != seal(record):
        raise InputError(f"{path} is damaged or was edited: its content does not have the SHA-256 that it says.")
    if (place := fault_of(record)) is not None:
        raise InputError(f"{path} was edited: {one_line(place)} is not what a record holds there; {EXPECTED}.")
    return record


def no_json(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(f"{name} is not a JSON number")


def fault_of(record: Record) -> str | None:
    """The first place where a record is not as records are; None if it is whole."""
    fault = misfit(record, PARTS)
    if fault is not None:
        return fault
    if record["model"]["dtype"] not in BOUNDS:
        return "model.dtype"
    texts = HASHED_TEXT if record["salt"] else KEPT_TEXT
    fault = misfit(record.get("texts"), [texts], "texts")
    if fault is not None:
        return fault
    parts = {MARK: object, **PARTS, "texts": [texts]}
    return next(unknown(record, parts), None) or next(uneven(record), None) or contradiction(record)


def unknown(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """The places of keys that records do not have."""
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, one in value.items():
            place = f"{where}.{name}".lstrip(".")
            if name in shape:
                yield from unknown(one, shape[name], place) if name not in OPEN else ()
            else:
                yield place
    elif isinstance(shape, list) and isinstance(value, list):
        for place, one in enumerate(value):
            yield from unknown(one, shape[0], f"{where}[{place}]")


def uneven(record: Record) -> Iterator[str]:
    """The places of words that are not as many as their scores."""
    for place, entry in enumerate(record["texts"]):
        for number, result in enumerate(entry["results"]):
            if "words" in result and len(result["words"]) != len(result["scores"]):
                yield f"texts[{place}].results[{number}].words"


def contradiction(record: Record) -> str | None:
    """The first place that contradicts the rest: the method that was asked for, a text's hash, a number of results."""
    if record["left_out"] < 0:
        return "left_out"
    if record["question"]["asked"]["method"] != record["question"]["name"]:
        return "question.asked.method"
    for place, entry in enumerate(record["texts"]):
        if "text" in entry and entry["sha256"] != text_hash(entry["text"], entry["text_pair"], record["salt"]):
            return f"texts[{place}].sha256"
    made = summary(record["texts"], record["model"]["config"].get("task") == TEXT_LABELS)
    return next((f"summary.{name}" for name, value in made.items() if record["summary"][name] != value), None)
