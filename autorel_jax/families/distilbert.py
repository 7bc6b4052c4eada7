"""DistilBERT's facts: BERT without types and without pooler, under names of its own.

Sanh et al. 2019, with the names of transformers' `modeling_distilbert.py`. Registered in __init__.py.
"""

import dataclasses

from autorel_jax.families.bert import INNER, WIDTH, refusals
from autorel_jax.families.bert import TOKENS as BERT_TOKENS
from autorel_jax.families.family import (
    HIDDEN_DROPOUT,
    A,
    B,
    Family,
    Head,
    Layers,
    Place,
    affine,
    constant,
    masked_head,
    norm,
    setting,
    table,
    token_heads,
)

SETTINGS = (
    setting("vocab_size"),
    # transformers takes BERT's spellings of these three too
    setting("hidden_size", 768, "dim", "hidden_size"),
    setting("num_hidden_layers", 6, "n_layers", "num_hidden_layers"),
    setting("num_attention_heads", 12, "n_heads", "num_attention_heads"),
    setting("intermediate_size", 3072, "hidden_dim"),
    setting("hidden_act", "gelu", "activation"),
    setting("max_position_embeddings", 512),
    constant("type_vocab_size", 0),
    constant("layer_norm_eps", 1e-12),
    setting("hidden_dropout_prob", 0.1, "dropout"),
    setting("attention_probs_dropout_prob", 0.1, "attention_dropout"),
    setting("classifier_dropout", 0.2, "seq_classif_dropout"),
    setting("answers_dropout", 0.1, "qa_dropout"),
    setting("initializer_range", 0.02),
    setting("pad_token_id", 0),
)
OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size"),
    *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings"),
    *norm("embeddings/norm", "embeddings.LayerNorm"),
)
LAYER = (
    *affine("query", "attention.q_lin", WIDTH, WIDTH),
    *affine("key", "attention.k_lin", WIDTH, WIDTH),
    *affine("value", "attention.v_lin", WIDTH, WIDTH),
    *affine("attention_output", "attention.out_lin", WIDTH, WIDTH),
    *norm("attention_norm", "sa_layer_norm"),
    *affine("inner", "ffn.lin1", WIDTH, INNER),
    *affine("output", "ffn.lin2", INNER, WIDTH),
    *norm("output_norm", "output_layer_norm"),
)
TOKENS = dataclasses.replace(
    BERT_TOKENS,
    pair=(Place("cls_token"), Place(A), Place("sep_token"), Place(B), Place("sep_token")),  # no types
)

DISTILBERT = Family(
    name="DistilBERT",
    model_types=("distilbert",),
    classifiers=("DistilBertForSequenceClassification",),
    encoders=("DistilBertModel", "DistilBertForMaskedLM"),
    settings=SETTINGS,
    refusals=refusals("DistilBERT's head reads [CLS]"),
    fixed={},
    prefix="distilbert.",
    outside=OUTSIDE,
    layers=Layers("transformer.layer", LAYER, drops_attention=False),
    head=Head(
        activation="relu",
        leaves=(
            *affine("pooler", "pre_classifier", WIDTH, WIDTH),
            *affine("classifier", "classifier", WIDTH, "num_labels"),
        ),
        described="pre_classifier, ReLU, classifier",
    ),
    on_tokens=token_heads(dropouts=(HIDDEN_DROPOUT, "answers_dropout")),
    drawn=(),
    ignored=(
        r"embeddings\.position_ids",  # a counter, not a weight
        r"vocab_(transform|layer_norm|projector)\..*",  # masked words
    ),
    harmless={
        "sinusoidal_pos_embds": "how the position table was first filled, which the checkpoint holds",
        "tie_weights_": "of the head of masked words",
    },
    renamed={},
    foreign={
        "classifier.dense.": "RoBERTa's classification head",
        "classifier.out_proj.": "RoBERTa's classification head",
        "qa_outputs.": "a question-answering head",
    },
    tokens=TOKENS,
    masked=masked_head(
        activation="",
        dense="vocab_transform",
        layer_norm="vocab_layer_norm",
        decoder="vocab_projector",
        bias="vocab_projector.bias",
        aliases={},
    ),
)
