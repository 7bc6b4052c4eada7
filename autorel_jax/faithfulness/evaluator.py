"""Evaluator: a classifier, methods and a chunk of texts -> targets, scores, and what each protocol finds of them.

Whatever is asked of the texts of one chunk shares batches, and equal ids are computed once. Used by run.py. N texts,
U units.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax import __version__
from autorel_jax.attribution.targets import Targets
from autorel_jax.classifier import Classifier
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import WINDOWS
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.faithfulness import naopc, parts
from autorel_jax.faithfulness.asking import Job, Measurement, found_by
from autorel_jax.faithfulness.cases import Case
from autorel_jax.faithfulness.config import CHANGED, MARKS, EvaluateConfig
from autorel_jax.faithfulness.curves import Scored
from autorel_jax.faithfulness.methods import explainers, identity, record
from autorel_jax.faithfulness.predict import Predictor
from autorel_jax.faithfulness.protocols import PROTOCOLS, measured_alone, perturbations
from autorel_jax.faithfulness.results import Run
from autorel_jax.faithfulness.units import Reading, token_in_place
from autorel_jax.model.config import MULTI, REGRESSION
from autorel_jax.model.config_file import config_json

GROUP = 8  # texts whose measurements go on together, and are kept together when they have ended
BOUNDS = "bounds from both ends"  # beside the numbers of protocols; another search has another name in kept results
SCORES = "scores"
Found = Iterator[tuple["Task", Mapping[str, Any]]]


class Task(NamedTuple):
    """One measurement of one text."""

    case: int  # its place in the chunk
    method: str
    protocol: str
    perturbation: str
    key: str  # of what is found


class Evaluator:
    """Measures methods on texts.

    Attributes:
      explainers: the name of each method -> what computes it.
      protocols: their names.
      kept: what the values are that pass through with each row, of KEPT.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: EvaluateConfig,
        masked_model: Classifier | None = None,
        labelled: bool = False,
        kept: Sequence[str] = (),
    ):
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"The classifier is a {type(classifier).__name__}; expected what autorel_jax.load returns."
            )
        classifier.check_whole_texts("evaluate measures")
        if classifier.config.problem == REGRESSION:
            raise InputError("The model is a regression, which has no probabilities; evaluate measures classifiers.")
        if masked_model is not None and config.long == WINDOWS:
            raise InputError(f"masked_model: nothing is taken away from texts in windows; leave out long={WINDOWS!r}.")
        judged = labelled and classifier.config.num_labels > 1 and classifier.config.problem != MULTI
        self.classifier, self.config, self.labelled = classifier, config, labelled
        self.protocols, self.kept = config.chosen(judged, MARKS in kept, CHANGED in kept), tuple(kept)
        reads_others = (one.perturbs or one.needs_changed for one in map(PROTOCOLS.get, self.protocols))
        if masked_model is not None and not any(reads_others):
            raise InputError(f"masked_model: {', '.join(self.protocols)} take no words away; leave it out.")
        self.judge = classifier if masked_model is None else same_texts(classifier, masked_model)
        self.tokens = {name: token_in_place(name, classifier.tokenizer) for name in dict.fromkeys(config.perturb)}
        self.explainers = explainers(classifier, config)
        self.identities = {name: identity(explainer) for name, explainer in self.explainers.items()}
        own, judge = ([one.fingerprint, one.dtype, config_json(one.config)] for one in (classifier, self.judge))
        self.of_scores = [__version__, own, classifier.tokenizer.fingerprint]
        self.of_numbers = [*self.of_scores, judge]
        self.share = 0.0  # of the words that people marked
        self.seconds = dict.fromkeys(self.explainers, 0.0)

    def like(self, classifier: Classifier, config: EvaluateConfig) -> Evaluator:
        """One for the same rows."""
        return Evaluator(classifier, config, None, self.labelled, self.kept)

    @property
    def reads_labels(self) -> bool:
        """Whether a protocol does."""
        return any(PROTOCOLS[name].needs_labels for name in self.protocols)

    @property
    def any_explainer(self) -> Explainer:
        """One that tokenizes; all do alike."""
        return next(iter(self.explainers.values()))

    def predicted(self, chunk: Sequence[Case], own: Predictor, judge: Predictor, run: Run) -> np.ndarray:
        """The class that is predicted for each text; notes how much the model that is measured differs."""
        if self.config.long == WINDOWS:
            answers: dict[int, Any] = {}
            for some in self.any_explainer.answers([case.tokens for case in chunk], Targets(None, None)):
                answers |= some
            return np.array([answers[place].logits.argmax() for place in range(len(chunk))])
        rows = [Reading(case.tokens.ids, case.tokens.types) for case in chunk]
        logits, theirs = own.logits(rows), judge.logits(rows)
        targets = logits.argmax(axis=1)
        if judge.classifier is not own.classifier:
            each = np.arange(len(chunk))
            first, second = (self.classifier.probabilities(found)[each, targets] for found in (logits, theirs))
            same = (self.classifier.decisions(logits) == self.classifier.decisions(theirs)).all(axis=1)
            run.differ(same.tolist(), np.abs(first - second).tolist())
        return targets

    def scores(self, chunk: Sequence[Case], targets: np.ndarray, found: parts.Parts) -> dict[str, list[np.ndarray]]:
        """The scores of the units of each text, by method."""
        made = {}
        for name, explainer in self.explainers.items():
            keys = [
                parts.key_of(SCORES, self.of_scores, self.identities[name], case.key, int(target))
                for case, target in zip(chunk, targets, strict=True)
            ]
            missing = [place for place, key in enumerate(keys) if key not in found]
            begun = time.perf_counter()
            tokens = [chunk[place].tokens for place in missing]
            weights = np.eye(self.classifier.config.num_labels, dtype=np.float32)[targets[missing]][:, None]
            for answers in explainer.answers(tokens, Targets(weights, None)):
                new = {}
                for number, answer in answers.items():
                    case = chunk[missing[number]]
                    scores = case.pooled(answer.relevance[0, : len(case.tokens.ids)])
                    new[keys[missing[number]]] = {"scores": scores.tolist()}
                found.add(new)
            self.seconds[name] += time.perf_counter() - begun
            made[name] = [np.array(found[key]["scores"], np.float64) for key in keys]
        return made

    def bounds(
        self,
        chunk: Sequence[Case],
        targets: np.ndarray,
        chosen: Sequence[int],
        found: parts.Parts,
        judge: Predictor,
    ) -> dict[tuple[int, str], tuple[float, float]]:
        """The least and greatest AOPC of the chosen texts, by place in the chunk and perturbation."""
        tasks = [
            Task(place, "", BOUNDS, name, self.key(chunk[place], targets[place], "", BOUNDS, name))
            for place in chosen
            for name in self.tokens
        ]
        numbers = self.filled(tasks, chunk, targets, lambda task: naopc.bounds(chunk[task.case].count), found, judge)
        return {(task.case, task.perturbation): (one["least"], one["greatest"]) for task, one in numbers}

    def measured(
        self,
        chunk: Sequence[Case],
        targets: np.ndarray,
        scores: Mapping[str, Sequence[np.ndarray]],
        bounds: Mapping[tuple[int, str], tuple[float, float]],
        found: parts.Parts,
        judge: Predictor,
    ) -> Found:
        """What every protocol finds of every method, text and perturbation; not of scores that are no numbers."""

        def right(place: int) -> bool | None:
            return None if chunk[place].label is None else bool(chunk[place].label == targets[place])

        def measurement(task: Task) -> Measurement:
            case = chunk[task.case]
            between = bounds.get((task.case, task.perturbation))
            text = Scored(scores[task.method][task.case], case.draws, right(task.case), between, case.marks, self.share)
            return PROTOCOLS[task.protocol].measurement(text)

        def facts(place: int, protocol: str, perturbation: str) -> Any:
            """What the protocol reads beside the scores."""
            if protocol == "naopc":
                return bounds.get((place, perturbation))
            read = [right(place)] if PROTOCOLS[protocol].needs_labels else []
            marks = chunk[place].marks
            if PROTOCOLS[protocol].needs_marks and marks is not None:
                read += [np.nan_to_num(marks, nan=-1).tolist(), self.share]
            return read

        tasks = []
        for place, case in enumerate(chunk):
            for method in self.explainers:
                if not np.isfinite(scores[method][place]).all():
                    continue
                for protocol in filter(measured_alone, self.protocols):
                    for name in perturbations(protocol, self.tokens):
                        about = self.identities[method], protocol, name, facts(place, protocol, name)
                        key = self.key(case, targets[place], self.config.seed, *about)  # of ties
                        tasks.append(Task(place, method, protocol, name, key))
        return self.filled(tasks, chunk, targets, measurement, found, judge)

    def key(self, case: Case, target: int, *facts: Any) -> str:
        """The key of what is found of a text."""
        return parts.key_of(self.of_numbers, case.key, int(target), *facts)

    def filled(
        self,
        tasks: Sequence[Task],
        chunk: Sequence[Case],
        targets: np.ndarray,
        measurement: Callable[[Task], Measurement],
        found: parts.Parts,
        judge: Predictor,
    ) -> Found:
        """The tasks with what they find, which is computed where it is not known."""
        missing = [task for task in tasks if task.key not in found]
        for _, group in itertools.groupby(missing, key=lambda task: task.case // GROUP):
            some = list(group)
            jobs = [
                Job(
                    chunk[task.case].tokens,
                    chunk[task.case].units,
                    self.tokens.get(task.perturbation),
                    int(targets[task.case]),
                    measurement(task),
                )
                for task in some
            ]
            found.add({task.key: numbers for task, numbers in zip(some, found_by(jobs, judge), strict=True)})
        return ((task, found[task.key]) for task in tasks)

    def about(self, made: Sequence[Case]) -> dict[str, Any]:
        """What the results are of, as JSON."""
        model = {"name": self.classifier.name, "weights_sha256": self.classifier.fingerprint}
        judge = {"name": self.judge.name, "weights_sha256": self.judge.fingerprint}
        return {
            "model": model,
            "masked_model": None if self.judge is self.classifier else judge,
            "methods": {name: record(explainer) for name, explainer in self.explainers.items()},
            "protocols": list(self.protocols),
            "perturbations": list(self.tokens),
            "texts_cut": sum(case.tokens.truncated > 0 for case in made),
            "texts_sha256": parts.key_of([case.key for case in made]),
            "seconds": self.seconds,
        }


def same_texts(classifier: Classifier, other: Classifier) -> Classifier:
    """The other classifier, or InputError where it reads texts or names classes in another way."""
    if other.tokenizer.fingerprint != classifier.tokenizer.fingerprint:
        raise InputError(f"{other.name} has another tokenizer than {classifier.name}; give a copy of it.")
    if other.config.labels != classifier.config.labels or other.config.problem != classifier.config.problem:
        raise InputError(
            f"{other.name} predicts {', '.join(other.config.labels)}, but {classifier.name} "
            f"{', '.join(classifier.config.labels)}; give a copy of it."
        )
    return other
