"""Weights: checkpoints of any format <-> config and one params tree, without PyTorch or TensorFlow.

Reads Hugging Face directories and hub names, torch.save files, Flax msgpack and Google's TensorFlow releases;
writes Hugging Face directories. Strict: a tensor that is missing, unknown or of another shape is an
InputError that names it.
"""

from autorel_jax.weights.checkpoint import Checkpoint, read
from autorel_jax.weights.directory import DTYPES, check_target, write
from autorel_jax.weights.params import fingerprint, listing

__all__ = ["DTYPES", "Checkpoint", "check_target", "fingerprint", "listing", "read", "write"]
