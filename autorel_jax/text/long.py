"""Long: a text of any length -> the stretch of it that the model reads, and how many tokens the rest has.

The tokenizers library takes about 250 bytes for each byte that it is given at once, of which a model reads the first
or last 512 tokens. So a long text is given in chunks, from which the same ids, characters and counts come as from the
whole. It is cut before white space only, where the tokens of both sides together are seen to be those of the two
apart; where no such place is found, the chunk is longer. Used by tokens.py.
"""

import bisect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

CHUNK = 2**15  # characters that are given to the library at once
LONG = 2 * CHUNK  # a text of fewer characters is tokenized as a whole
AROUND = 512  # characters on each side that decide whether a text may be cut
TRIES = 50  # places that are tried for a cut, before the chunk grows
SPACE = re.compile(r"\s")
# Not the whitespace that BERT deletes, on both sides of which is one word (characters.py).
WORD_START = re.compile(r"(?<=\S)[^\S\x0b\x0c\x1c-\x1f\x85]")
# One word to BERT, which splits at white space, punctuation and ideographs alone; one of more than 100 letters is one
# [UNK], however long.
ONE_WORD = re.compile(r"[^\W_]{4096,}")
IDEOGRAPH = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
KEPT = 1024  # letters of such a word that are given to the library, half from each end

Encode = Callable[[Sequence[str]], Sequence[Any]]  # texts -> Encodings, without special tokens


class Stretch(NamedTuple):
    """What is read of a text."""

    text: str
    starts: list[int]  # rising: from this character of `text` on, the original is ...
    shifts: list[int]  # ... so many characters further
    more: int  # tokens of the text beside those of the stretch

    def place(self, character: int, end: bool = False) -> int:
        """Where a character of the stretch, or the end of a span, is in the original text."""
        found = bisect.bisect_left(self.starts, character) if end else bisect.bisect_right(self.starts, character)
        return character + self.shifts[max(found - 1, 0)]

    def span(self, span: tuple[int, int]) -> tuple[int, int]:
        """A span of the stretch in the original text."""
        return self.place(span[0]), self.place(span[1], end=True)


class Joined(NamedTuple):
    """What of the library's Encoding is read, of a text that was encoded in chunks."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    tokens: list[str]
    word_ids: list[int | None]


def by_chunks(encode: Encode, text: str) -> Joined:
    """The encoding of a whole text, chunk by chunk."""
    whole, words = Joined([], [], [], []), 0
    for start, end in itertools.pairwise([0, *places(encode, text, within_words=False), len(text)]):
        (encoding,) = encode([text[start:end]])
        whole.ids.extend(encoding.ids)
        whole.offsets.extend((first + start, last + start) for first, last in encoding.offsets)
        whole.tokens.extend(encoding.tokens)
        whole.word_ids.extend(None if word is None else word + words for word in encoding.word_ids)
        words += 1 + max((word for word in encoding.word_ids if word is not None), default=-1)
    return whole


def stretch(
    encode: Encode, text: str, room: int, squeeze: bool, within_words: bool = False, left: bool = False
) -> Stretch:
    """The beginning of a text, or its end, with more tokens than there is room for; of few tokens, the whole.

    Args:
      encode: the library's call, for this tokenizer.
      text: of LONG characters or more.
      room: tokens that are read.
      squeeze: whether a word of very many letters is one token, as it is to BERT.
      within_words: whether it may be cut within a word of very many letters.
      left: whether the end is read: the left side is cut off.
    """
    short, starts, shifts = squeezed(text) if squeeze else (text, [0], [0])
    chunks = list(itertools.pairwise([0, *places(encode, short, within_words and not left), len(short)]))
    kept, counted, more = [], 0, 0
    for start, end in reversed(chunks) if left else chunks:
        (encoding,) = encode([short[start:end]])
        if counted > room:
            more += len(encoding.ids)
        else:
            kept.append((start, end))
            counted += len(encoding.ids)
    first, last = min(start for start, _ in kept), max(end for _, end in kept)
    inside = [(start, shift) for start, shift in zip(starts, shifts, strict=True) if first < start < last]
    before = shifts[bisect.bisect_right(starts, first) - 1]
    return Stretch(
        short[first:last],
        [0, *(start - first for start, _ in inside)],
        [before + first, *(shift + first for _, shift in inside)],
        more,
    )


def squeezed(text: str) -> tuple[str, list[int], list[int]]:
    """A text whose very long words lack their middle, and the starts and shifts of a Stretch."""
    parts, starts, shifts, at, removed = [], [0], [0], 0, 0
    for match in ONE_WORD.finditer(text):
        if IDEOGRAPH.search(match.group()):
            continue
        start, end = match.start() + KEPT // 2, match.end() - KEPT // 2
        parts.append(text[at:start])
        at, removed = end, removed + end - start
        starts.append(end - removed)
        shifts.append(removed)
    return ("".join([*parts, text[at:]]) if parts else text), starts, shifts


def places(encode: Encode, text: str, within_words: bool) -> Iterator[int]:
    """Where a text may be cut, CHUNK characters or more apart."""
    start, at = 0, CHUNK
    while at < len(text):
        tried = itertools.islice(WORD_START.finditer(text, at, at + CHUNK), TRIES)
        found = next((match.start() for match in tried if may_cut(encode, text, match.start())), None)
        if found is None and within_words:
            found = boundary(encode, text, start, at)
        if found is not None:
            yield found
            start = at = found
        at += CHUNK


def boundary(encode: Encode, text: str, start: int, at: int) -> int | None:
    """Where a token ends, near `at`; None if the text may not be cut there.

    `start` is where it was cut before. In BPE, no merge has crossed the end of a token: both sides are apart.
    """
    (whole,) = encode([text[start : at + 2 * AROUND]])
    ends = [end for _, end in whole.offsets]
    count = bisect.bisect_left(ends, at - start)
    while count < len(ends) - 1 and ends[count] > whole.offsets[count + 1][0]:  # bytes of one character
        count += 1
    found = start + ends[count]
    left, right = encode([text[start:found], text[found : at + 2 * AROUND]])
    return found if found < len(text) and left.ids + right.ids == whole.ids else None


def word_end(text: str, at: int) -> int:
    """The end of the word, between white space, that is cut at that character."""
    if not at or at == len(text) or text[at - 1].isspace():
        return at
    match = SPACE.search(text, at)
    return match.start() if match else len(text)


def may_cut(encode: Encode, text: str, at: int) -> bool:
    """Whether the tokens of both sides together are those of the two apart."""
    before, after = text[max(at - AROUND, 0) : at], text[at : at + AROUND]
    whole, left, right = encode([before + after, before, after])
    offsets = [*left.offsets, *((start + len(before), end + len(before)) for start, end in right.offsets)]
    return whole.ids == left.ids + right.ids and whole.offsets == offsets
