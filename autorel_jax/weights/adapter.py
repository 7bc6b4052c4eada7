"""Adapter: a folder of PEFT's LoRA, adapter_config.json and adapter_model.*, and its base model -> merged tensors.

    W' = W + (α / r) B A,  α / √r with use_rslora

What was trained in full (modules_to_save, biases) replaces the base's. Used by checkpoint.py.
Source: Hu et al. 2021 (arXiv 2106.09685).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import ANSWERS, TEXT_LABELS, TOKEN_LABELS
from autorel_jax.files import read_json
from autorel_jax.model.config import BertConfig
from autorel_jax.weights.disk import Tensors
from autorel_jax.weights.names import identify

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."  # of the tensors' names
MERGE = "merge it with PEFT: AutoPeftModelForSequenceClassification.from_pretrained(FOLDER).merge_and_unload()"
# What some versions leave in the names of what was trained in full, and of biases beside factors.
INSIDE = re.compile(r"\b(modules_to_save\.(default\.)?|base_layer\.)")
REPLACED = ".original_module."  # in the names of what it was before
PAIRS = {  # the end of a name -> which factor of which kind of layer
    ".lora_A.weight": ("A", False),
    ".lora_B.weight": ("B", False),
    ".lora_embedding_A": ("A", True),
    ".lora_embedding_B": ("B", True),
}
# Keys that are read or change no number; any other one must be absent, false or empty.
ACCEPTED = (
    *("base_model_name_or_path", "revision", "peft_type", "init_lora_weights"),
    *("lora_alpha", "alpha_pattern", "use_rslora"),
    # which parameters were trained: the tensors say it
    *("r", "rank_pattern", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "bias"),
    *("modules_to_save", "ensure_weight_tying"),
    # of training
    *("lora_dropout", "inference_mode", "runtime_config", "task_type"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config"),  # init_lora_weights says whether they count
    *("qalora_group_size", "megatron_core"),  # of use_qalora and megatron_config
    *("auto_mapping", "peft_version"),  # who wrote the file
)
TASKS = {"SEQ_CLS": TEXT_LABELS, "TOKEN_CLS": TOKEN_LABELS, "QUESTION_ANS": ANSWERS}  # task_type -> the head's
PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")  # that leave the base as it is


def settings(folder: Path) -> dict[str, Any] | None:
    """The adapter's config, None where the folder holds no adapter; an InputError for one of another kind."""
    path = folder / CONFIG
    if not path.is_file():
        return None
    raw = read_json(path)
    if not isinstance(raw.get("base_model_name_or_path"), str):
        raise InputError(f"{path} names no base model; {MERGE}.")
    if raw.get("peft_type") != "LORA":
        raise InputError(f"{path}: peft_type={raw.get('peft_type')!r} is not supported; accepted: 'LORA'. {MERGE}.")
    for key in raw:
        if raw[key] and key not in ACCEPTED:
            raise InputError(f"{path}: {key}={one_line(raw[key])} is not supported; {MERGE}.")
    if raw.get("init_lora_weights") not in PLAIN_STARTS:
        start = raw["init_lora_weights"]
        raise InputError(f"{path}: init_lora_weights={one_line(start)} changed the base's own weights; {MERGE}.")
    if not isinstance(raw.get("revision"), str | None):
        raise InputError(f"{path}: revision={one_line(raw['revision'])}: expected a branch, a tag or a commit.")
    check_alphas(raw, path)
    return raw


def check_alphas(raw: Mapping[str, Any], path: Path) -> None:
    """Raises InputError unless lora_alpha is a number and alpha_pattern has one for each pattern of modules."""
    patterns = raw.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise InputError(f"{path}: alpha_pattern={one_line(patterns)}: expected an object of numbers by pattern.")
    for key, value in {"lora_alpha": raw.get("lora_alpha", 8), **patterns}.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(
                f"{path}: the alpha of {one_line(key)} is {one_line(json.dumps(value))}; expected a number."
            )
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InputError(f"{path}: alpha_pattern {one_line(pattern)!r} is no pattern: {one_line(error)}.") from None


def weights_of(folder: Path) -> Path:
    """The file of the adapter's tensors."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds {CONFIG} but none of {', '.join(WEIGHTS)}; copy it there.")


def merged(base: Tensors, adapter: Tensors, raw: Mapping[str, Any], config: BertConfig, source: str) -> Tensors:
    """The base's tensors, with the adapter's merged into them; `source` names the adapter in messages.

    Raises:
      InputError: a factor without the other, or without a matrix of its shape in the base.
    """
    names = identify(base, config, source).known
    factors: dict[tuple[str, bool], dict[str, np.ndarray]] = {}
    whole: Tensors = {}
    for name, values in adapter.items():
        if REPLACED in name:
            continue
        bare = INSIDE.sub("", name.removeprefix(PREFIX))
        end = next((end for end in PAIRS if bare.endswith(end)), None)
        if end is not None:
            factor, is_table = PAIRS[end]
            factors.setdefault((bare.removesuffix(end), is_table), {})[factor] = values
        elif not np.array_equal(whole.setdefault(bare, values), values):
            raise InputError(f"{source} holds {bare} twice, with other values; {MERGE}.")
    result, held = dict(base), dict(names)
    for name, raw_name in identify(whole, config, source).known.items():
        result.pop(held.get(name, ""), None)
        result[raw_name], held[name] = whole[raw_name], raw_name
    modules = identify((f"{module}.weight" for module, _ in factors), config, source).known
    for name, raw_name in modules.items():
        module = raw_name.removesuffix(".weight")
        is_table = (module, True) in factors
        pair = factors[module, is_table]
        if pair.keys() != {"A", "B"} or name not in held:
            raise InputError(f"{source}: {module} has not both factors, or is not in the base model.")
        delta = change(pair["A"], pair["B"], scale(raw, module, pair["A"].shape[0]))
        # A matrix that the adapter also holds as a whole is changed as it is there.
        result[held[name]] = changed(result[held[name]], delta.T if is_table else delta, held[name], source)
    return result


def scale(raw: Mapping[str, Any], module: str, rank: int) -> float:
    """α / r of a module, or α / √r; alpha_pattern may name another α for it."""
    alpha = raw.get("lora_alpha", 8)
    for pattern, value in (raw.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = value
            break
    return alpha / (rank**0.5 if raw.get("use_rslora") else rank)


def change(a: np.ndarray, b: np.ndarray, factor: float) -> np.ndarray:
    """factor · B A, computed in float32: A [r, in], B [out, r] -> [out, in]."""
    return factor * (b.astype(np.float32) @ a.astype(np.float32))


def changed(values: np.ndarray, delta: np.ndarray, name: str, source: str) -> np.ndarray:
    """A matrix of the base, as its file keeps it, and what is added to it."""
    delta = delta.T if name.endswith("kernel") else delta
    if values.shape != delta.shape:
        raise InputError(f"{source}: its change of {name} has shape {list(delta.shape)}, not {list(values.shape)}.")
    return values.astype(np.float32) + delta
