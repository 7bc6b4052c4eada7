"""Fillings: what may stand in place of a mask <-> its id. A mask is filled with one piece of the vocabulary.

A piece is named as it stands in a text, without the space before it. One that continues a word begins with ##, as in a
BERT; of tokenizers that write the space into the piece, that is every piece without one. Used by explaining/masked.py.
"""

import functools
import re
import sys

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import BPE, UNIGRAM, WORD_PIECE
from autorel_jax.text.characters import SPACES, Span
from autorel_jax.text.segments import encodable
from autorel_jax.text.tokens import Tokenizer

CONTINUES = "##"
ID = re.compile(r"id:(\d{1,9})")
SHOWN = 8  # pieces of a word in a message


def name_of(number: int, tokenizer: Tokenizer) -> str:
    """How a piece is called; `id:N` where the model has more than the vocabulary."""
    piece, kind = tokenizer.pieces.get(number), tokenizer.facts.kind
    if piece is None:
        return f"id:{number}"
    if kind == WORD_PIECE or number in special(tokenizer):
        return piece
    text = plain(piece, kind)
    if text is None or not text.strip():
        return piece
    return text[1:] if text.startswith(" ") else CONTINUES + text


def id_of(word: str, text: str, span: Span, tokenizer: Tokenizer, size: int) -> int:
    """The piece that the tokenizer makes of a word in place of the characters `span`, which a mask has.

    Names of `name_of` with ##, pieces that begin with the vocabulary's own sign of a space, and id:N are taken as such;
    N is below `size`, the pieces of the model.

    Raises:
      InputError: it is none, several, or not apart from what stands beside it.
    """
    if not isinstance(word, str) or not word.strip():
        raise InputError(f"{one_line(repr(word))} fills no mask; give a word of the vocabulary, or id:NUMBER.")
    word = word.strip()
    known = as_named(word, tokenizer, size)
    if known is not None:
        return known
    start, end = span[0], span[0] + len(word)
    text = encodable(f"{text[:start]}{word}{text[span[1] :]}", "the word")
    (tokens,) = tokenizer([text], max_length=sys.maxsize)
    read = list(zip(tokens.spans, tokens.pieces, strict=True))
    found = [place for place, (own, piece) in enumerate(read) if own and is_within(own, piece, start, end)]
    pieces = [tokens.pieces[place] for place in found]
    if len(found) != 1:
        listed = ", ".join(map(one_line, pieces[:SHOWN])) + (" …" if len(pieces) > SHOWN else "")
        made = f"{len(pieces)} pieces of the vocabulary there, {listed}" if pieces else "no piece of the vocabulary"
        raise InputError(f"{one_line(word)!r} is {made}; a mask is filled with one: give a word of one piece.")
    own, number = tokens.spans[found[0]], int(tokens.ids[found[0]])
    if own[0] < start or own[1] > end:
        raise InputError(f"{one_line(word)!r} is one piece with what stands beside the mask, {one_line(pieces[0])}.")
    if number == tokenizer.unk_id:
        raise InputError(f"{one_line(word)!r} is not in the vocabulary; give a word that is.")
    return number


def is_within(own: Span, piece: str, start: int, end: int) -> bool:
    """Whether a token has characters of the word, or is the space before it as a piece of its own."""
    return own[0] < end and (own[1] > start or (own[1] == start and piece in SPACES))


def as_named(word: str, tokenizer: Tokenizer, size: int) -> int | None:
    """The id of a piece that is named as such, below `size`; None of any other word."""
    if match := ID.fullmatch(word):
        if int(match[1]) >= size:
            raise InputError(f"{word} is no piece; the model has id:0 to id:{size - 1}.")
        return int(match[1])
    marks = (CONTINUES,) if tokenizer.facts.kind == WORD_PIECE else (CONTINUES, *SPACES)
    if word in marks or not word.startswith(marks):
        return None
    if word.startswith(CONTINUES):
        return named(tokenizer).get(word)
    return next((number for number, piece in tokenizer.pieces.items() if piece == word), None)


@functools.lru_cache(maxsize=4)
def named(tokenizer: Tokenizer) -> dict[str, int]:
    """The name of each piece -> its id."""
    return {name_of(number, tokenizer): number for number in tokenizer.pieces}


def special(tokenizer: Tokenizer) -> set[int | None]:
    """The ids of special tokens."""
    return {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.unk_id, tokenizer.mask_id}


def plain(piece: str, kind: str) -> str | None:
    """A piece as the text that it stands for; None for a part of a character."""
    if kind == UNIGRAM:
        return piece.replace(SPACES[0], " ")
    if kind != BPE or not set(piece) <= byte_of().keys():
        return piece
    try:
        return bytes(byte_of()[character] for character in piece).decode()
    except UnicodeDecodeError:
        return None


@functools.cache
def byte_of() -> dict[str, int]:
    """How byte-level BPE writes bytes as characters (Radford et al. 2019): printable ones stand for themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
