"""ModernBERT's facts: LayerNorm before sub-blocks, gated feed-forward, rotary positions, layers with a window.

Warner et al. 2024, with the names of transformers' `modeling_modernbert.py`. Registered in __init__.py.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.bert import INNER, WIDTH
from autorel_jax.families.bert import TOKENS as BERT_TOKENS
from autorel_jax.families.distilbert import TOKENS as PAIR_WITHOUT_TYPES
from autorel_jax.families.family import (
    ACTIVATIONS,
    BPE,
    CLASSIFIER_DROPOUT,
    FIRST,
    MEAN,
    PRE_NORM_GATED,
    ROTARY,
    Family,
    Head,
    Layers,
    Refusal,
    affine,
    constant,
    norm,
    setting,
    table,
    token_heads,
)

FULL, SLIDING = "full_attention", "sliding_attention"  # layers that see all tokens, and those with a window
KINDS = {"cls": FIRST, "mean": MEAN}  # classifier_pooling -> the kind of head
THETAS = {FULL: ("global_rope_theta", 160000.0), SLIDING: ("local_rope_theta", 10000.0)}  # the old key, the default
FLAGS = ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")


@dataclasses.dataclass(frozen=True)
class ModernDetails:
    """What config.json says of positions, windows, biases and the head."""

    global_theta: float = THETAS[FULL][1]
    local_theta: float = THETAS[SLIDING][1]
    global_every: int = 3  # layer N sees all tokens where this divides N
    layer_types: tuple[str, ...] = ()  # of each layer, where no such number says it
    local_attention: int = 128  # tokens of a window
    classifier_pooling: str = "cls"
    classifier_activation: str = "gelu"
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    classifier_bias: bool = False  # of the head's first map; the last has one in any case

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "ModernDetails":
        """From a parsed config.json, in any of the spellings there were."""
        check_epsilon(raw)
        every, types = pattern(raw)
        thetas = rotary_thetas(raw)
        flags = {name: flag(name, raw) for name in FLAGS}
        local = whole("local_attention", raw, 128, least=0)
        if raw.get("sliding_window") not in (None, local // 2):
            raise InputError(
                f"sliding_window={raw['sliding_window']!r} is not half of local_attention={local}; remove one of them."
            )
        pooling = one_of("classifier_pooling", raw, "cls", KINDS)
        act = one_of("classifier_activation", raw, "gelu", ACTIVATIONS)
        return cls(thetas[FULL], thetas[SLIDING], every, types, local, pooling, act, **flags)

    def written(self) -> dict[str, Any]:
        """As transformers writes them, with the keys that its older versions read."""
        thetas = {FULL: self.global_theta, SLIDING: self.local_theta}
        return {
            "rope_parameters": {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in thetas.items()},
            **{THETAS[kind][0]: theta for kind, theta in thetas.items()},
            "layer_types": list(self.layer_types) or None,
            **({} if self.layer_types else {"global_attn_every_n_layers": self.global_every}),
            "local_attention": self.local_attention,
            "classifier_pooling": self.classifier_pooling,
            "classifier_activation": self.classifier_activation,
            **{name: getattr(self, name) for name in FLAGS},
        }

    def global_layers(self, layers: int) -> tuple[bool, ...]:
        """Which of the layers see all tokens."""
        return tuple(kind == FULL for kind in self.layer_types or periodic(self.global_every, layers))

    @property
    def window(self) -> int:
        """How many places a token may be away on either side in the other layers."""
        return self.local_attention // 2

    @property
    def pooling(self) -> str:
        """Whether the head reads the first token or the mean."""
        return KINDS[self.classifier_pooling]

    @property
    def head_activation(self) -> str:
        """What stands after the pooler, a name in model/ops.py."""
        return ACTIVATIONS[self.classifier_activation]


def check_epsilon(raw: Mapping[str, Any]) -> None:
    """transformers reads `norm_eps` alone, whatever `layer_norm_eps` says."""
    used, other = raw.get("norm_eps", 1e-5), raw.get("layer_norm_eps")
    if other not in (None, used):
        raise InputError(f"layer_norm_eps={other!r} beside norm_eps={used!r}: ModernBERT has one; remove one of them.")


def one_of(name: str, raw: Mapping[str, Any], default: str, accepted: Mapping[str, Any]) -> str:
    """A key whose value is one of a few names."""
    value = raw.get(name)
    value = default if value is None else value
    if not isinstance(value, str) or value not in accepted:
        raise InputError(f"{name}={value!r} is not supported; accepted: {', '.join(accepted)}.")
    return value


def flag(name: str, raw: Mapping[str, Any]) -> bool:
    """A key that is true or false; false where it is absent."""
    value = raw.get(name)
    if value not in (None, True, False):
        raise InputError(f"{name}={value!r}: expected true or false.")
    return bool(value)


def whole(name: str, raw: Mapping[str, Any], default: int, least: int) -> int:
    """A key that is a whole number of at least `least`."""
    value = raw.get(name)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}={value!r}: expected a whole number of at least {least}.")
    return value


def rotary_thetas(raw: Mapping[str, Any]) -> dict[str, float]:
    """Kind of layer -> the base of its angles, from `rope_parameters` or the older keys."""
    nested = raw.get("rope_parameters") or {}
    if not isinstance(nested, Mapping) or not nested.keys() <= THETAS.keys():
        raise InputError(f"rope_parameters={nested!r}: expected an object with {' and '.join(THETAS)}.")
    found = {}
    for kind, (old, default) in THETAS.items():
        given = nested.get(kind) or {}
        if not isinstance(given, Mapping) or given.keys() - {"rope_type", "rope_theta"}:
            raise InputError(f"rope_parameters.{kind}={given!r} is not supported; accepted: rope_type and rope_theta.")
        if given.get("rope_type", "default") != "default":
            raise InputError(f"rope_type={given['rope_type']!r} is not supported; accepted: 'default'.")
        theta = given.get("rope_theta", raw.get(old, default))
        if not isinstance(theta, int | float) or isinstance(theta, bool) or not 0 < theta < float("inf"):
            raise InputError(f"{old}={theta!r}: expected a number above 0.")
        if raw.get(old, theta) != theta:
            raise InputError(f"{old}={raw[old]!r}, but rope_parameters says {theta!r}; remove one of them.")
        found[kind] = float(theta)
    return found


def periodic(every: int, layers: int) -> tuple[str, ...]:
    """The kinds of that many layers, of which each `every`th sees all tokens, the first included."""
    return tuple(SLIDING if number % every else FULL for number in range(layers))


def pattern(raw: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """`global_every`, and the kinds of the layers where it cannot say them."""
    types, layers = raw.get("layer_types"), raw.get("num_hidden_layers")
    named = raw.get("global_attn_every_n_layers")
    every = whole("global_attn_every_n_layers", raw, 3, least=1)
    if types is None:
        return every, ()
    if not isinstance(types, list | tuple) or len(types) != layers or not set(types) <= THETAS.keys():
        raise InputError(f"layer_types={types!r}: expected {' or '.join(THETAS)} for each of {layers} layers.")
    candidates = [every] if named is not None else [every, *range(1, layers + 1)]
    fitting = [number for number in candidates if periodic(number, layers) == tuple(types)]
    if named is not None and not fitting:
        raise InputError(f"global_attn_every_n_layers={named!r}, but layer_types says otherwise; remove one of them.")
    return (fitting[0], ()) if fitting else (every, tuple(types))


ROTATES = "ModernBERT's are rotary, whatever a config calls them"
SETTINGS = (
    setting("vocab_size"),
    setting("hidden_size"),
    setting("num_hidden_layers"),
    setting("num_attention_heads"),
    setting("intermediate_size"),
    setting("hidden_act", "gelu", "hidden_activation"),
    setting("max_position_embeddings", 8192),  # tokens; there is no table
    constant("type_vocab_size", 0),
    setting("layer_norm_eps", 1e-5, "norm_eps"),
    setting("hidden_dropout_prob", 0.0, "mlp_dropout"),
    setting("embedding_dropout", 0.0),
    setting("attention_probs_dropout_prob", 0.0, "attention_dropout"),
    setting("classifier_dropout", 0.0),
    setting("initializer_range", 0.02),
    setting("pad_token_id", 50283),
)
MAPS, HEAD_BIAS, NORMS = "attention_bias", "classifier_bias", "norm_bias"
OUTSIDE = (
    *table("embeddings/word", "embeddings.tok_embeddings", "vocab_size"),
    *norm("embeddings/norm", "embeddings.norm", bias=NORMS),
    *norm("final_norm", "final_norm", bias=NORMS),
    *affine("pooler", "head.dense", WIDTH, WIDTH, bias=HEAD_BIAS),
    *norm("pooler_norm", "head.norm", bias=NORMS),
)
LAYER = (
    *norm("attention_norm", "attn_norm", bias=NORMS, first=1),
    *affine("joint", "attn.Wqkv", WIDTH, "joint_width", bias=MAPS),
    *affine("attention_output", "attn.Wo", WIDTH, WIDTH, bias=MAPS),
    *norm("inner_norm", "mlp_norm", bias=NORMS),
    *affine("inner", "mlp.Wi", WIDTH, "gated_width", bias="mlp_bias"),
    *affine("output", "mlp.Wo", INNER, WIDTH, bias="mlp_bias"),
)

MODERNBERT = Family(
    name="ModernBERT",
    model_types=("modernbert",),
    classifiers=("ModernBertForSequenceClassification",),
    encoders=("ModernBertModel", "ModernBertForMaskedLM"),
    settings=SETTINGS,
    refusals=(
        Refusal(("position_embedding_type",), (None, "absolute", "rope", "rotary", "sans_pos"), ROTATES),
        Refusal(("rope_theta",), (None,), "accepted: rope_parameters, or global_rope_theta and local_rope_theta"),
        Refusal(("rope_scaling",), (None,), "accepted: none"),
        Refusal(("head_dim",), (None,), "accepted: hidden_size / num_attention_heads"),
        Refusal(("partial_rotary_factor",), (None, 1, 1.0), "accepted: 1"),
        Refusal(("is_decoder", "add_cross_attention", "pruned_heads"), (None, False, {}, []), "accepted: an encoder"),
    ),
    fixed={},
    prefix="model.",
    outside=OUTSIDE,
    bare=("pooler", "pooler_norm"),  # masked words are predicted with them too
    layers=Layers("layers", LAYER, PRE_NORM_GATED, ROTARY, ("rotary", "gate")),
    head=Head(
        activation="gelu",
        leaves=affine("classifier", "classifier", WIDTH, "num_labels"),
        described="head.dense, an activation, head.norm, classifier",
    ),
    on_tokens=token_heads("gelu", "classifier", unread=(), dropouts=(CLASSIFIER_DROPOUT, CLASSIFIER_DROPOUT)),
    drawn=("pooler", "pooler_norm"),  # a bare encoder has none
    ignored=(
        r"decoder\..*",  # masked words
        r"(layers\.\d+\.attn\.)?rotary_emb\..*inv_freq",  # angles, computed here
    ),
    renamed={},
    foreign={"qa_outputs.": "a question-answering head"},
    tokens=dataclasses.replace(
        BERT_TOKENS,
        kind=BPE,
        longest=8192,
        pair=PAIR_WITHOUT_TYPES.pair,
        tokenizer_class="PreTrainedTokenizerFast",  # transformers takes tokenizer.json as it is, whatever is named
    ),
    details=ModernDetails,
    harmless={
        "layer_norm_eps": "equals norm_eps, or is refused",
        "initializer_cutoff_factor": "of new weights",
        "decoder_bias": "of the head of masked words",
        "sparse_prediction": "of the head of masked words",
        "sparse_pred_ignore_index": "of the head of masked words",
        "deterministic_flash_attn": "the same numbers, computed in another order",
        "reference_compile": "the same numbers, computed in another order",
        "repad_logits_with_grad": "of training",
    },
)
