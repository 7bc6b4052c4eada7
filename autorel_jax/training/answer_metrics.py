"""Answer metrics: start and end logits of windows -> exact match and F1, with SQuAD's normalisation.

The answer is found as `explain` does, of as many tokens as the task allows: the likeliest span over all windows, and
where some question of the split is impossible, no answer if that is likelier. Source: the evaluation scripts of SQuAD
1.1 and 2.0 (Rajpurkar et al. 2016, 2018). Used by judging.py.
"""

import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autorel_jax.attribution.answers import best_answer, best_of
from autorel_jax.data.task import TaskConfig
from autorel_jax.training.answering import AnswerExamples
from autorel_jax.training.metrics import finite, metric_line

ARTICLES = re.compile(r"\b(a|an|the)\b")
MARKS = str.maketrans("", "", string.punctuation)


def read(examples: AnswerExamples, rows: np.ndarray, logits: np.ndarray) -> list[np.ndarray]:
    """The logits of the tokens of each window [T, 2], without padding: logits [R, T, 2]."""
    return [each[: examples.lengths[row]] for row, each in zip(rows, logits, strict=True)]


def evaluate(task: TaskConfig, examples: AnswerExamples, logits: Sequence[np.ndarray]) -> dict[str, float]:
    """f1 and exact_match, means over the questions, from 0 to 1."""
    scores = np.array(list(scored(examples, logits)))
    return {"f1": float(scores[:, 0].mean()), "exact_match": float(scores[:, 1].mean())}


def scored(examples: AnswerExamples, logits: Sequence[np.ndarray]) -> Iterator[tuple[float, float]]:
    """F1 and exact match of each question: those of the answer that fits best."""
    for number, said in enumerate(predicted(examples, logits)):
        context = examples.split.pairs[number]
        right = [context[start:end] for start, end in examples.split.labels[number]]
        # What is nothing but articles and marks is no answer, unless all answers are so.
        right = [answer for answer in right if words(answer)] or [""]
        yield (
            (0.0, 0.0)
            if said is None
            else (
                max(f1(said, answer) for answer in right),
                max(float(words(said) == words(answer)) for answer in right),
            )
        )


def predicted(examples: AnswerExamples, logits: Sequence[np.ndarray]) -> Iterator[str | None]:
    """The answer to each question, "" if there is none; None where a logit is not finite."""
    null = any(not answers for answers in examples.split.labels)
    starts = np.searchsorted(examples.question, np.arange(examples.texts + 1))
    for number, context in enumerate(examples.split.pairs):
        windows = range(*starts[number : number + 2])
        if not all(np.isfinite(logits[window]).all() for window in windows):
            yield None
            continue
        spans = [examples.spans[slice(*examples.encoded.offsets[window : window + 2])] for window in windows]
        found = [
            (best, its_spans)
            for window, its_spans in zip(windows, spans, strict=True)
            if (best := best_answer(logits[window], its_spans[:, 0] >= 0, examples.most))
        ]
        if not found:  # the context has no token
            yield ""
            continue
        best, is_none = best_of([answer for answer, _ in found], null)
        answer, its_spans = found[best]
        yield "" if is_none else context[its_spans[answer.first, 0] : its_spans[answer.last, 1]]


def words(answer: str) -> list[str]:
    """The words that count: in small letters, without punctuation and articles."""
    return ARTICLES.sub(" ", answer.lower().translate(MARKS)).split()


def f1(said: str, right: str) -> float:
    """The harmonic mean of precision and recall of the words; of no answer 1 where neither has words, else 0."""
    said_words, right_words = words(said), words(right)
    if not said_words or not right_words:
        return float(said_words == right_words)
    both = (Counter(said_words) & Counter(right_words)).total()
    return 2 * both / (len(said_words) + len(right_words))


def details(
    task: TaskConfig, examples: AnswerExamples, logits: Sequence[np.ndarray], metrics: Mapping[str, float]
) -> dict[str, Any]:
    """All that `report` shows, as JSON holds it.

    Returns:
      rows: questions; windows; metrics: those given; of the questions with an answer (answered) and without
      (impossible) their number and their own f1 and exact_match.
    """
    scores = np.array(list(scored(examples, logits)))
    has = np.array([bool(answers) for answers in examples.split.labels])
    groups = {}
    for name, rows in (("answered", has), ("impossible", ~has)):
        if rows.any():
            means = scores[rows].mean(axis=0).tolist()
            groups[name] = {"rows": int(rows.sum()), "f1": means[0], "exact_match": means[1]}
    return {"rows": examples.texts, "windows": len(examples), "metrics": finite(metrics), **groups}


def report(details: Mapping[str, Any]) -> str:
    """The metrics, and those of the questions with and without an answer."""
    lines = [metric_line(details["metrics"], f"{details['rows']} questions, {details['windows']} windows")]
    for name in ("answered", "impossible"):
        if name in details and "impossible" in details:
            group = details[name]
            lines.append(metric_line({key: group[key] for key in ("f1", "exact_match")}, f"{group['rows']} {name}"))
    return "\n".join(lines) + "\n"
