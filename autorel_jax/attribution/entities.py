"""Entities: the logits of a text's tokens -> the entities that they name, as a token classifier's labels have them.

As transformers' pipeline does with aggregation_strategy="simple": each token has the label of its highest logit;
neighbours are one entity where their labels differ in no more than B- and I-, and the second does not begin another.
T tokens, C labels.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from autorel_jax.attribution.questions import Question

OUTSIDE = "O"  # the label of a token that belongs to no entity


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
    found = []
    for tokens in runs([labels[label] for label in chosen], special):
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


def runs(labels: Sequence[str], special: np.ndarray) -> Iterator[np.ndarray]:
    """The places of neighbours that belong together, those outside of any entity too."""
    run: list[int] = []
    for place in np.flatnonzero(~special).tolist():
        begins, kind = tag(labels[place])
        if run and (begins or kind != tag(labels[run[-1]])[1]):
            yield np.array(run)
            run = []
        run.append(place)
    if run:
        yield np.array(run)


def tag(label: str) -> tuple[bool, str]:
    """Whether a label begins an entity, and of which kind: B-LOC -> (True, "LOC")."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label
