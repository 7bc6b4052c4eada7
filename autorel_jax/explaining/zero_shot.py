"""Zero-shot: labels in words and a model that knows what follows from what (NLI) -> an Explanation for each label.

A label's hypothesis, "This example is sports.", is the second text; what is explained is the logit of entailment. As in
transformers' pipeline, probabilities are a softmax over the labels' entailment logits; with multi_label each label's is
one of entailment against contradiction. Used by explainer.py.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from autorel_jax.attribution import targets
from autorel_jax.attribution.probabilities import softmax
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import BLANK, WINDOWS, ExplainConfig
from autorel_jax.report.explanation import Explanation, Prediction

PAIR = "It is a pair of texts; zero_shot takes single ones."
ENTAILMENT = "entail"  # what the name of the model's label begins with


def entailment(classifier: Classifier) -> int:
    """The id of the label that says that the second text follows from the first.

    Raises:
      InputError: the model has no such label.
    """
    labels = classifier.config.labels
    found = [number for number, name in enumerate(labels) if name.lower().startswith(ENTAILMENT)]
    if classifier.config.on_tokens or len(found) != 1 or len(labels) < 2:
        raise InputError(
            f"zero_shot needs a model of natural language inference, one of whose labels begins with {ENTAILMENT!r}; "
            f"those of {classifier.name} are {', '.join(labels)}."
        )
    return found[0]


def configured(classifier: Classifier, config: ExplainConfig) -> ExplainConfig:
    """The config with its target, the logit of entailment; itself without labels of zero-shot.

    Raises:
      InputError: the model or another option does not go with it.
    """
    if not config.zero_shot:
        return config
    target = entailment(classifier)
    if config.target not in (targets.PREDICTED, target):
        raise InputError(f"target={config.target!r} does not go with zero_shot, whose targets are its labels.")
    if config.long == WINDOWS:
        raise InputError("long='windows' does not go with zero_shot, which reads pairs; use long='truncate'.")
    return dataclasses.replace(config, target=target)


def pairs_of(row: Row, config: ExplainConfig) -> list[Row]:
    """The row with each label's hypothesis."""
    return [dataclasses.replace(row, pair=config.hypothesis.replace(BLANK, label)) for label in config.zero_shot]


def of_labels(made: Sequence[Explanation], config: ExplainConfig) -> list[Explanation]:
    """The explanations of a text's pairs as explanations of its labels; the model's logits give way to the labels'."""
    logits = np.stack([one.logits for one in made])  # [K, C]
    values = logits[:, config.target]
    probabilities = likely(logits, config.target, config.multi_label)
    best = int(probabilities.argmax())
    prediction = Prediction(config.zero_shot[best], float(probabilities[best]), float(values[best]))
    shared = {"labels": config.zero_shot, "prediction": prediction, "logits": values, "probabilities": probabilities}
    return [
        dataclasses.replace(one, target=label, is_zero_shot=True, **shared)
        for one, label in zip(made, config.zero_shot, strict=True)
    ]


def likely(logits: np.ndarray, entailment: int, multi_label: bool) -> np.ndarray:
    """Probabilities of K labels from their pairs' logits [K, C], as transformers has them."""
    if multi_label or len(logits) == 1:
        against = -1 if entailment == 0 else 0
        return softmax(logits[:, [against, entailment]])[:, 1]
    return softmax(logits[:, entailment])
