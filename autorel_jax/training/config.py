"""TrainConfig: a TOML file and flags -> what is trained on what. The one home of train's defaults.

A file holds TrainConfig's fields at its top and those of TaskConfig (data/task.py) in a table [task].
Used by cli/train.py and training.
"""

import contextlib
import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import LARGEST_INT, InputError
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.files import read_toml
from autorel_jax.model.config import COMPUTE_DTYPES, SINGLE
from autorel_jax.options import check_options, option
from autorel_jax.text.settings import SIDES

SCHEDULES = ("linear", "cosine", "constant")
OPTIMIZERS = ("adamw", "bert_adam")
LAYOUTS = ("replicate", "fsdp")
OF_ANSWERS = ("stride", "answer_tokens")  # fields that no other problem has
SMOOTHED = (SINGLE, TOKEN_LABELS)  # problems with one label at each place
EXPORT_DTYPES = ("float32", "float16")
BALANCED = "balanced"
PLACES = ("data_dir", "model", "model_config", "vocab")  # fields of TrainConfig: where something lies, not what it is
MOST_SEED = 2**32 - 1  # jax.random.key takes no more bits: a larger one would be that of another run


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a classifier is trained. Batch sizes are global: rows per optimizer step over devices and accumulation."""

    task: TaskConfig
    model: str = option("", "pretrained encoder: a directory, a weights file, a TensorFlow prefix, or a hub name")
    model_config: Path | None = option(None, "its config.json or bert_config.json, if not beside the weights")
    vocab: Path | None = option(None, "its vocab.txt or tokenizer.json, if not beside the weights")
    cased: bool | None = option(None, "the tokenizer keeps capitals (default: as the files say)")
    truncation_side: str | None = option(
        None,
        "the end at which a text that is too long is cut (default: as the tokenizer's files say, else right)",
        SIDES,
    )
    revision: str | None = option(None, "branch, tag or commit of a model on the hub")
    rename: tuple[str, ...] = option((), "OLD=NEW: tensors of the checkpoint that begin with OLD begin with NEW")
    drop: tuple[str, ...] = option((), "tensors of the checkpoint to leave out, as patterns such as 'loss_fct.*'")
    data_dir: Path | None = option(None, "the folder of the task's files (default: that of the config file)")
    output: Path | None = option(None, "the folder for checkpoints, metrics and the finished model")
    max_length: int = option(128, "tokens per text, special tokens included; longer ones are cut", least=3)
    stride: int | None = option(
        None, "of answers: word pieces of the context from one window to the next (default: half a window)", least=1
    )
    # As in transformers' example; their pipeline, and so `explain`, reads at most 15.
    answer_tokens: int = option(30, "of answers: tokens of the longest one in an evaluation", least=1)
    batch_size: int = option(32, "rows per optimizer step, over all devices", least=1, most=LARGEST_INT)
    accumulation: int = option(1, "parts that a step's rows are computed in, one after the other", least=1)
    eval_batch_size: int = option(64, "rows per batch of an evaluation, over all devices", least=1, most=LARGEST_INT)
    epochs: float = option(3.0, "passes over the training data", least=0, most=LARGEST_INT)
    max_steps: int | None = option(None, "optimizer steps, instead of --epochs", least=1, most=LARGEST_INT)
    # Devlin et al. 2019 search 2e-5 to 5e-5 for BERT; smaller models want more.
    learning_rate: float = option(3e-5, "the peak", least=0)
    schedule: str = option("linear", "of the learning rate after the warm-up: to 0, or constant", SCHEDULES)
    warmup: float = option(0.1, "part of all steps in which the learning rate rises from 0", least=0)
    optimizer: str = option(
        "adamw", "bert_adam is the original's: no bias correction, each tensor's gradient clipped", OPTIMIZERS
    )
    weight_decay: float = option(0.01, "decoupled; never on biases and LayerNorm", least=0)
    beta1: float = option(0.9, "decay of Adam's first moment", least=0)
    beta2: float = option(0.999, "decay of Adam's second moment", least=0)
    # With 0, a gradient of 0 is divided by 0: that of each word that does not occur.
    epsilon: float = option(1e-6, "Adam's; BERT's own value", least=1e-30)
    clip: float = option(1.0, "norm that the gradient is clipped to; 0 clips nothing", least=0)
    dropout: float | None = option(None, "probability (default: as the model's config says)", least=0)
    label_smoothing: float = option(0.0, "part of the target spread evenly over all labels", least=0)
    class_weights: tuple[str, ...] = option((), f"{BALANCED}, or a number for each label: weights of the loss")
    mask_words: bool = option(
        False,
        "in half of each batch, put [MASK] in place of a share of the words, drawn anew from 0 to 1 for each text: for "
        "autorel evaluate --masked-model",
    )
    freeze_embeddings: bool = option(False, "keep the embeddings as they are")
    freeze_layers: int = option(0, "keep the embeddings and this many of the lower layers as they are", least=0)
    dtype: str = option(COMPUTE_DTYPES[0], "of the matrix products", COMPUTE_DTYPES)
    remat: bool = option(False, "recompute each layer in the backward pass: less memory, a third more time")
    layout: str = option("replicate", "fsdp: parameters and moments are divided among the devices", LAYOUTS)
    select: str | None = option(None, "the metric that chooses the best checkpoint (default: the problem's first)")
    evaluate_every: int = option(0, "steps between evaluations on dev; 0: at the end of each epoch", least=0)
    early_stopping: int = option(0, "stop after so many evaluations without a better one; 0: never", least=0)
    checkpoint_every: int = option(500, "steps between checkpoints; one is also made at each evaluation", least=1)
    log_every: int = option(10, "steps between lines of metrics", least=1)
    eval_test: bool = option(False, "evaluate the best checkpoint on the test data too")
    tensorboard: bool = option(True, "write TensorBoard event files")
    export_dtype: str = option("float32", "of the finished model's weights", EXPORT_DTYPES)
    seed: int = option(42, "of the new head, the order of rows, and dropout", least=0, most=MOST_SEED)

    def __post_init__(self):
        check_options(self)
        if self.batch_size % self.accumulation:
            raise InputError(
                f"accumulation={self.accumulation} does not divide batch_size={self.batch_size}; use a divisor."
            )
        for name in ("warmup", "beta1", "beta2", "dropout", "label_smoothing"):
            value = getattr(self, name)
            if value is not None and value >= 1:
                raise InputError(f"{name}={value}: expected less than 1.")
        if self.label_smoothing and self.task.problem not in SMOOTHED:
            listed = " and ".join(SMOOTHED)
            raise InputError(f"label_smoothing is for {listed}, but the task is {self.task.problem}; set it to 0.")
        for name, field in self.__dataclass_fields__.items():
            if name in OF_ANSWERS and self.task.problem != ANSWERS and getattr(self, name) != field.default:
                raise InputError(f"{name}={getattr(self, name)} is for {ANSWERS}, but the task is {self.task.problem}.")
        if self.class_weights and self.task.problem == ANSWERS:
            raise InputError(f"class_weights={list(self.class_weights)}: answers have no classes; leave them out.")
        if not self.epochs and not self.max_steps:
            raise InputError("epochs=0: expected more than 0, or max_steps.")


def read_train_config(path: Path) -> dict[str, Any]:
    """The values of a TOML file, checked and converted: fields of TrainConfig, `task` a dict of TaskConfig's.

    Paths in it are relative to its folder.
    """
    raw = read_toml(path, "give a TOML file, or the name of a task")
    task = raw.pop("task", {})
    if not isinstance(task, dict):
        raise InputError(f"{path}: task is a {type(task).__name__}; expected a table [task].")
    values = convert(TrainConfig, raw, str(path)) | {"task": convert(TaskConfig, task, f"{path} [task]")}
    for name, value in values.items():
        if isinstance(value, Path):
            values[name] = path.parent / os.path.expanduser(value)  # pathlib's raises for ~nobody
    return values


def convert(kind: type, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A TOML table -> values of the types that the dataclass declares; an unknown key is an InputError."""
    hints = typing.get_type_hints(kind)
    unknown = [name for name in raw if name not in hints]
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; accepted: {', '.join(hints)}.")
    return {name: converted(hints[name], value, f"{where}: {name}") for name, value in raw.items()}


def converted(hint: Any, value: Any, where: str) -> Any:
    """One value as the type, or InputError."""
    if isinstance(hint, types.UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        entries = value if isinstance(value, list) else [value]
        if all(isinstance(entry, str | int | float) and not isinstance(entry, bool) for entry in entries):
            return tuple(map(str, entries))
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an int may be too large for a float
            return float(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    name = "list of strings" if typing.get_origin(hint) is tuple else hint.__name__
    raise InputError(f"{where} = {value!r}: expected a {name}.")


def as_toml(config: TrainConfig) -> dict[str, Any]:
    """The config as plain values that a TOML file can hold; what is None is left out."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(entry) for name, entry in value.items() if entry is not None}
        return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value

    return plain(dataclasses.asdict(config))
