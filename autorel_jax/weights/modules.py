"""Modules: modules.json of a sentence-transformers directory -> how it makes one vector of a text's tokens.

Used by checkpoint.py. Only what follows the encoder is read here: pooling, a map behind it, whether vectors are
normalized, and how they are compared. A setting is honoured or refused.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import DENSE, EMBEDDINGS, FIRST, KERNEL, MAX, MEAN
from autorel_jax.files import read_json
from autorel_jax.model.config import BertConfig
from autorel_jax.weights.disk import Tensors
from autorel_jax.weights.files import chosen_in, read_tensors

FILE = "modules.json"
GENERAL = "config_sentence_transformers.json"
PACKAGE = "sentence_transformers."
SETFIT = ("config_setfit.json", "model_head.pkl")  # beside modules.json: a classifier whose body makes vectors
OWN = (  # of the Transformer module, by the class that wrote it; the first that is there counts
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
POOLINGS = {  # key of 1_Pooling/config.json -> kind
    "pooling_mode_cls_token": FIRST,
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_max_tokens": MAX,
}
NAMES = {"cls": FIRST, "mean": MEAN, "max": MAX}  # likewise, values of pooling_mode
ACTIVATIONS = {"Identity": "", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}  # of Dense, classes of torch.nn -> ours
NOTHING = (None, False, "", {}, [])
OF_TRANSFORMER: Mapping[str, tuple[Any, ...] | None] = {  # key -> accepted values; None: any, read or harmless here
    "max_seq_length": None,
    "do_lower_case": NOTHING,
    "unpad_inputs": None,
    "transformer_task": ("feature-extraction", "sequence-classification"),
    "modality_config": None,
    "module_output_name": ("token_embeddings", "scores", "logits"),
    "processing_kwargs": NOTHING,
    "query_length": NOTHING,
    "document_length": NOTHING,
    "query_expansion": NOTHING,
    "model_args": NOTHING,
    "tokenizer_args": NOTHING,
    "config_args": NOTHING,
    "model_kwargs": NOTHING,
    "processor_kwargs": NOTHING,
    "config_kwargs": NOTHING,
    "tokenizer_name_or_path": NOTHING,
}
ON_VECTORS = {key: ("sentence_embedding", None) for key in ("module_input_name", "module_output_name")}
ADVICE = (
    "accepted: a Transformer, then Pooling by [CLS], the mean or the maximum, then Dense or nothing, then Normalize or "
    "nothing"
)


def are_in(directory: Path | None) -> bool:
    """Whether the directory is one of sentence-transformers."""
    return directory is not None and (directory / FILE).is_file()


def embedder(directory: Path, config: BertConfig) -> BertConfig:
    """The config of the encoder with what modules.json makes of its tokens.

    Raises:
      InputError: modules that are not supported, by name.
    """
    if head := next((name for name in SETFIT if (directory / name).is_file()), None):
        raise InputError(
            f"{directory} has {head}, of SetFit, whose scikit-learn head is a pickle and not read; train a head on it "
            f"(autorel train --model), or, for the vectors alone, take {' and '.join(SETFIT)} out of a copy."
        )
    kinds, folders = listed(directory)
    behind = kinds[2:]
    if kinds[:2] != ["Transformer", "Pooling"] or behind not in ([], ["Dense"], ["Normalize"], ["Dense", "Normalize"]):
        raise InputError(f"{directory / FILE} has the modules {', '.join(kinds)}; {ADVICE}.")
    made = dataclasses.replace(
        config,
        task=EMBEDDINGS,
        labels=(),
        pools=pooling(directory / folders[1] / "config.json", config.hidden_size),
        most_tokens=longest(directory),
        normalizes="Normalize" in kinds,
        measure=measure(directory / GENERAL),
    )
    if made.normalizes and (path := directory / folders[-1] / "config.json").is_file():
        check(path, read_json(path), ON_VECTORS)
    made = with_dense(made, directory / folders[2] / "config.json") if "Dense" in kinds else made
    refuse_cut(directory / GENERAL, made.num_labels)
    return made


def listed(directory: Path) -> tuple[list[str], list[str]]:
    """The classes of the modules, without the package where it is sentence-transformers, and their folders.

    Raises:
      InputError: the file cannot be read, or the first module, the Transformer, is not beside it.
    """
    path = directory / FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        types, folders = [str(one["type"]) for one in found], [str(one["path"]) for one in found]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}.") from None
    if folders and Path(folders[0]) != Path():
        raise InputError(
            f"{path}: the Transformer is in {directory / folders[0]}, but is read only beside modules.json; in a copy "
            "move that folder's files up, and make its path an empty string."
        )
    return [name.rpartition(".")[2] if name.startswith(PACKAGE) else name for name in types], folders


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
    check(path, settings, OF_TRANSFORMER)
    text = settings.get("modality_config") or {"text": {}}
    of_text = text.get("text") if isinstance(text, dict) else None
    output = isinstance(of_text, dict) and of_text.get("method_output_name")
    if output not in (None, "last_hidden_state", "logits") or of_text.get("method", "forward") != "forward":
        raise InputError(f"{path}: modality_config without a text's last_hidden_state is not supported.")
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
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts")
    if name and not (isinstance(prompts, dict) and prompts.get(name) == ""):
        raise InputError(
            f"{path}: default_prompt_name={name!r} puts a prompt before each text, which is "
            "not done here; set it to null, and write the prompt into the texts."
        )
    return str(settings.get("similarity_fn_name") or "")


def refuse_cut(path: Path, width: int) -> None:
    """Raises InputError where sentence-transformers keeps only the first dimensions of a vector.

    What else it reads of this file (6.2: versions, requirements, model_type; of a cross-encoder activation_fn and
    keep_in_fp32_modules) changes no vector and no logit.
    """
    kept = read_json(path).get("truncate_dim") if path.is_file() else None
    if kept is not None and (not isinstance(kept, int) or isinstance(kept, bool) or kept < width):
        raise InputError(
            f"{path}: truncate_dim={one_line(json.dumps(kept))} keeps a part of each vector, which is not done here; "
            f"accepted: null, or at least {width}, the vector's width."
        )


def pooling(path: Path, width: int) -> str:
    """How the tokens become one vector, as the config of Pooling says: FIRST, MEAN or MAX."""
    settings = read_json(path)
    wanted = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value]
    named = settings.get("pooling_mode")
    several = [str(one) for one in (named if isinstance(named, list) else [named] if named else wanted)]
    kind = (NAMES if named else POOLINGS).get(several[0]) if len(several) == 1 else None
    if kind is None or (named and wanted):
        raise InputError(f"{path.parent}: pooling by {', '.join(several) or 'nothing'} is not supported; {ADVICE}.")
    modes = {name: None for name in settings if name.startswith("pooling_mode")}
    widths = {key: (width, None) for key in ("word_embedding_dimension", "embedding_dimension")}
    check(path, settings, modes | widths | {"include_prompt": (True, None)})
    return kind


def with_dense(config: BertConfig, path: Path) -> BertConfig:
    """The config with the map behind pooling that the config of Dense describes."""
    settings = read_json(path)
    width, bias = settings.get("out_features"), settings.get("bias", True)
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise InputError(f"{path}: out_features={width!r}: expected a whole number of at least 1.")
    named = settings.get("activation_function", "torch.nn.Tanh")  # the class's own, where the file does not say
    module, _, activation = str(named).rpartition(".")
    if not f"{module}.".startswith("torch.nn.") or activation not in ACTIVATIONS:
        accepted = ", ".join(f"torch.nn.{name}" for name in ACTIVATIONS)
        raise InputError(f"{path}: activation_function={named!r} is not supported; accepted: {accepted}.")
    known = {"out_features": None, "activation_function": None, "use_residual": NOTHING, "bias": (True, False)}
    check(path, settings, known | ON_VECTORS | {"in_features": (config.hidden_size,)})
    return dataclasses.replace(config, dense_width=width, dense_bias=bias, dense_activation=ACTIVATIONS[activation])


def dense_tensors(directory: Path, config: BertConfig) -> Tensors:
    """The weights of that map, under the names of its leaves; none where the model has no such map.

    Raises:
      InputError: other tensors than the config says.
    """
    if not config.dense_width:
        return {}
    kinds, folders = listed(directory)
    path = directory / folders[kinds.index("Dense")]
    path /= chosen_in(path)
    found = read_tensors(path)
    shapes = {
        leaf.tensor: tuple(map(config.value, leaf.sizes[:: -1 if leaf.kind == KERNEL else 1]))
        for leaf in config.present(DENSE)
    }
    prefix = DENSE[0].tensor.partition(".")[0]
    named = {f"{prefix}.{name}": values for name, values in found.items()}
    if {name: values.shape for name, values in named.items()} != shapes:
        have = ", ".join(f"{name} {list(values.shape)}" for name, values in found.items())
        expected = ", ".join(f"{name.partition('.')[2]} {list(shape)}" for name, shape in shapes.items())
        raise InputError(f"{path} holds {one_line(have)}; its config asks for {expected}.")
    return named


def check(path: Path | None, settings: Mapping[str, Any], known: Mapping[str, tuple[Any, ...] | None]) -> None:
    """Raises InputError for a setting that is not known, or has no accepted value; None accepts any."""
    for key, value in settings.items():
        if key not in known:
            raise InputError(
                f"{path}: {one_line(key)}={one_line(repr(value))} is not known here; if it changes nothing for texts, "
                "remove it."
            )
        accepted = known[key]
        if accepted is not None and not any(
            value is one or (value == one and type(value) is type(one)) for one in accepted
        ):
            raise InputError(
                f"{path}: {key}={one_line(json.dumps(value))} is not supported; accepted: {json.dumps(accepted[0])}."
            )
