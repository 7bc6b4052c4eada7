"""BertConfig: the architecture, and `config.json` of a checkpoint <-> it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import LARGEST_FLOAT, InputError

# transformers' architectures whose encoder is BERT's: with our classification head, or with heads that are ignored.
CLASSIFIERS = ("BertForSequenceClassification",)
ENCODERS = ("BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction")
ACTIVATIONS = {  # the name in config.json -> the function's name in ops.py
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
SINGLE, MULTI, REGRESSION = PROBLEMS = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The architecture of a BERT classifier; the names are those of Hugging Face's `config.json`.

    `labels` is empty for a checkpoint without a classification head, and where the config names none until the
    head's size is known (`with_outputs`). `hidden_act` is a key of `ACTIVATIONS`.
    """

    vocab_size: int
    hidden_size: int  # D
    num_hidden_layers: int  # L
    num_attention_heads: int  # H
    intermediate_size: int  # F
    hidden_act: str = "gelu"  # the exact (erf) GELU, BERT's own
    max_position_embeddings: int = 512  # tokens incl. [CLS] and [SEP]
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12  # inside the root; BERT's value
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None  # None: as hidden_dropout_prob
    initializer_range: float = 0.02  # standard deviation of a new weight
    pad_token_id: int = 0
    labels: tuple[str, ...] = ()
    problem_type: str | None = None  # None: by the number of labels, see `problem`

    def __post_init__(self):
        for name in SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name}={value!r} in the model's config: expected a whole number of at least 1.")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"num_attention_heads={self.num_attention_heads} does not divide hidden_size={self.hidden_size}; "
                "use a divisor."
            )
        if self.hidden_act not in ACTIVATIONS:
            raise InputError(f"hidden_act={self.hidden_act!r} is unknown; accepted: {', '.join(ACTIVATIONS)}.")
        if self.problem_type not in (None, *PROBLEMS):
            raise InputError(f"problem_type={self.problem_type!r} is unknown; accepted: {', '.join(PROBLEMS)}.")
        if not 0 <= self.layer_norm_eps <= LARGEST_FLOAT:
            raise InputError(f"layer_norm_eps={self.layer_norm_eps!r}: expected a finite number of at least 0.")

    @property
    def num_labels(self) -> int:
        """C, the number of outputs of the head; 0 without a head."""
        return len(self.labels)

    @property
    def head_width(self) -> int:
        """K = D / H."""
        return self.hidden_size // self.num_attention_heads

    @property
    def problem(self) -> str:
        """One of PROBLEMS: one output is a regression unless the config says otherwise, as in transformers."""
        return self.problem_type or (REGRESSION if self.num_labels == 1 else SINGLE)

    @property
    def activation(self) -> str:
        """The name of the feed-forward activation in ops.py."""
        return ACTIVATIONS[self.hidden_act]


COMPUTE_DTYPES = ("float32", "bfloat16")  # of the matrix products
FLOAT64 = "float64"  # likewise, for checks: parameters too; needs jax_enable_x64


def read_config(path: Path) -> BertConfig:
    """Reads `config.json` (Hugging Face) or `bert_config.json` (Google, the original BERT_LRP).

    Raises:
      InputError: not JSON, or a model that is not BERT with BERT's classification head; the message names it.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; a model needs its config.json or bert_config.json.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a JSON file that can be read: {error}.") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path} holds a {type(raw).__name__}; expected a JSON object.")
    try:
        return parse_config(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_config(raw: Mapping[str, Any]) -> BertConfig:
    """A parsed `config.json` -> BertConfig, or an InputError that names what is not supported."""
    refuse_unsupported(raw)
    missing = [name for name in SIZES[:5] if raw.get(name) is None]
    if missing:
        raise InputError(f"the config lacks {', '.join(missing)}.")
    known = {field.name for field in dataclasses.fields(BertConfig)} - {"labels", "problem_type"}
    values = {name: value for name, value in raw.items() if name in known and value is not None}
    for name, value in values.items():
        if name != "hidden_act" and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise InputError(f"{name}={value!r}: expected a number.")
    return BertConfig(**values, labels=label_names(raw), problem_type=raw.get("problem_type"))


def with_outputs(config: BertConfig, outputs: int) -> BertConfig:
    """The config of a checkpoint whose head has that many outputs (0: no head): labels are named where it is silent.

    Raises:
      InputError: the config names another number of labels.
    """
    if not outputs:
        return dataclasses.replace(config, labels=())
    if config.labels and len(config.labels) != outputs:
        raise InputError(f"classifier.weight has {outputs} outputs but the config names {len(config.labels)} labels.")
    return dataclasses.replace(config, labels=config.labels or default_labels(outputs))


def refuse_unsupported(raw: Mapping[str, Any]) -> None:
    """Raises InputError for a config of anything but BERT with absolute positions and BERT's head."""
    kind = raw.get("model_type", "bert")
    if kind != "bert":
        raise InputError(f"model_type={kind!r} is not supported; accepted: 'bert'.")
    for name in raw.get("architectures") or ():
        if name not in CLASSIFIERS + ENCODERS:
            raise InputError(f"architecture {name!r} is not supported; accepted: {', '.join(CLASSIFIERS + ENCODERS)}.")
    positions = raw.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise InputError(f"position_embedding_type={positions!r} is not supported; accepted: 'absolute'.")
    for name in ("is_decoder", "add_cross_attention", "pruned_heads"):
        if raw.get(name):
            raise InputError(f"{name}={raw[name]!r} is not supported; accepted: a plain encoder.")
    for name in ("pooling", "pooling_mode", "classifier_pooling", "summary_type"):
        if raw.get(name) not in (None, "cls", "first"):
            raise InputError(f"{name}={raw[name]!r} is not supported; BERT's head reads [CLS].")


def default_labels(count: int) -> tuple[str, ...]:
    """transformers' names for labels that have none."""
    return tuple(f"LABEL_{i}" for i in range(count))


def label_names(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in the order of the logits, from id2label or num_labels; empty where the config is silent."""
    names = raw.get("id2label")
    if names is None:
        count = raw.get("num_labels", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InputError(f"num_labels={count!r}: expected a whole number.")
        return default_labels(count)
    try:
        by_id = {int(key): str(name) for key, name in names.items()}
    except (AttributeError, ValueError):
        raise InputError(f"id2label={names!r}: expected an object of label names by id.") from None
    if sorted(by_id) != list(range(len(by_id))) or not by_id:
        raise InputError(f"id2label has the ids {sorted(by_id)}; expected 0, 1, 2, …")
    return tuple(by_id[i] for i in range(len(by_id)))


def config_json(config: BertConfig) -> dict[str, Any]:
    """BertConfig -> the object that transformers writes as `config.json`."""
    values = dataclasses.asdict(config)
    labels, _ = values.pop("labels"), values.pop("problem_type")
    head = {
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": config.problem,
    }
    return {
        "architectures": [CLASSIFIERS[0] if labels else ENCODERS[0]],
        "model_type": "bert",
        "position_embedding_type": "absolute",
        **values,
        **(head if labels else {}),
    }
