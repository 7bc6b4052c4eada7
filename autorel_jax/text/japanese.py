"""Japanese: a directory of BertJapaneseTokenizer -> transformers' ids, and the characters of each token.

transformers' class is Python alone and tells no characters. It cuts a text into words here too (MeCab, Sudachi,
Juman++ or BERT's rules); a `tokenizers.Tokenizer` of the same vocabulary then keeps track of characters, and the ids of
both are compared text by text. Used by tokenizer.py; the only importer of transformers.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.text.classes import JAPANESE

INSTALL = "pip install 'autorel-jax[japanese]'"
SUBWORDS = ("wordpiece", "character")  # values of subword_tokenizer_type
DECISIVE = (  # attributes of transformers' tokenizer that, beside the vocabulary, decide ids
    "do_lower_case",
    "word_tokenizer_type",
    "subword_tokenizer_type",
    "never_split",
    "mecab_kwargs",
    "sudachi_kwargs",
    "jumanpp_kwargs",
    "unk_token",
)


def read_japanese(path: Path) -> "Japanese":
    """Reads the directory through transformers.

    Raises:
      InputError: a library is missing, named; or the settings are not supported.
    """
    try:
        from transformers import BertJapaneseTokenizer
    except ImportError:
        raise InputError(
            f"{path}: {JAPANESE} is read through transformers, which is not installed: {INSTALL}."
        ) from None
    try:
        theirs = BertJapaneseTokenizer.from_pretrained(path, local_files_only=True)
    except ImportError as error:  # of MeCab's dictionary and its like, which transformers names
        raise InputError(
            f"{path}: {JAPANESE}: {one_line(error)}. With MeCab and its dictionaries: {INSTALL}."
        ) from None
    except Exception as error:  # what damaged files raise there has no common class
        raise InputError(f"{path}: transformers cannot read {JAPANESE}: {one_line(error)}.") from None
    if not theirs.do_word_tokenize or not theirs.do_subword_tokenize or theirs.subword_tokenizer_type not in SUBWORDS:
        raise InputError(
            f"{path}: {JAPANESE} with do_word_tokenize={theirs.do_word_tokenize}, do_subword_tokenize="
            f"{theirs.do_subword_tokenize}, subword_tokenizer_type={theirs.subword_tokenizer_type!r} is not supported; "
            f"accepted: True, True, {' or '.join(map(repr, SUBWORDS))}."
        )
    return Japanese(theirs)


class Japanese:
    """What the rest of text/ uses of a `tokenizers.Tokenizer`, with the ids of `theirs`, transformers' tokenizer."""

    encode_special_tokens = False

    def __init__(self, theirs: Any):
        self.theirs = theirs
        self.lowers = bool(theirs.do_lower_case)
        self._model = _model(theirs)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return Japanese, (self.theirs,)

    def encode_batch(self, texts: Sequence[str], add_special_tokens: bool = False) -> list[Any]:
        """The Encodings of texts, without special tokens around them.

        Raises:
          InputError: transformers gives a text other ids, so that the characters of its tokens are not known.
        """
        found = self._model.encode_batch(texts, add_special_tokens=False)
        for text, encoding in zip(texts, found, strict=True):
            if encoding.ids != self.theirs.convert_tokens_to_ids(self.theirs.tokenize(text)):
                raise InputError(
                    f"The characters that belong to the tokens of {one_line(text, 40)!r} cannot be told: {JAPANESE} "
                    "changes the text in a way that is not known here. Leave the text out."
                )
        return found

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Piece -> id."""
        return self._model.get_vocab(with_added_tokens)

    def token_to_id(self, token: str) -> int | None:
        """The id of a piece."""
        return self._model.token_to_id(token)

    def to_str(self) -> str:
        """All that decides which ids a text has, for a fingerprint."""
        chosen = {key: getattr(self.theirs, key, None) for key in DECISIVE}
        return json.dumps([chosen, sorted(self.get_vocab().items())], sort_keys=True, default=str)


def _model(theirs: Any) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    model = Tokenizer(models.WordPiece(dict(theirs.vocab), unk_token=str(theirs.unk_token)))
    if theirs.word_tokenizer_type == "basic":
        model.normalizer = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=False, strip_accents=None, lowercase=theirs.do_lower_case
        )
        model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        if theirs.subword_tokenizer_type == "character":
            model.pre_tokenizer = pre_tokenizers.Sequence([model.pre_tokenizer, _characters()])
    else:
        if getattr(theirs.word_tokenizer, "normalize_text", False):
            model.normalizer = normalizers.NFKC()
        model.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_Splitter(theirs))
    added = sorted(theirs.added_tokens_decoder.items())
    model.add_tokens([token for _, token in added])
    for number, token in added:
        if model.token_to_id(token.content) != number:
            raise InputError(f"{JAPANESE} adds the token {token.content!r} as id {number}, which is not supported.")
    return model


def _characters() -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex("."), "isolated")


class _Splitter:
    """Cuts normalized text into the words of transformers' word tokenizer, and those into characters if asked."""

    def __init__(self, theirs: Any):
        self.theirs, self.words = theirs, theirs.word_tokenizer

    def pre_tokenize(self, text: Any) -> None:
        """Called by the tokenizers library with a PreTokenizedString."""
        text.split(lambda _, part: [part[start:end] for start, end in self._places(str(part.normalized))])
        if self.theirs.do_lower_case:
            text.normalize(lambda part: part.lowercase())
        if self.theirs.subword_tokenizer_type == "character":
            text.split(lambda _, part: [part[place : place + 1] for place in range(len(part.normalized))])

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the words are; none after one that is not found, which the comparison of ids notices."""
        lowered = text.lower() if self.theirs.do_lower_case else text
        place = 0
        for word in self.words.tokenize(text, never_split=self.theirs.all_special_tokens):
            found = lowered.find(word, place)
            if found < 0 or len(lowered) != len(text):
                return
            place = found + len(word)
            yield found, place
