"""RoBERTa's facts, and those of XLM-RoBERTa and CamemBERT, which differ in their tokenizer alone.

Liu et al. 2019, with the names of transformers' `modeling_roberta.py`. Registered in __init__.py.
"""

from autorel_jax.families.bert import LAYER, WIDTH, refusals
from autorel_jax.families.bert import SETTINGS as BERT_SETTINGS
from autorel_jax.families.family import (
    BPE,
    UNIGRAM,
    A,
    B,
    Family,
    Head,
    Layers,
    Place,
    Setting,
    TokenFacts,
    affine,
    masked_head,
    norm,
    table,
)

# As transformers has them for a key that is absent. Real files say 514, 1 and 1e-5.
DEFAULTS = {"pad_token_id": 1}
SETTINGS = tuple(Setting(name, DEFAULTS.get(name, default), keys) for name, default, keys in BERT_SETTINGS)
OUTSIDE = (
    *table("embeddings/word", "embeddings.word_embeddings", "vocab_size"),
    *table("embeddings/position", "embeddings.position_embeddings", "max_position_embeddings"),
    *table("embeddings/type", "embeddings.token_type_embeddings", "type_vocab_size"),  # one row, added to every token
    *norm("embeddings/norm", "embeddings.LayerNorm"),
)
HEAD = Head(
    activation="tanh",
    leaves=(
        *affine("pooler", "classifier.dense", WIDTH, WIDTH),
        *affine("classifier", "classifier.out_proj", WIDTH, "num_labels"),
    ),
    described="classifier.dense, tanh, classifier.out_proj",
    drops_input=True,
)


def tokens(kind: str, tokenizer_class: str) -> TokenFacts:
    """The special tokens, which all have in common, with a tokenizer of that kind."""
    return TokenFacts(
        kind=kind,
        tokenizer_class=tokenizer_class,
        special={
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "cls_token": "<s>",
            "sep_token": "</s>",
            "mask_token": "<mask>",
        },
        optional=("mask_token",),  # only the faithfulness checks mask
        longest=512,
        numbered=True,
        single=(Place("cls_token"), Place(A), Place("sep_token")),
        pair=(Place("cls_token"), Place(A), Place("sep_token"), Place("sep_token"), Place(B), Place("sep_token")),
    )


def relative(name: str, model_type: str, stem: str, kind: str) -> Family:
    """A model of RoBERTa's architecture; `stem` begins the names of its classes in transformers."""
    return Family(
        name=name,
        model_types=(model_type,),
        classifiers=(f"{stem}ForSequenceClassification",),
        encoders=(f"{stem}Model", f"{stem}ForMaskedLM"),
        settings=SETTINGS,
        refusals=refusals(f"{name}'s head reads <s>"),
        fixed={},
        prefix="roberta.",
        outside=OUTSIDE,
        layers=Layers("encoder.layer", LAYER),
        head=HEAD,
        drawn=(),
        ignored=(
            r"embeddings\.(position_ids|token_type_ids)",  # counters, not weights
            r"pooler\..*",  # of old files: the head has a map of its own
            r"lm_head\..*",  # masked words
        ),
        renamed={},
        foreign={
            "classifier.weight": "a head for tokens or multiple choice",
            "classifier.bias": "a head for tokens or multiple choice",
            "qa_outputs.": "a question-answering head",
        },
        tokens=tokens(kind, f"{stem}Tokenizer"),
        # transformers counts the ids that are not <pad>; we count along the row, as padding stands on the right. The
        # two differ where a text itself holds "<pad>", which transformers takes for padding that is attended to.
        position_offset=None,
        masked=masked_head(
            activation="gelu",  # whatever hidden_act says
            dense="lm_head.dense",
            layer_norm="lm_head.layer_norm",
            decoder="lm_head.decoder",
            bias="lm_head.bias",
            aliases={"lm_head.decoder.bias": "lm_head.bias"},
        ),
    )


ROBERTA = relative("RoBERTa", "roberta", "Roberta", BPE)
XLM_ROBERTA = relative("XLM-RoBERTa", "xlm-roberta", "XLMRoberta", UNIGRAM)
CAMEMBERT = relative("CamemBERT", "camembert", "Camembert", UNIGRAM)
