"""Convolution: what some DeBERTas add to the output of their first layer, from the embeddings of neighbouring tokens.

A convolution is a linear map of windows, so that the rules of linear maps are its rules. Used by encoder.py and
blocks.py. Shape letters as in ops.py; W tokens of a window, G groups.
"""

from typing import NamedTuple

import jax.numpy as jnp

from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array, Ops


class Convolved(NamedTuple):
    """What a layer adds to its output, if it is the first."""

    is_first: Array  # a boolean
    added: Array  # [B, T, D]
    params: dict[str, Array]  # of the LayerNorm after the sum


def convolve(ops: Ops, config: BertConfig, params: dict, x: Array, mask: Array, dtype: jnp.dtype) -> Array:
    """The convolution over tokens and its activation; padding is 0 before and after.

    Shapes: x [B, T, D], mask [B, T]; `params` holds the kernel [W, D / G, D] and the bias [D] -> [B, T, D].
    """
    size, groups, real = config.details.conv_kernel_size, config.details.conv_groups, mask[..., None]
    around = jnp.pad(jnp.where(real, x, 0), [(0, 0), (size // 2, size // 2), (0, 0)])
    windows = jnp.stack([around[:, start : start + x.shape[1]] for start in range(size)], axis=2)  # [B, T, W, D]
    parts = (jnp.split(array.astype(dtype), groups, axis=-1) for array in (windows, params["kernel"], params["bias"]))
    made = [
        ops.linear(own.reshape(*own.shape[:2], -1), kernel.reshape(-1, kernel.shape[-1]), bias)
        for own, kernel, bias in zip(*parts, strict=True)
    ]
    return jnp.where(real, jnp.concatenate(made, axis=-1), 0).astype(x.dtype)
