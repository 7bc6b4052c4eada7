"""Segments: one text -> its token ids, each with its characters and its word, before special tokens are put around it.

Used by tokens.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.text.characters import Span, bert_words, other_words, owners, without_space
from autorel_jax.text.long import Stretch, word_end
from autorel_jax.text.unspaced import WHITESPACE

Text = str | Sequence[str]


class Source(NamedTuple):
    """One text as it was given."""

    text: str
    word_spans: list[Span] | None  # of words that the user gave


class Segment(NamedTuple):
    """One text without special tokens, or one special token."""

    text: str
    ids: list[int]
    spans: list[Span | None]
    index: list[int]
    words: list[str]
    word_spans: list[Span | None]
    splitter: str = WHITESPACE
    more: int = 0  # tokens of the text that are known by their number alone


def special_segment(number: int, piece: str) -> Segment:
    """A special token, which is a word of its own."""
    return Segment("", [number], [None], [0], [piece], [None])


def sources(texts: Iterable[Text], name: str) -> list[Source]:
    """The texts, checked; `name` is what an InputError calls them."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InputError(f"{name} is a {type(texts).__name__}; give a list of texts (one text: [text]).")
    return [_source(text, f"{name}[{row}]") for row, text in enumerate(texts)]


def _source(text: Text, where: str) -> Source:
    if isinstance(text, str):
        return Source(encodable(text, where), None)
    if isinstance(text, bytes | bytearray) or not isinstance(text, Sequence):
        raise InputError(f"{where} is {_kind(text)}; a text is a str or a sequence of str (its words).")
    spans, start = [], 0
    for number, word in enumerate(text):
        if not isinstance(word, str):
            raise InputError(f"{where}, word {number} is {_kind(word)}; the words of a text are str.")
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return Source(encodable(" ".join(text), where), spans)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def encodable(text: str, where: str) -> str:
    """The text itself, or an InputError that says `where` it cannot be UTF-8: the tokenizers library would raise."""
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where} has the lone surrogate U+{ord(text[error.start]):04X} at character {error.start}; "
            "decode the text anew or replace it (text.encode('utf-8', 'replace').decode())."
        ) from None
    return text


def segment_of(source: Source, encoding: Any, split: bool, made_by: str, word_pieces: bool) -> Segment:
    """A text and its encoding by the library -> its tokens and words.

    Args:
      source: the text, or its words.
      encoding: of the text, without special tokens.
      split: whether punctuation marks are words of their own.
      made_by: what made the words (unspaced.py).
      word_pieces: whether the library split the text as BERT does, so that its words are known.
    """
    text, words = source
    spans = encoding.offsets if word_pieces else without_space(text, encoding.offsets, encoding.tokens)
    if words is None and word_pieces:
        words = bert_words(text, spans, encoding.word_ids, split, made_by != WHITESPACE)
    elif words is None:
        words = other_words(text, spans, split, made_by != WHITESPACE)
    if spans and not words:  # tokens that are themselves whitespace
        words = [(0, len(text))]
    index = owners(text, words, spans)
    return Segment(text, encoding.ids, spans, index, [text[start:end] for start, end in words], words, made_by)


def restored(segment: Segment, text: str, read: Stretch) -> Segment:
    """A segment of a stretch of the text as one of the text."""
    spans = [read.span(span) for span in segment.word_spans]
    if spans and spans[-1][1] == read.place(len(read.text), end=True):  # the word goes on
        spans[-1] = spans[-1][0], word_end(text, spans[-1][1])
    return segment._replace(
        text=text,
        spans=[read.span(span) for span in segment.spans],
        words=[text[start:end] for start, end in spans],
        word_spans=spans,
        more=read.more,
    )


def shortened(segment: Segment, pieces: slice) -> Segment:
    """A segment of some of its tokens alone, and of the words to which they belong."""
    first, end, _ = pieces.indices(len(segment.ids))
    if end - first == len(segment.ids):
        return segment
    # The words of the pieces, also the one in the middle of which the cut falls, and beside it words without pieces.
    index = segment.index
    start = min(index[first - 1] + 1, index[first] if first < end else len(segment.words)) if first else 0
    stop = max(index[end], index[end - 1] + 1 if end else 0) if end < len(index) else len(segment.words)
    return segment._replace(
        ids=segment.ids[pieces],
        spans=segment.spans[pieces],
        index=[word - start for word in index[pieces]],
        words=segment.words[start:stop],
        word_spans=segment.word_spans[start:stop],
    )


def warnings_of(segments: Sequence[Segment]) -> tuple[str, ...]:
    """Texts of which the model sees nothing."""
    names = ("text",) if len(segments) == 1 else ("first text", "second text")
    return tuple(
        f"The {name} is empty."
        if not segment.text.strip()
        else f"The {name} has no word piece: it holds nothing but characters that the tokenizer drops."
        for name, segment in zip(names, segments, strict=True)
        if not segment.ids
    )
