"""Pieces: the file of a SentencePiece model -> its pieces, scores and character map.

The file is a protocol buffer (sentencepiece_model.proto), of which a few fields decide how text is tokenized; the
format is that of https://protobuf.dev/programming-guides/encoding. Used by pipelines.py.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from autorel_jax.errors import InputError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4  # types of a piece that matter here
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # types of a field on the wire
UNIGRAM = 1  # TrainerSpec.model_type


class Piece(NamedTuple):
    """One entry of the vocabulary; its place in the file is its id."""

    text: str
    score: float
    type: int


class PieceModel(NamedTuple):
    """What a SentencePiece model says of how text is tokenized."""

    pieces: tuple[Piece, ...]
    charsmap: bytes  # of normalizers.Precompiled; empty: characters stay as they are


def read_pieces(path: Path) -> PieceModel:
    """Reads a Unigram model.

    Raises:
      InputError: it is no SentencePiece model, or one of another kind, named.
    """
    try:
        return _model(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path} {error}") from None
        raise InputError(f"{path} is not a SentencePiece model; copy it anew from its source.") from None


def _model(data: bytes) -> PieceModel:
    pieces, charsmap, trainer, normalizer = [], b"", {}, {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(_bytes(value)))
        elif number == 2:
            trainer |= dict(_fields(_bytes(value)))
        elif number == 3:
            normalizer |= dict(_fields(_bytes(value)))
    if not pieces:
        raise InputError("has no pieces; it is not a SentencePiece model.")
    if trainer.get(3, UNIGRAM) != UNIGRAM:
        kind = {2: "BPE", 3: "word", 4: "char"}.get(trainer[3], trainer[3])
        raise InputError(f"is a SentencePiece model of the kind {kind}; only unigram is read.")
    if trainer.get(35):
        raise InputError("spells unknown characters as bytes (byte_fallback), which is not supported.")
    if not normalizer.get(3, 1) or not normalizer.get(5, 1):
        raise InputError("marks no space before words (add_dummy_prefix, escape_whitespaces); that is not supported.")
    charsmap = _bytes(normalizer.get(2, b""))
    return PieceModel(tuple(pieces), charsmap)


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    (score,) = struct.unpack("<f", _bytes(fields.get(2, b"\0\0\0\0")))
    kind = fields.get(3, NORMAL)
    return Piece(_bytes(fields.get(1, b"")).decode(), score, kind if isinstance(kind, int) else NORMAL)


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order: their number, and a whole number or the bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            length, place = _varint(data, place)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("an unknown kind of field")
        if place + length > len(data):
            raise ValueError("a field is longer than the file")
        yield number, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = data[place]
    if value < 128:  # most are one byte
        return value, place + 1
    value, shift = value & 127, 7
    while True:
        place += 1
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
