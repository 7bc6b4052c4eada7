"""Usable: a row -> itself, or Rejected where it lacks the label that is to be explained.

Used by explaining/part.py and cli/stream.py.
"""

from autorel_jax.attribution import targets
from autorel_jax.data.row import ROW_FAULTS, Rejected, Row, reason_of, reject
from autorel_jax.errors import InputError
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.families.family import MASKED


def usable(row: Row, explainer: Explainer) -> Row | Rejected:
    """The row itself, or Rejected where it lacks the label that is to be explained."""
    # A word in place of a mask is no label of the model; whether it can be one is seen with the text.
    if targets.reads_given(explainer.config.target) and explainer.classifier.config.task != MASKED:
        try:
            targets.given_id(row.id, row.label, explainer.row_label)
        except ROW_FAULTS as error:
            return reject(row, reason_of(error, "matched with a label"))
    return row


def none_usable(count: int, first: str) -> InputError:
    """What to raise where every row was left out; `first` says where the first of them stands, and why."""
    if count == 1:
        return InputError(f"The only row cannot be explained: {first}")
    return InputError(f"None of the {count} rows can be explained. The first: {first}")
