"""Diff results: whether a result is as autorel writes it, so that nothing stumbles over it. Used by diff_changes.py.

Numbers that are not finite are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorel_jax.auditing.json_shape import NUMBER, Each, misfit
from autorel_jax.report.view import joined
from autorel_jax.report.whole import fault_in

NUMBERS, TEXT, SPANS = [(NUMBER, None)], (str, [str]), [(None, [int])]
ALWAYS = {
    "id": (str, int),
    "text": TEXT,
    "prediction": {"label": str},
    "target": str,
    "logits": NUMBERS,
    "words": [str],
    "word_relevance": NUMBERS,
    "word_spans": SPANS,
    "word_segments": [int],
}
WHERE_THERE = {
    "text_pair": (None, *TEXT),
    "probabilities": (None, NUMBERS),
    "target_value": (NUMBER, None),
    "model": (None, dict),
    "method": (None, dict),
    "explained": (NUMBER, None),
    "truncated_tokens": int,
    "warnings": [str],
    "diagnostics": Each((NUMBER, None)),
    "tokens": [str],
    "token_relevance": NUMBERS,
    "token_words": [int],
    "token_spans": SPANS,
}
PARTS = {
    "prediction": {"probability": (NUMBER, None), "logit": (NUMBER, None)},
    "model": {"name": (str, None), "weights_sha256": (str, None)},
    "method": {"name": (str, None), "parameters": (None, dict), "rules": (None, dict)},
}


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether all that is compared, or shown in a page, is what it should be."""
    shape = ALWAYS | {name: one for name, one in WHERE_THERE.items() if name in record}
    if misfit(record, shape) is not None or any(misfit(part(record, name), one) for name, one in PARTS.items()):
        return False
    return fault_in(record) is None and are_within(record)


def part(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of the record, with null for what it lacks."""
    return dict.fromkeys(PARTS[name]) | (record.get(name) or {})


def are_within(record: Mapping[str, Any]) -> bool:
    """Whether every word, and every word piece, is a stretch of its text."""
    texts = [joined(text) for text in (record["text"], record.get("text_pair")) if text is not None]
    segments = record["word_segments"]
    if not all(0 <= segment < len(texts) for segment in segments):
        return False
    owners = record.get("token_words", [])
    spans = [*zip(record["word_spans"], segments, strict=True)]
    spans += zip(record.get("token_spans", []), (segments[word] for word in owners), strict=False)
    return all(span is None or is_span(span, len(texts[segment])) for span, segment in spans)


def is_span(span: list[int], length: int) -> bool:
    """Whether it begins and ends in a text of so many characters."""
    return len(span) == 2 and 0 <= span[0] <= span[1] <= length
