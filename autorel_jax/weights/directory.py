"""Directory: config, params and tokenizer -> a directory that PyTorch's transformers loads.

It appears whole or not at all: everything is written beside the target, then renamed. Used by cli/convert.py.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.files import check_name, disk_faults, new_folder
from autorel_jax.model.config import BertConfig
from autorel_jax.model.config_file import config_json
from autorel_jax.weights.files import CONFIGS
from autorel_jax.weights.params import to_tensors

DTYPES = ("float32", "float16", "bfloat16")


def write(
    directory: Path,
    config: BertConfig,
    params: dict[str, Any],
    tokenizer: Any = None,
    *,
    dtype: str = "float32",
    force: bool = False,
    files: Mapping[str, str] | None = None,
) -> None:
    """Writes config.json, model.safetensors and the tokenizer's files.

    Args:
      directory: absent or empty, unless `force` is given; the folder above it exists.
      config: the model's architecture and labels.
      params: as read or trained; NumPy or JAX arrays.
      tokenizer: a `tokens.Tokenizer`; None writes none.
      dtype: of the weights in the file, one of DTYPES.
      force: replaces a model directory, after the new one is complete.
      files: other texts to write there, by name, such as README.md.

    Raises:
      InputError: nothing was written, and the message says why.
    """
    directory = check_target(directory, force)
    if dtype not in DTYPES:
        raise InputError(f"dtype={dtype!r} is unknown; accepted: {', '.join(DTYPES)}.")
    if tokenizer is not None:
        tokenizer.misfits(config.vocab_size, config.counted_pad)
    from safetensors import SafetensorError

    with disk_faults(directory, SafetensorError), new_folder(directory) as new:
        settings = {**config_json(config), "dtype": dtype}
        text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False)
        (new / "config.json").write_text(f"{text}\n", encoding="utf-8")
        _write_weights(new / "model.safetensors", config, params, dtype)
        if tokenizer is not None:
            tokenizer.save(new, config.longest_text)
        for name, text in (files or {}).items():
            (new / name).write_text(text, encoding="utf-8")


def check_target(directory: Path, force: bool = False) -> Path:
    """The resolved target, or InputError where it may not be written."""
    check_name(directory)
    target = Path(directory).expanduser().resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"{directory} is a file; give a directory to write.")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} does not exist; make it first.")
    with disk_faults(directory):
        entries = list(target.iterdir()) if target.is_dir() else []
    if entries and not force:
        raise InputError(f"{directory} is not empty; give another directory, or --force (force=True) to replace it.")
    if entries and not any((target / name).is_file() for name in CONFIGS):
        raise InputError(f"{directory} holds no model's config.json, so it is not replaced; give another directory.")
    folders = [entry.name for entry in entries if entry.is_dir()]
    if folders:
        raise InputError(f"{directory} holds the folder {folders[0]}, so it is not replaced; give another directory.")
    return target


def _write_weights(path: Path, config: BertConfig, params: dict[str, Any], dtype: str) -> None:
    import ml_dtypes  # noqa: F401 - teaches NumPy the name bfloat16
    from safetensors.numpy import save_file

    tensors = to_tensors(params, config)
    for name, values in tensors.items():
        with np.errstate(over="ignore"):
            tensors[name] = values.astype(dtype, copy=False)
        if dtype == "float16" and np.isinf(tensors[name]).sum() > np.isinf(values).sum():
            raise InputError(f"tensor {name} exceeds float16's 65504; use bfloat16 or float32.")
    save_file(tensors, path, metadata={"format": "pt"})
    shutil.copymode(path.with_name("config.json"), path)  # the library makes it 0600
