"""Classes: the tokenizer classes of transformers whose files are read here, and what tells one from another.

A tokenizer_config.json or config.json may name one; else it is the family's. A class that is not here is read through
transformers (japanese.py) or refused by its name. Used by settings.py, pipelines.py and tokenizer.py.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.families.family import BPE, UNIGRAM, WORD_PIECE, Family

# Those that take tokenizer.json as it is; the first is the one that we write, which transformers 4 knows too.
GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend", "PreTrainedTokenizer", "PythonBackend")
JAPANESE = "BertJapaneseTokenizer"
WITHOUT = {  # classes that cannot be read -> why
    "BertweetTokenizer": "it rewrites a tweet before it is read, so that tokens have no characters of the text",
    "PhobertTokenizer": "it has merges of its own (bpe.codes) and does not tell the characters of a token",
}
ADVICE = "Give a model with one of these, or name another tokenizer_class if it is not that of the model's training."


class TokenizerClass(NamedTuple):
    """A class of transformers that builds its tokenizer from a vocabulary and settings."""

    name: str
    kind: str  # WORD_PIECE, BPE or UNIGRAM
    file: str  # the vocabulary that it reads where there is no tokenizer.json
    settings: Mapping[str, Any]  # those that change ids -> what it takes where a file is silent
    types: bool = True  # whether models get segment ids where model_input_names does not say
    types_in_5: bool = True  # whether they get those of transformers 4 in transformers 5 too
    mask: Mapping[str, bool] = {}  # flags of <mask> where a file names it by its text alone


BERT_SETTINGS = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
PREFIX = {"add_prefix_space": True}
LSTRIP = {"lstrip": True}
KNOWN = (
    TokenizerClass("BertTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS),
    TokenizerClass("ElectraTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS),
    TokenizerClass("MobileBertTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS),
    TokenizerClass("LayoutLMTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS),
    TokenizerClass("SqueezeBertTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS),
    TokenizerClass("DistilBertTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS, types=False),
    TokenizerClass("MPNetTokenizer", WORD_PIECE, "vocab.txt", BERT_SETTINGS, types=False, mask=LSTRIP),
    TokenizerClass("RobertaTokenizer", BPE, "vocab.json", {"add_prefix_space": False}),
    TokenizerClass("XLMRobertaTokenizer", UNIGRAM, "sentencepiece.bpe.model", PREFIX),
    TokenizerClass("CamembertTokenizer", UNIGRAM, "sentencepiece.bpe.model", PREFIX, mask=LSTRIP),
    TokenizerClass(
        "DebertaV2Tokenizer", UNIGRAM, "spm.model", {"do_lower_case": False, "split_by_punct": False, **PREFIX}
    ),
    # transformers 5 gives its models no segment ids, transformers 4 did: pairs keep the family's, and it is said.
    TokenizerClass(
        "AlbertTokenizer",
        UNIGRAM,
        "spiece.model",
        {"do_lower_case": True, "keep_accents": False, **PREFIX},
        types_in_5=False,
    ),
)
CLASSES = {known.name: known for known in KNOWN}
VOCABULARIES = ("tokenizer.json", *dict.fromkeys(known.file for known in KNOWN))  # the files that hold one
OF_KIND = {WORD_PIECE: "BertTokenizer", BPE: "RobertaTokenizer"}  # where a family does not name one


def short(name: str) -> str:
    """The name without "Fast", which transformers 5 ignores; but `PreTrainedTokenizerFast` is a name of its own."""
    return name if name in GENERIC else name.removesuffix("Fast")


def own_class(family: Family) -> str:
    """The class that reads the family's files where nothing in them names one."""
    facts = family.tokens
    return facts.tokenizer_class or OF_KIND[facts.kind]


def class_of(family: Family, named: str | None) -> TokenizerClass | None:
    """The class that decides how files are read; None: they are taken as they are, by one of GENERIC.

    Raises:
      InputError: the class that the files name is not read, or not for the family.
    """
    own = own_class(family)
    if named in WITHOUT:
        raise InputError(f"tokenizer_class={named} is not supported: {WITHOUT[named]}. {ADVICE}")
    if named in GENERIC or own in GENERIC:  # then transformers takes it whatever is named
        return None
    found = CLASSES.get(named or own)
    if found is None:
        accepted = ", ".join((*CLASSES, JAPANESE, *GENERIC[:2]))
        raise InputError(f"tokenizer_class={named} is not supported; accepted: {accepted}. {ADVICE}")
    if found.kind != family.tokens.kind:
        raise InputError(
            f"tokenizer_class={found.name} is a {found.kind} tokenizer; {family.name}'s is {family.tokens.kind}. "
            f"{ADVICE}"
        )
    return found
