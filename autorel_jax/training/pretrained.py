"""Pretrained: the checkpoint that training starts from -> config, params with a head for the task, tokenizer.

Used by training/.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autorel_jax import weights
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.families.family import TEXT_LABELS
from autorel_jax.model import encoder as bert
from autorel_jax.model.config import BertConfig
from autorel_jax.text.tokens import Tokenizer, load_tokenizer
from autorel_jax.training.config import TrainConfig


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
    """Where training starts."""

    config: BertConfig  # with the task's labels, and the dropout that was asked for
    params: dict[str, Any]  # float32 NumPy arrays
    tokenizer: Tokenizer
    source: str  # the weights that were read
    notes: tuple[str, ...]  # what the user should know


def read_pretrained(config: TrainConfig, task: TaskConfig) -> Pretrained:
    """Reads the checkpoint, and draws what it lacks: the head, and a pooler if there is none.

    A head for the very same task, labels and problem is kept, so that a classifier can be trained further.

    Raises:
      InputError: the checkpoint cannot be read, or `max_length` exceeds its positions.
    """
    changes = weights.Changes(rename=config.rename, drop=config.drop)
    checkpoint = weights.read(
        config.model, config=config.model_config, revision=config.revision, encoder=True, changes=changes
    )
    tokenizer = load_tokenizer(
        config.vocab or checkpoint.directory, config.cased, checkpoint.config.family, config.truncation_side
    )
    if checkpoint.config.on_tokens and task.head == TEXT_LABELS:
        raise InputError(
            f"{checkpoint.source} is a model for {checkpoint.config.task}, and the task is labels of whole texts; "
            "give an encoder or a classifier of texts."
        )
    settled = for_task(checkpoint.config, config, task)
    if config.max_length > settled.longest_text:
        raise InputError(
            f"max_length={config.max_length} exceeds the model's {settled.longest_text} positions; use at most as many."
        )
    needed = bert.shapes(settled)
    params = {name: part for name, part in checkpoint.params.items() if name in needed}
    if head_of(checkpoint.config) != head_of(settled):
        params = {name: part for name, part in params.items() if name != "classifier"}
    drawn = draw_missing(settled, params, config.seed)
    case = "cased" if tokenizer.cased else "uncased"
    notes = (
        *(f"{warning}" for warning in checkpoint.warnings if "no classification head" not in warning),
        *tokenizer.warnings,
        *tokenizer.misfits(settled.vocab_size, settled.counted_pad),
        f"tokenizer {case} ({tokenizer.why})",
        f"new: {', '.join(drawn)}" if drawn else "the checkpoint's own head is trained further",
    )
    return Pretrained(settled, params | drawn, tokenizer, checkpoint.source, notes)


def head_of(config: BertConfig) -> tuple[str, tuple[str, ...], str]:
    """All that a head must have in common with another to be trained further in its place."""
    return config.task, config.labels, config.problem


def for_task(model: BertConfig, config: TrainConfig, task: TaskConfig) -> BertConfig:
    """The architecture with the task's head."""
    problem_type = task.problem if task.head == TEXT_LABELS else None
    changes: dict[str, Any] = {"labels": task.labels, "task": task.head, "problem_type": problem_type}
    if config.dropout is not None:
        changes |= {
            "hidden_dropout_prob": config.dropout,
            "attention_probs_dropout_prob": config.dropout,
            "classifier_dropout": None,
            "answers_dropout": None,
            "embedding_dropout": None,
        }
    return dataclasses.replace(model, **changes)


def draw_missing(config: BertConfig, params: dict[str, Any], seed: int) -> dict[str, Any]:
    """The parts of the params tree that are not there, drawn as BERT's were: kernels normal, biases 0, scales 1."""
    missing = {name: part for name, part in bert.shapes(config).items() if name not in params}
    keys = jax.random.split(jax.random.key(seed), max(len(missing), 1))
    normal = jax.nn.initializers.truncated_normal(config.initializer_range)
    constants = {"bias": 0, "scale": 1}

    def drawn(key: jax.Array, name: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, constants[name], np.float32) if name in constants else np.asarray(normal(key, shape))

    return {
        name: {leaf: drawn(key, leaf, held.shape) for leaf, held in part.items()}
        for key, (name, part) in zip(keys, sorted(missing.items()), strict=False)
    }


def beside(folder: Path, model: str) -> str:
    """A model as a file in the folder names it: like all paths there relative to it, if there is such a path."""
    path = folder / os.path.expanduser(model)
    return str(path) if model and is_there(path) else model


def is_there(path: Path) -> bool:
    """Whether there is a file, a folder or a TensorFlow checkpoint of that path, which is the prefix of its files."""
    return path.exists() or Path(f"{path}.index").exists()


def absolute(model: str) -> str:
    """A local path as an absolute one, for a config that is read elsewhere later; a hub name as it is."""
    path = Path(os.path.expanduser(model))  # pathlib's raises for ~nobody
    local = (model and is_there(path)) or (path.parent.is_dir() and path.parent != Path("."))
    return str(path.absolute()) if local else model
