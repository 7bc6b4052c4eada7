"""Entities: the logits of a text's tokens -> the entities that they name, as a token classifier's labels have them.

As transformers' pipeline does with aggregation_strategy="simple": each token has the label of its highest logit;
neighbours are one entity where their labels differ in no more than B- and I-, and the second does not begin another.
Labels that also name ends and single tokens (IOBES, BILOU) are read as they are meant; the pipeline makes entities of
their own of them. T tokens, C labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.attribution.questions import Question

OUTSIDE = "O"  # the label of a token that belongs to no entity
SCHEMES = (("E-", "S-"), ("L-", "U-"))  # before a label of the last token of several, and before one of a single token


class Tag(NamedTuple):
    """What a label says of a token."""

    kind: str  # "LOC" of "B-LOC"
    begins: bool  # an entity
    ends: bool


def entities(
    logits: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], special: np.ndarray
) -> list[Question]:
    """The entities of a text, in reading order; "LOC" is the name of one whose labels are B-LOC and I-LOC.

    Args:
      logits: [T, C].
      probabilities: likewise, of each token.
      labels: the C names; without B- and I-, neighbours of one label are one entity.
      special: [T], which tokens are special ones; they belong to none.
    """
    chosen = logits.argmax(axis=-1)
    tags, found = tags_of(labels), []
    for tokens in runs([tags[labels[label]] for label in chosen], special):
        label = labels[chosen[tokens[0]]]
        if label == OUTSIDE:
            continue
        weights = np.eye(len(labels))[chosen[tokens]] / len(tokens)
        likely = float(probabilities[tokens, chosen[tokens]].mean())
        group = label.split("-", 1)[-1]
        if group != OUTSIDE:
            logit = float(logits[tokens, chosen[tokens]].mean())
            found.append(Question(group, tokens, weights, (group, likely, logit)))
    return found


def runs(tags: Sequence[Tag], special: np.ndarray) -> Iterator[np.ndarray]:
    """The places of neighbours that belong together, those outside of any entity too."""
    run: list[int] = []
    for place in np.flatnonzero(~special).tolist():
        before = tags[run[-1]] if run else None
        if before and (tags[place].begins or before.ends or tags[place].kind != before.kind):
            yield np.array(run)
            run = []
        run.append(place)
    if run:
        yield np.array(run)


def tags_of(labels: Sequence[str]) -> Mapping[str, Tag]:
    """What each label says; of ends and single tokens where some kind has a B- and both of them."""
    used = [
        scheme
        for scheme in SCHEMES
        if any({f"{start}{label[2:]}" for start in ("B-", *scheme)} <= {*labels} for label in labels)
    ]
    last, single = {scheme[0] for scheme in used}, {scheme[1] for scheme in used}
    parts = {"B-", "I-"} | last | single
    return {
        label: Tag(
            kind=label[2:] if label[:2] in parts else label,
            begins=label[:2] in {"B-"} | single,
            ends=label[:2] in last | single,
        )
        for label in labels
    }
