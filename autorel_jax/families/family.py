"""Family: the facts that tell BERT from its relatives, as plain data.

Holds the record `Family` and the small records that it is made of. Each family's facts are in a file of its own
beside this one. model/ reads layers and head, weights/ the tensors' names, text/ the special tokens; none of their
code is here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

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
REQUIRED = object()  # the default of a setting that config.json must have
KERNEL, BIAS, SCALE, TABLE = "kernel", "bias", "scale", "table"  # kinds of parameters
A, B = 0, 1  # the first text and the second
NARROW = "embedding_width"  # the width of embeddings that may be narrower than layers
WORD_PIECE, BPE, UNIGRAM = "WordPiece", "BPE", "Unigram"  # kinds of tokenizers, as the tokenizers library names them
POST_NORM = "post_norm"  # kinds of layers: LayerNorm after each sub-block, or
PRE_NORM_GATED = "pre_norm_gated"  # before each, and a gated feed-forward
ABSOLUTE = "absolute"  # kinds of positions: none but what the embeddings hold,
DISENTANGLED = "disentangled"  # DeBERTa's products of tokens and distances,
BIASED = "biased"  # MPNet's bias for each distance,
ROTARY = "rotary"  # or queries and keys turned by their places, and layers that see near tokens alone
FIRST, MEAN = "first", "mean"  # kinds of heads: which tokens are read
EACH = "each"  # or a head with logits for each token
ASKED = "asked"  # or one that reads the token that is asked about
CLASSIFIER_DROPOUT, HIDDEN_DROPOUT = "classifier_dropout", "hidden_dropout_prob"  # fields of a config
TOKEN, ASKED_TOKEN = 1, 2  # in the mask of a batch: any token; the one that is asked about. 0 is padding
MAX = "max"  # or, of vectors alone, in each dimension the largest
# Or one whose outputs are what it reads, a vector.
VECTOR = {FIRST: "first_alone", MEAN: "mean_alone", MAX: "max_alone"}
TEXT_LABELS, TOKEN_LABELS, ANSWERS, EMBEDDINGS, MASKED = TASKS = (  # what heads are for
    "sequence_classification",
    "token_classification",
    "question_answering",
    "sentence_embeddings",
    "masked_words",
)
SUFFIXES = {  # task -> the end of the architecture's name in transformers
    TEXT_LABELS: "ForSequenceClassification",
    TOKEN_LABELS: "ForTokenClassification",
    ANSWERS: "ForQuestionAnswering",
}
OF_MASKED = "ForMaskedLM"  # likewise; of most families an encoder alone is read of such a model
BEYOND = {  # what layers may have and BERT's do not -> in words. Those that are ops of model/ops.py have the op's name
    "position_product": "attention scores with products of tokens and positions",
    "convolution": "a convolution of the embeddings",
    "position_bias": "attention scores with a bias for each distance",
    "rotary": "rotary positions",
    "gate": "a gated feed-forward",
}


class Setting(NamedTuple):
    """A value of config.json that is a field of our config."""

    field: str
    default: Any
    keys: tuple[str, ...]  # its spellings in config.json, the one we write first; none: a constant of the family


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Keys of config.json that must be absent or have one of the accepted values."""

    keys: tuple[str, ...]
    accepted: tuple[Any, ...]
    advice: str  # the end of the message


class Leaf(NamedTuple):
    """A parameter of our params tree, and the tensor of a PyTorch checkpoint that it comes from.

    `sizes` and `when` name values of the config; see `BertConfig.value`.
    """

    path: str  # "embeddings/word"; inside a layer "query/kernel"
    tensor: str  # its name without the family's prefix; inside a layer without the layer's name
    sizes: tuple[str, ...]  # the config values that are its shape. Our kernels are [in, out], PyTorch's [out, in]
    kind: str  # KERNEL, BIAS, SCALE or TABLE
    when: str = ""  # a model has it only where this value of its config is true
    first: int = 0  # the lowest layer that has it


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers, which are all alike but for their parameters and what `positions` gives to each."""

    name: str  # a tensor of layer N is NAME.N.TENSOR
    leaves: tuple[Leaf, ...]  # of one layer
    kind: str = POST_NORM  # a key of LAYERS in model/blocks.py
    positions: str = ABSOLUTE  # what attention knows of where tokens stand; a key of POSITIONS in model/positions.py
    beyond: tuple[str, ...] = ()  # what BERT's layers do not have, keys of BEYOND
    shared: bool = False  # whether layers share parameters; details then say which are `stored`, and the `rows` of each
    drops_attention: bool = True  # whether training drops out what attention adds to the residual stream
    drops_feed_forward: bool = True  # likewise the feed-forward


@dataclasses.dataclass(frozen=True)
class Head:
    """What stands on the last layer: pooler, activation, classifier."""

    activation: str  # after the pooler; a name in model/ops.py
    leaves: tuple[Leaf, ...]  # those that only a classifier has. Checkpoints name them without the family's prefix
    described: str  # for messages
    kind: str = FIRST  # a key of HEADS in model/heads.py
    drops_input: bool = False  # whether training drops out what the pooler reads too
    dropout: str = CLASSIFIER_DROPOUT  # the field of the config with the rate before the map to the logits; "": none
    unread: tuple[str, ...] = ()  # parts of the params tree outside the head that it leaves out; files may hold them
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)  # a tensor's other name -> that of its leaf

    @property
    def output(self) -> str:
        """The tensor of the map to the logits."""
        return next(leaf.tensor for leaf in self.leaves if leaf.sizes[-1] == "num_labels")


class Place(NamedTuple):
    """A place in a template: a special token, by its role, or a text, A or B; and its segment id."""

    holds: str | int
    segment: int = 0


Template = tuple[Place, ...]


def token_heads(
    activation: str = "",
    answers: str = "qa_outputs",
    unread: tuple[str, ...] = ("pooler",),
    dropouts: tuple[str, str] = (CLASSIFIER_DROPOUT, ""),
) -> Mapping[str, Head]:
    """Task -> the head that reads each token: a linear map, behind a pooler where there is an activation.

    `answers` is the module's name of the map to starts and ends of answers, `dropouts` the rates of both heads.
    """
    described = "a linear map of each token"
    modules = zip((TOKEN_LABELS, ANSWERS), ("classifier", answers), dropouts, strict=True)
    return {
        task: Head(
            activation,
            affine("classifier", module, "hidden_size", "num_labels"),
            described,
            EACH,
            unread=unread,
            dropout=dropout,
        )
        for task, module, dropout in modules
    }


def masked_head(
    activation: str, dense: str, layer_norm: str, decoder: str, bias: str, aliases: Mapping[str, str]
) -> Head:
    """The head of masked words: a map, an activation ("" for that of the layers), a LayerNorm, the vocabulary.

    The names are those of its modules, but `bias`, a tensor.
    """
    width = "hidden_size"
    kernel = Leaf("decoder/kernel", f"{decoder}.weight", (width, "num_labels"), KERNEL, when="own_decoder")
    leaves = (
        *affine("transform", dense, width, width),
        *norm("transform_norm", layer_norm),
        kernel,
        Leaf("decoder/bias", bias, ("num_labels",), BIAS),
    )
    described = "a map, an activation, a LayerNorm and the vocabulary"
    return Head(activation, leaves, described, ASKED, unread=("pooler",), aliases=aliases)


@dataclasses.dataclass(frozen=True, eq=False)
class TokenFacts:
    """The tokenizer, and where its special tokens stand."""

    kind: str  # WORD_PIECE, BPE or UNIGRAM
    special: Mapping[str, str]  # role -> token; tokenizer_config.json may name another
    optional: tuple[str, ...]  # roles that a vocabulary may lack
    longest: int  # tokens; written as model_max_length where the files name no sane number
    single: Template  # one text
    pair: Template  # two texts
    numbered: bool = False  # whether transformers counts positions by ids, and skips a pad token inside a text
    tokenizer_class: str = ""  # transformers' for the family, in text/classes.py; Unigram has no default


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """All that tells a model of this family from its relatives."""

    name: str  # for messages
    model_types: tuple[str, ...]  # model_type in config.json; we write the first
    classifiers: tuple[str, ...]  # architectures with our head; we write the first
    encoders: tuple[str, ...]  # architectures without a head, or with heads that are ignored; likewise
    settings: tuple[Setting, ...]
    refusals: tuple[Refusal, ...]
    fixed: Mapping[str, Any]  # what else we write to config.json
    prefix: str  # of the encoder's tensors
    outside: tuple[Leaf, ...]  # parameters outside the layers that every checkpoint has
    layers: Layers
    head: Head
    drawn: tuple[str, ...]  # parts of the params tree that training draws where a checkpoint lacks them
    ignored: tuple[str, ...]  # patterns of tensors that are not needed, without prefix
    renamed: Mapping[str, str]  # a tensor's name in files of another format -> its name here
    foreign: Mapping[str, str]  # start of a tensor's name -> the other head that it belongs to
    tokens: TokenFacts
    bare: tuple[str, ...] = ()  # parts of the params tree outside the head whose tensors have no prefix either
    narrow: bool = False  # whether embeddings may be narrower than layers; a map "embeddings/widening" then widens them
    widens_first: bool = False  # whether that map stands before the LayerNorm of the embeddings
    spare: tuple[str, ...] = ()  # tensors, without prefix, that are ignored where the config has no use for them
    details: "type[Details] | None" = None  # of the config values that no other family has
    harmless: Mapping[str, str] = dataclasses.field(default_factory=dict)  # key of config.json -> why it is
    on_tokens: Mapping[str, Head] = dataclasses.field(default_factory=token_heads)  # task -> its head
    masked: Head | None = None  # of masked words, which most families are not explained of
    position_offset: int | None = 0  # the row of the first token in the position table; None: pad_token_id + 1

    def head_of(self, task: str) -> Head:
        """The head for a task of TASKS."""
        if task == EMBEDDINGS:
            return Head("", DENSE, "nothing but pooling", unread=("pooler", "pooler_norm"))
        if task == MASKED:
            return self.masked
        return self.head if task == TEXT_LABELS else self.on_tokens[task]

    @property
    def tasks(self) -> dict[str, str]:
        """Architecture -> its task, of those whose head is their own part of a checkpoint."""
        return {f"{self.stem}{suffix}": task for task, suffix in SUFFIXES.items()}

    @property
    def explained(self) -> dict[str, str]:
        """Likewise, of all that are explained: of masked words too, where the head of pre-training is known."""
        return self.tasks | ({f"{self.stem}{OF_MASKED}": MASKED} if self.masked else {})

    @property
    def stem(self) -> str:
        """What the names of its classes in transformers begin with."""
        return self.classifiers[0].removesuffix(SUFFIXES[TEXT_LABELS])

    @property
    def constants(self) -> dict[str, Any]:
        """Field -> the value that it has in every model."""
        return {setting.field: setting.default for setting in self.settings if not setting.keys}

    @property
    def defaults(self) -> dict[str, Any]:
        """Field -> its value where config.json does not say."""
        return {setting.field: setting.default for setting in self.settings if setting.default is not REQUIRED}


class Details(Protocol):
    """The values of config.json that one family alone has, as a frozen, hashable dataclass.

    Its fields and properties can be the `sizes` and `when` of leaves.
    """

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Details":
        """From a parsed config.json. Raises InputError for a value that is not supported, and names it."""

    def written(self) -> dict[str, Any]:
        """The keys of config.json from which `read` gives it back."""


def setting(field: str, default: Any = REQUIRED, *keys: str) -> Setting:
    """A setting; without keys, its key is the field's name."""
    return Setting(field, default, keys or (field,))


def constant(field: str, value: Any) -> Setting:
    """A field that has one value in every model of the family, and no key in config.json."""
    return Setting(field, value, ())


def table(path: str, module: str, rows: str, width: str = "hidden_size") -> tuple[Leaf, ...]:
    """An embedding table."""
    return (Leaf(path, f"{module}.weight", (rows, width), TABLE),)


def norm(path: str, module: str, width: str = "hidden_size", bias: str = "", first: int = 0) -> tuple[Leaf, ...]:
    """A LayerNorm; it has a bias where the config value of that name, if one is given, is true."""
    scale = Leaf(f"{path}/scale", f"{module}.weight", (width,), SCALE, first=first)
    return scale, Leaf(f"{path}/bias", f"{module}.bias", (width,), BIAS, bias, first)


def affine(path: str, module: str, rows: str, columns: str, bias: str = "") -> tuple[Leaf, ...]:
    """A linear map; it has a bias where the config value of that name, if one is given, is true."""
    kernel = Leaf(f"{path}/kernel", f"{module}.weight", (rows, columns), KERNEL)
    return kernel, Leaf(f"{path}/bias", f"{module}.bias", (columns,), BIAS, bias)


_kernel, _bias = affine("dense", "sentence_dense.linear", "hidden_size", "num_labels", "dense_bias")
DENSE = (_kernel._replace(when="dense_width"), _bias)  # what may stand behind the pooling of sentence embeddings
