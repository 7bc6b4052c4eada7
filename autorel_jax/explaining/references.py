"""References: other texts -> what a model's layers hold of those that speak least for each label. Used by compute.py.

For methods that explain a text in contrast to others (attribution/methods/contrast.py). C labels, L layers, S tokens of
the longest reference, D model width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from autorel_jax.attribution.method import Method
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.text.segments import Text
from autorel_jax.text.tokens import Tokens

if TYPE_CHECKING:
    from autorel_jax.explaining.compute import Computer


NO_REFERENCES = (
    "contrast_cat needs references, texts of every label with which a text is contrasted; give references=[…], or "
    "--references FILE."
)


def check(method: Method, config: ExplainConfig) -> None:
    """Raises InputError for references that the method does not take, or that it lacks."""
    if not method.contrasts:
        if config.references:
            raise InputError(f"{method.name} takes no references; they are of contrast_cat. Leave them out.")
        return
    if not config.references:
        raise InputError(NO_REFERENCES)
    if config.zero_shot:
        raise InputError(f"{method.name} does not go with zero_shot, whose labels are those of pairs; use another.")


def check_rows(method: Method, rows: Sequence[Row]) -> None:
    """Raises InputError for a pair of texts, with which single texts cannot be contrasted."""
    for row in rows:
        if method.contrasts and row.pair is not None:
            raise InputError(f"Text {row.id}: {method.name} contrasts single texts, and this is a pair; use another.")


def described(references: Sequence[Text]) -> dict[str, str]:
    """What an explanation says of its references; empty without any."""
    if not references:
        return {}
    told = hashlib.sha256(json.dumps(list(references)).encode()).hexdigest()
    return {"references": f"{len(references)} texts, sha256 {told[:16]}"}


def arrays(computer: Computer, config: ExplainConfig) -> dict[str, Any]:
    """The mean over each label's references of what layers hold of them, as {"references": [C, L, S, D]}.

    Raises:
      InputError: some label has no reference of so little probability.
    """
    classifier, method = computer.classifier, computer.method
    rows = classifier.tokens(
        config.references,
        max_length=config.max_length,
        split_punctuation=config.split_punctuation,
        split_words=config.split_words,
    )
    found: dict[int, np.ndarray] = {}
    for batch in computer.logits(rows, range(len(rows))):
        found |= batch
    probabilities = classifier.probabilities(np.stack([found[place] for place in range(len(rows))]))
    return {"references": means(computer, rows, chosen(method, probabilities, classifier.config.labels))}


def chosen(method: Any, probabilities: np.ndarray, labels: Sequence[str]) -> list[np.ndarray]:
    """For each label the places of its references, the least probable first: probabilities [R, C]."""
    found = []
    for label, likely in zip(labels, probabilities.T, strict=True):
        order = np.argsort(likely, kind="stable")
        found.append(order[likely[order] < method.below][: method.most])
        if not len(found[-1]):
            raise InputError(
                f"{method.name}: no reference has a probability of {label!r} under {method.below:g}; the least is "
                f"{likely.min():.3g}. Add texts of other labels, or raise `below`."
            )
    return found


def means(computer: Computer, rows: Sequence[Tokens], places: Sequence[np.ndarray]) -> np.ndarray:
    """Of each label's references, at `places` among the rows, the mean: [C, L, S, D]."""
    config = computer.classifier.config
    used = sorted({place for mine in places for place in mine.tolist()})
    shares = np.zeros((len(places), len(rows)), computer.classifier.kind)
    for label, mine in enumerate(places):
        shares[label, mine] = 1 / len(mine)
    longest = max(len(rows[place].ids) for place in used)
    total = np.zeros((len(places), config.depth, longest, config.hidden_size), computer.classifier.kind)
    for batch, held in computer.fitted(rows, used, lambda batch: held_by(computer, rows, batch)):
        held = held[: len(batch), :, :longest]  # rows of padding come last
        total[:, :, : held.shape[2]] += np.einsum("cb,bltd->cltd", shares[:, list(batch)], held)
    return total


def held_by(computer: Computer, rows: Sequence[Tokens], places: Sequence[int]) -> jax.Array:
    """What layers hold of a batch: [B, L, T, D]."""
    from autorel_jax.attribution.methods.contrast import held_by_layers  # beside modules that composites do without

    texts, _ = computer.padded(rows, places)
    with computer.classifier.precision():
        return held_by_layers(computer.settings, computer.params, texts)
