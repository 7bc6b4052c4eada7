"""Inputs: token and segment ids beyond their table are refused. XLA would take the table's last row without a word.

Used where ids come in: encoder.py, classifier.py and export/program.py.
"""

from typing import Any

import jax
import numpy as np

from autorel_jax.errors import InputError


def check_ids(ids: Any, rows: int, name: str) -> None:
    """Raises InputError unless all ids, of any shape, are 0 to `rows` - 1; what is traced cannot be seen."""
    if isinstance(ids, jax.core.Tracer):
        return
    ids = np.asarray(ids)
    if not ids.size:
        return
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{name} are {ids.dtype}; expected whole numbers.")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= rows:
        raise InputError(
            f"{name} hold {low if low < 0 else high}, but the model has {rows} of them, 0 to {rows - 1}; give those of "
            "its own tokenizer."
        )
