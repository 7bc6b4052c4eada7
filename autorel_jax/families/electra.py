"""ELECTRA's facts: BERT with narrow embeddings, which a map widens, and a head of GELU without a pooler.

Clark et al. 2020, with the names of transformers' `modeling_electra.py`. Registered in __init__.py.
"""

from autorel_jax.families.bert import LAYER, TOKENS, WIDTH, refusals
from autorel_jax.families.bert import SETTINGS as BERT_SETTINGS
from autorel_jax.families.family import NARROW, Family, Head, Layers, affine, norm, setting, table

OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size", NARROW),
    *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings", NARROW),
    *table("embeddings/type", "embeddings.token_type_embeddings", "type_vocab_size", NARROW),
    *norm("embeddings/norm", "embeddings.LayerNorm", NARROW),
    *(leaf._replace(when="widens") for leaf in affine("embeddings/widening", "embeddings_project", NARROW, WIDTH)),
)

ELECTRA = Family(
    name="ELECTRA",
    model_types=("electra",),
    classifiers=("ElectraForSequenceClassification",),
    encoders=("ElectraModel", "ElectraForPreTraining", "ElectraForMaskedLM"),
    settings=(*BERT_SETTINGS, setting("embedding_size", 128)),
    refusals=refusals("ELECTRA's head reads [CLS]"),
    fixed={},
    prefix="electra.",
    outside=OUTSIDE,
    narrow=True,
    layers=Layers("encoder.layer", LAYER),
    head=Head(
        activation="gelu",  # whatever hidden_act says
        leaves=(
            *affine("pooler", "classifier.dense", WIDTH, WIDTH),
            *affine("classifier", "classifier.out_proj", WIDTH, "num_labels"),
        ),
        described="classifier.dense, GELU, classifier.out_proj",
        drops_input=True,
    ),
    drawn=(),
    ignored=(
        r"embeddings\.(position_ids|token_type_ids)",  # counters, not weights
        r"discriminator_predictions\..*",  # which tokens were replaced
        r"generator_(predictions|lm_head)\..*",  # masked words
    ),
    renamed={},
    foreign={
        "classifier.weight": "a head for tokens or multiple choice",
        "classifier.bias": "a head for tokens or multiple choice",
        "qa_outputs.": "a question-answering head",
    },
    tokens=TOKENS,
)
