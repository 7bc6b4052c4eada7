"""Batches: rows of token ids -> arrays of one length, padded on the right, for the model.

`pad` lays Tokens side by side, `Encoded.batch` rows of a training set. Used by tokens.py, classifier.py, explaining/,
export/ and training/. B batch, T tokens, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.families.family import ASKED_TOKEN, TOKEN

if TYPE_CHECKING:
    from autorel_jax.text.tokens import Tokenizer, Tokens


def refuse_pairs(texts: Sequence[Any], instead: str) -> None:
    """Raises InputError for a tuple of two strings, a pair of texts elsewhere; `instead` says how a pair is given."""
    for place, text in enumerate(texts):
        if isinstance(text, tuple) and len(text) == 2:
            raise InputError(
                f"texts[{place}] is a tuple of two strings, as a pair is; {instead}, and given words as a list."
            )


def doubt_of_pad(tokenizer: Tokenizer, setting: str) -> list[str]:
    """What to say of padding that stands in place of words, as `setting` has it; nothing where all programs agree."""
    if not tokenizer.facts.numbered:
        return []
    return [
        f"{setting}: transformers skips {tokenizer.pieces[tokenizer.pad_id]} when it numbers this model's positions, "
        "so that words behind it move; here they stay in place. These numbers are not those of transformers; other "
        "tokens in place of words do not have this effect."
    ]


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Rows padded on the right to one length; all [B, T] int32."""

    ids: np.ndarray
    mask: np.ndarray  # 1 token, 0 padding; 2 the masked word that is filled, of a model of such
    types: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Encoded:
    """The token ids of N texts or pairs, one after the other: 4 bytes a token, for whole training sets."""

    ids: np.ndarray  # [sum of lengths] int32
    offsets: np.ndarray  # [N + 1] int64: row i is ids[offsets[i] : offsets[i + 1]]
    first: np.ndarray  # [N] int32, tokens of segment 0; those after them are of segment 1
    whole: np.ndarray  # [N] int32, tokens before max_length cut any

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row [N]."""
        return np.diff(self.offsets)

    def batch(self, rows: np.ndarray, shape: tuple[int, ...], pad_id: int = 0) -> Batch:
        """The rows of those numbers, padded on the right: `shape` is [..., T] for as many rows as the rest holds.

        Where `rows` are fewer, the batch ends with rows of mask 0.
        """
        length = shape[-1]
        counts = np.zeros((int(np.prod(shape[:-1])), 1), np.int64)
        counts[: len(rows), 0] = self.offsets[rows + 1] - self.offsets[rows]
        firsts, starts = np.zeros_like(counts), np.zeros_like(counts)
        firsts[: len(rows), 0], starts[: len(rows), 0] = self.first[rows], self.offsets[rows]
        if counts.max(initial=0) > length:
            raise ValueError(f"A row of {counts.max()} tokens does not fit a batch of length {length}.")
        places = np.arange(length)
        mask = places < counts
        ids = np.where(mask, self.ids[np.where(mask, starts + places, 0)], pad_id)
        types = mask & (places >= firsts)
        return Batch(*(part.astype(np.int32).reshape(shape) for part in (ids, mask, types)))


def pad(rows: Sequence[Tokens], length: int, batch: int, pad_id: int = 0) -> Batch:
    """Rows -> Batch of the shape [batch, length]; the rows that are missing have mask 0 everywhere.

    `pad_id` is the id of [PAD] (`tokenizer.pad_id`), 0 in Google's BERTs. With mask 0 it reaches no result.
    """
    longest = max((len(row.ids) for row in rows), default=0)
    if len(rows) > batch or longest > length:
        raise ValueError(f"{len(rows)} rows of up to {longest} tokens do not fit a batch of [{batch}, {length}].")
    lengths = np.array([*(len(row.ids) for row in rows), *[0] * (batch - len(rows))], np.int64)
    there = np.arange(length) < lengths[:, None]
    ids = np.full((batch, length), pad_id, np.int32)
    types = np.zeros_like(ids)
    if rows:
        ids[there] = np.concatenate([row.ids for row in rows])  # row by row, as `there` is read
        types[there] = np.concatenate([row.types for row in rows])
    mask = np.where(there, TOKEN, 0).astype(np.int32)
    for number, row in enumerate(rows):
        asked = getattr(row, "asked", None)  # of Tokens alone; windows and readings are asked about as a whole
        if asked is not None:
            mask[number, asked] = ASKED_TOKEN
    return Batch(ids, mask, types)
