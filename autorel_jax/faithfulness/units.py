"""Units: a text's Tokens -> what can be taken away from it, and what the model reads without some of that.

A unit is a word or a token of the text; special tokens are in none and always stay. Used by cases.py and asking.py.
U units, T tokens, K parts of a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.text.tokens import Tokenizer, Tokens

MASK, UNKNOWN, PAD, DELETION = PERTURBATIONS = ("mask", "unknown", "pad", "deletion")
"""What becomes of the tokens of a unit that is taken away: another token in their place, or nothing."""


class Reading(NamedTuple):
    """What the model reads."""

    ids: np.ndarray  # [T] int32
    types: np.ndarray  # [T] int32, segment ids

    @property
    def key(self) -> bytes:
        """The same for the same reading."""
        return self.ids.tobytes() + self.types.tobytes()


def token_in_place(perturbation: str, tokenizer: Tokenizer) -> int | None:
    """The id of the token that stands in place of one that is taken away; None: nothing does.

    Raises:
      InputError: the tokenizer has no such token.
    """
    ids = {MASK: tokenizer.mask_id, UNKNOWN: tokenizer.unk_id, PAD: tokenizer.pad_id}
    if perturbation == DELETION:
        return None
    if ids[perturbation] is None:
        there = ", ".join(name for name in PERTURBATIONS if name == DELETION or ids[name] is not None)
        raise InputError(f"perturb={perturbation}: the tokenizer has no such token; accepted here: {there}.")
    return ids[perturbation]


def readings(tokens: Tokens, units: np.ndarray, on: np.ndarray, token: int | None) -> Iterator[Reading]:
    """What the model reads of each part of a text.

    Args:
      tokens: of the whole text.
      units: [T] the unit of each token; -1: none.
      on: [K, U] whether a unit is in the part.
      token: the id that stands in place of a token that is not; None: nothing does.
    """
    stays = np.concatenate([on, np.ones((len(on), 1), bool)], axis=1)[:, units]  # [K, T]; -1 is the last column
    if token is None:
        yield from (Reading(tokens.ids[part], tokens.types[part]) for part in stays)
    else:
        yield from (Reading(ids, tokens.types) for ids in np.where(stays, tokens.ids, np.int32(token)))
