"""DeBERTa's facts: versions 2 and 3, and mDeBERTa. Attention knows how far apart tokens stand.

He et al. 2021, with the names of transformers' `modeling_deberta_v2.py`. Registered in __init__.py. DeBERTa's first
version (`deberta`) has other names and other arithmetic, and is not supported.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.bert import INNER, WIDTH, refusals
from autorel_jax.families.bert import TOKENS as BERT_TOKENS
from autorel_jax.families.family import (
    ACTIVATIONS,
    BIAS,
    DISENTANGLED,
    HIDDEN_DROPOUT,
    KERNEL,
    NARROW,
    UNIGRAM,
    Family,
    Head,
    Layers,
    Leaf,
    affine,
    norm,
    setting,
    table,
    token_heads,
)

TERMS = C2P, P2C = "c2p", "p2c"  # products of tokens and positions: of a query with its keys' distances, and back

SETTINGS = (
    setting("vocab_size"),
    setting("hidden_size"),
    setting("num_hidden_layers"),
    setting("num_attention_heads"),
    setting("intermediate_size"),
    setting("embedding_size", None),  # None: as hidden_size
    setting("hidden_act", "gelu"),
    setting("max_position_embeddings", 512),
    setting("type_vocab_size", 0),
    setting("layer_norm_eps", 1e-7),
    setting("hidden_dropout_prob", 0.1),
    setting("attention_probs_dropout_prob", 0.1),
    setting("classifier_dropout", None, "cls_dropout"),  # None: as hidden_dropout_prob
    setting("initializer_range", 0.02),
    setting("pad_token_id", 0),
)


@dataclasses.dataclass(frozen=True)
class DebertaDetails:
    """What DeBERTa's config.json says of positions, convolution and pooler; the names are those of its keys."""

    relative_attention: bool = False
    pos_att_type: tuple[str, ...] = ()  # of TERMS
    position_buckets: int = -1  # rows of the table for each direction, where far distances share some; -1: none share
    max_relative_positions: int = 512  # the longest distance
    norm_rel_ebd: bool = False  # whether a LayerNorm stands on the table
    share_att_key: bool = False  # whether positions go through the maps of queries and keys, not through their own
    position_biased_input: bool = True  # whether there are absolute positions too
    conv_kernel_size: int = 0  # 0: no convolution
    conv_groups: int = 1
    conv_inputs: int = 0  # of an output of the convolution: hidden_size / conv_groups
    conv_act: str = "tanh"
    pooler_hidden_act: str = "gelu"
    pooler_dropout: float = 0.0

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "DebertaDetails":
        """From a parsed config.json. Raises InputError for a value that is not supported, and names it."""
        width, longest = raw["hidden_size"], raw.get("max_position_embeddings") or 512
        heads = raw["num_attention_heads"]
        for key, expected in (("pooler_hidden_size", width), ("attention_head_size", heads and width // heads)):
            if raw.get(key) not in (None, expected):
                raise InputError(f"{key}={raw[key]!r} is not supported; accepted: {expected}, by hidden_size={width}.")
        found = {
            **{name: checked(raw, name, bool, "true or false") for name in FLAGS},
            **{name: checked(raw, name, int, "a whole number") for name in COUNTS},
            "pooler_dropout": checked(raw, "pooler_dropout", int | float, "a number"),
            "pos_att_type": terms(raw.get("pos_att_type")),
            "norm_rel_ebd": "layer_norm" in parts(raw, "norm_rel_ebd", ("none", "layer_norm", "")),
        }
        for name in ("conv_act", "pooler_hidden_act"):
            found[name] = checked(raw, name, str, "a name")
            if found[name] not in ACTIVATIONS:
                raise InputError(f"{name}={found[name]!r} is unknown; accepted: {', '.join(ACTIVATIONS)}.")
        if found["max_relative_positions"] < 1:
            found["max_relative_positions"] = longest
        refuse_buckets(found["position_buckets"], found["max_relative_positions"], longest)
        size, groups = found["conv_kernel_size"], found["conv_groups"]
        if size > 0 and (size % 2 == 0 or groups < 1 or width % groups):
            raise InputError(
                f"conv_kernel_size={size} with conv_groups={groups} is not supported; accepted: an odd size, and "
                f"groups that divide hidden_size={width}."
            )
        return cls(**found, conv_inputs=width // groups if size > 0 else 0)

    def written(self) -> dict[str, Any]:
        """The keys of config.json from which `read` gives it back."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del values["conv_inputs"]
        more = {"pos_att_type": list(self.pos_att_type), "norm_rel_ebd": "layer_norm" if self.norm_rel_ebd else "none"}
        return values | more

    @property
    def terms(self) -> tuple[str, ...]:
        """The products with positions that attention scores have."""
        return self.pos_att_type if self.relative_attention else ()

    @property
    def summands(self) -> int:
        """By whose number attention scores are scaled, as in transformers: those of the config, there or not."""
        return 1 + len(self.pos_att_type)

    @property
    def span(self) -> int:
        """The rows of the table for each direction."""
        return self.position_buckets if self.position_buckets > 0 else self.max_relative_positions

    @property
    def relative_rows(self) -> int:
        """All rows of it."""
        return 2 * self.span

    @property
    def own_position_key(self) -> bool:
        """Whether the positions that a query looks at have a map of their own."""
        return C2P in self.terms and not self.share_att_key

    @property
    def own_position_query(self) -> bool:
        """Whether the positions that look at a key have one."""
        return P2C in self.terms and not self.share_att_key

    @property
    def convolves(self) -> bool:
        """Whether a convolution over the embeddings joins the output of the first layer."""
        return self.conv_kernel_size > 0

    @property
    def head_activation(self) -> str:
        """What stands after the pooler, a name in model/ops.py."""
        return ACTIVATIONS[self.pooler_hidden_act]

    @property
    def head_input_dropout(self) -> float:
        """The rate for what the pooler reads."""
        return self.pooler_dropout

    @property
    def beyond(self) -> tuple[str, ...]:
        """What its layers have and BERT's do not."""
        return ("position_product",) * bool(self.terms) + ("convolution",) * self.convolves


FLAGS = ("relative_attention", "share_att_key", "position_biased_input")
COUNTS = ("position_buckets", "max_relative_positions", "conv_kernel_size", "conv_groups")
DEFAULTS = {  # as transformers has them for a key that is absent
    **{field.name: field.default for field in dataclasses.fields(DebertaDetails)},
    "max_relative_positions": -1,  # as max_position_embeddings
    "norm_rel_ebd": "none",
}


def checked(raw: Mapping[str, Any], name: str, kind: Any, expected: str) -> Any:
    """The value of a key, or its default; null counts as absent."""
    value = raw.get(name)
    if value is None:
        return DEFAULTS[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{name}={value!r}: expected {expected}.")
    return value


def terms(value: Any) -> tuple[str, ...]:
    """pos_att_type, a list or a string such as "p2c|c2p", in the order of TERMS."""
    given = parts({"pos_att_type": value}, "pos_att_type", (*TERMS, "")) if isinstance(value, str) else value or []
    if not isinstance(given, list | tuple) or any(term not in (*TERMS, "") for term in given):
        raise InputError(f"pos_att_type={value!r} is not supported; accepted: any of {', '.join(TERMS)}.")
    return tuple(term for term in TERMS if term in given)


def parts(raw: Mapping[str, Any], name: str, known: tuple[str, ...]) -> list[str]:
    """The parts of a value such as "p2c|c2p"."""
    found = [part.strip() for part in checked({name: raw.get(name)}, name, str, "a name").lower().split("|")]
    if any(part not in known for part in found):
        accepted = ", ".join(filter(None, known))
        raise InputError(f"{name}={raw[name]!r} is not supported; accepted: any of {accepted}.")
    return found


def refuse_buckets(buckets: int, longest_distance: int, longest_text: Any) -> None:
    """Raises InputError for buckets that give a text's distances no row."""
    middle = buckets // 2
    far = not isinstance(longest_text, int) or longest_text > middle + 1
    if buckets == 1 or (buckets > 0 and far and longest_distance <= middle + 1):
        raise InputError(
            f"position_buckets={buckets} with distances of up to {longest_distance} (max_relative_positions, or "
            "max_position_embeddings) is not supported; accepted: -1, or fewer than twice those distances."
        )


WINDOW = ("conv_kernel_size", "conv_inputs", WIDTH)
OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size", NARROW),
    *(
        leaf._replace(when=when)
        for name, module, rows, when in (
            ("position", "position_embeddings", "max_position_embeddings", "position_biased_input"),
            ("type", "token_type_embeddings", "type_vocab_size", "type_vocab_size"),
        )
        for leaf in table(f"embeddings/{name}", f"embeddings.{module}", rows, NARROW)
    ),
    Leaf("embeddings/widening/kernel", "embeddings.embed_proj.weight", (NARROW, WIDTH), KERNEL, "widens"),
    *norm("embeddings/norm", "embeddings.LayerNorm"),
    *(
        leaf._replace(when="relative_attention")
        for leaf in table("relative/table", "encoder.rel_embeddings", "relative_rows")
    ),
    *(leaf._replace(when="norm_rel_ebd") for leaf in norm("relative/norm", "encoder.LayerNorm")),
    Leaf("convolution/kernel", "encoder.conv.conv.weight", WINDOW, KERNEL, "convolves"),
    Leaf("convolution/bias", "encoder.conv.conv.bias", (WIDTH,), BIAS, "convolves"),
    *(leaf._replace(when="convolves") for leaf in norm("convolution/norm", "encoder.conv.LayerNorm")),
)
LAYER = (
    *affine("query", "attention.self.query_proj", WIDTH, WIDTH),
    *affine("key", "attention.self.key_proj", WIDTH, WIDTH),
    *affine("value", "attention.self.value_proj", WIDTH, WIDTH),
    *(
        leaf._replace(when=f"own_position_{name}")
        for name, module in (("key", "pos_key_proj"), ("query", "pos_query_proj"))
        for leaf in affine(f"position_{name}", f"attention.self.{module}", WIDTH, WIDTH)
    ),
    *affine("attention_output", "attention.output.dense", WIDTH, WIDTH),
    *norm("attention_norm", "attention.output.LayerNorm"),
    *affine("inner", "intermediate.dense", WIDTH, INNER),
    *affine("output", "output.dense", INNER, WIDTH),
    *norm("output_norm", "output.LayerNorm"),
)

DEBERTA = Family(
    name="DeBERTa",
    model_types=("deberta-v2",),
    classifiers=("DebertaV2ForSequenceClassification",),
    encoders=("DebertaV2Model", "DebertaV2ForMaskedLM"),
    settings=SETTINGS,
    refusals=refusals("DeBERTa's head reads [CLS]"),
    fixed={},
    prefix="deberta.",
    outside=OUTSIDE,
    narrow=True,
    widens_first=True,
    layers=Layers("encoder.layer", LAYER, positions=DISENTANGLED),
    head=Head(
        activation="gelu",  # unless pooler_hidden_act says otherwise
        leaves=(
            *affine("pooler", "pooler.dense", WIDTH, WIDTH),
            *affine("classifier", "classifier", WIDTH, "num_labels"),
        ),
        described="pooler.dense, GELU, classifier",
    ),
    on_tokens=token_heads(dropouts=(HIDDEN_DROPOUT, "")),
    drawn=(),
    ignored=(
        r"embeddings\.position_ids",  # a counter, not a weight
        r"cls\..*",  # masked words
        r"lm_predictions\..*",  # likewise, of version 3
        r"mask_predictions\..*",  # which tokens were replaced
    ),
    spare=("embeddings.position_embeddings.weight",),  # of version 3's pre-training
    renamed={},
    foreign={
        "classifier.dense.": "RoBERTa's classification head",
        "classifier.out_proj.": "RoBERTa's classification head",
        "qa_outputs.": "a question-answering head",
    },
    # With types, which most models have no table for.
    tokens=dataclasses.replace(BERT_TOKENS, kind=UNIGRAM, tokenizer_class="DebertaV2Tokenizer"),
    details=DebertaDetails,
    harmless={
        "pooler_hidden_size": "hidden_size, or refused",
        "attention_head_size": "hidden_size / num_attention_heads, or refused",
        "legacy": "of the head of masked words",
    },
)
