"""Pipelines: the files of a vocabulary -> a `tokenizers.Tokenizer` that computes with them, one function a format.

What normalizes and splits text is built as transformers builds it for a class (classes.py); tokenizer.json says it
itself. Special and added tokens come after that, in tokenizer.py. Sources: transformers' tokenization_*.py and
convert_slow_tokenizer.py.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import WORD_PIECE, Family
from autorel_jax.text.added_tokens import require
from autorel_jax.text.classes import TokenizerClass
from autorel_jax.text.pieces import USER_DEFINED, Piece, read_pieces
from autorel_jax.text.settings import Settings
from autorel_jax.text.vocab_txt import read_vocab

Made = tuple[Any, tuple[str, ...]]  # a Tokenizer, and warnings
NOT_WANTED = -100.0  # added to the score of a piece that is not to be used


def from_json(path: Path, family: Family) -> Made:
    """tokenizer.json, as it is."""
    from tokenizers import Tokenizer, pre_tokenizers

    with refused(f"{path} is not a tokenizer.json"):
        model = Tokenizer.from_file(str(path))
    kind = type(model.model).__name__
    name, expected = family.name, family.tokens.kind
    if kind != expected:
        raise InputError(f"{path} holds a {kind} tokenizer; {name}'s is {expected}. Is this a {name} checkpoint?")
    if getattr(model.model, "dropout", None):
        raise InputError(f"{path} drops merges at random (dropout={model.model.dropout}); set it to null.")
    if model.pre_tokenizer is None and kind == WORD_PIECE:
        model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return model, ()


@contextlib.contextmanager
def refused(what: str) -> Iterator[None]:
    """Makes an InputError of what the library raises: bare Exception, or a panic, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InputError(f"{what}: {one_line(error)}.") from None
        raise


def from_vocab(path: Path, special: Mapping[str, str], family: Family, settings: Settings) -> Made:
    """WordPiece from vocab.txt."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocab, warnings = read_vocab(path)
    require(vocab, path, special, family, settings)
    model = Tokenizer(models.WordPiece(vocab, unk_token=special["unk_token"]))
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece(prefix="##")
    return model, warnings


def from_merges(path: Path) -> Made:
    """Byte-level BPE from vocab.json, and merges.txt beside it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    with refused(f"{path} and merges.txt are not those of a BPE"):
        model = Tokenizer(models.BPE.from_file(str(path), str(path.with_name("merges.txt"))))
    model.pre_tokenizer, model.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return model, ()


def from_pieces(path: Path, known: TokenizerClass, special: Mapping[str, str], settings: Settings) -> Made:
    """Unigram from the model of SentencePiece that the class reads, with the ids that the class gives its pieces.

    Three things are as SentencePiece and transformers 4 have them, so as models were trained and as tokenizer.json says
    them, but not as in transformers 5: DebertaV2Tokenizer keeps the file's character map, in AlbertTokenizer a digit
    and the comma after it are two pieces, and pieces that the user defined are pieces, not added tokens.
    """
    from tokenizers import Tokenizer, decoders, models

    read = read_pieces(path)
    pieces, unknown = LAYOUTS[known.name](read.pieces, special)
    own = [piece.text for piece in read.pieces if piece.type == USER_DEFINED and piece.text not in special.values()]
    names = [text for text, _ in pieces]
    if special["unk_token"] not in names:
        raise InputError(f"{path} lacks {special['unk_token']}, the unk_token; give the model's own {known.file}.")
    model = Tokenizer(models.Unigram(pieces, unk_id=names.index(special["unk_token"]) if unknown is None else unknown))
    chosen = {key: settings.flag(key, default) for key, default in known.settings.items()}
    model.normalizer = NORMALIZERS[known.name](read.charsmap, chosen)
    model.pre_tokenizer = _split(known.name, chosen)
    model.decoder = decoders.Metaspace()
    if not own:
        return model, ()
    warning = (
        f"{path.name} has pieces that its user defined ({one_line(' '.join(own), 40)}): they are read as SentencePiece "
        "does; transformers 5 takes them for added tokens, which may change the tokens around them"
    )
    return model, (warning,)


Layout = tuple[list[tuple[str, float]], int | None]  # pieces with their scores in order of id; the id of unk_token


def _fairseq(pieces: Sequence[Piece], special: Mapping[str, str]) -> Layout:
    """XLM-R's ids: fairseq's four special tokens in place of the file's first three, <mask> at the end."""
    first = [(special[role], 0.0) for role in ("cls_token", "pad_token", "sep_token", "unk_token")]
    return [*first, *_scored(pieces[3:]), (special.get("mask_token", "<mask>"), 0.0)], 3


def _camembert(pieces: Sequence[Piece], special: Mapping[str, str]) -> Layout:
    """CamemBERT's: fairseq's are not used but for <pad> and <unk>; <s> and </s> are the file's own."""
    first = [("<s>NOTUSED", 0.0), (special["pad_token"], 0.0), ("</s>NOTUSED", 0.0), (special["unk_token"], 0.0)]
    first.append(("<unk>NOTUSED", NOT_WANTED))
    return [*first, *_scored(pieces[1:]), (special.get("mask_token", "<mask>"), 0.0)], 3


def _as_in_file(pieces: Sequence[Piece], special: Mapping[str, str]) -> Layout:
    return _scored(pieces), None


def _albert(pieces: Sequence[Piece], special: Mapping[str, str]) -> Layout:
    """As in the file; a piece that ends with a digit and a comma, as "9,", is not to be used."""
    return [(text, score + NOT_WANTED if _number(text) else score) for text, score in _scored(pieces)], None


def _scored(pieces: Sequence[Piece]) -> list[tuple[str, float]]:
    return [(piece.text, piece.score) for piece in pieces]


def _number(text: str) -> bool:
    return len(text) > 1 and text[-1] == "," and text[-2].isdigit()


def _charsmap_alone(charsmap: bytes, chosen: Mapping[str, Any]) -> Any:
    from tokenizers import normalizers

    return normalizers.Precompiled(charsmap) if charsmap else None


def _deberta_normalizer(charsmap: bytes, chosen: Mapping[str, Any]) -> Any:
    from tokenizers import Regex, normalizers

    steps = [normalizers.Lowercase()] if chosen["do_lower_case"] else []
    steps.append(normalizers.Strip())
    if charsmap:
        steps.append(normalizers.Precompiled(charsmap))
    return normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])


def _albert_normalizer(charsmap: bytes, chosen: Mapping[str, Any]) -> Any:
    from tokenizers import Regex, normalizers

    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not chosen["keep_accents"]:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if chosen["do_lower_case"]:
        steps.append(normalizers.Lowercase())
    if charsmap:
        steps.append(normalizers.Precompiled(charsmap))
    return normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])


def _split(name: str, chosen: Mapping[str, Any]) -> Any:
    """What splits normalized text: at whitespace, or for DeBERTa before each space."""
    from tokenizers import pre_tokenizers

    if name != "DebertaV2Tokenizer":
        scheme = "always" if chosen["add_prefix_space"] else "never"
        return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), _metaspace(scheme)])
    punctuation = [pre_tokenizers.Punctuation("isolated")] if chosen["split_by_punct"] else []
    return pre_tokenizers.Sequence([*punctuation, _metaspace("always" if chosen["add_prefix_space"] else "first")])


def _metaspace(scheme: str) -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)


LAYOUTS = {
    "XLMRobertaTokenizer": _fairseq,
    "CamembertTokenizer": _camembert,
    "DebertaV2Tokenizer": _as_in_file,
    "AlbertTokenizer": _albert,
}
NORMALIZERS = {
    "XLMRobertaTokenizer": _charsmap_alone,
    "CamembertTokenizer": _charsmap_alone,
    "DebertaV2Tokenizer": _deberta_normalizer,
    "AlbertTokenizer": _albert_normalizer,
}
