"""ALBERT's facts: BERT with narrow embeddings, whose layers share their parameters in groups.

Lan et al. 2020, with the names of transformers' `modeling_albert.py`. Registered in __init__.py.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.bert import INNER, WIDTH, refusals
from autorel_jax.families.bert import SETTINGS as BERT_SETTINGS
from autorel_jax.families.bert import TOKENS as BERT_TOKENS
from autorel_jax.families.family import (
    NARROW,
    UNIGRAM,
    Family,
    Head,
    Layers,
    Refusal,
    Setting,
    affine,
    norm,
    setting,
    table,
)


@dataclasses.dataclass(frozen=True)
class AlbertDetails:
    """Which layers share parameters."""

    num_hidden_groups: int = 1  # of neighbouring layers
    inner_group_num: int = 1  # layers that stand for one of num_hidden_layers, each with parameters of its own

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "AlbertDetails":
        """From a parsed config.json."""
        found = {field.name: raw.get(field.name, field.default) for field in dataclasses.fields(cls)}
        for name, value in found.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name}={value!r}: expected a whole number of at least 1.")
        made, layers = cls(**found), raw.get("num_hidden_layers")
        if isinstance(layers, int) and layers < made.num_hidden_groups:
            raise InputError(
                f"num_hidden_groups={made.num_hidden_groups}: expected no more than num_hidden_layers={layers}."
            )
        return made

    def written(self) -> dict[str, Any]:
        """The same keys."""
        return dataclasses.asdict(self)

    @property
    def stored(self) -> tuple[str, ...]:
        """The layers that a checkpoint holds, as the end of their names."""
        groups, inner = range(self.num_hidden_groups), range(self.inner_group_num)
        return tuple(f"{group}.albert_layers.{number}" for group in groups for number in inner)

    def rows(self, layers: int) -> tuple[int, ...]:
        """For each layer that a text goes through, which of `stored` it is. As transformers divides, in floats."""
        groups = [int(number / (layers / self.num_hidden_groups)) for number in range(layers)]
        return tuple(group * self.inner_group_num + inner for group in groups for inner in range(self.inner_group_num))


# As transformers has them for a key that is absent.
DEFAULTS = {"hidden_act": "gelu_new", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SETTINGS = (
    *(
        Setting(name, DEFAULTS.get(name, default), keys)
        for name, default, keys in BERT_SETTINGS
        if name != "classifier_dropout"
    ),
    setting("classifier_dropout", 0.1, "classifier_dropout_prob"),
    setting("embedding_size", 128),
)
OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size", NARROW),
    *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings", NARROW),
    *table("embeddings/type", "embeddings.token_type_embeddings", "type_vocab_size", NARROW),
    *norm("embeddings/norm", "embeddings.LayerNorm", NARROW),
    *affine("embeddings/widening", "encoder.embedding_hidden_mapping_in", NARROW, WIDTH),  # whatever the widths
    *affine("pooler", "pooler", WIDTH, WIDTH),
)
LAYER = (
    *affine("query", "attention.query", WIDTH, WIDTH),
    *affine("key", "attention.key", WIDTH, WIDTH),
    *affine("value", "attention.value", WIDTH, WIDTH),
    *affine("attention_output", "attention.dense", WIDTH, WIDTH),
    *norm("attention_norm", "attention.LayerNorm"),
    *affine("inner", "ffn", WIDTH, INNER),
    *affine("output", "ffn_output", INNER, WIDTH),
    *norm("output_norm", "full_layer_layer_norm"),
)

ALBERT = Family(
    name="ALBERT",
    model_types=("albert",),
    classifiers=("AlbertForSequenceClassification",),
    encoders=("AlbertModel", "AlbertForPreTraining", "AlbertForMaskedLM"),
    settings=SETTINGS,
    refusals=(
        *refusals("ALBERT's head reads [CLS]"),
        Refusal(("net_structure_type", "gap_size", "num_memory_blocks"), (None, 0), "accepted: 0"),
        Refusal(("down_scale_factor",), (None, 1), "accepted: 1"),
    ),
    fixed={},
    prefix="albert.",
    outside=OUTSIDE,
    narrow=True,
    layers=Layers("encoder.albert_layer_groups", LAYER, shared=True, drops_feed_forward=False),
    head=Head(
        activation="tanh",
        leaves=affine("classifier", "classifier", WIDTH, "num_labels"),
        described="one linear map",
    ),
    drawn=("pooler",),  # pre-training on masked words alone leaves none
    ignored=(
        r"embeddings\.(position_ids|token_type_ids)",  # counters, not weights
        r"predictions\..*",  # masked words
        r"sop_classifier\..*",  # the order of sentences
    ),
    renamed={},
    foreign={"qa_outputs.": "a question-answering head"},
    tokens=dataclasses.replace(
        BERT_TOKENS,
        kind=UNIGRAM,
        special={**BERT_TOKENS.special, "pad_token": "<pad>", "unk_token": "<unk>"},
        tokenizer_class="AlbertTokenizer",
    ),
    details=AlbertDetails,
)
