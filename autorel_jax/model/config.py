"""BertConfig: the architecture of a classifier. config_file.py reads one from `config.json`, and writes it."""

import dataclasses
from typing import Any

from autorel_jax.errors import LARGEST_FLOAT, LARGEST_INT, InputError, one_line
from autorel_jax.families import FAMILIES, family_of
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import (
    ACTIVATIONS,
    ANSWERS,
    EACH,
    EMBEDDINGS,
    MASKED,
    TASKS,
    TEXT_LABELS,
    VECTOR,
    Details,
    Family,
    Head,
    Leaf,
)
from autorel_jax.families.mpnet import BUCKETS
from autorel_jax.foreign import lone_surrogate

SINGLE, MULTI, REGRESSION = PROBLEMS = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
MOST_LAYERS = 2**12  # a config of more would fill the memory with names of tensors
RATES = tuple(
    (name, 1)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "answers_dropout")
)
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


START_AND_END = ("start", "end")  # the outputs of a head for question answering, at each token

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
    answers_dropout: float | None = dataclasses.field(default=None, repr=False)  # DistilBERT's; None: likewise
    task: str = dataclasses.field(default=TEXT_LABELS, repr=False)  # what the head is for
    pools: str = dataclasses.field(default="", repr=False)  # of sentence embeddings, FIRST, MEAN or MAX
    most_tokens: int | None = dataclasses.field(default=None, repr=False)  # that they read; None: all positions
    dense_width: int | None = dataclasses.field(default=None, repr=False)  # C of a map behind pooling; None: no map
    dense_bias: bool = dataclasses.field(default=False, repr=False)  # whether the map has one
    dense_activation: str = dataclasses.field(default="", repr=False)  # after it, a name in model/ops.py; "": none
    normalizes: bool = dataclasses.field(default=False, repr=False)  # whether their vectors have length 1
    measure: str = dataclasses.field(default="", repr=False)  # of similarity, as their files say; "": they say nothing
    own_decoder: bool = dataclasses.field(default=False, repr=False)  # whether MASKED has a map apart from "word"
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
        if self.task not in TASKS:
            raise InputError(f"task={self.task!r} is unknown; accepted: {', '.join(TASKS)}.")
        if self.task == MASKED and self.family.masked is None:
            raise InputError(f"task={self.task!r} is not supported of {self.family.name}.")
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
        positions = self.max_position_embeddings - self.position_offset
        return positions if self.most_tokens is None else min(self.most_tokens, positions)

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
    def counted_pad(self) -> int | None:
        """The id of padding by which positions are numbered; None where they are numbered along the text alone."""
        return self.position_offset - 1 if self.position_offset else None

    @property
    def num_labels(self) -> int:
        """C, the number of outputs of the head, of one for tokens at each of them; 0 without a head."""
        vectors = self.dense_width or self.hidden_size
        return {EMBEDDINGS: vectors, MASKED: self.vocab_size}.get(self.task, len(self.labels))

    @property
    def head_width(self) -> int:
        """K = D / H."""
        return self.hidden_size // self.num_attention_heads

    @property
    def head_dropout(self) -> float:
        """The rate inside the head."""
        return self.rate(self.head_facts.dropout) if self.head_facts.dropout else 0.0

    def rate(self, field: str) -> float:
        """The dropout rate of that field, which may be None: that of the layers."""
        value = getattr(self, field)
        return self.hidden_dropout_prob if value is None else value

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
        unread = self.head_facts.unread
        return tuple(leaf for leaf in self.present(self.family.outside) if leaf.path.split("/")[0] not in unread)

    @property
    def head_facts(self) -> Head:
        """The facts of the head for the model's task."""
        return self.family.head_of(self.task)

    @property
    def architecture(self) -> str:
        """Its name in transformers, with a head."""
        names = (name for name, task in self.family.explained.items() if task == self.task)
        return next(names, "a model of sentence embeddings")

    @property
    def on_tokens(self) -> bool:
        """Whether the head has outputs at each token, T * C of them one token after the other, and not for the text."""
        return self.head_facts.kind == EACH

    @property
    def layer(self) -> tuple[Leaf, ...]:
        """Those of one layer."""
        return self.present(self.family.layers.leaves)

    @property
    def head(self) -> tuple[Leaf, ...]:
        """Those of the head; none without one."""
        return self.present(self.head_facts.leaves) if self.num_labels else ()

    @property
    def head_kind(self) -> str:
        """What the head reads, a key of HEADS in heads.py."""
        if self.task == EMBEDDINGS:
            return VECTOR[self.pools]
        return self.value("pooling") if self.task == TEXT_LABELS else self.head_facts.kind

    @property
    def pooling(self) -> str:
        """What a head for texts reads; details say so where the models of a family differ."""
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
        """One of PROBLEMS: one output is a regression unless the config says otherwise, as in transformers.

        Of a head on tokens and of one of masked words, transformers does not ask.
        """
        if self.on_tokens or self.task == MASKED:
            return SINGLE
        return self.problem_type or (REGRESSION if self.num_labels == 1 else SINGLE)

    @property
    def is_sigmoid(self) -> bool:
        """Whether each output has a probability of its own; else they share one, by a softmax."""
        return is_sigmoid(self.problem, self.num_labels)

    @property
    def activation(self) -> str:
        """The name of the feed-forward activation in ops.py."""
        return ACTIVATIONS[self.hidden_act]


FLOAT32, BFLOAT16 = COMPUTE_DTYPES = ("float32", "bfloat16")  # of the matrix products
FLOAT64 = "float64"  # likewise, for checks: parameters too; needs jax_enable_x64


def is_sigmoid(problem: str, outputs: int) -> bool:
    """Whether probabilities are sigmoids, as in transformers' pipeline: a softmax of one output would be 1 for any."""
    return problem == MULTI or (problem == SINGLE and outputs == 1)


def with_outputs(config: BertConfig, outputs: int) -> BertConfig:
    """The config of a checkpoint whose head has that many outputs (0: no head): labels are named where it is silent.

    Raises:
      InputError: the config names another number of labels.
    """
    if config.task == MASKED:  # its outputs are the vocabulary
        return dataclasses.replace(config, labels=()) if outputs else encoder_of(dataclasses.replace(config, labels=()))
    if not outputs:
        return dataclasses.replace(config, labels=())
    if config.task == ANSWERS:
        if outputs != len(START_AND_END):
            raise InputError(f"{config.head_facts.output} has {outputs} outputs; expected 2, for start and end.")
        return dataclasses.replace(config, labels=START_AND_END)
    if config.labels and len(config.labels) != outputs:
        output = config.head_facts.output
        raise InputError(
            f"{output} has {outputs} outputs but the config names {len(config.labels)} labels; name them in id2label, "
            "or by autorel convert --labels NAME,NAME."
        )
    return dataclasses.replace(config, labels=config.labels or default_labels(outputs))


def encoder_of(config: BertConfig) -> BertConfig:
    """The config of a model of masked words as that of an encoder, to which a head for labels of texts may come."""
    return dataclasses.replace(config, task=TEXT_LABELS, own_decoder=False)


def default_labels(count: int) -> tuple[str, ...]:
    """transformers' names for labels that have none."""
    return tuple(f"LABEL_{i}" for i in range(count))
