"""Tied: the head of masked words, which a file may hold under two names or share with the word embeddings -> one of it.

Where two tensors should be one and are not, versions of transformers compute different numbers; that is refused. Of a
map to the vocabulary of its own the bias beside its weight counts, as in transformers 5. Used by params.py.
"""

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.model.config import BertConfig
from autorel_jax.weights.disk import Tensors

WORDS = "embeddings/word"  # the leaf with which the map to the vocabulary may be tied


def one_of_each(tensors: Tensors, names: dict[str, str], config: BertConfig, source: str) -> list[str]:
    """Takes what stands twice out of `names` (PyTorch's name -> that in the file); returns its names in the file.

    Raises:
      InputError: two tensors that should be equal are not.
    """
    left_out, beside = [], config.head_facts.output.replace(".weight", ".bias")
    for other, own in config.head_facts.aliases.items():
        if other not in names:
            continue
        raw = names.pop(other)
        if own not in names or (config.own_decoder and other == beside):
            left_out += [names[own]] if own in names else []
            names[own] = raw
            continue
        if not equal(tensors[raw], tensors[names[own]]):
            raise InputError(
                f"{source}: {raw} and {names[own]} differ, and should be one; leave out that which does not count by "
                f"--drop '{raw}' (drop= in Python)."
            )
        left_out.append(raw)
    words = next(leaf.tensor for leaf in config.outside if leaf.path == WORDS)
    raw = names.get(config.head_facts.output)
    if raw is not None and words in names and not config.own_decoder:
        values = tensors[raw]
        if not equal(values.T if raw.endswith("kernel") else values, tensors[names[words]]):
            raise InputError(
                f"{source}: {raw} differs from {names[words]}, but the config ties them (tie_word_embeddings); set "
                f"that to false, or leave {raw} out by --drop '{raw}' (drop= in Python)."
            )
        left_out.append(names.pop(config.head_facts.output))
    return left_out


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same bytes."""
    same = a.shape == b.shape and a.dtype == b.dtype
    return same and (a is b or np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes())
