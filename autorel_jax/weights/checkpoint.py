"""Checkpoint: a path or a hub name -> config and params, from any format that we read.

Used by the library's `load` and by the commands.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import ANSWERS, EMBEDDINGS, MASKED, TEXT_LABELS
from autorel_jax.model.config import BertConfig, encoder_of
from autorel_jax.model.config_file import doubts, parse_config, read_model_config
from autorel_jax.weights import adapter, memory, modules
from autorel_jax.weights.arranged import arranged
from autorel_jax.weights.disk import Tensors
from autorel_jax.weights.files import Source, locate, read_tensors, tokenizer_folder
from autorel_jax.weights.params import to_params


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model that was read."""

    config: BertConfig
    params: dict[str, Any]  # float32 NumPy arrays
    source: str  # the weights that were read, for messages
    directory: Path | None  # where the tokenizer's files are looked for; None: it was in memory
    ignored: tuple[str, ...]  # tensors that a classifier does not need
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What the user says of a checkpoint, over what its files say.

    Attributes:
      labels: names of the outputs.
      problem_type: one of model.config.PROBLEMS.
      rename: OLD=NEW each, of the start of tensors' names.
      drop: patterns of tensors to leave out.
    """

    labels: Sequence[str] = ()
    problem_type: str | None = None
    rename: Sequence[str] = ()
    drop: Sequence[str] = ()

    def __post_init__(self):
        for name in ("labels", "rename", "drop"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{name}={getattr(self, name)!r}: expected a list of strings.")


def read(
    path: Any,
    *,
    config: Any = None,
    revision: str | None = None,
    encoder: bool = False,
    pretrained_heads: bool = False,
    changes: Changes | None = None,
) -> Checkpoint:
    """Reads a model.

    Args:
      path: a directory, a weights file with config.json or bert_config.json beside it, a TensorFlow prefix
        (`…/bert_model.ckpt`), a folder of a LoRA adapter, or the name of a model on the Hugging Face hub; a local path
        goes first. Or a PyTorch model or state dict.
      config: the config file, where it is not beside the weights; for what is in memory a dict or model.config too.
      revision: branch, tag or commit, for a model on the hub.
      encoder: whether the pooler may be missing, to be trained.
      pretrained_heads: whether a checkpoint without a head of its own is read with what it was trained with: as one of
        sentence embeddings beside modules.json, as one of masked words where architectures says so; else as an encoder.
      changes: over what the files say.

    Raises:
      InputError: what is there is not a whole model; the message names the file or the tensor.
    """
    changes = changes or Changes()
    if memory.is_model(path):
        return of_memory(path, config, encoder, pretrained_heads, changes)
    source, label = find(str(path), config and Path(config), revision)
    parsed, said, raw = read_model_config(source.config)
    tensors = read_tensors(source.weights)
    settings = {} if source.adapter is None else adapter.settings(source.adapter)
    task = adapter.TASKS.get(settings.get("task_type"))
    is_alone = pretrained_heads and source.adapter is None
    parsed = with_task(parsed, tensors, task, is_alone)
    has_own = modules.are_in(source.adapter)  # as sentence-transformers writes an adapter, beside its own pooling
    folder = source.adapter if has_own else source.weights.parent
    headless = parsed.task == MASKED or not any(name.endswith(parsed.head_facts.output) for name in tensors)
    if pretrained_heads and modules.are_in(folder) and (task is None or (has_own and task == TEXT_LABELS)):
        made = modules.embedder if headless and task is None else modules.cross_encoder
        parsed = made(folder, encoder_of(parsed) if parsed.task == MASKED else parsed)
    if source.adapter is not None:
        label = str(source.adapter)
        tensors = adapter.merged(tensors, read_tensors(adapter.weights_of(source.adapter)), settings, parsed, label)
    tensors |= modules.dense_tensors(folder, parsed)
    said = (*said, *(() if task else assumed(raw, parsed, tensors)))
    return finished(tensors, parsed, said, label, source.directory, encoder, changes)


def with_task(config: BertConfig, tensors: Tensors, task: str | None, masked: bool) -> BertConfig:
    """The config with the task that an adapter says, if it does.

    A model of masked words is one where `masked` allows it, and there is no head for labels of texts.
    """
    if task is not None or config.task != MASKED:
        return dataclasses.replace(config, task=task or config.task, own_decoder=False)
    encoder = encoder_of(config)
    has_labels = any(name.endswith(encoder.head_facts.output) for name in tensors)
    return config if masked and not has_labels else encoder


def of_memory(value: Any, config: Any, encoder: bool, pretrained_heads: bool, changes: Changes) -> Checkpoint:
    """A PyTorch model or state dict."""
    label = f"the {type(value).__name__}"
    if isinstance(config, str | Path):
        parsed, said, raw = read_model_config(Path(config))
    else:
        raw = memory.named(dict(memory.config_of(value, config)), value)
        parsed = parse_config(raw)
        said = tuple(f"{label}: {doubt}" for doubt in doubts(raw, parsed))
    tensors = memory.tensors_of(value)
    check_own_config(value, config, parsed)
    parsed = with_task(parsed, tensors, None, pretrained_heads)
    said = (*said, *memory.computed_otherwise(value), *assumed(raw, parsed, tensors))
    return finished(tensors, parsed, said, label, None, encoder, changes)


def check_own_config(value: Any, config: Any, parsed: BertConfig) -> None:
    """Raises InputError where a model in memory was built by another config than the one that is given with it."""
    own = getattr(memory.unwrapped(value), "config", None)
    if config is None or own is None or isinstance(value, Mapping):
        return
    built = parse_config(memory.named(dict(memory.config_of(value, None)), value))
    free = ("labels", "problem_type", "task", "own_decoder")
    names = [field.name for field in dataclasses.fields(parsed) if field.name not in free]
    if other := [name for name in names if getattr(built, name) != getattr(parsed, name)]:
        raise InputError(
            f"config= differs in {', '.join(other)} from the config that the {type(value).__name__} was built by; "
            "leave it out, or give model.state_dict() with it."
        )


def assumed(raw: Mapping[str, Any], config: BertConfig, tensors: Tensors) -> Iterator[str]:
    """What to say where a head is taken for one that labels texts, though its tensors are those of others too."""
    family = config.family
    named = {*family.classifiers, *family.tasks} & {*(raw.get("architectures") or ())}
    heads = {name: family.head_of(task) for name, task in family.tasks.items() if task != TEXT_LABELS}
    own = [leaf.tensor for leaf in family.head.leaves]
    others = [name for name, head in heads.items() if [leaf.tensor for leaf in head.leaves] == own]
    has_head = any(name.endswith(config.head_facts.output) for name in tensors)
    if config.task == TEXT_LABELS and not named and others and has_head:
        yield (
            f"architectures names no head, so this one is read as that of a {family.classifiers[0]}; those of "
            f"{' and '.join(others)} have the same tensors: where it is one, write its name to architectures"
        )


def finished(
    tensors: Tensors,
    parsed: BertConfig,
    said: Sequence[str],
    label: str,
    directory: Path | None,
    encoder: bool,
    changes: Changes,
) -> Checkpoint:
    """The checkpoint of these tensors, as the user's changes have it."""
    purpose = parsed.task.replace("_", " ")
    if changes.problem_type and parsed.task != TEXT_LABELS:
        raise InputError(
            f"problem_type={changes.problem_type!r} is of labels of whole texts; {label} is for {purpose}."
        )
    if changes.labels and parsed.task in (ANSWERS, EMBEDDINGS, MASKED):
        raise InputError(
            f"the labels {','.join(changes.labels)} were given, but {label} is for {purpose}, without labels."
        )
    named = () if changes.labels else parsed.labels  # what the config says of them does not matter then
    parsed = dataclasses.replace(parsed, labels=named, problem_type=changes.problem_type or parsed.problem_type)
    tensors = arranged(tensors, changes.rename, changes.drop, label)
    params, labelled, ignored, warnings = to_params(tensors, parsed, label, encoder)
    if changes.labels:
        labelled = renamed(labelled, changes.labels, label)
    return Checkpoint(labelled, params, label, directory, ignored, (*said, *warnings))


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
        local = Path(path).expanduser() if path else None
        source = locate_any(local, config) if local else None
    except (OSError, RuntimeError) as error:  # no permission, a name that is too long, no such user
        raise InputError(f"{path} cannot be read: {one_line(error)}.") from None
    if source and revision:
        raise InputError(f"revision {revision!r} is for models on the hub, but {path} is a local path; leave it out.")
    if source:
        return source, str(source.weights)
    from autorel_jax.weights import hub

    if not hub.is_name(path):
        raise InputError(f"{path!r}: no such directory or file; give one, or a hub name such as org/model.")
    source = locate_any(hub.fetch(path, revision), config)
    return source, f"{path}@{source.weights.parent.name[:8]}/{source.weights.name}"


def locate_any(path: Path, config: Path | None) -> Source | None:
    """The files that a local path stands for; those of its base, where it is the folder of an adapter."""
    is_whole = path.is_dir() and (path / "config.json").is_file() and not (path / adapter.CONFIG).is_file()
    if not is_whole and modules.are_in(path):
        modules.listed(path)  # says where the Transformer is, if it is elsewhere
    raw = adapter.settings(path) if path.is_dir() and not is_whole else None
    if raw is None:
        return locate(path, config)
    base, revision = raw["base_model_name_or_path"], raw.get("revision")
    place = str(path / base) if (path / base).is_dir() else base
    if revision and os.path.exists(os.path.expanduser(place)):
        raise InputError(
            f"{path} is a LoRA adapter of {base} at revision {revision!r}, but {place} is a local path, of which no "
            f"revision is known; if it is the right one, remove revision from {adapter.CONFIG}."
        )
    own = path / "config.json"
    try:
        found, _ = find(place, config or (own if own.is_file() else None), revision)
    except InputError as error:
        raise InputError(
            f"{path} is a LoRA adapter of {base}, which is not at hand ({one_line(error)}); put it there, or "
            f"{adapter.MERGE}."
        ) from None
    return found._replace(directory=tokenizer_folder(path, found.directory), adapter=path)
