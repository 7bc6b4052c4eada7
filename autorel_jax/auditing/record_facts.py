"""Record facts: an Explainer -> all that decides its scores, as JSON: the model by its hashes, and the question.

Used by record.py; record_differences.py says how two differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
from typing import Any

import jax

from autorel_jax import __version__, weights
from autorel_jax.classifier import Classifier
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.text.unspaced import word_source

LIBRARIES = ("jax", "jaxlib", "numpy", "tokenizers")
ROUNDING = ("batch_size", "prefetch", "readouts", "neurons")  # of ExplainConfig; they change scores by rounding at most


def model_facts(classifier: Classifier) -> dict[str, Any]:
    """The model: hashes of weights and tokenizer, labels in their order, and every value of its config."""
    config, tokenizer = classifier.config, classifier.tokenizer
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    special = {"pad": tokenizer.pad_id, "unk": tokenizer.unk_id, "cls": tokenizer.cls_id, "sep": tokenizer.sep_id}
    return as_json(
        {
            "name": classifier.name,
            "dtype": classifier.dtype,
            "labels": values.pop("labels"),
            "weights": weights.tensor_hashes(classifier.params, config),
            "config": values | {"details": config.details and dataclasses.asdict(config.details)},
            "tokenizer": {
                "sha256": tokenizer.fingerprint,
                "cased": tokenizer.cased,
                "truncation_side": tokenizer.truncation_side,
                "longest_text": classifier.longest_text,
                "special_ids": special | {"mask": tokenizer.mask_id},
            },
        }
    )


def question_facts(explainer: Explainer) -> dict[str, Any]:
    """The question: what was asked, and what that came to."""
    method, config = explainer.method, explainer.config
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if callable(config.target):
        raise InputError("A record cannot hold a target that is a function; explain a label, or two as a contrast.")
    asked = {name: value for name, value in fields.items() if name not in ROUNDING}
    if config.zero_shot:
        asked["target"] = ExplainConfig.target  # the label of entailment has been put in its place
    return as_json(
        {
            "asked": asked | {"method": method.name, "parameters": dict(config.parameters)},
            "name": method.name,
            "content": hashlib.sha256(json.dumps(method.content(), sort_keys=True, default=repr).encode()).hexdigest(),
            "rules": dict(method.rules),
            "parameters": explainer.parameters,
            "max_length": explainer.max_length,
        }
    )


def environment(split_words: str) -> dict[str, Any]:
    """Where it was computed; no part of it is a difference by itself."""
    device = jax.devices()[0]
    return {
        "autorel-jax": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        "device": f"{device.platform}: {device.device_kind}",
        "machine": f"{platform.system()} {platform.machine()}",
        "words": word_source(split_words),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }


def asked_config(asked: dict[str, Any], method: Any, batch_size: int | None = None) -> ExplainConfig:
    """The ExplainConfig of a question; `method` is the one of its name.

    Raises:
      InputError: a field that this version does not have, or a value that it refuses.
    """
    known = {field.name for field in dataclasses.fields(ExplainConfig)} - {*ROUNDING}
    if unknown := sorted(asked.keys() - known):
        raise InputError(f"the record asks for {', '.join(unknown)}, which this version does not know.")
    target = asked["target"]
    target = tuple(target) if isinstance(target, list) else target
    return ExplainConfig(**asked | {"method": method, "target": target, "batch_size": batch_size})


def as_json(value: Any) -> Any:
    """As it comes back from a file."""
    return json.loads(json.dumps(value, default=lambda other: other.tolist()))
