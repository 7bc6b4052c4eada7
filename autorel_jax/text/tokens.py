"""Tokens: a text, or a pair of texts, -> token ids with the word and the characters of each.

`load_tokenizer` reads a vocabulary, Tokenizer maps texts to Tokens. Used by classifier.py, words.py, explaining/ and
training/. T tokens, W words.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import BPE, WORD_PIECE, Family, Template
from autorel_jax.text.batches import Encoded
from autorel_jax.text.characters import Span
from autorel_jax.text.layout import lay, pieces_kept, pieces_of_one, room, which_kept
from autorel_jax.text.long import KEPT, LONG, Stretch, by_chunks, stretch
from autorel_jax.text.segments import (
    Segment,
    Source,
    Text,
    restored,
    segment_of,
    shortened,
    sources,
    special_segment,
    warnings_of,
)
from autorel_jax.text.settings import LEFT, RIGHT
from autorel_jax.text.tokenizer import Backend, read_backend, write_backend
from autorel_jax.text.unspaced import GIVEN, WHITESPACE, check_split_words, splitter, tell_of

CHUNK = 1024  # texts per call of the tokenizers library; its Encodings take about 200 bytes a token


@dataclass(frozen=True, eq=False, slots=True)
class Tokens:
    """One text or pair among special tokens, as layout.py puts them: [CLS] A [SEP] B [SEP] in a BERT.

    Words are in order of appearance and in the spelling of the original text; a special token is a word of
    its own, so that Σ words = Σ tokens. A word of the text that gives no word piece (a lone zero-width space,
    "" among given words) is listed, and gets relevance 0. A word of which max_length cuts some pieces is
    listed in full, a word that is cut off entirely is not listed.
    """

    ids: np.ndarray  # [T] int32
    types: np.ndarray  # [T] int32, segment ids: in a BERT 0, and 1 for B and its [SEP]
    pieces: tuple[str, ...]  # [T] the word pieces as in the vocabulary, with `##`, `Ġ` or `▁`
    word_index: np.ndarray  # [T] int32, the place in `words`; never falls
    words: tuple[str, ...]  # [W]
    word_spans: tuple[Span | None, ...]  # [W] characters (start, end) of its own text; None: a special token
    word_segments: tuple[int, ...]  # [W] 0 first text, 1 second
    spans: tuple[Span | None, ...]  # [T] characters (start, end) of its own text; None: a special token
    truncated: int  # word pieces cut off by max_length
    warnings: tuple[str, ...]
    splitter: str = WHITESPACE  # what made the words (unspaced.py); "whitespace and graphemes" of a pair
    truncation_side: str = RIGHT  # the end of its text, or texts, at which they were cut off
    asked: int | None = None  # the place of the masked word that is filled; None: of none

    def of_text(self, number: int) -> np.ndarray:
        """[T] which tokens are of the first text (0) or of the second (1); special tokens are of none."""
        segments = np.array(self.word_segments, int)[self.word_index]
        return (segments == number) & np.array([span is not None for span in self.spans], bool)


def load_tokenizer(
    path: Path, cased: bool | None = None, family: Family = BERT, truncation_side: str | None = None
) -> "Tokenizer":
    """Reads a local directory with tokenizer.json or a vocabulary, or such a file itself.

    `cased` and `truncation_side` ("right", "left") override what the files say; `tokenizer.why` tells where the choice
    of `cased` comes from. `family` is the model's.
    """
    return Tokenizer(read_backend(path, cased, family, truncation_side))


class Tokenizer:
    """A model's tokenizer: the ids that transformers' gives, and the words and characters behind them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.facts = backend.facts  # of the family: its special tokens and where they stand
        pieces = backend.model.get_vocab(with_added_tokens=True)
        self.pieces = {number: piece for piece, number in pieces.items()}  # id -> piece, as in the vocabulary
        self.cased = backend.cased
        self.why = backend.why
        self.warnings = backend.warnings  # about the vocabulary
        self.truncation_side = backend.truncation_side
        self.positions = backend.positions  # the files' model_max_length, or the family's
        self.vocab_size = len(pieces)  # added tokens included
        self.max_id = max(self.pieces)  # the embedding table must be longer than this
        ids = {role: pieces[token] for role, token in backend.special.items()}
        self.pad_id, self.unk_id = ids["pad_token"], ids["unk_token"]
        self.cls_id, self.sep_id = ids["cls_token"], ids["sep_token"]
        self.mask_id: int | None = ids.get("mask_token")
        self._special_ids = {role: [number] for role, number in ids.items()}
        self._special_segments = {role: special_segment(number, self.pieces[number]) for role, number in ids.items()}

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides which ids a text has."""
        told = self._backend.model.to_str() + self._backend.beside()
        return hashlib.sha256(told.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocab_size} pieces, {'cased' if self.cased else 'uncased'}, {self.why})"

    def __call__(
        self,
        texts: Iterable[Text],
        pairs: Iterable[Text] | None = None,
        *,
        max_length: int,
        split_punctuation: bool = False,
        split_words: str = WHITESPACE,
        cut: int | None = None,
    ) -> list[Tokens]:
        """Texts (or the pairs texts[i], pairs[i]) -> one Tokens each, of at most max_length tokens.

        A text is a str, whose words are its whitespace-delimited runs, or, with split_punctuation, the parts
        into which BERT itself splits them (punctuation marks and ideographs apart); or it is a sequence of
        words, which stay as they are, with spans in " ".join(words). Pairs are cut at the longer text first, or
        at the first (`cut` 0) or the second (1) alone: an InputError where nothing of it would be left.
        Where split_words is "auto", a script without spaces between words has those of ICU's dictionaries, or
        its characters where ICU is not installed (unspaced.py). Words that one token crosses are one.
        """
        check_split_words(split_words)
        columns = [sources(texts, "texts")]
        if pairs is not None:
            columns.append(sources(pairs, "pairs"))
            if len(columns[0]) != len(columns[1]):
                raise InputError(
                    f"Got {len(columns[0])} texts but {len(columns[1])} pairs; give one pair for each text."
                )
        template = self._template(columns)
        pieces = room(template, max_length)
        encoded = [self._segments(column, split_punctuation, split_words, pieces) for column in columns]
        rows = [self._row(segments, pieces, template, cut) for segments in zip(*encoded, strict=True)]
        tell_of(row.splitter for row in rows)
        return rows

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, max_length: int) -> Encoded:
        """The ids alone of texts (or pairs), as `__call__` gives them, without words and characters: for training.

        The texts are `encodable`: where they are read, the file and the line of one that is not are known.
        """
        columns = [texts] if pairs is None else [texts, pairs]
        template = self._template(columns)
        pieces = room(template, max_length)
        rows, first, whole = [], [], []
        for start in range(0, len(texts), CHUNK):
            parts = [
                zip(read, self._encode([one.text for one in read]), strict=True)
                for read in (
                    [self._stretch(text, pieces, True) for text in column[start : start + CHUNK]] for column in columns
                )
            ]
            for segments in zip(*parts, strict=True):
                lengths = [len(encoding.ids) + read.more for read, encoding in segments]
                kept = [
                    encoding.ids[which_kept(len(encoding.ids), count, self.truncation_side == LEFT)]
                    for (_, encoding), count in zip(segments, pieces_kept(lengths, pieces), strict=True)
                ]
                laid = lay(template, kept, self._special_ids)
                rows.append(np.array([number for part, _, _ in laid for number in part], np.int32))
                first.append(sum(len(part) for part, segment, _ in laid if segment == 0))
                whole.append(sum(lengths) + max_length - pieces)
        offsets = np.cumsum([0, *(len(row) for row in rows)])
        ids = np.concatenate(rows) if rows else np.zeros(0, np.int32)
        return Encoded(ids, offsets, np.array(first, np.int32), np.array(whole, np.int32))

    def misfits(self, rows: int, pad: int | None = None) -> tuple[str, ...]:
        """Warnings about this vocabulary beside an embedding table of so many rows.

        `pad` is the id by which the model knows padding when it numbers positions, if it does so by ids.

        Raises:
          InputError: a token id lies beyond the table, or `pad` is not the tokenizer's.
        """
        if pad is not None and pad != self.pad_id:
            raise InputError(
                f"the tokenizer pads with the id {self.pad_id}, but the model's positions stand still at the id {pad} "
                "(pad_token_id in config.json), which texts may hold; give the vocabulary that the model was trained "
                "with."
            )
        if self.max_id >= rows:
            raise InputError(
                f"the tokenizer has token ids up to {self.max_id} but the model embeds {rows} tokens (vocab_size); "
                "give the vocabulary that the model was trained with."
            )
        if self.max_id + 1 == rows:
            return ()
        return (
            f"the tokenizer has {self.max_id + 1} tokens but the model embeds {rows}: unless its table was padded, "
            "this is not the vocabulary that it was trained with",
        )

    def longest(self, positions: int) -> int:
        """How many tokens of a text are read where nobody says, by a model of so many positions."""
        return min(positions, self._backend.named or positions)

    def save(self, directory: Path, positions: int | None = None) -> None:
        """Writes tokenizer.json, tokenizer_config.json and vocab.txt, for transformers and load_tokenizer.

        `positions` are those of the model that it is written beside.
        """
        write_backend(self._backend, directory, positions)

    def _template(self, columns: Sequence[Any]) -> Template:
        return self.facts.single if len(columns) == 1 else self.facts.pair

    def _segments(self, column: list[Source], split: bool, split_words: str, room: int) -> Iterator[Segment]:
        for start in range(0, len(column), CHUNK):
            some = column[start : start + CHUNK]
            made = [splitter(text, split_words) if words is None else GIVEN for text, words in some]
            read = [
                self._stretch(source.text, len(source.text) if by == GIVEN else room, by == WHITESPACE and not split)
                for source, by in zip(some, made, strict=True)
            ]
            encodings = self._encode_each([one.text for one in read])
            for source, made_by, one, encoding in zip(some, made, read, encodings, strict=True):
                word_pieces = self.facts.kind == WORD_PIECE
                segment = segment_of(Source(one.text, source.word_spans), encoding, split, made_by, word_pieces)
                yield segment if one.text is source.text else restored(segment, source.text, one)

    def _encode(self, texts: list[str]) -> list[Any]:
        return self._backend.model.encode_batch(texts, add_special_tokens=False)

    def _encode_each(self, texts: list[str]) -> list[Any]:
        """The encodings of texts of any length: memory for one chunk of a long one at a time."""
        short = iter(self._encode([text for text in texts if len(text) < LONG]))
        return [next(short) if len(text) < LONG else by_chunks(self._encode, text) for text in texts]

    def _stretch(self, text: str, room: int, within_words: bool) -> Stretch:
        """What of a text is given to the library, where `room` tokens are read; it may end within a word or not."""
        if len(text) < LONG or room >= len(text):
            return Stretch(text, [0], [0], 0)
        within_words, left = within_words and self.facts.kind == BPE, self.truncation_side == LEFT
        return stretch(self._encode, text, room, self._one_unknown, within_words, left)

    @functools.cached_property
    def _one_unknown(self) -> bool:
        """Whether a word of very many letters is one [UNK]."""
        model = self._backend.model
        if self.facts.kind != WORD_PIECE or type(model.pre_tokenizer).__name__ != "BertPreTokenizer":
            return False
        within_words = any(token.content.isalnum() for token in model.get_added_tokens_decoder().values())
        return model.model.max_input_chars_per_word < KEPT // 2 and not within_words

    def _row(self, segments: Sequence[Segment], room: int, template: Template, cut: int | None) -> Tokens:
        lengths = [len(segment.ids) + segment.more for segment in segments]
        kept = pieces_kept(lengths, room) if cut is None else pieces_of_one(lengths, room, cut)
        ids, types, index, spans, words, word_spans, word_segments = [], [], [], [], [], [], []
        for part, segment, text in lay(template, self._cut(segments, kept), self._special_segments):
            first = len(words)
            ids += part.ids
            types += [segment] * len(part.ids)
            index += [first + word for word in part.index]
            spans += part.spans
            words += part.words
            word_spans += part.word_spans
            word_segments += [text] * len(part.words)
        return Tokens(
            ids=np.array(ids, np.int32),
            types=np.array(types, np.int32),
            pieces=tuple(map(self.pieces.__getitem__, ids)),
            word_index=np.array(index, np.int32),
            words=tuple(words),
            word_spans=tuple(word_spans),
            word_segments=tuple(word_segments),
            spans=tuple(spans),
            truncated=sum(lengths) - sum(kept),
            warnings=(
                *warnings_of(segments),
                *((self._skipped,) if self.facts.numbered and self.pad_id in ids else ()),
            ),
            splitter=" and ".join(dict.fromkeys(segment.splitter for segment in segments)),
            truncation_side=self.truncation_side,
        )

    @property
    def _skipped(self) -> str:
        return (
            f"The text holds {self.pieces[self.pad_id]}, which transformers skips when it numbers positions; here it "
            "counts like any other token, so that the numbers are not those of transformers. Take it out of the text."
        )

    def _cut(self, segments: Sequence[Segment], kept: Sequence[int]) -> list[Segment]:
        return [
            shortened(segment, which_kept(len(segment.ids), count, self.truncation_side == LEFT))
            for segment, count in zip(segments, kept, strict=True)
        ]
