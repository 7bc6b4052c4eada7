"""BertConfig: the architecture, and `config.json` of a checkpoint <-> it.

Which keys there are, what they default to and what is refused are facts of the family. Used by model/, by
weights/checkpoint.py, which reads one, and by weights/directory.py, which writes one.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import LARGEST_FLOAT, LARGEST_INT, InputError, one_line
from autorel_jax.families import FAMILIES, family_of
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import ACTIVATIONS, REQUIRED, Details, Family, Leaf, Setting
from autorel_jax.families.keys import HARMLESS, OWN_CODE, READ, REFUSALS
from autorel_jax.families.mpnet import BUCKETS
from autorel_jax.files import read_json
from autorel_jax.foreign import lone_surrogate

SINGLE, MULTI, REGRESSION = PROBLEMS = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
SHOWN = 8  # unknown keys in a warning
MOST_LABELS = 2**20  # a larger number is a fault of the file, and would fill the memory with names
MOST_LAYERS = 2**12  # likewise: a config of more would fill the memory with names of tensors
RATES = (("hidden_dropout_prob", 1), ("attention_probs_dropout_prob", 1), ("classifier_dropout", 1))
SIZES = (
    "vocab_size",
    "hidden_size",
    "embedding_width",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)


BERTS = BERT.defaults  # of a config made by hand; those of a file are its own family's


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The architecture of a classifier of BERT's kind; the names are those of BERT's `config.json`.

    `labels` is empty for a checkpoint without a classification head, and where the config names none until the
    head's size is known (`with_outputs`). `hidden_act` is a key of `ACTIVATIONS`.
    """

    vocab_size: int
    hidden_size: int  # D
    num_hidden_layers: int  # L
    num_attention_heads: int  # H
    intermediate_size: int  # F
    hidden_act: str = BERTS["hidden_act"]
    max_position_embeddings: int = BERTS["max_position_embeddings"]  # rows of the position table; see `longest_text`
    type_vocab_size: int = BERTS["type_vocab_size"]
    layer_norm_eps: float = BERTS["layer_norm_eps"]
    hidden_dropout_prob: float = BERTS["hidden_dropout_prob"]
    attention_probs_dropout_prob: float = BERTS["attention_probs_dropout_prob"]
    classifier_dropout: float | None = BERTS["classifier_dropout"]
    initializer_range: float = BERTS["initializer_range"]
    pad_token_id: int = BERTS["pad_token_id"]
    labels: tuple[str, ...] = ()
    problem_type: str | None = None  # None: by the number of labels, see `problem`
    # Not in the repr, by which a resumed run knows its model again: there were runs before there was this field.
    model_type: str = dataclasses.field(default=BERT.model_types[0], repr=False)
    embedding_size: int | None = dataclasses.field(default=None, repr=False)  # None: as hidden_size
    embedding_dropout: float | None = dataclasses.field(default=None, repr=False)  # None: as hidden_dropout_prob
    details: Details | None = dataclasses.field(default=None, repr=False)  # the values that no other family has

    def __post_init__(self):
        constants = family_of(self.model_type).constants
        for name, value in constants.items():
            if getattr(self, name) != value:
                family = self.family.name
                raise InputError(f"{name}={getattr(self, name)!r} in the model's config: {family} has {value!r}.")
        if self.widens and not self.family.narrow:
            raise InputError(
                f"embedding_size={self.embedding_size} in the model's config: {self.family.name}'s embeddings are as "
                f"wide as its layers, hidden_size={self.hidden_size}."
            )
        may_be_none = {leaf.when for leaf in self.family.outside}
        for name in SIZES:
            value, least = getattr(self, name), 0 if name in may_be_none else 1
            if name in constants:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(
                    f"{name}={value!r} in the model's config: expected a whole number of at least {least}."
                )
            most = MOST_LAYERS if name == "num_hidden_layers" else LARGEST_INT
            if value > most:
                raise InputError(f"{name}={one_line(value)} in the model's config: expected no more than {most}.")
        if self.family.position_offset is None and (not isinstance(self.pad_token_id, int) or self.pad_token_id < 0):
            raise InputError(f"pad_token_id={self.pad_token_id!r} in the model's config: expected a token's id.")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"num_attention_heads={self.num_attention_heads} does not divide hidden_size={self.hidden_size}; "
                "use a divisor."
            )
        if self.hidden_act not in ACTIVATIONS:
            raise InputError(f"hidden_act={self.hidden_act!r} is unknown; accepted: {', '.join(ACTIVATIONS)}.")
        if self.problem_type not in (None, *PROBLEMS):
            raise InputError(f"problem_type={self.problem_type!r} is unknown; accepted: {', '.join(PROBLEMS)}.")
        if self.longest_text < 1:
            raise InputError(
                f"max_position_embeddings={self.max_position_embeddings} leaves no position for a token; the first "
                f"has row {self.position_offset} of the table."
            )
        for name, most in (("layer_norm_eps", LARGEST_FLOAT), ("initializer_range", LARGEST_FLOAT), *RATES):
            self._check_number(name, most)
        for label in self.labels:
            if fault := lone_surrogate(label):
                raise InputError(f"the label {label!r} has {fault}; rename it.")

    def _check_number(self, name: str, most: float) -> None:
        """Makes a whole number a float, which JAX else takes for an int32; InputError for one out of range."""
        value = getattr(self, name)
        if value is None:
            return
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            limits = "a finite number of at least 0" if most == LARGEST_FLOAT else f"a number from 0 to {most:g}"
            raise InputError(f"{name}={one_line(repr(value))} in the model's config: expected {limits}.")
        object.__setattr__(self, name, float(value))

    @property
    def family(self) -> Family:
        """The facts of the model's family."""
        return FAMILIES[self.model_type]

    @property
    def longest_text(self) -> int:
        """The most tokens that the model reads at once, special tokens included."""
        return self.max_position_embeddings - self.position_offset

    @property
    def position_offset(self) -> int:
        """The row of the first token in the position table."""
        offset = self.family.position_offset
        return self.pad_token_id + 1 if offset is None else offset

    @property
    def inner_group_num(self) -> int:
        """How many layers stand for one of num_hidden_layers; details say so for ALBERT."""
        return 1

    @property
    def depth(self) -> int:
        """L, the layers that a text goes through."""
        return self.num_hidden_layers * self.value("inner_group_num")

    @property
    def stored_layers(self) -> tuple[str, ...]:
        """The layers that a checkpoint holds, by name: fewer than L where layers share parameters."""
        layers = self.family.layers
        ends = self.details.stored if layers.shared else range(self.num_hidden_layers)
        return tuple(f"{layers.name}.{end}" for end in ends)

    @property
    def num_labels(self) -> int:
        """C, the number of outputs of the head; 0 without a head."""
        return len(self.labels)

    @property
    def head_width(self) -> int:
        """K = D / H."""
        return self.hidden_size // self.num_attention_heads

    @property
    def head_dropout(self) -> float:
        """The rate inside the head."""
        return self.hidden_dropout_prob if self.classifier_dropout is None else self.classifier_dropout

    @property
    def attention_output_dropout(self) -> float:
        """The rate for what attention adds to the residual stream."""
        return self.hidden_dropout_prob if self.family.layers.drops_attention else 0.0

    @property
    def feed_forward_dropout(self) -> float:
        """Likewise for the feed-forward."""
        return self.hidden_dropout_prob if self.family.layers.drops_feed_forward else 0.0

    @property
    def input_dropout(self) -> float:
        """The rate for the output of the embedding LayerNorm."""
        return self.hidden_dropout_prob if self.embedding_dropout is None else self.embedding_dropout

    @property
    def joint_width(self) -> int:
        """3 D: query, key and value of one map."""
        return 3 * self.hidden_size

    @property
    def gated_width(self) -> int:
        """2 F: both factors of a gated feed-forward."""
        return 2 * self.intermediate_size

    @property
    def embedding_width(self) -> int:
        """E, the width of the embeddings; D in most families."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def widens(self) -> bool:
        """Whether a map stands between embeddings and layers."""
        return self.embedding_width != self.hidden_size

    def value(self, name: str) -> Any:
        """A field or property by its name, of the family's details or of the config itself."""
        return getattr(self.details if hasattr(self.details, name) else self, name)

    def present(self, leaves: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
        """Those of the leaves that this model has."""
        return tuple(leaf for leaf in leaves if not leaf.when or self.value(leaf.when))

    @property
    def outside(self) -> tuple[Leaf, ...]:
        """The parameters of the model outside its layers and its head."""
        return self.present(self.family.outside)

    @property
    def layer(self) -> tuple[Leaf, ...]:
        """Those of one layer."""
        return self.present(self.family.layers.leaves)

    @property
    def head(self) -> tuple[Leaf, ...]:
        """Those of the head; none without one."""
        return self.present(self.family.head.leaves) if self.labels else ()

    @property
    def head_kind(self) -> str:
        """What the head reads, a key of HEADS in heads.py; details say so where the models of a family differ."""
        return self.family.head.kind

    @property
    def head_activation(self) -> str:
        """What stands after the pooler, a name in ops.py; likewise."""
        return self.family.head.activation

    @property
    def head_input_dropout(self) -> float:
        """The rate for what the pooler reads; likewise."""
        return self.head_dropout if self.family.head.drops_input else 0.0

    @property
    def convolves(self) -> bool:
        """Whether a convolution over the embeddings joins the output of the first layer; likewise."""
        return False

    @property
    def distance_buckets(self) -> int:
        """Rows of the table of MPNet's biases."""
        return BUCKETS

    @property
    def beyond(self) -> tuple[str, ...]:
        """What its layers have and BERT's do not, keys of BEYOND in families/family.py; likewise."""
        return self.family.layers.beyond

    @property
    def problem(self) -> str:
        """One of PROBLEMS: one output is a regression unless the config says otherwise, as in transformers."""
        return self.problem_type or (REGRESSION if self.num_labels == 1 else SINGLE)

    @property
    def is_sigmoid(self) -> bool:
        """Whether each output has a probability of its own; else they share one, by a softmax."""
        return is_sigmoid(self.problem, self.num_labels)

    @property
    def activation(self) -> str:
        """The name of the feed-forward activation in ops.py."""
        return ACTIVATIONS[self.hidden_act]


COMPUTE_DTYPES = ("float32", "bfloat16")  # of the matrix products
FLOAT64 = "float64"  # likewise, for checks: parameters too; needs jax_enable_x64


def is_sigmoid(problem: str, outputs: int) -> bool:
    """Whether probabilities are sigmoids, as in transformers' pipeline: a softmax of one output would be 1 for any."""
    return problem == MULTI or (problem == SINGLE and outputs == 1)


def read_model_config(path: Path) -> tuple[BertConfig, tuple[str, ...]]:
    """Reads `config.json` (Hugging Face) or `bert_config.json` (Google, the original BERT_LRP); also what to doubt.

    Raises:
      InputError: not JSON, or a model of no family that is supported; the message names it.
    """
    raw = read_json(path, "a model needs its config.json or bert_config.json")
    try:
        config = parse_config(raw)
        return config, tuple(f"{path}: {doubt}" for doubt in doubts(raw, config))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_config(raw: Mapping[str, Any]) -> BertConfig:
    """A parsed `config.json` -> BertConfig, or an InputError that names what is not supported."""
    model_type = raw.get("model_type", BERT.model_types[0])  # Google's bert_config.json has no such key
    family = family_of(model_type)
    refuse_unsupported(raw, family)
    values = {setting.field: value_of(setting, raw) for setting in family.settings}
    missing = [setting.keys[0] for setting in family.settings if values[setting.field] is REQUIRED]
    if missing:
        raise InputError(f"the config lacks {', '.join(missing)}.")
    labels, problem_type = label_names(raw), raw.get("problem_type")
    details = family.details.read(raw) if family.details else None
    return BertConfig(**values, labels=labels, problem_type=problem_type, model_type=model_type, details=details)


def doubts(raw: Mapping[str, Any], config: BertConfig) -> Iterator[str]:
    """What to doubt of a parsed `config.json` that was accepted as that config."""
    family = config.family
    refused = {key for refusal in (*REFUSALS, *family.refusals) for key in refusal.keys}
    known = {key for setting in family.settings for key in setting.keys} | refused
    known |= {*READ, *HARMLESS, *family.harmless, *family.fixed}
    known |= set() if config.details is None else config.details.written().keys()
    unknown = [key for key in raw if key not in known and not key.startswith("_")]
    if unknown:
        listed = ", ".join(map(one_line, unknown[:SHOWN])) + (" …" if len(unknown) > SHOWN else "")
        yield f"unknown keys, which are not read: {listed}; a model that needs them would give other numbers"
    names, ids = raw.get("id2label"), raw.get("label2id")
    if not isinstance(names, dict) or not isinstance(ids, dict):
        return
    if any(str(names.get(str(i))) != name for name, i in ids.items()):
        yield "label2id contradicts id2label, whose names are used"


def value_of(setting: Setting, raw: Mapping[str, Any]) -> Any:
    """The value of a setting in a parsed `config.json`, or its default; null counts as absent."""
    given = {key: raw[key] for key in setting.keys if raw.get(key) is not None}
    kind, expected = (str, "a name") if setting.field == "hidden_act" else (int | float, "a number")
    for key, value in given.items():
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f"{key}={value!r}: expected {expected}.")
    if len(set(given.values())) > 1:
        raise InputError(f"{' and '.join(f'{key}={value!r}' for key, value in given.items())} contradict each other.")
    return next(iter(given.values()), setting.default)


def with_outputs(config: BertConfig, outputs: int) -> BertConfig:
    """The config of a checkpoint whose head has that many outputs (0: no head): labels are named where it is silent.

    Raises:
      InputError: the config names another number of labels.
    """
    if not outputs:
        return dataclasses.replace(config, labels=())
    if config.labels and len(config.labels) != outputs:
        output = config.family.head.output
        raise InputError(
            f"{output} has {outputs} outputs but the config names {len(config.labels)} labels; name them in id2label, "
            "or by autorel convert --labels NAME,NAME."
        )
    return dataclasses.replace(config, labels=config.labels or default_labels(outputs))


def refuse_unsupported(raw: Mapping[str, Any], family: Family) -> None:
    """Raises InputError for an architecture or a setting that the family does not accept."""
    architectures = family.classifiers + family.encoders
    named = raw.get("architectures") or []
    if not isinstance(named, list | tuple):
        raise InputError(f"architectures={named!r}: expected a list of names.")
    for name in named:
        if name not in architectures:
            raise InputError(
                f"architecture {name!r} is not supported; accepted: {', '.join(architectures)}. If it is one of these "
                f"under a name of your own, change the line architectures to {[family.classifiers[0]]}."
            )
    if isinstance(raw.get("auto_map"), dict) and OWN_CODE in raw["auto_map"]:
        raise InputError(
            f"auto_map[{OWN_CODE!r}] names code of the model's own, which is not run; accepted: a model of "
            f"transformers' own {family.classifiers[0]}. If it is one, delete auto_map."
        )
    for refusal in (*REFUSALS, *family.refusals):
        for key in refusal.keys:
            if key in raw and raw[key] not in refusal.accepted:
                raise InputError(f"{key}={raw[key]!r} is not supported; {refusal.advice}.")


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
        if count > MOST_LABELS:
            raise InputError(f"num_labels={one_line(count)}: expected no more than {MOST_LABELS}.")
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
    family, labels = config.family, config.labels
    head = {
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": written_problem(config),
    }
    return {
        "architectures": [family.classifiers[0] if labels else family.encoders[0]],
        "model_type": config.model_type,
        **family.fixed,
        **{setting.keys[0]: written(setting, config) for setting in family.settings if setting.keys},
        **(config.details.written() if config.details else {}),
        **(head if labels else {}),
    }


def written_problem(config: BertConfig) -> str | None:
    """problem_type in config.json.

    transformers refuses single_label_classification with one output; multi-label is the same sigmoid. One output of
    which nothing is known stays so: the pipeline takes its sigmoid, and training regards it as a regression.
    """
    if config.is_sigmoid:
        return MULTI
    return config.problem_type if config.num_labels == 1 else config.problem


def written(setting: Setting, config: BertConfig) -> Any:
    """The value of a setting in config.json. Not every family takes null for the head's dropout."""
    if setting.field == "embedding_size":
        return config.embedding_width
    if setting.field == "classifier_dropout" and setting.default is not None:
        return config.head_dropout
    if setting.field == "embedding_dropout":
        return config.input_dropout
    return getattr(config, setting.field)
