"""Checkpoint: a path or a hub name -> config and params, from any format that we read.

Used by the library's `load` and by the commands.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.model.config import BertConfig, read_model_config
from autorel_jax.weights.files import Source, locate, read_tensors
from autorel_jax.weights.params import to_params


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model that was read."""

    config: BertConfig
    params: dict[str, Any]  # float32 NumPy arrays
    source: str  # the weights that were read, for messages
    directory: Path  # where the tokenizer's files are looked for
    ignored: tuple[str, ...]  # tensors that a classifier does not need
    warnings: tuple[str, ...]


def read(
    path: str | Path, *, config: Path | None = None, revision: str | None = None, encoder: bool = False
) -> Checkpoint:
    """Reads a model.

    Args:
      path: a directory, a weights file with config.json or bert_config.json beside it, a TensorFlow prefix
        (`…/bert_model.ckpt`), or the name of a model on the Hugging Face hub. A local path goes first.
      config: the config file, where it is not beside the weights.
      revision: branch, tag or commit, for a model on the hub.
      encoder: whether the pooler may be missing, to be trained.

    Raises:
      InputError: what is there is not a whole model; the message names the file or the tensor.
    """
    source, label = find(str(path), config and Path(config), revision)
    parsed = read_model_config(source.config)
    params, labelled, ignored, warnings = to_params(read_tensors(source.weights), parsed, label, encoder)
    return Checkpoint(labelled, params, label, source.directory, ignored, warnings)


def find(path: str, config: Path | None, revision: str | None) -> tuple[Source, str]:
    """The files of a local path or of a hub name, and what to call the weights in messages."""
    try:
        source = locate(Path(path).expanduser(), config) if path else None
    except (OSError, RuntimeError) as error:  # no permission, a name that is too long, no such user
        raise InputError(f"{path} cannot be read: {one_line(error)}.") from None
    if source and revision:
        raise InputError(f"revision {revision!r} is for models on the hub, but {path} is a local path; leave it out.")
    if source:
        return source, str(source.weights)
    from autorel_jax.weights import hub

    if not hub.is_name(path):
        raise InputError(f"{path!r}: no such directory or file; give one, or a hub name such as org/model.")
    source = locate(hub.fetch(path, revision), config)
    return source, f"{path}@{source.weights.parent.name[:8]}/{source.weights.name}"
