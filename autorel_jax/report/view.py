"""View: an Explanation -> what every report shows of it: words with scores in reading order, and formatted numbers.

Used by terminal.py, html.py and output.py, which differ in how they draw it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.foreign import PICTURES, visible
from autorel_jax.text.unspaced import GIVEN, WHITESPACE

if TYPE_CHECKING:
    import numpy as np

    from autorel_jax.report.explanation import Explanation
    from autorel_jax.text.segments import Text

WORD, TOKEN = LEVELS = ("word", "token")
LABEL_SIDES = ("for the target", "against it")  # of a label, what a score above 0 means, and one below
TOP = 10  # words in a list of the strongest
NEGLIGIBLE = 0.02  # of the strongest |score|; not listed among the strongest
LAYOUT = PICTURES | {ord("\n"): "\n", ord("\t"): " ", ord("\r"): " "}  # of text between words


class Unit(NamedTuple):
    """A word or a word piece with its score."""

    text: str
    score: np.floating  # as precise as it is in the explanation
    segment: int  # 0 the text, 1 its pair
    span: tuple[int, int] | None  # characters (start, end) of its text; None: a special token


class Run(NamedTuple):
    """A stretch of text as it is shown: a unit's, or what lies between units."""

    text: str
    unit: Unit | None


def check_level(level: str) -> None:
    """Raises InputError for an unknown level."""
    if level not in LEVELS:
        raise InputError(f"Unknown level {level!r}; accepted: {', '.join(LEVELS)}.")


def units(explanation: Explanation, level: str) -> list[Unit]:
    """The words or word pieces, special tokens among them; Σ score = explained."""
    check_level(level)
    if level == WORD:
        columns = (explanation.words, explanation.word_relevance, explanation.word_segments, explanation.word_spans)
    else:
        segments = [explanation.word_segments[word] for word in explanation.token_words]
        columns = (explanation.tokens, explanation.token_relevance, segments, explanation.token_spans)
    return [Unit(*unit) for unit in zip(*columns, strict=True)]


def passages(explanation: Explanation, units: Sequence[Unit]) -> list[list[Run]]:
    """The text, and its pair if there is one, each as runs of its units in reading order."""
    texts = [text for text in (explanation.text, explanation.text_pair) if text is not None]
    cut = explanation.truncated_tokens > 0
    return [
        list(runs(joined(text), [unit for unit in units if unit.segment == number], cut))
        for number, text in enumerate(texts)
    ]


def joined(text: Text) -> str:
    """The string that the spans count characters of."""
    return text if isinstance(text, str) else " ".join(text)


def runs(text: str, units: Sequence[Unit], cut: bool) -> Iterator[Run]:
    """One text as runs; `cut`: the text after the last unit, or else before the first, is shown as an ellipsis."""
    placed = [place for place, unit in enumerate(units) if unit.span]
    head, foot = (placed[0], placed[-1] + 1) if placed else (len(units) - 1, len(units) - 1)
    cut_before = cut and bool(placed) and not text[units[foot - 1].span[1] :].strip()
    for unit in units[:head]:
        yield from (Run(visible(unit.text), unit), Run(" ", None))
    position = 0
    for unit in units[head:foot]:
        start, end = unit.span or (position, position)
        if cut_before and not position and text[:start].strip():
            yield Run("… ", None)
        elif start > position:
            yield Run(visible(text[position:start], LAYOUT), None)
        # Two units may share a character (Hangul in parts): the second shows its own name.
        yield Run(visible(text[max(start, position) : end] or unit.text.removeprefix("##")), unit)
        position = max(position, end)
    if rest := text[position:].rstrip():
        yield Run(" …" if cut else visible(rest, LAYOUT), None)
    for unit in units[foot:]:
        yield from (Run(" ", None), Run(visible(unit.text), unit))


def strongest(units: Sequence[Unit], count: int = TOP) -> tuple[list[Unit], list[Unit]]:
    """Of the `count` strongest units those that speak for the target and those against it, strongest first."""
    finite = sorted((unit for unit in units if math.isfinite(unit.score)), key=lambda unit: -abs(unit.score))
    least = NEGLIGIBLE * abs(finite[0].score) if finite else 0.0
    found = [unit for unit in finite[:count] if abs(unit.score) > least]
    return [unit for unit in found if unit.score > 0], [unit for unit in found if unit.score < 0]


def number_format(units: Sequence[Unit]) -> Callable[[float], str]:
    """How the scores of one explanation are printed, as `amount_format`."""
    return amount_format(unit.score for unit in units)


def amount_format(amounts: Iterable[float]) -> Callable[[float], str]:
    """How numbers of one explanation are printed: 3 decimals where they suit the largest, else an exponent."""
    largest = max((abs(amount) for amount in amounts if math.isfinite(amount)), default=0.0)
    form = "+.3f" if largest == 0 or 0.05 <= largest < 1e4 else "+.2e"
    return lambda score: format(score, form) if score else "0"


def percent(probability: float) -> str:
    """A probability as a percentage; 100 % only where it is exactly 1."""
    text = f"{probability:.1%}"
    if text == "100.0%" and probability < 1:
        text = ">99.9%"
    return text.replace("%", " %")


def is_score(explanation: Explanation) -> bool:
    """Whether a model with one output scored a pair of texts, as rerankers do: no label was predicted."""
    is_pair = explanation.text_pair is not None and not explanation.is_zero_shot
    return is_pair and len(explanation.logits) == 1


def sides(explanation: Explanation) -> tuple[str, str]:
    """What a score above 0 means, and one below."""
    return ("more relevant", "less relevant") if is_score(explanation) else LABEL_SIDES


def decision(explanation: Explanation) -> tuple[str, str]:
    """The predicted label, and its probability or, for a regression, its value."""
    prediction = explanation.prediction
    if is_score(explanation):
        likely = "" if prediction.probability is None else f", {percent(prediction.probability)}"
        return "score", f"= {prediction.logit:.3f}{likely}"
    value = f"= {prediction.logit:.3f}" if prediction.probability is None else percent(prediction.probability)
    return visible(prediction.label), value


def facts(explanation: Explanation) -> list[tuple[str, str]]:
    """What was explained, and how much of it the scores account for: (name, value)."""
    words = [] if explanation.word_splitter in (WHITESPACE, GIVEN) else [("words", explanation.word_splitter)]
    filled = ", ".join(map(filling, explanation.fillings, explanation.probabilities if explanation.fillings else ()))
    return [
        *([] if explanation.span_text is None else [("at", visible(explanation.span_text))]),
        *([("fillings", filled)] if filled else []),
        ("target", visible(explanation.target)),
        ("logit", f"{explanation.target_value:.3f}"),
        ("explained", f"{explanation.explained:.3f}"),
        ("method", visible(explanation.method)),
        *words,
    ]


def filling(name: str, probability: float) -> str:
    """What may stand in place of a mask, and how likely."""
    return f"{visible(name)} {percent(probability)}"


def ledger(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Where the target's value went: (amount, its share of the value, name) of each item; none without an audit."""
    if explanation.ledger is None:
        return []
    from autorel_jax.report.ledger import whole_percent

    value, rows = explanation.ledger.value, explanation.ledger.rows
    number = amount_format(amount for _, amount, _ in rows)
    return [
        (
            number(amount),
            whole_percent(amount / value) if value and math.isfinite(amount / value) else "",
            f"{name}, most in {place}" if place else name,
        )
        for name, amount, place in rows
    ]
