"""BERT's facts: Devlin et al. 2019, with the names of transformers' `modeling_bert.py`. Registered in __init__.py."""

from autorel_jax.families.family import (
    POST_NORM,
    WORD_PIECE,
    A,
    B,
    Family,
    Head,
    Layers,
    Place,
    Refusal,
    TokenFacts,
    affine,
    masked_head,
    norm,
    setting,
    table,
)

WIDTH, INNER = "hidden_size", "intermediate_size"

SETTINGS = (
    setting("vocab_size"),
    setting("hidden_size"),
    setting("num_hidden_layers"),
    setting("num_attention_heads"),
    setting("intermediate_size"),
    setting("hidden_act", "gelu"),  # the exact (erf) GELU
    setting("max_position_embeddings", 512),  # tokens incl. [CLS] and [SEP]
    setting("type_vocab_size", 2),
    setting("layer_norm_eps", 1e-12),  # inside the root
    setting("hidden_dropout_prob", 0.1),
    setting("attention_probs_dropout_prob", 0.1),
    setting("classifier_dropout", None),  # None: as hidden_dropout_prob
    setting("initializer_range", 0.02),  # standard deviation of a new weight
    setting("pad_token_id", 0),
)
ENCODER = (
    Refusal(("position_embedding_type",), (None, "absolute"), "accepted: 'absolute'"),
    Refusal(
        ("is_decoder", "add_cross_attention", "pruned_heads"), (None, False, {}, [], ""), "accepted: a plain encoder"
    ),
)


def refusals(reads: str) -> tuple[Refusal, ...]:
    """What is refused of an encoder as BERT's; `reads` says what its head reads."""
    pooling = ("pooling", "pooling_mode", "classifier_pooling", "summary_type")
    return (*ENCODER, Refusal(pooling, (None, "cls", "first"), reads))


OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size"),
    *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings"),
    *table("embeddings/type", "embeddings.token_type_embeddings", "type_vocab_size"),
    *norm("embeddings/norm", "embeddings.LayerNorm"),
    *affine("pooler", "pooler.dense", WIDTH, WIDTH),
)
LAYER = (
    *affine("query", "attention.self.query", WIDTH, WIDTH),
    *affine("key", "attention.self.key", WIDTH, WIDTH),
    *affine("value", "attention.self.value", WIDTH, WIDTH),
    *affine("attention_output", "attention.output.dense", WIDTH, WIDTH),
    *norm("attention_norm", "attention.output.LayerNorm"),
    *affine("inner", "intermediate.dense", WIDTH, INNER),
    *affine("output", "output.dense", INNER, WIDTH),
    *norm("output_norm", "output.LayerNorm"),
)
TOKENS = TokenFacts(
    kind=WORD_PIECE,
    special={
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    optional=("mask_token",),  # of masked words and of faithfulness alone
    longest=512,
    single=(Place("cls_token"), Place(A), Place("sep_token")),
    pair=(Place("cls_token"), Place(A), Place("sep_token"), Place(B, 1), Place("sep_token", 1)),
)

BERT = Family(
    name="BERT",
    model_types=("bert",),
    classifiers=("BertForSequenceClassification",),
    encoders=("BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction"),
    settings=SETTINGS,
    refusals=refusals("BERT's head reads [CLS]"),
    fixed={"position_embedding_type": "absolute"},
    prefix="bert.",
    outside=OUTSIDE,
    layers=Layers("encoder.layer", LAYER, POST_NORM),
    head=Head(
        activation="tanh",
        leaves=affine("classifier", "classifier", WIDTH, "num_labels"),
        described="one linear map",
    ),
    drawn=("pooler",),  # pre-training on masked words alone leaves none
    ignored=(
        r"embeddings\.(position_ids|token_type_ids)",  # counters, not weights
        r"cls\..*",  # the heads of pre-training: masked words, next sentence
    ),
    renamed={"output_weights": "classifier.weight", "output_bias": "classifier.bias"},  # Google's, in TensorFlow
    foreign={
        "classifier.dense.": "RoBERTa's classification head",
        "classifier.out_proj.": "RoBERTa's classification head",
        "pre_classifier.": "DistilBERT's classification head",
        "qa_outputs.": "a question-answering head",
    },
    tokens=TOKENS,
    masked=masked_head(
        activation="",
        dense="cls.predictions.transform.dense",
        layer_norm="cls.predictions.transform.LayerNorm",
        decoder="cls.predictions.decoder",
        bias="cls.predictions.bias",
        aliases=dict.fromkeys(("cls.predictions.decoder.bias", "cls.predictions.output_bias"), "cls.predictions.bias"),
    ),
)
