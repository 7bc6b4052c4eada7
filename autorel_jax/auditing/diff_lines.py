"""Diff lines: a Diff -> lines for a terminal. Used by cli/diff.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from autorel_jax.auditing.diff import SHOWN, Diff, flows
from autorel_jax.errors import one_line


def lines(diff: Diff) -> Iterator[str]:
    """What changed."""
    yield f"old: {side(diff.old)}"
    yield f"new: {side(diff.new)}"
    if diff.labels is not None:
        yield from (f"labels {line}" for line in diff.labels.lines)
    left_out = f"; rows left out: {diff.left_out}" if diff.left_out else ""
    yield f"texts: {diff.texts}{left_out}"
    yield from flip_lines(diff)
    yield from correlation_lines(diff)
    for target, words in diff.words.items():
        if words:
            yield f"words whose role changed most for {target} (share of a text's relevance, old, new, texts):"
        for one in words:
            number, text = diff.examples[one.example]
            yield (
                f"  {one.change:+.3f} ± {one.half:.3f}  {one.old:+.3f}  {one.new:+.3f}  {one.texts}  "
                f"{one_line(one.word, 40)}  (text {number}: {one_line(text, 60)})"
            )


def side(about: Mapping[str, Any]) -> str:
    """Model and method."""
    model, method = about["model"] or {}, about["method"] or {}
    parameters = ", ".join(f"{name} {value}" for name, value in (method.get("parameters") or {}).items())
    return f"{model.get('name', 'unknown model')}, {method.get('name', 'unknown method')} ({parameters})"


def flip_lines(diff: Diff) -> Iterator[str]:
    """The predictions that changed."""
    if not diff.compared_predictions:
        yield (
            "flips: none can be told: no text has finite logits and labels that are known on both sides (of a model "
            "that gives several labels at once, results that do not list them need all of them explained: --target all)"
        )
        return
    rate = diff.flip_rate
    interval = f"{100 * rate.mean:.3g} %, interval {100 * rate.low:.3g} to {100 * rate.high:.3g} %"
    yield f"flips: {len(diff.flips)} of {diff.compared_predictions} texts ({interval})"
    yield from (f"  {count} {old} -> {new}" for old, new, count in flows(diff.flips))
    yield from (f"  {flip.line}" for flip in diff.flips[:SHOWN])
    if len(diff.flips) > SHOWN:
        yield f"  … and {len(diff.flips) - SHOWN} more"


def correlation_lines(diff: Diff) -> Iterator[str]:
    """How alike the words' scores are, and of how many texts."""
    found = diff.correlation
    median = found.median
    if median.n:
        interval = f", interval {median.low:.3f} to {median.high:.3f}" if not math.isnan(median.low) else ""
        spread = ", ".join(f"{name} {value:.3f}" for name, value in found.quantiles.items())
        yield f"rank correlation of words: median {median.mean:.3f}{interval}, of {median.n} texts ({spread})"
        yield from (f"  {one.line}" for one in diff.lowest[:3])
    else:
        yield "rank correlation of words: no text has one"
    for count, what in (
        (found.short, "have fewer than three words, and no rank correlation"),
        (found.constant, "have scores that do not vary, and no rank correlation"),
        (diff.joined, "have words that were joined, as they are split in different ways"),
    ):
        if count:
            yield f"  {count} texts {what}"
    yield from (f"  not compared: {count} texts {reason}" for reason, count in diff.uncompared.items() if count)
