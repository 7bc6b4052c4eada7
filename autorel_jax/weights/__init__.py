"""Weights: checkpoints of any format <-> config and one params tree, without PyTorch or TensorFlow.

Reads Hugging Face directories and hub names, torch.save files, Flax msgpack and Google's TensorFlow releases;
writes Hugging Face directories. Strict: a tensor that is missing, unknown or of another shape is an
InputError that names it. What writes is imported when it is used.
"""

import importlib
from typing import Any

from autorel_jax.weights.checkpoint import Changes, Checkpoint, read
from autorel_jax.weights.params import fingerprint, tensor_hashes

WRITING = ("DTYPES", "check_target", "write")  # in directory.py
__all__ = [
    "DTYPES",
    "Changes",
    "Checkpoint",
    "check_target",
    "fingerprint",
    "read",
    "tensor_hashes",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in WRITING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("autorel_jax.weights.directory"), name)
