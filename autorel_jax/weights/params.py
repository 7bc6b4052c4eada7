"""Params: a checkpoint's tensors by name <-> our params tree, strictly.

Every tensor is used or ignorable by name, every leaf is filled, every shape is the config's. Used by
checkpoint.py and directory.py, and by export/, so this needs neither Flax nor transformers.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.errors import InputError, listing
from autorel_jax.families.family import EMBEDDINGS, MASKED
from autorel_jax.model.config import BertConfig, with_outputs
from autorel_jax.model.parameters import STACK, nested, parameters
from autorel_jax.weights.arranged import advice
from autorel_jax.weights.disk import Tensors
from autorel_jax.weights.names import Slot, identify, layer_numbers, slots
from autorel_jax.weights.tied import one_of_each

FLOATS = ("float16", "bfloat16", "float32", "float64")


class Converted(NamedTuple):
    """What a checkpoint's tensors give."""

    params: dict[str, Any]  # float32
    config: BertConfig  # its labels are those of the head: none without one
    ignored: tuple[str, ...]  # tensors that a classifier does not need
    warnings: tuple[str, ...]


class Found(NamedTuple):
    """A tensor of a file and its place in params."""

    raw: str  # its name in the file
    slot: Slot
    flipped: bool  # whether the file keeps it as [out, in], and we as [in, out]


def to_params(tensors: Tensors, config: BertConfig, source: str, encoder: bool = False) -> Converted:
    """A checkpoint's tensors -> params; `source` names it in messages.

    Empties `tensors` on the way, so that at most one copy of the weights is held beside the result. With `encoder`
    the pooler may be missing, as it is after pre-training on masked words alone; the params then lack it too.

    Raises:
      InputError: tensors that are missing, unknown, doubled, of the wrong shape or not floating-point.
    """
    names, ignored = identify(tensors, config, source)
    if config.task == MASKED:
        ignored += one_of_each(tensors, names, config, source)
    labelled = with_head(tensors, names, config, source)
    wanted = slots(labelled)
    ignored += [names.pop(name) for name in spare(labelled) if name in names and name not in wanted]
    check_names(names, wanted, labelled, source, encoder, tensors)
    found = [Found(names[name], slot, flipped(names[name], slot)) for name, slot in wanted.items() if name in names]
    check_arrays(tensors, found, labelled, source)
    params, damaged = fill(tensors, found, labelled)
    warnings = [f"{source}: NaN or inf in {listing(damaged)}."] if damaged else []
    if config.labels and not labelled.num_labels:
        warnings.append(f"{source}: no classification head, although the config names {len(config.labels)} labels.")
    return Converted(params, labelled, tuple(ignored), tuple(warnings))


def to_tensors(params: dict[str, Any], config: BertConfig) -> Tensors:
    """Params -> C-ordered tensors under PyTorch's names of the family's classifier."""
    flat, tensors = dict(leaves(params)), {}
    for slot in slots(config).values():
        values = np.asarray(flat[slot.path])
        values = values if slot.row is None else values[slot.row]
        tensors[slot.written] = np.ascontiguousarray(values.T if slot.is_kernel else values)
    return tensors


def fingerprint(params: dict[str, Any]) -> str:
    """SHA-256 over path, shape and float32 bytes of every leaf: the same from any file format."""
    digest = hashlib.sha256()
    for path, leaf in sorted(leaves(params)):
        values = np.ascontiguousarray(leaf, dtype="<f4")
        digest.update(f"{path} {values.shape}\n".encode())
        digest.update(values.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def tensor_hashes(params: dict[str, Any], config: BertConfig) -> dict[str, str]:
    """The name of each tensor in a checkpoint that we write -> SHA-256 over its name, type, shape and bytes in float32.

    The same from any file format, in one file or in shards.
    """
    flat, found = dict(leaves(params)), {}
    for slot in slots(config).values():
        values = np.asarray(flat[slot.path] if slot.row is None else flat[slot.path][slot.row])
        values = np.ascontiguousarray(values.T if slot.is_kernel else values, dtype="<f4")
        digest = hashlib.sha256(f"{slot.written} float32 {values.shape}\n".encode())
        digest.update(values.reshape(-1).view(np.uint8))
        found[slot.written] = digest.hexdigest()
    return found


def leaves(params: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """("layers/query/kernel", array) for every leaf."""
    for name, value in params.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}/")
        else:
            yield path + name, value


def spare(config: BertConfig) -> tuple[str, ...]:
    """Tensors that are ignored where the model has no use for them."""
    unread = config.head_facts.unread
    return (
        *config.family.spare,
        *(leaf.tensor for leaf in config.family.outside if leaf.path.split("/")[0] in unread),
    )


def flipped(raw: str, slot: Slot) -> bool:
    """Whether the tensor of that name is kept as [out, in]: PyTorch's are, those that are called kernel are not."""
    return slot.is_kernel and not raw.endswith("kernel")


def with_head(tensors: Tensors, names: dict[str, str], config: BertConfig, source: str) -> BertConfig:
    """The config with as many labels as the head in the file has outputs."""
    if config.task == EMBEDDINGS:
        return config
    if config.task == MASKED:
        return with_outputs(config, sum(leaf.tensor in names for leaf in config.head_facts.leaves))
    output = config.head_facts.output
    heads = [name for name in (output, output.replace(".weight", ".bias")) if name in names]
    if not heads:
        return with_outputs(config, 0)
    raw = names[heads[0]]
    values = tensors[raw]
    if not values.size:
        raise InputError(f"{source}: tensor {raw} is empty; a classification head has outputs.")
    outputs = values.shape[-1 if raw.endswith("kernel") else 0] if values.ndim else 1
    try:
        return with_outputs(config, outputs)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def check_names(
    names: dict[str, str], wanted: dict[str, Slot], config: BertConfig, source: str, encoder: bool, tensors: Tensors
) -> None:
    """Raises InputError unless the file holds exactly what is wanted; an `encoder` may lack all that training draws."""
    family = config.family
    key, what = ("num_hidden_groups", "groups of layers") if family.layers.shared else ("num_hidden_layers", "layers")
    count = config.value(key)
    found = layer_numbers(names, family)
    if found and (len(found), max(found)) != (count, count - 1):
        raise InputError(f"{source} holds {len(found)} {what} but {key}={count} in the config.")
    if not found:  # one layer stands for all that are missing
        wanted = slots(dataclasses.replace(config, num_hidden_layers=1))
    unknown = {name: raw for name, raw in names.items() if name not in wanted}
    if unknown:
        said = advice(unknown, tensors, config, bool(config.labels) or config.task == EMBEDDINGS)
        listed = listing(unknown.values())
        raise InputError(f"{source}: tensors that {family.name}'s classifier does not have: {listed}.{said}")
    missing = [name for name in wanted if name not in names]
    drawn = {name for name, slot in wanted.items() if encoder and slot.path.split("/")[0] in family.drawn}
    if missing and set(missing) != drawn:
        raise InputError(f"{source} lacks {len(missing)} of {family.name}'s tensors: {listing(missing)}.")


def check_arrays(tensors: Tensors, found: list[Found], config: BertConfig, source: str) -> None:
    """Raises InputError for a shape that is not the config's, or for numbers that are not floats."""
    wrong = []
    for raw, slot, is_flipped in found:
        values = tensors[raw]
        if values.dtype.name not in FLOATS:
            raise InputError(f"{source}: tensor {raw} is {values.dtype}; accepted: {', '.join(FLOATS)}.")
        if values.shape != (slot.shape[::-1] if is_flipped else slot.shape):
            wrong.append((raw, values.shape, slot.sizes[::-1] if is_flipped else slot.sizes))
    if wrong:
        more = f" (and {len(wrong) - 1} more tensors do not fit)" if len(wrong) > 1 else ""
        raise InputError(f"{source}: {contradiction(*wrong[0], config)}{more}")


def contradiction(raw: str, shape: tuple[int, ...], sizes: tuple[str, ...], config: BertConfig) -> str:
    """The sentence that says how a tensor's shape contradicts the config."""
    expected = [config.value(size) for size in sizes]
    pairs = list(zip(sizes, expected, strict=True))
    if len(shape) == len(sizes):
        pairs = [pair for pair, have in zip(pairs, shape, strict=True) if pair[1] != have]
    values = ", ".join(f"{name}={value}" for name, value in dict(pairs).items())
    return f"tensor {raw} has shape {list(shape)}, but {values} in the config asks for {expected}."


def fill(tensors: Tensors, found: list[Found], config: BertConfig) -> tuple[dict[str, Any], list[str]]:
    """Moves the tensors into new params; also returns the names of those with NaN or inf."""
    made = parameters(config)
    # A model of one layer has a stack without rows, which no tensor fills.
    paths = [path for path in made if path.startswith(f"{STACK}/")] + [slot.path for _, slot, _ in found]
    flat = {path: np.empty(made[path].shape, np.float32) for path in dict.fromkeys(paths)}
    damaged = []
    for raw, slot, is_flipped in found:
        values = tensors.pop(raw)
        target = flat[slot.path] if slot.row is None else flat[slot.path][slot.row]
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, which is named
            target[...] = values.T if is_flipped else values
        if not np.isfinite(target).all():
            damaged.append(raw)
    return nested(flat), damaged
