"""Parameters: a config -> the path, shape and kind of every parameter of the model.

The one place from which encoder.py draws a new model and weights/ fills one from a checkpoint. Imports no JAX, as
files of export/ are read without a model.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from autorel_jax.families.family import Leaf
from autorel_jax.model.config import BertConfig

STACK, LAST = "layers", "last_layer"  # all layers but the last, along a first axis; the last


class Parameter(NamedTuple):
    """The shape of a parameter, and its kind: KERNEL, BIAS, SCALE or TABLE of families/family.py."""

    shape: tuple[int, ...]
    kind: str


def parameters(config: BertConfig) -> dict[str, Parameter]:
    """Every parameter by its path, "layers/query/kernel"; the stack is there even where it has no rows.

    Of what the lowest layers lack, the stack has as many rows less. Layers that share parameters are one stack of those
    that are stored, and no last layer.
    """
    depth = config.depth
    outside = {leaf.path: parameter(leaf, config) for leaf in (*config.outside, *config.head)}
    if config.family.layers.shared:
        stored = len(config.stored_layers)
        return outside | {f"{STACK}/{leaf.path}": parameter(leaf, config, stored) for leaf in config.layer}
    stack = {f"{STACK}/{leaf.path}": parameter(leaf, config, max(depth - 1 - leaf.first, 0)) for leaf in config.layer}
    last = {f"{LAST}/{leaf.path}": parameter(leaf, config) for leaf in config.layer if leaf.first < depth}
    return outside | stack | last


def parameter(leaf: Leaf, config: BertConfig, *stack: int) -> Parameter:
    """The parameter of a leaf, as often along first axes as `stack` says."""
    return Parameter((*stack, *map(config.value, leaf.sizes)), leaf.kind)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"layers/query/kernel": array} -> {"layers": {"query": {"kernel": array}}}."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = leaf
    return tree
