"""Schemes: the labels of words -> a line that says how they are read, IOB1, IOB2, IOBES or none of them.

Nothing is converted. Used by prepare.py.
"""

from collections.abc import Sequence

import numpy as np

from autorel_jax.attribution.entities import OUTSIDE, tags_of

LISTED = 10  # kinds that are listed
ENDS = {"E-": "IOBES", "S-": "IOBES", "L-": "BILOU", "U-": "BILOU"}


def scheme(labels: Sequence[str], rows: Sequence[np.ndarray]) -> str:
    """What the labels' names and their order in sentences say, in one line.

    `rows` are the numbers of the labels of each sentence's words.
    """
    tags = tags_of(labels)
    prefixed = {label[:2] for label in labels if tags[label].kind != label}
    kinds = sorted({tag.kind for tag in tags.values()} - {OUTSIDE})
    bare = [label for label in labels if tags[label].kind == label != OUTSIDE]
    shown = ", ".join(kinds[:LISTED]) + (", …" if len(kinds) > LISTED else "")
    said = f"{named(prefixed, labels, rows)}; {len(kinds)} kind{'' if len(kinds) == 1 else 's'}: {shown}"
    if bare and prefixed:
        said += f"; without a prefix: {', '.join(bare[:LISTED])}"
    if OUTSIDE not in labels:
        said += f"; none is {OUTSIDE}, so every word is of some entity: --select accuracy may suit better than f1"
    return said


def named(prefixed: set[str], labels: Sequence[str], rows: Sequence[np.ndarray]) -> str:
    """The name of the scheme, and what does not keep to it."""
    if not prefixed:
        return "labels without B- and I-: neighbours of one label are one entity"
    for prefix, name in ENDS.items():
        if prefix in prefixed:
            return f"labels are {name}"
    by_b, needless, by_i = beginnings(labels, rows)
    if "B-" not in prefixed:
        return "labels are IO: neighbours of one kind are one entity"
    if not by_i:
        return "labels are IOB2: each entity begins with B-"
    if by_b == needless:
        return f"labels are IOB1: {by_i:,} entities begin with I-, and B- parts neighbours of one kind"
    return f"labels are neither IOB1 nor IOB2: {by_b:,} entities begin with B- and {by_i:,} with I-; each is read so"


def beginnings(labels: Sequence[str], rows: Sequence[np.ndarray]) -> tuple[int, int, int]:
    """Entities that begin with B-; those of them right after one of their kind; and those that begin with I-."""
    tags = [tags_of(labels)[label] for label in labels]
    kinds = {kind: number for number, kind in enumerate({tag.kind for tag in tags})}
    outside = kinds.get(OUTSIDE, -1)
    kind_of, begins_of = np.array([kinds[tag.kind] for tag in tags]), np.array([tag.begins for tag in tags])
    by_b = after_kin = by_i = 0
    for row in rows:
        kind, begins = kind_of[row], begins_of[row]
        kin = np.zeros(len(row), bool)
        kin[1:] = kind[1:] == kind[:-1]
        by_b += int(begins.sum())
        after_kin += int((begins & kin).sum())
        by_i += int((~begins & ~kin & (kind != outside)).sum())
    return by_b, after_kin, by_i
