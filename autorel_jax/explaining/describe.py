"""Describe: an Answer and what it is of -> an Explanation for each target. Used by explainer.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from autorel_jax.attribution.method import Method, Outcome
from autorel_jax.attribution.targets import Targets
from autorel_jax.data.row import Row
from autorel_jax.errors import one_line
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.report.explanation import Explanation, Prediction
from autorel_jax.report.view import joined
from autorel_jax.text.tokens import Tokens
from autorel_jax.text.words import pool

if TYPE_CHECKING:
    from autorel_jax.report.ledger import Ledger


class About(NamedTuple):
    """What all explanations of an Explainer have in common."""

    labels: tuple[str, ...]
    one_hot: np.ndarray  # [C, C], the weights of predicted labels
    method: Method
    rules: dict[str, str]  # of the method
    shared: dict[str, Any]  # fields of Explanation


def about(computer: Computer) -> About:
    """What all explanations of a Computer's answers have in common."""
    classifier, method = computer.classifier, computer.method
    labels = classifier.config.labels
    shared = {
        "method": method.name,
        "parameters": {"read_at": computer.settings.read_at, **method.record(), **computer.about_references},
        "model": classifier.name,
        "weights_sha256": classifier.fingerprint,
        "labels": labels,
    }
    return About(labels, np.eye(len(labels)), method, dict(method.rules), shared)


class Asked(NamedTuple):
    """One target of a row."""

    number: int  # among the row's targets
    name: str
    weights: np.ndarray  # [S]
    value: float
    is_linear: bool  # whether it is a weighted sum of logits


class Where(NamedTuple):
    """What of a text a target is about."""

    span: tuple[int, int] | None  # characters
    segment: int  # 0 the text, 1 its pair


EVERYWHERE = Where(None, 0)


def text_at(row: Row, where: Where) -> str | None:
    """The characters there; None where no span is named."""
    return where.span and joined(row.pair if where.segment else row.text)[slice(*where.span)]


def describe(known: About, row: Row, tokens: Tokens, goal: Targets, place: int, answer: Answer) -> list[Explanation]:
    """One Explanation for each target of a row, which is at `place` among the rows that the goal is of."""
    best = int(answer.logits.argmax())
    probability = None if answer.probabilities is None else float(answer.probabilities[best])
    prediction = Prediction(known.labels[best], probability, float(answer.logits[best]))
    names = (goal.prefix + prediction.label,) if goal.names is None else goal.names[place]
    weights = known.one_hot[best : best + 1] if goal.weights is None else goal.weights[place]
    values = (weights @ answer.scored).tolist()
    asked = [
        Asked(number, names[number], weights[number], value, goal.score is None) for number, value in enumerate(values)
    ]
    return [explanation(known, row, tokens, prediction, answer, one) for one in asked]


def explanation(
    known: About,
    row: Row,
    tokens: Tokens,
    prediction: Prediction,
    answer: Answer,
    asked: Asked,
    where: Where = EVERYWHERE,
) -> Explanation:
    """The Explanation of a row for one target."""
    scores = answer.relevance[asked.number, : len(tokens.ids)]
    diagnostics = {name: float(answer.diagnostics[name][asked.number]) for name in known.method.diagnostics}
    weighed = answer.scored if asked.is_linear else answer.logits  # of a head on tokens, all that it weighs
    outcome = Outcome(weighed, asked.weights, asked.value, asked.is_linear, diagnostics, answer.units)
    return Explanation(
        id=row.id,
        text=row.text,
        text_pair=row.pair,
        prediction=prediction,
        target=asked.name,
        target_value=asked.value,
        span=where.span,
        span_text=text_at(row, where),
        span_segment=where.segment,
        logits=answer.logits,
        probabilities=answer.probabilities,
        rules=dict(known.rules),
        attention=answer.attention,
        tokens=tokens.pieces,
        token_ids=tokens.ids,
        token_types=tokens.types,
        token_relevance=scores,
        token_words=tuple(tokens.word_index.tolist()),
        token_spans=tokens.spans,
        words=tokens.words,
        word_relevance=pool(scores, tokens),
        word_spans=tokens.word_spans,
        word_segments=tokens.word_segments,
        word_splitter=tokens.splitter,
        explained=float(scores.sum(dtype=np.float64)),
        truncated_tokens=tokens.truncated,
        warnings=(*tokens.warnings, *doubts(known.method, row, tokens, scores, outcome)),
        diagnostics=diagnostics,
        windows=answer.windows,
        ledger=ledger_of(tokens, scores, answer, asked) if answer.absorbed else None,
        readouts=readouts_of(answer, asked, len(tokens.ids)) if answer.readouts else {},
        **known.shared,
    )


def readouts_of(answer: Answer, asked: Asked, tokens: int) -> dict[str, np.ndarray]:
    """The read-outs of one target, without the padding of tokens."""
    from autorel_jax.attribution.readouts import without_padding

    return without_padding({name: array[asked.number] for name, array in answer.readouts.items()}, tokens)


def ledger_of(tokens: Tokens, scores: np.ndarray, answer: Answer, asked: Asked) -> Ledger:
    """Where the value of a target went; `scores` [T] are its tokens' relevance."""
    from autorel_jax.report import ledger

    special = np.array([span is None for span in tokens.spans])
    absorbed = jax.tree.map(lambda array: array[asked.number], answer.absorbed)
    return ledger.ledger_of(asked.value, scores, special, absorbed, function=not asked.is_linear)


def doubts(method: Method, row: Row, tokens: Tokens, scores: np.ndarray, outcome: Outcome) -> Iterator[str]:
    """What to know before trusting the scores [T] of a target."""
    if tokens.truncated:
        side = tokens.truncation_side
        yield f"{tokens.truncated} word pieces beyond {len(tokens.ids)} tokens were cut off on the {side} and not read"
    for text in (row.text, row.pair):
        given = [] if text is None or isinstance(text, str) else text
        spaced = next((word for word in given if len(word.split()) > 1), None)
        if spaced is not None:
            yield f"a given word holds spaces, {one_line(repr(spaced), 40)}: a pair of texts is given as text and pair"
    if not np.isfinite(scores).all():
        yield "some scores are not finite numbers"
    yield from method.doubts(outcome)
