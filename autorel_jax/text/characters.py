"""Characters: a text and the characters of its tokens -> where its words are, and which token belongs to which word.

`bert_words` is for WordPiece, whose tokens never have a space in them; `other_words` for byte-level BPE and Unigram,
whose tokens carry the space before a word, may cross words, and may share one character. With `auto`, words of scripts
without spaces are those of unspaced.py. Used by tokens.py.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from autorel_jax.text.unspaced import separated

Span = tuple[int, int]

# A word as BERT sees it: its cleaner deletes these control characters, which Python calls whitespace, so that
# "a\x0bb" is one piece, hence one word.
BERT_WORD = re.compile(r"\S+(?:[\x0b\x0c\x1c-\x1f\x85]+\S+)*")
WORD = re.compile(r"\S+")
SPACES = ("▁", "Ġ")  # how the pieces of Unigram and of byte-level BPE spell a space


def bert_words(
    text: str, spans: Sequence[Span], pre_tokens: Sequence[int], split: bool, auto: bool = False
) -> list[Span]:
    """The words of a text whose word pieces have those spans and pre-tokens; `split`: punctuation apart."""
    runs = [match.span() for match in BERT_WORD.finditer(text)]
    words, unspaced = separated(text, runs) if auto else (runs, [])
    # BERT's pre-tokens are single ideographs, of which the words of unspaced.py are made again.
    words = joined(split_bert(words, spans, pre_tokens), unspaced) if split else words
    return joined(words, spans) if unspaced else words


def split_bert(runs: list[Span], spans: Sequence[Span], pre_tokens: Sequence[int]) -> list[Span]:
    """Cuts runs where BERT begins a pre-token; characters that BERT drops stay with what they follow."""
    starts, ends = [start for start, _ in runs], [end for _, end in runs]
    cuts, before = [], (-1, -1, 0)
    for pre_token, (start, end) in zip(pre_tokens, spans, strict=True):
        run = bisect_right(starts, end - 1) - 1
        # Not before the end of the last piece: one character may give several (Hangul with accents stripped).
        if run == before[0] >= 0 and pre_token != before[1] and before[2] <= start < ends[run]:
            cuts.append(start)
        before = (run, pre_token, end)
    return list(zip(sorted(starts + cuts), sorted(ends + cuts), strict=True))


def other_words(text: str, spans: Sequence[Span], split: bool, auto: bool = False) -> list[Span]:
    """The words of a text whose tokens have those spans, as `without_space` gives them.

    They are its runs without whitespace, or with `split` punctuation marks and what stands between them. Words that
    one token crosses are one.
    """
    words = [match.span() for match in WORD.finditer(text)]
    words = separated(text, words)[0] if auto else words
    return joined(list(apart(text, words)) if split else words, spans)


def apart(text: str, words: Iterable[Span]) -> Iterator[Span]:
    """The words cut at their punctuation marks, each of which is a word."""
    for start, end in words:
        for place in range(start, end):
            if is_mark(text[place]):
                if start < place:
                    yield start, place
                yield place, place + 1
                start = place + 1
        if start < end:
            yield start, end


def is_mark(character: str) -> bool:
    """Whether BERT takes the character for punctuation: Unicode's, and every ASCII sign."""
    if character.isascii():
        return not character.isalnum()
    return unicodedata.category(character).startswith("P")


def joined(words: Sequence[Span], spans: Sequence[Span]) -> list[Span]:
    """The words, those that one token crosses made one."""
    ends, crossed = [end for _, end in words], set()
    for start, end in spans:
        first, last = bisect_right(ends, start), bisect_right(ends, end - 1)
        crossed.update(range(first + 1, min(last + 1, len(words))))
    whole: list[Span] = []
    for number, (start, end) in enumerate(words):
        if number in crossed:
            whole[-1] = whole[-1][0], end
        else:
            whole.append((start, end))
    return whole


def without_space(text: str, spans: Iterable[Span], pieces: Iterable[str]) -> list[Span]:
    """The spans without whitespace at either end; a token that is nothing but whitespace keeps its own.

    A mark of a space alone, which tokenizers put before a word without one, has no character: its span is empty.
    """
    return [
        (start, start) if piece in SPACES and is_word(text[start:end], piece) else bare(text, start, end)
        for (start, end), piece in zip(spans, pieces, strict=True)
    ]


def is_word(held: str, mark: str) -> bool:
    """Whether what a mark of a space is said to hold is the word after it: neither a space nor the mark itself."""
    return held != mark and not held.isspace()


def bare(text: str, start: int, end: int) -> Span:
    """One span without whitespace at either end, or as it is where nothing else is in it."""
    held = text[start:end]
    inside = held.strip()
    if not inside or len(inside) == len(held):
        return start, end
    start += len(held) - len(held.lstrip())
    return start, start + len(inside)


def owners(text: str, words: Sequence[Span], spans: Iterable[Span]) -> list[int]:
    """The word of each token: the first that reaches its last character, as a token may start in a space.

    A token of whitespace alone is of the next word, or of the last one.
    """
    ends, last = [end for _, end in words], len(words) - 1
    return [min(bisect_right(ends, end - (not text[start:end].isspace())), last) for start, end in spans]
