"""On tokens: rows and a head with outputs at each token -> their explanations, one for each entity, or of an answer.

Used by explainer.py. What is predicted is known after a pass forward; then all that is explained of a text comes from
one more, and one backward for each.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.attribution import questions, targets
from autorel_jax.attribution.answers import best_answer, best_of
from autorel_jax.attribution.entities import entities
from autorel_jax.attribution.questions import ANSWER, COUNTS, MOST, Question, Questions
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.at import tokens_at
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.explaining.config import WINDOWS, ExplainConfig
from autorel_jax.explaining.contexts import Window, apart, deepest, whole, windows_of
from autorel_jax.explaining.describe import About, Asked, Where, explanation, text_at
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.report.explanation import Explanation, Prediction
from autorel_jax.text.tokens import Tokens

NO_ANSWER = "no answer"  # the prediction where the text holds none
AT_EDGE = (
    "the entity stands at the edge of its window, and may go on beyond it; give a smaller stride, or raise max_length"
)
CONTEXT = {TOKEN_LABELS: 0, ANSWERS: 1}  # which text it is that holds entities or answers


class NothingFound(InputError):
    """A text in which nothing was predicted that could be explained."""


class Read(NamedTuple):
    """What is explained of a row."""

    tokens: Tokens  # of the row, or of the window that has the answer
    questions: Sequence[Question]


def check(classifier: Classifier, config: ExplainConfig) -> None:
    """Raises InputError for options that the classifier's head does not have."""
    task, plain = classifier.config.task, ExplainConfig()
    if config.top != plain.top:
        raise InputError(f"top={config.top} is of masked words; {classifier.name} is for {task}.")
    if not classifier.config.on_tokens:
        for name in ("at", "answer_tokens", "null_answer"):
            if getattr(config, name) != getattr(plain, name):
                raise InputError(
                    f"{name}={getattr(config, name)!r} is for models with outputs at tokens; {classifier.name} labels "
                    "whole texts."
                )
        return
    if targets.is_function(config.target):
        raise InputError(
            f"target={config.target!r} is of the label of a whole text; {classifier.name} is for {task}: give "
            "predicted, a label, all or two labels."
        )
    if task == TOKEN_LABELS:
        if config.target != targets.PREDICTED and config.at is None:
            raise InputError(
                f"target={config.target!r} needs a word whose label is explained: give it as at='WORD' (--at WORD); "
                "target='predicted' alone explains every entity."
            )
        for name in ("answer_tokens", "null_answer"):
            if getattr(config, name) != getattr(plain, name):
                raise InputError(f"{name} is for question answering; {classifier.name} is for {task}.")
    elif targets.reads_given(config.target):
        raise InputError(f"target={config.target!r} is of labels; an answer has the targets predicted, start and end.")


def explain_each(
    computer: Computer,
    about: About,
    config: ExplainConfig,
    rows: Sequence[Row],
    tokens: Sequence[Tokens],
    progress: Callable[[int], object],
) -> list[list[Explanation] | InputError]:
    """For each row its explanations, or why it has none."""
    found = questions_of(computer, config, rows, tokens)
    # A text with many questions is computed in blocks, each with a pass forward of its own.
    blocks = [
        (place, Read(read.tokens, read.questions[start : start + MOST]))
        for place, reads in enumerate(found)
        if not isinstance(reads, InputError)
        for read in reads
        for start in range(0, len(read.questions), MOST)
    ]
    parts: dict[int, list[Explanation]] = {}
    last = {place: number for number, (place, _) in enumerate(blocks)}
    progress(len(rows) - len(last))
    rows_of_blocks = [read.tokens for _, read in blocks]
    goal = Questions(asked=[read.questions for _, read in blocks])
    for count in COUNTS:
        numbers = [n for n, asked in enumerate(goal.asked) if questions.padded_count(len(asked)) == count]
        for answers in computer.answers(rows_of_blocks, goal, numbers, max(computer.batch_size // count, 1)):
            for number, answer in answers.items():
                place, read = blocks[number]
                parts[number] = [
                    described(computer, about, rows[place], read, n, answer) for n in range(len(read.questions))
                ]
            progress(sum(last[blocks[number][0]] == number for number in answers))
    made: list[Any] = [read if isinstance(read, InputError) else [] for read in found]
    for number, (place, _) in enumerate(blocks):
        made[place] += parts[number]
    return made


def questions_of(
    computer: Computer, config: ExplainConfig, rows: Sequence[Row], tokens: Sequence[Tokens]
) -> list[list[Read] | InputError]:
    """What is explained of each row, in a window or in several, or why nothing is."""
    task = computer.classifier.config.task
    checked = [fault_of(row, one, task) for row, one in zip(rows, tokens, strict=True)]
    there = [place for place, fault in enumerate(checked) if fault is None]
    windows = {place: [whole(tokens[place])] for place in there}
    if task == ANSWERS or config.long == WINDOWS:
        longest = config.max_length or computer.classifier.longest_text
        windows = {place: windows_of(tokens[place], longest, config.stride, CONTEXT[task]) for place in there}
    logits: Mapping[tuple[int, int], np.ndarray] = {}
    if task == ANSWERS or config.target == targets.PREDICTED:
        logits = predicted(computer, windows)
    found: list[list[Read] | InputError] = []
    for place, fault in enumerate(checked):
        try:
            if fault is not None:
                raise fault
            of_row = [(window, logits.get((place, number))) for number, window in enumerate(windows[place])]
            if task == ANSWERS:
                found.append([answer_of(computer.classifier, config, rows[place], tokens[place], of_row)])
            else:
                found.append(labels_of(computer.classifier, config, rows[place], tokens[place], of_row))
        except InputError as error:
            found.append(error)
    return found


def fault_of(row: Row, tokens: Tokens, task: str) -> InputError | None:
    """Why a row is none for the task."""
    if task == TOKEN_LABELS and row.pair is not None:
        return InputError("It is a pair of texts; entities are found in single ones.")
    if task == ANSWERS and row.pair is None:
        return InputError("It is a question without a context; give the context as its pair.")
    return None


def predicted(computer: Computer, windows: Mapping[int, Sequence[Window]]) -> dict[tuple[int, int], np.ndarray]:
    """(place of a row, number of its window) -> the plain model's logits [T, C]."""
    names = [(place, number) for place, each in windows.items() for number in range(len(each))]
    every = [window.tokens for each in windows.values() for window in each]
    found: dict[tuple[int, int], np.ndarray] = {}
    for batch in computer.logits(every, range(len(every))):
        found |= {names[place]: logits[: len(every[place].ids)] for place, logits in batch.items()}
    return found


def labels_of(
    classifier: Classifier,
    config: ExplainConfig,
    row: Row,
    tokens: Tokens,
    windows: Sequence[tuple[Window, np.ndarray | None]],
) -> list[Read]:
    """What is explained of the labels of a text's tokens: each entity, or labels at the words that were named."""
    labels = classifier.config.labels
    if config.at is None:
        found = entities_of(classifier, windows)
        if not found:
            cut = f", of which {tokens.truncated} word pieces were not read" if tokens.truncated else ""
            raise NothingFound(f"no entity was found in it{cut}; at='WORD' (--at WORD) explains any word.")
        return found
    named = tokens_at(config.at, row.text, tokens, CONTEXT[TOKEN_LABELS])
    number = deepest(named, [window for window, _ in windows])
    if number is None:
        raise in_no_window(config.at)
    (read, whole_places, _), logits = windows[number]
    places = np.searchsorted(whole_places, named)
    if config.target == targets.PREDICTED:
        best = int(logits[places].mean(axis=0).argmax())
        weights, names = np.eye(len(labels), dtype=np.float32)[[best]], (labels[best],)
    else:
        goal = targets.resolve(config.target, labels, classifier.label_id, [(row.id, row.label)])
        weights, names = goal.weights[0], goal.names[0]
    asked = [Question(name, places, questions.mean(w, places)) for name, w in zip(names, weights, strict=True)]
    return [Read(read, asked)]


def entities_of(classifier: Classifier, windows: Sequence[tuple[Window, np.ndarray]]) -> list[Read]:
    """The entities of a text in reading order; one that several windows have is of that with the most context."""
    found = []
    for (tokens, _, _), logits in windows:
        special = np.array([span is None for span in tokens.spans])
        found.append(entities(logits, classifier.probabilities(logits), classifier.config.labels, special))
    alone = [window for window, _ in windows]
    runs = [[window.places[each.tokens] for each in of] for window, of in zip(alone, found, strict=True)]
    reads: list[Read] = []
    for number, run in apart(runs, alone):
        tokens, asked = alone[number].tokens, found[number][run]
        if alone[number].context(runs[number][run]) < 1:
            tokens = dataclasses.replace(tokens, warnings=(*tokens.warnings, AT_EDGE))
        if reads and reads[-1].tokens is tokens:
            reads[-1] = Read(tokens, [*reads[-1].questions, asked])
        else:
            reads.append(Read(tokens, [asked]))
    return reads


def in_no_window(at: str) -> InputError:
    """What to raise for words that no window holds."""
    return InputError(
        f"at={one_line(at)!r} is in no window as a whole; name fewer words, raise max_length or give a smaller stride."
    )


def answer_of(
    classifier: Classifier, config: ExplainConfig, row: Row, whole: Tokens, windows: Sequence[tuple[Window, np.ndarray]]
) -> Read:
    """What is explained of an answer: that of the best window, or the words that were named."""
    tokens, places, prediction = best_window(config, row, windows)
    if config.at is not None:
        named = tokens_at(config.at, row.pair, whole, CONTEXT[ANSWERS])
        if not whole.of_text(CONTEXT[ANSWERS])[named].all():
            raise InputError(f"at={one_line(config.at)!r} is not of the context, in which an answer stands.")
        tokens, places = named_window(config.at, named, windows)
    if config.target == targets.PREDICTED:
        weights, names = np.ones((1, 2), np.float32), (ANSWER,)
    else:
        goal = targets.resolve(config.target, classifier.config.labels, classifier.label_id, [(row.id, row.label)])
        weights, names = goal.weights[0], goal.names[0]
    asked = zip(names, weights, strict=True)
    return Read(tokens, [Question(name, places, questions.ends(w, places), prediction) for name, w in asked])


def best_window(
    config: ExplainConfig, row: Row, windows: Sequence[tuple[Window, np.ndarray]]
) -> tuple[Tokens, np.ndarray, tuple[str, float, float]]:
    """The window with the best answer, the answer's tokens, and its words, their score and their logit."""
    found = []
    for (tokens, _, _), logits in windows:
        best = best_answer(logits, tokens.of_text(CONTEXT[ANSWERS]), config.answer_tokens)
        found += [] if best is None else [(tokens, logits, best)]
    if not found:
        raise InputError("No word of its context is read.")
    number, is_none = best_of([answer for _, _, answer in found], config.null_answer)
    tokens, logits, best = found[number]
    if is_none:
        return tokens, np.array([0]), (NO_ANSWER, best.none, float(logits[0].sum()))
    places, logit = np.arange(best.first, best.last + 1), logits[best.first, 0] + logits[best.last, 1]
    return tokens, places, (text_at(row, where_of(tokens, places)), best.score, float(logit))


def named_window(at: str, named: np.ndarray, windows: Sequence[tuple[Window, np.ndarray]]) -> tuple[Tokens, np.ndarray]:
    """Of the windows that hold all of the named tokens the one in which they are likeliest, and their places there.

    `named` are places among the tokens of the whole text.
    """
    found = []
    for window, logits in windows:
        if window.holds(named):
            places = np.searchsorted(window.places, named)
            found.append((float(logits[places[0], 0] + logits[places[-1], 1]), window.tokens, places))
    if not found:
        raise in_no_window(at)
    return max(found, key=lambda each: each[0])[1:]


def where_of(tokens: Tokens, places: np.ndarray) -> Where:
    """Where the tokens stand in their text."""
    first, last = tokens.spans[places[0]], tokens.spans[places[-1]]
    span = None if first is None or last is None else (first[0], last[1])
    return Where(span, int(tokens.word_segments[tokens.word_index[places[0]]]))


def described(computer: Computer, about: About, row: Row, read: Read, number: int, answer: Answer) -> Explanation:
    """The Explanation of one question of a row."""
    question, tokens = read.questions[number], read.tokens
    weights = np.zeros(answer.logits.shape)
    weights[question.tokens] = question.weights
    if computer.classifier.config.task == ANSWERS:
        logits, likely = answer.logits[question.tokens[[0, -1]], [0, 1]], None
    else:
        logits, likely = answer.logits[question.tokens].mean(axis=0), answer.probabilities[question.tokens].mean(axis=0)
    best = int(logits.argmax())
    prediction = question.predicted or (about.labels[best], float(likely[best]), float(logits[best]))
    value = float((weights * answer.logits).sum(dtype=np.float64))
    return explanation(
        about,
        row,
        tokens,
        Prediction(*prediction),
        answer._replace(logits=logits, probabilities=likely),
        Asked(number, question.name, weights.ravel(), value, is_linear=True),
        where_of(tokens, question.tokens),
    )
