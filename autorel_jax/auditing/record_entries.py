"""Record entries: a row and its explanations -> what a record keeps of them, with words or with hashes in their place.

Used by record.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.data.row import Row
from autorel_jax.report.json_values import plain

Entry = dict[str, Any]
LEDGER = ("value", "words", "special_tokens", "positions", "segments", "function")  # items that are one number


def text_hash(text: Any, pair: Any, salt: str) -> str:
    """SHA-256 of a text, or of the two of a pair, as they were given."""
    return hashed([text, pair], salt)


def hashed(value: Any, salt: str) -> str:
    """SHA-256 of strings and lists of them."""
    return hashlib.sha256((salt + json.dumps(value)).encode()).hexdigest()


def entry_of(row: Row, results: Sequence[Mapping[str, Any]], salt: str, labels: Sequence[str]) -> Entry:
    """What a record keeps of a row.

    Args:
      row: as it was explained.
      results: its explanations as `Explanation.to_dict` gives them; none where it has no explanation.
      salt: "" to keep words; else it goes before everything that is hashed, and no word is kept.
      labels: the names that predictions have, which are no words of a text.
    """
    entry: Entry = {"sha256": text_hash(row.text, row.pair, salt)}
    if not salt:
        entry |= {"id": row.id, "text": row.text, "text_pair": row.pair, "label": plain(row.label)}
    return entry | {"results": [result_of(result, salt, labels) for result in results]}


def result_of(result: Mapping[str, Any], salt: str, labels: Sequence[str]) -> dict[str, Any]:
    """What a record keeps of one explanation."""
    prediction, ledger = dict(result["prediction"]), result.get("ledger")
    if salt and prediction["label"] not in labels:  # an answer, in words of the text
        prediction["label"] = hashed(prediction["label"], salt)
    kept = {
        "target": result["target"],
        "target_value": result["target_value"],
        "prediction": prediction["label"],
        "probability": prediction.get("probability"),
        "logits": result["logits"],
        "fillings": result.get("fillings") or [],
        "span": result.get("span"),
        "span_segment": result.get("span_segment", 0),
        "truncated_tokens": result["truncated_tokens"],
        "words_sha256": hashed([result["words"], result["word_spans"], result["word_segments"]], salt),
        "scores": result["word_relevance"],
        "ledger": None if ledger is None else totals(ledger),
    }
    return kept if salt else kept | {"words": result["words"], "span_text": result.get("span_text")}


def totals(ledger: Mapping[str, Any]) -> dict[str, float | None]:
    """The items of a ledger, those of layers summed."""
    absorbed = {f"absorbed.{item}": None if None in kept else sum(kept) for item, kept in ledger["absorbed"].items()}
    return {name: ledger[name] for name in LEDGER} | absorbed


def row_of(number: int, entry: Mapping[str, Any]) -> Row:
    """The row of an entry that keeps its text."""
    label = entry.get("label")
    return Row(
        entry.get("id", number),
        entry["text"],
        entry.get("text_pair"),
        tuple(label) if isinstance(label, list) else label,
    )


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
