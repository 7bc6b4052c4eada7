"""Shortcuts: an Explainer and labelled rows -> words and phrases that decide without being a reason, with evidence.

Used by cli/shortcuts.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autorel_jax import __version__
from autorel_jax.auditing.candidates import Found, Text, candidates, held, odds_of
from autorel_jax.auditing.forms import BEGINS, ENDS, WORD, Candidate, places
from autorel_jax.auditing.kinds import kinds
from autorel_jax.auditing.phrases import atoms
from autorel_jax.auditing.reading import Case, Changed, Progress, Tally, cases, check_classifier, texts_of
from autorel_jax.auditing.shortcuts_config import ShortcutsConfig
from autorel_jax.auditing.trials import Trial, Trials
from autorel_jax.auditing.units import Units, units_of, without_shares
from autorel_jax.classifier import Classifier
from autorel_jax.data.label_ids import is_missing
from autorel_jax.data.row import Rejected, Row, reject
from autorel_jax.errors import InputError
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import prepared
from autorel_jax.faithfulness.cases import sampled

EXAMPLES = 3  # texts that are shown of each kind
AS_ELSEWHERE = "it goes with the label in the other texts too"


def shortcuts(
    explainer: Explainer,
    rows: Iterable[Row | Rejected],
    config: ShortcutsConfig,
    others: Iterable[Row | Rejected] | None = None,
    progress: Progress = lambda done: None,
    tell: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """The record of what was found, as JSON.

    Args:
      explainer: of the predicted label.
      rows: with labels; what they have kept are names of sources.
      config: how it is looked for.
      others: labelled texts of another corpus, in which a word of meaning would go with the label too.
      progress: is called with the number of rows that were finished since its last call.
      tell: is called with a line on what begins.

    Raises:
      InputError: the model does not choose one of several labels, the rows have fewer than two, or no word comes often.
    """
    classifier, labels = explainer.classifier, explainer.classifier.config.labels
    check_classifier(classifier)
    if classifier.config.is_sigmoid or classifier.config.num_labels < 2:
        raise InputError("The model gives each label a probability of its own; shortcuts are to one label of several.")
    corpus, special, tally = read(explainer, rows, config, progress)
    second, second_left = (None, []) if others is None else second_corpus(explainer, others)
    holding = held(corpus, len(labels), config.least)
    found = list(candidates(corpus, holding, len(labels), config.candidates))
    if not any(found):
        raise untested(len(holding), config.least)
    tell(f"tests {sum(map(len, found))} candidates")
    words = [(one, texts) for one, texts in holding.items() if one.form == WORD]
    repeated = [one for one in holding if one.form in (BEGINS, ENDS)]
    trials = Trials(corpus, Changed(explainer), words, config.tested, config.seed)
    entries = []
    for label, of_label in enumerate(found):
        for one in of_label:
            record = entry(one, label, trials.trial(one, label), corpus, classifier, second)
            record["kinds"] = list(kinds(one.candidate, one.texts, corpus, repeated, classifier.tokenizer))
            entries.append(record)
    listed = sorted((one for one in entries if not one["why_not"]), key=strength, reverse=True)
    given, predicted = (np.array([getattr(text, name) for text in corpus]) for name in ("label", "predicted"))
    return {
        "version": __version__,
        "model": {"name": classifier.name, "weights_sha256": classifier.fingerprint},
        "method": {"name": explainer.about.shared["method"], "parameters": explainer.parameters},
        "config": dataclasses.asdict(config),
        "texts": tally.record,
        "other_texts": None if second is None else {"texts": len(second), "left_out": len(second_left)},
        "accuracy": float((given == predicted).mean()),
        "special_tokens": {
            name: float(np.array(special)[predicted == label].mean())
            for label, name in enumerate(labels)
            if (predicted == label).any()
        },
        "listed": [{"rank": rank, **one} for rank, one in enumerate(listed, start=1)],
        "not_listed": [one for one in entries if one["why_not"]],
    }


def untested(count: int, least: int) -> InputError:
    """Why nothing can be tested, though so many words and phrases are in enough texts."""
    if not count:
        return InputError(f"No word stands in {least} texts or more; give more texts, or a smaller --least.")
    return InputError(
        f"Of the words and phrases in {least} texts or more ({count}) none is certain to go with a label and to have "
        "relevance for it, so that nothing can be tested; give more texts."
    )


def read(
    explainer: Explainer, rows: Iterable[Row | Rejected], config: ShortcutsConfig, progress: Progress
) -> tuple[list[Text], list[float], Tally]:
    """The texts, the share of each one's relevance that special tokens have, and what became of the rows."""
    classifier = explainer.classifier
    tally, corpus, special = Tally(), [], []
    drawn, rejected, count = sampled(rows, config.limit, config.seed)
    labelled, left_out = with_labels(classifier, [*rejected, *drawn])
    if len({classifier.label_id(row.label) for row in labelled}) == 1:
        raise InputError(
            f"All {len(labelled)} texts have the label {labelled[0].label!r}; shortcuts needs texts of two at least."
        )
    for chunk in cases(explainer, labelled, tally, progress, key=lambda row: classifier.label_id(row.label)):
        for case in chunk:
            corpus.append(text_of(case, classifier))
            special.append(special_share(case))
    tally.read, tally.left_out = count, [*left_out, *tally.left_out]
    return corpus, special, tally


def with_labels(classifier: Classifier, rows: Iterable[Row | Rejected]) -> tuple[list[Row], list[Rejected]]:
    """The rows whose label is one of the model's, and the others."""
    kept, left_out, row_label = [], [], classifier.row_labels()
    for row in rows:
        if isinstance(row, Rejected):
            left_out.append(row)
        elif is_missing(row.label):
            left_out.append(reject(row, "it has no label."))
        else:
            try:
                row_label(row.label)
                kept.append(row)
            except InputError as error:
                left_out.append(reject(row, str(error)))
    if not kept:
        first = f" The first: {left_out[0]}" if left_out else ""
        raise InputError(f"None of the rows has a label of the model.{first}")
    return kept, left_out


def text_of(case: Case, classifier: Classifier) -> Text:
    """A text of the corpus."""
    label = classifier.label_id(case.row.label)
    source = frozenset(atom.key for value in case.row.kept if value is not None for atom in atoms(str(value)))
    return Text(case.row.id, case.texts, units_of(case), label, int(case.explanation.logits.argmax()), source)


def special_share(case: Case) -> float:
    """How much of a text's Σ|relevance| is on special tokens."""
    scores = np.abs(case.explanation.word_relevance).astype(np.float64)
    of_text = sum(abs(score) for _, _, score in case.words)
    return float(1 - of_text / scores.sum()) if scores.sum() else 0.0


def second_corpus(
    explainer: Explainer, rows: Iterable[Row | Rejected]
) -> tuple[list[tuple[Units, int]], list[Rejected]]:
    """The different texts of the other corpus with their labels, and the rows that are left out."""
    label_id = explainer.classifier.label_id
    kept, left_out = with_labels(explainer.classifier, rows)
    part = prepared(explainer, 0, list({(texts_of(row), label_id(row.label)): row for row in kept}.values()))
    texts = [
        (without_shares(texts_of(row), part.tokens[place]), label_id(row.label))
        for place, row in ((place, part.items[place]) for place in part.places)
    ]
    return texts, [*left_out, *part.rejected]


def entry(
    found: Found,
    label: int,
    trial: Trial,
    corpus: Sequence[Text],
    classifier: Classifier,
    second: Sequence[tuple[Units, int]] | None,
) -> dict[str, Any]:
    """All that is known of a candidate, as JSON."""
    labels, holding = classifier.config.labels, [corpus[place] for place in found.texts.tolist()]
    against = [text for text in holding if text.label != label]
    elsewhere = None if second is None else in_second(found.candidate, label, second)
    more = [AS_ELSEWHERE] if elsewhere and elsewhere["association"]["low"] > 0 else []
    return {
        "shown": str(found.candidate),
        "form": found.candidate.form,
        "words": list(found.candidate.words),
        "label": labels[label],
        "texts": len(holding),
        "of_label": found.of_label,
        "association": interval(found.association),
        "other_texts": elsewhere,
        "relevance": interval(found.relevance) | {"texts": found.predicted},
        "deletion": trial.deletion,
        "insertion": trial.insertion,
        "examples": examples(trial, corpus, labels),
        "counter_examples": {
            "texts": len(against),
            "predicted_as_the_label": sum(text.predicted == label for text in against),
            "first": [about(text, labels) for text in against[:EXAMPLES]],
        },
        "why_not": [*trial.faults, *more],
    }


def in_second(candidate: Candidate, label: int, second: Sequence[tuple[Units, int]]) -> dict[str, Any]:
    """How a candidate goes with the label in the other corpus."""
    given = np.array([of for _, of in second])
    held = np.array([bool(places(candidate, units)) for units, _ in second])
    counts = (np.array([held.sum()]), np.array([(held & (given == label)).sum()]))
    odds = odds_of(*counts, len(second), int((given == label).sum()))
    return {"texts": int(counts[0][0]), "of_label": int(counts[1][0]), "association": interval(odds[:, 0].tolist())}


def examples(trial: Trial, corpus: Sequence[Text], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The texts in which deleting it does most."""
    change = trial.deleted
    order = np.argsort(change.after - change.before, kind="stable")[:EXAMPLES]
    return [
        about(corpus[change.places[place]], labels)
        | {"changed_to": list(change.texts[place]), "becomes": labels[change.becomes[place]]}
        for place in order.tolist()
    ]


def about(text: Text, labels: Sequence[str]) -> dict[str, Any]:
    """Which text it is."""
    return {"id": text.id, "texts": list(text.texts), "label": labels[text.label], "predicted": labels[text.predicted]}


def interval(values: Sequence[float]) -> dict[str, float]:
    """A number with its interval."""
    return dict(zip(("mean", "low", "high"), map(float, values), strict=True))


def strength(record: dict[str, Any]) -> tuple[float, float]:
    """By what the list is ordered: how many more texts flip than with a random word, then how far they move."""
    insertion = record["insertion"]
    more = insertion["flips"]["mean"] - insertion["random_words"]["flips"]["mean"]
    return more, insertion["beyond_random_words"]["mean"]
