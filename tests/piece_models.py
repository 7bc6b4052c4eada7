"""Models of SentencePiece for tests, written by hand as protocol buffers; the facts of the classes that read them."""

import dataclasses
import json
import struct

from family_models import special_tokens, unigram

from autorel_jax.families import family_of
from autorel_jax.families.family import UNIGRAM, A, B, Family, Place, TokenFacts
from autorel_jax.text.pieces import CONTROL, NORMAL, UNKNOWN

BRACKETS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def with_class(tokenizer_class: str, **special: str) -> Family:
    """BERT with a Unigram tokenizer of that class."""
    bert = family_of("bert")
    tokens = TokenFacts(
        kind=UNIGRAM,
        special=BRACKETS | special,
        optional=("mask_token",),
        longest=512,
        single=(Place("cls_token"), Place(A), Place("sep_token")),
        pair=(Place("cls_token"), Place(A), Place("sep_token"), Place(B, 1), Place("sep_token", 1)),
        tokenizer_class=tokenizer_class,
    )
    return dataclasses.replace(bert, tokens=tokens)


CASES = {  # model_type -> the file, the family, the first pieces of the file
    "xlm-roberta": ("sentencepiece.bpe.model", family_of("xlm-roberta"), ("<unk>", "<s>", "</s>")),
    "camembert": ("sentencepiece.bpe.model", family_of("camembert"), ("<unk>", "<s>", "</s>")),
    "deberta-v2": ("spm.model", family_of("deberta-v2"), ("[PAD]", "[CLS]", "[SEP]", "[UNK]")),
    "albert": (
        "spiece.model",
        with_class("AlbertTokenizer", pad_token="<pad>", unk_token="<unk>"),
        ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
    ),
}


def trained_pieces() -> list[tuple[str, float]]:
    """Pieces that the tokenizers library trains on the tests' sentences, without special tokens."""
    family = family_of("xlm-roberta")
    vocab = json.loads(unigram(family).to_str())["model"]["vocab"]
    return [(text, score) for text, score in vocab if text not in special_tokens(family)]


def varint(value: int) -> bytes:
    """A whole number as on the wire."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field: a whole number or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text: str, score: float, kind: int = NORMAL) -> bytes:
    """A field of the model: one of its pieces."""
    return field(1, field(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score) + field(3, kind))


def piece_model(pieces: list[tuple[str, float]], first: tuple[str, ...], *rest: bytes) -> bytes:
    """A model of SentencePiece; `first` are special tokens, `rest` further fields."""
    start = (piece(text, 0.0, UNKNOWN if "unk" in text.lower() else CONTROL) for text in first)
    return b"".join([*start, *(piece(*each) for each in pieces), *rest])
