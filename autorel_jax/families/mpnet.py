"""MPNet's facts: RoBERTa's positions and head, and a bias for each distance that all layers add to their scores.

Song et al. 2020, with the names of transformers' `modeling_mpnet.py`. Registered in __init__.py.
"""

import dataclasses

from autorel_jax.families.bert import INNER, WIDTH, refusals
from autorel_jax.families.bert import SETTINGS as BERT_SETTINGS
from autorel_jax.families.family import (
    BIASED,
    WORD_PIECE,
    Family,
    Layers,
    Refusal,
    Setting,
    affine,
    constant,
    norm,
    table,
)
from autorel_jax.families.roberta import HEAD
from autorel_jax.families.roberta import tokens as roberta_tokens

BUCKETS = 32  # rows of the table of biases; transformers computes 32 whatever the config says

OWN = {
    "type_vocab_size": constant("type_vocab_size", 0),
    "classifier_dropout": constant("classifier_dropout", None),  # as hidden_dropout_prob
    "pad_token_id": Setting("pad_token_id", 1, ("pad_token_id",)),
}
TOKENS = roberta_tokens(WORD_PIECE, "MPNetTokenizer")

MPNET = Family(
    name="MPNet",
    model_types=("mpnet",),
    classifiers=("MPNetForSequenceClassification",),
    encoders=("MPNetModel", "MPNetForMaskedLM"),
    settings=tuple(OWN.get(setting.field, setting) for setting in BERT_SETTINGS),
    refusals=(
        *refusals("MPNet's head reads <s>"),
        Refusal(("relative_attention_num_buckets",), (None, BUCKETS), f"accepted: {BUCKETS}, as transformers has it"),
    ),
    fixed={"relative_attention_num_buckets": BUCKETS},
    prefix="mpnet.",
    outside=(
        *table("embeddings/word", "embeddings.word_embeddings", "vocab_size"),
        *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings"),
        *norm("embeddings/norm", "embeddings.LayerNorm"),
        *table("relative/bias", "encoder.relative_attention_bias", "distance_buckets", "num_attention_heads"),
    ),
    layers=Layers(
        "encoder.layer",
        (
            *affine("query", "attention.attn.q", WIDTH, WIDTH),
            *affine("key", "attention.attn.k", WIDTH, WIDTH),
            *affine("value", "attention.attn.v", WIDTH, WIDTH),
            *affine("attention_output", "attention.attn.o", WIDTH, WIDTH),
            *norm("attention_norm", "attention.LayerNorm"),
            *affine("inner", "intermediate.dense", WIDTH, INNER),
            *affine("output", "output.dense", INNER, WIDTH),
            *norm("output_norm", "output.LayerNorm"),
        ),
        positions=BIASED,
        beyond=("position_bias",),
    ),
    head=HEAD,
    drawn=(),
    ignored=(
        r"embeddings\.position_ids",  # a counter, not a weight
        r"pooler\..*",  # the head has a map of its own
        r"lm_head\..*",  # masked words
    ),
    renamed={},
    foreign={
        "classifier.weight": "a head for tokens or multiple choice",
        "classifier.bias": "a head for tokens or multiple choice",
        "qa_outputs.": "a question-answering head",
    },
    # A WordPiece tokenizer with RoBERTa's special tokens, but for the unknown one.
    tokens=dataclasses.replace(TOKENS, special=TOKENS.special | {"unk_token": "[UNK]"}),
    position_offset=2,  # whatever pad_token_id says
)
