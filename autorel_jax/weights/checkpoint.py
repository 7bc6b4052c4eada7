"""Checkpoint: a path or a hub name -> config and params, from any format that we read.

Used by the library's `load` and by the commands.
"""

import dataclasses
from collections.abc import Sequence
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
    path: str | Path,
    *,
    config: Path | None = None,
    revision: str | None = None,
    encoder: bool = False,
    labels: Sequence[str] = (),
    problem_type: str | None = None,
) -> Checkpoint:
    """Reads a model.

    Args:
      path: a directory, a weights file with config.json or bert_config.json beside it, a TensorFlow prefix
        (`…/bert_model.ckpt`), or the name of a model on the Hugging Face hub. A local path goes first.
      config: the config file, where it is not beside the weights.
      revision: branch, tag or commit, for a model on the hub.
      encoder: whether the pooler may be missing, to be trained.
      labels: names of the outputs, over those of the config.
      problem_type: one of model.config.PROBLEMS, likewise.

    Raises:
      InputError: what is there is not a whole model; the message names the file or the tensor.
    """
    source, label = find(str(path), config and Path(config), revision)
    parsed, doubts = read_model_config(source.config)
    named = () if labels else parsed.labels  # what the config says of them does not matter then
    parsed = dataclasses.replace(parsed, labels=named, problem_type=problem_type or parsed.problem_type)
    params, labelled, ignored, warnings = to_params(read_tensors(source.weights), parsed, label, encoder)
    if labels:
        labelled = renamed(labelled, labels, label)
    return Checkpoint(labelled, params, label, source.directory, ignored, (*doubts, *warnings))


def renamed(config: BertConfig, labels: Sequence[str], source: str) -> BertConfig:
    """The config with other names for its outputs, or InputError where they are not as many different ones."""
    outputs, listed = config.num_labels, ",".join(labels)
    if not outputs:
        raise InputError(f"the labels {listed} were given, but {source} has no classification head.")
    if len(set(labels)) != outputs or len(labels) != outputs:
        raise InputError(f"labels {listed}: expected {outputs} different names, one for each output of {source}.")
    return dataclasses.replace(config, labels=tuple(labels))


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
