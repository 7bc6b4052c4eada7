"""Memory: a PyTorch model or state dict that a program holds -> its tensors as NumPy arrays, and its config.

Nothing of torch is imported: a tensor knows how to become an array. Used by checkpoint.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.families import FAMILIES
from autorel_jax.weights.disk import Tensors


def is_model(value: Any) -> bool:
    """Whether it is a model or a state dict, and no path."""
    return isinstance(value, Mapping) or callable(getattr(value, "state_dict", None))


def tensors_of(value: Any) -> Tensors:
    """The tensors of a model or a state dict, as float arrays on the host.

    Raises:
      InputError: a value that is no tensor.
    """
    state = value if isinstance(value, Mapping) else value.state_dict()
    return {str(name): array_of(tensor, str(name)) for name, tensor in state.items()}


def array_of(tensor: Any, name: str) -> np.ndarray:
    """One tensor; bfloat16, which NumPy lacks, as float32."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        tensor = tensor.detach().cpu()
        return np.asarray((tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy())
    except Exception as error:  # of whatever library it is
        raise InputError(f"{name} is a {type(tensor).__name__}, not a tensor ({one_line(error)}).") from None


def named(raw: dict[str, Any], value: Any) -> dict[str, Any]:
    """The content of config.json with the architecture that a model's class is, which its config may not know yet."""
    name = type(value).__name__
    known = FAMILIES.get(raw.get("model_type")) if isinstance(raw.get("model_type"), str) else None
    return raw | {"architectures": [name]} if known and name in known.explained else raw


def config_of(value: Any, config: Any) -> Mapping[str, Any]:
    """The content of config.json: `config` (a dict, or transformers' object), else the model's own.

    Raises:
      InputError: there is none.
    """
    found = config if config is not None else getattr(value, "config", None)
    found = found.to_dict() if hasattr(found, "to_dict") else found
    if not isinstance(found, Mapping):
        raise InputError(f"a {type(value).__name__} has no config; give config=, a path, a dict or model.config.")
    return found
