"""Sanity: the same texts by a model that was changed -> whether the scores of a method change as they should.

With parameters in disorder they must (Adebayo et al. 2018): a method whose scores stay shows the text, not the model.
With another batch they must not, and hardly with products in bfloat16. Those of a model of another seed say how much
of the scores is this one model's. Used by run.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from autorel_jax.classifier import Classifier
from autorel_jax.faithfulness.config import EvaluateConfig
from autorel_jax.faithfulness.protocols import ALONE, BFLOAT16, CASCADING, INDEPENDENT, SEED
from autorel_jax.model.config import BertConfig
from autorel_jax.model.parameters import LAST, STACK, nested

HEAD, EMBEDDINGS = "head", "embeddings"
Block = Mapping[str, int | None]  # path of a parameter -> its row in a stack; None: all of it


class Variant(NamedTuple):
    """A classifier that was changed."""

    kind: str
    what: str  # the block, or the name of the model
    classifier: Classifier
    config: EvaluateConfig


def variants(classifier: Classifier, config: EvaluateConfig, other: Classifier | None) -> Iterator[Variant]:
    """The changed classifiers, one after the other: those in disorder from the head down to the embeddings."""
    flat = flattened(classifier.params)
    each = blocks(classifier.config)
    for kind in (CASCADING, INDEPENDENT):
        chosen: dict[str, Block] = {}
        for name, block in each.items():
            chosen = chosen | {name: block} if kind == CASCADING else {name: block}
            params = jax.device_put(nested(disordered(flat, chosen, config.seed)))
            yield Variant(kind, name, dataclasses.replace(classifier, params=params), config)
    if other is not None:
        yield Variant(SEED, other.name, other, config)
    if classifier.dtype != BFLOAT16:
        yield Variant(BFLOAT16, BFLOAT16, dataclasses.replace(classifier, dtype=BFLOAT16), config)
    yield Variant(ALONE, ALONE, classifier, dataclasses.replace(config, batch_size=1))


def flattened(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A params tree by path, "layers/query/kernel"."""
    return {
        "/".join(str(key.key) for key in path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)
    }


def blocks(config: BertConfig) -> dict[str, Block]:
    """The parameters of each block, from the head down to the embeddings; layers that share them are one block."""
    below: Block = {leaf.path: None for leaf in config.outside}
    found: dict[str, Block] = {HEAD: {leaf.path: None for leaf in config.head}}
    if config.family.layers.shared:
        found[STACK] = {f"{STACK}/{leaf.path}": None for leaf in config.layer}
        return found | {EMBEDDINGS: below}
    depth = config.depth
    found[f"layer_{depth - 1}"] = {f"{LAST}/{leaf.path}": None for leaf in config.layer if leaf.first < depth}
    for layer in range(depth - 2, -1, -1):
        leaves = [leaf for leaf in config.layer if leaf.first <= layer]
        found[f"layer_{layer}"] = {f"{STACK}/{leaf.path}": layer - leaf.first for leaf in leaves}
    return found | {EMBEDDINGS: below}


def disordered(flat: Mapping[str, np.ndarray], chosen: Mapping[str, Block], seed: int) -> dict[str, np.ndarray]:
    """The parameters, with the values of those of the chosen blocks in a random order; each block's is always the same.

    So their distribution stays, and what they have learnt goes.
    """
    changed = dict(flat)
    for name, block in chosen.items():
        rng = np.random.default_rng([seed, *name.encode()])
        for path, row in block.items():
            if path in changed:
                leaf = changed[path].copy()
                part = leaf if row is None else leaf[row]
                part[...] = rng.permutation(part.ravel()).reshape(part.shape)
                changed[path] = leaf
    return changed
