"""Ranking: a query and passages -> their explanations by a model that scores pairs, the highest score first."""

from collections.abc import Iterable
from typing import Any

from autorel_jax.attribution import targets
from autorel_jax.classifier import Classifier
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import TRUNCATE, WINDOWS
from autorel_jax.explaining.explainer import explain
from autorel_jax.explaining.given import column_of, target_of
from autorel_jax.families.family import EMBEDDINGS, TEXT_LABELS
from autorel_jax.report.explanation import Explanation, Explanations
from autorel_jax.text.segments import Text


def rank(classifier: Classifier, query: str, passages: Iterable[Text], **options: Any) -> Explanations:
    """How relevant each passage is to the query, and which words made it so.

    Args:
      classifier: a reranker from `load`: a model of pairs with one output. One with several needs a `target`.
      query: the text.
      passages: N second texts.
      **options: as `explain` takes them; `contrast` ranks by the difference of two labels' logits.

    Returns:
      N explanations, the highest score (`target_value`) first; `id` is the place among the passages, from 1.

    Raises:
      InputError: there are no passages, the model has no one score, or windows are asked for.
    """
    check_long(options.get("long"))
    check_scores(classifier, target_of(options.get("target"), options.get("contrast"), 1))
    if not isinstance(query, str):
        raise InputError(f"the query is a {type(query).__name__}; expected a string.")
    if isinstance(passages, str):
        raise InputError("passages is a string; expected a list of them.")
    second = column_of(passages, "passages")
    if not second:
        raise InputError("There are no passages to rank.")
    return ranked(explain(classifier, [query] * len(second), second, **options))


def ranked(explanations: Iterable[Explanation]) -> Explanations:
    """The highest score first; equal ones, and those that are no numbers, in their order at the end."""
    return Explanations(sorted(explanations, key=lambda one: (not one.target_value < float("inf"), -one.target_value)))


def check_long(long: Any) -> None:
    """Raises InputError for windows, in which no pair is read."""
    if long == WINDOWS:
        raise InputError(f"long={WINDOWS!r} does not go with ranking, which reads pairs; use long={TRUNCATE!r}.")


def check_scores(classifier: Classifier, target: Any) -> None:
    """Raises InputError where the model gives a pair no one score."""
    config = classifier.config
    if config.task == EMBEDDINGS:
        raise InputError(
            f"{classifier.name} is an embedder, which makes a vector of each text; passages are ranked by a model that "
            "reads the query and a passage together. Explain the similarity of two texts by ar.similarity or autorel "
            "similar."
        )
    if config.task not in (EMBEDDINGS, TEXT_LABELS):
        purpose = config.task.replace("_", " ")
        raise InputError(f"{classifier.name} is for {purpose}; passages are ranked by a model that scores pairs.")
    kind = targets.PREDICTED if target is None else target
    if isinstance(kind, str):
        kind = kind.removeprefix(targets.LOG_PROBABILITY)
    if config.num_labels > 1 and isinstance(kind, str) and kind in targets.KINDS:
        labels = ", ".join(config.labels)
        raise InputError(
            f"{classifier.name} has the labels {labels}, and passages are ranked by one of them; give target='LABEL' "
            "(--target LABEL)."
        )
