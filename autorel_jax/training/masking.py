"""Masking: training batches in half of whose rows some words are [MASK], so that such texts are not strange.

`autorel evaluate --masked-model` measures on a classifier that was trained so. Source: Madsen et al. 2023
(arXiv 2310.07819). Used by batches.py and prepare.py.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.text.batches import Encoded
from autorel_jax.text.tokens import CHUNK, Tokenizer
from autorel_jax.text.unspaced import AUTO
from autorel_jax.text.words import units


@dataclasses.dataclass(frozen=True, eq=False)
class Masking:
    """What is masked as one in the rows of a training set."""

    encoded: Encoded
    words: np.ndarray  # [sum of lengths] int32, the word of each token, from 0 in each row; -1: special
    mask_id: int

    def masked(self, ids: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The ids [R, T] of rows of those numbers, padding beyond; in half of them, rounded up, words are [MASK].

        In each of these, the share of its words that is masked is drawn uniformly from 0 to 1.
        """
        ids = ids.copy()
        for place in rng.permutation(len(rows))[: -(-len(rows) // 2)]:
            words = self.words[slice(*self.encoded.offsets[rows[place] : rows[place] + 2])]
            count = words.max(initial=-1) + 1
            chosen = rng.permutation(count)[: round(rng.random() * count)]
            ids[place, : len(words)][np.isin(words, chosen)] = self.mask_id
        return ids


def masking(tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None, encoded: Encoded) -> Masking:
    """The words of texts (or pairs) whose ids are `encoded`.

    Raises:
      InputError: the tokenizer has no [MASK].
    """
    longest = int(encoded.lengths.max(initial=0))
    found = []
    for start in range(0, len(texts), CHUNK):
        part = slice(start, start + CHUNK)
        rows = tokenizer(texts[part], None if pairs is None else pairs[part], max_length=longest, split_words=AUTO)
        found += [units(row, words=True) for row in rows]
    words = np.concatenate(found)
    if len(words) != len(encoded.ids):
        raise RuntimeError(f"{len(words)} tokens have words, but there are {len(encoded.ids)}")
    return Masking(encoded, words, mask_of(tokenizer))


def mask_of(tokenizer: Tokenizer) -> int:
    """The id of [MASK], or InputError where there is none."""
    if tokenizer.mask_id is None:
        raise InputError("mask_words: the tokenizer has no [MASK] token; leave it out, or train another model.")
    return tokenizer.mask_id
