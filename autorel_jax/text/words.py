"""Words: relevance per token -> relevance per word; which tokens are switched off as one.

What a word is, tokens.py says (WORD). A word's relevance is the sum over its word pieces, so totals are kept. Used by
explaining/, attribution/methods/ and faithfulness/.
"""

import numpy as np

from autorel_jax.text.tokens import Tokens


def pool(relevance: np.ndarray, tokens: Tokens) -> np.ndarray:
    """Token relevance [..., T] -> word relevance [..., W]; padding must be cut off first.

    Sums run in float64 (complex and longer floats keep their precision), the result has the type of the input
    (floats) or float64 (whole numbers). A word without a word piece gets 0.
    """
    relevance = np.asarray(relevance)
    length = len(tokens.ids)
    if relevance.ndim == 0 or relevance.shape[-1] != length:
        raise ValueError(
            f"relevance has shape {relevance.shape}, but the text has {length} tokens; the last axis must be "
            f"{length} long (cut padding off: relevance[..., :{length}])."
        )
    if relevance.ndim == 1 and relevance.dtype in (np.float32, np.float64):
        # The same sums in the same order, ten times as fast: every text of a corpus comes by here.
        words = np.bincount(tokens.word_index, relevance, len(tokens.words))
        return words.astype(relevance.dtype, copy=False)
    whole = np.issubdtype(relevance.dtype, np.integer) or relevance.dtype == bool
    dtype = np.dtype(np.float64) if whole else relevance.dtype
    # Adding along the first axis: np.add.at takes every word piece of every row in one call.
    words = np.zeros((len(tokens.words), *relevance.shape[:-1]), np.promote_types(dtype, np.float64))
    np.add.at(words, tokens.word_index, np.moveaxis(relevance, -1, 0))
    return np.moveaxis(words, 0, -1).astype(dtype)


def units(tokens: Tokens, words: bool, special: bool = False) -> np.ndarray:
    """The word, or with words=False the token, that each token [T] is of, numbered from 0 in the order of the text.

    -1 for special tokens, which are in none, unless `special` asks for them. A word without a word piece has no number.
    """
    inside = np.array([span is not None or special for span in tokens.spans], bool)
    numbers = tokens.word_index if words else np.arange(len(tokens.ids))
    found = np.full(len(inside), -1, np.int32)
    found[inside] = np.unique(numbers[inside], return_inverse=True)[1]
    return found
