"""Modules: modules.json of a sentence-transformers directory -> how it makes one vector of a text's tokens.

Used by checkpoint.py. Only what follows the encoder is read here: pooling, whether vectors are normalized, and how they
are compared.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import EMBEDDINGS, FIRST, MEAN
from autorel_jax.files import read_json
from autorel_jax.model.config import BertConfig

FILE = "modules.json"
GENERAL = "config_sentence_transformers.json"
OWN = (  # of the Transformer module, by the class that wrote it; the first that is there counts
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
POOLINGS = {"pooling_mode_cls_token": FIRST, "pooling_mode_mean_tokens": MEAN}  # key of 1_Pooling/config.json -> kind
NAMES = {"cls": FIRST, "mean": MEAN}  # likewise, values of pooling_mode
ADVICE = "accepted: a Transformer, then Pooling by [CLS] or the mean, then Normalize or nothing"


def are_in(directory: Path | None) -> bool:
    """Whether the directory is one of sentence-transformers."""
    return directory is not None and (directory / FILE).is_file()


def embedder(directory: Path, config: BertConfig) -> BertConfig:
    """The config of the encoder with what modules.json makes of its tokens.

    Raises:
      InputError: modules that are not supported, by name.
    """
    kinds, folders = listed(directory)
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise InputError(f"{directory / FILE} has the modules {', '.join(kinds)}; {ADVICE}.")
    settings = read_json(directory / folders[1] / "config.json")
    pools = pooling(settings, directory / folders[1])
    return dataclasses.replace(
        config,
        task=EMBEDDINGS,
        labels=(),
        pools=pools,
        most_tokens=longest(directory),
        normalizes="Normalize" in kinds,
        measure=measure(directory / GENERAL),
    )


def listed(directory: Path) -> tuple[list[str], list[str]]:
    """The classes of the modules, without their packages, and their folders."""
    path = directory / FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        return [str(one["type"]).rpartition(".")[2] for one in found], [str(one["path"]) for one in found]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}.") from None


def cross_encoder(directory: Path, config: BertConfig) -> BertConfig:
    """The config of a model with a head of its own, with the most tokens that sentence-transformers reads.

    Raises:
      InputError: modules after it, or a prompt before each text.
    """
    kinds, _ = listed(directory)
    if kinds != ["Transformer"]:
        raise InputError(
            f"{directory / FILE} has the modules {', '.join(kinds)}, but the weights have a head of their own; "
            "accepted then: a Transformer alone."
        )
    measure(directory / GENERAL)  # refuses a prompt
    return dataclasses.replace(config, most_tokens=longest(directory))


def longest(directory: Path) -> int | None:
    """The most tokens of a text that sentence-transformers reads; None: as many as the model has positions.

    Raises:
      InputError: the file asks for what is not done to texts here.
    """
    path = next((directory / name for name in OWN if (directory / name).is_file()), None)
    settings = {} if path is None else read_json(path)
    if settings.get("do_lower_case"):
        raise InputError(f"{path}: do_lower_case=true is not supported; accepted: false.")
    most = settings.get("max_seq_length")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise InputError(f"{path}: max_seq_length={most!r}: expected a whole number.")
    return most


def measure(path: Path) -> str:
    """How vectors are compared, as the file of all modules says; empty where it does not.

    Raises:
      InputError: the file asks for what is not done to texts here.
    """
    settings = read_json(path) if path.is_file() else {}
    if settings.get("default_prompt_name"):
        raise InputError(
            f"{path}: default_prompt_name={settings['default_prompt_name']!r} puts a prompt before each text, which is "
            "not done here; set it to null, and write the prompt into the texts."
        )
    return str(settings.get("similarity_fn_name") or "")


def pooling(settings: dict[str, Any], folder: Path) -> str:
    """How the tokens become one vector: FIRST or MEAN."""
    wanted = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value]
    named = settings.get("pooling_mode")
    kind = NAMES.get(named) if isinstance(named, str) else POOLINGS.get(wanted[0]) if len(wanted) == 1 else None
    if kind is None or (named is not None and wanted):
        raise InputError(f"{folder}: pooling by {named or ', '.join(wanted) or 'nothing'} is not supported; {ADVICE}.")
    if settings.get("include_prompt") is False:
        raise InputError(f"{folder}: include_prompt=false is not supported; accepted: true.")
    return kind
