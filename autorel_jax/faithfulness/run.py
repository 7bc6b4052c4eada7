"""Run: an Evaluator and rows -> an Evaluation, chunk by chunk. Used by evaluate.py and cli/evaluate.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError, InputWarning
from autorel_jax.evaluation.ranks import spearman
from autorel_jax.faithfulness import naopc, sanity
from autorel_jax.faithfulness.cases import Case, cases, changed_case, sampled
from autorel_jax.faithfulness.counterfactual import change
from autorel_jax.faithfulness.evaluator import Evaluator, same_texts
from autorel_jax.faithfulness.intervals import mean_of
from autorel_jax.faithfulness.parts import Parts
from autorel_jax.faithfulness.predict import Predictor
from autorel_jax.faithfulness.protocols import NONE, PROTOCOLS
from autorel_jax.faithfulness.results import Evaluation, Run, as_json, evaluation_of
from autorel_jax.faithfulness.units import PAD, Reading
from autorel_jax.text.batches import doubt_of_pad

CHUNK = 32  # texts, after which progress is told: a batch of a CPU
COUNTERFACTUAL = "counterfactual"
Progress = Callable[[int, int], object]  # texts that are done, of how many


class Chunk(NamedTuple):
    """Some texts with what is known of them."""

    start: int  # the place of the first among all
    cases: Sequence[Case]
    targets: np.ndarray  # the class that is predicted for each
    scores: Mapping[str, Sequence[np.ndarray]]  # of the units of each, by method


def run(
    evaluator: Evaluator,
    rows: Iterable[Row | Rejected],
    found: Parts,
    progress: Progress = lambda done, of: None,
    other_model: Classifier | None = None,
) -> Evaluation:
    """Measures a sample of the rows.

    Args:
      evaluator: with the methods and protocols.
      rows: to draw from.
      found: what is known, and will be.
      progress: is called with the number of texts that are finished, and that of all.
      other_model: of the same task, whose scores are compared too, where sanity is checked.

    Raises:
      InputError: no row can be measured.
    """
    config = evaluator.config
    if other_model is not None and not config.sanity:
        raise InputError("other_model is compared where sanity is checked; set sanity too.")
    if other_model is not None:
        same_texts(evaluator.classifier, other_model)
    tell_of_pad(evaluator)
    drawn, left_out, read = sampled(rows, config.limit, config.seed)
    made, more = cases(drawn, evaluator.any_explainer, config, evaluator.kept, evaluator.reads_labels)
    left_out = [*left_out, *more]
    if not made:
        first = f" The first: {left_out[0]}" if left_out else ""
        raise InputError(f"None of the {read} texts can be measured.{first}")
    of_all = Run(len(made), read, left_out)
    shares = [np.nanmean(case.marks) for case in made if case.marks is not None]
    evaluator.share = float(np.mean(shares)) if shares else 0.0
    chunks = list(measured(evaluator, made, found, progress, of_all))
    if config.sanity:
        of_all.sanity = list(checked(evaluator, chunks, found, other_model))
    return evaluation_of(evaluator.about(made), of_all, config)


def tell_of_pad(evaluator: Evaluator) -> None:
    """Warns where the padding that stands in place of words is not to transformers what it is here."""
    if PAD in evaluator.tokens and any(PROTOCOLS[name].perturbs for name in evaluator.protocols):
        for doubt in doubt_of_pad(evaluator.classifier.tokenizer, f"perturb={PAD}"):
            warnings.warn(doubt, InputWarning, stacklevel=2)


def measured(
    evaluator: Evaluator, made: Sequence[Case], found: Parts, progress: Progress, of_all: Run
) -> Iterator[Chunk]:
    """The texts in chunks, of which what the protocols find is noted."""
    own, judge = (Predictor(one, evaluator.config.batch_size) for one in (evaluator.classifier, evaluator.judge))
    short = [place for place, case in enumerate(made) if 2 <= case.count <= naopc.MOST_UNITS]
    normalised = set(short[: evaluator.config.naopc_texts]) if "naopc" in evaluator.protocols else set()
    progress(0, len(made))
    for start in range(0, len(made), CHUNK):
        here = made[start : start + CHUNK]
        targets = evaluator.predicted(here, own, judge, of_all)
        chunk = Chunk(start, here, targets, evaluator.scores(here, targets, found))
        for place in range(len(here)):
            of_all.compare({name: of[place] for name, of in chunk.scores.items()})
        chosen = [place for place in range(len(here)) if start + place in normalised]
        bounds = evaluator.bounds(here, targets, chosen, found, judge)
        for task, numbers in evaluator.measured(here, targets, chunk.scores, bounds, found, judge):
            of_all.add(start + task.case, task.method, task.protocol, task.perturbation, numbers)
        if COUNTERFACTUAL in evaluator.protocols:
            compare_copies(evaluator, chunk, found, judge, of_all)
        for predictor in (own, judge):
            predictor.forget()
        progress(start + len(here), len(made))
        yield chunk
    of_all.computed = judge.computed


def compare_copies(evaluator: Evaluator, chunk: Chunk, found: Parts, judge: Predictor, of_all: Run) -> None:
    """Notes what the scores of each text and of its changed copy tell of the change of the logit."""
    copies = [changed_case(case, evaluator.any_explainer, evaluator.config, evaluator.kept) for case in chunk.cases]
    places = [place for place, copy in enumerate(copies) if copy is not None]
    if not places:
        return
    there, targets = [copies[place] for place in places], chunk.targets[places]
    scores = evaluator.scores(there, targets, found)
    pairs = [(chunk.cases[place], copy) for place, copy in zip(places, there, strict=True)]
    logits = judge.logits([Reading(case.tokens.ids, case.tokens.types) for pair in pairs for case in pair])
    of_target = logits.reshape(len(pairs), 2, -1)[np.arange(len(pairs)), :, targets].astype(np.float64)
    for method in evaluator.explainers:
        for number, place in enumerate(places):
            both = chunk.scores[method][place], scores[method][number]
            if not all(np.isfinite(one).all() for one in both):
                continue
            one = change(pairs[number], both, of_target[number])
            of_all.changes.setdefault(method, {})[chunk.start + place] = one
            if one.agrees is not None:
                of_all.add(chunk.start + place, method, COUNTERFACTUAL, NONE, {"sign_agreement": one.agrees})


def checked(
    evaluator: Evaluator, chunks: Sequence[Chunk], found: Parts, other: Classifier | None
) -> Iterator[dict[str, Any]]:
    """How the scores of each method change with the model, as JSON."""
    config = evaluator.config
    for variant in sanity.variants(evaluator.classifier, config, other):
        changed = evaluator.like(variant.classifier, variant.config)
        # What depends on the batch is in no key: it is computed.
        kept = Parts() if variant.kind == sanity.ALONE else found
        by_method: dict[str, list[float]] = {name: [] for name in evaluator.explainers}
        for chunk in chunks:
            for method, scores in changed.scores(chunk.cases, chunk.targets, kept).items():
                for one, as_it_is in zip(scores, chunk.scores[method], strict=True):
                    rho = spearman(one, as_it_is) if np.isfinite([one, as_it_is]).all() else None
                    by_method[method] += [] if rho is None else [rho]
        for method, values in by_method.items():
            mean = as_json(mean_of(np.array(values), config.resamples, config.seed))
            yield {"kind": variant.kind, "what": variant.what, "method": method, **mean}
