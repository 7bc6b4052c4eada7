"""Unspaced: text in scripts that write no space between words -> its words, from ICU's dictionaries.

Without ICU (`pip install 'autorel-jax[icu]'`) each grapheme, what a reader takes for one character, is a word.
Used by characters.py and tokens.py.
"""

import functools
import itertools
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autorel_jax.errors import InputError, InputWarning

Span = tuple[int, int]

AUTO, WHITESPACE = SPLIT_WORDS = ("auto", "whitespace")  # how texts become words
GIVEN, GRAPHEMES = "given", "graphemes"  # what else can have made words, beside ICU
WITHOUT_ICU = (
    "a text is in a script without spaces between words, and each of its characters is a word: ICU, which knows words, "
    "is not installed (pip install 'autorel-jax[icu]')"
)

# By Unicode's Script property, which Python's standard library does not have. Not in them: punctuation of more than
# one script, such as U+3001, U+3002 and U+30FB. tests/test_unspaced.py compares them with the characters' names.
RANGES = {
    "Chinese": "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00016fe2-\U00016fe3\U00016ff0-\U00016ff6\U00020000-\U0003fffd",
    "Japanese": "\u3031-\u3035\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\U0001aff0-\U0001b16f",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e5b",
    "Lao": "\u0e81-\u0edf",
    "Khmer": "\u1780-\u17da\u17dc-\u17f9\u19e0-\u19ff",
    "Burmese": "\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f\U000116d0-\U000116e3",
}
UNSPACED = re.compile(f"[{''.join(RANGES.values())}]")
# Oniguruma's clusters end after the signs that put the next consonant below, as Unicode's did until version 15.1.
GRAPHEME = r"(?:\X(?<=[\x{17D2}\x{1039}]))*\X"


def splitter(text: str, split_words: str) -> str:
    """What makes the words of a text: "whitespace", ICU with its version, or "graphemes"."""
    return word_source(split_words) if holds_unspaced(text) else WHITESPACE


def holds_unspaced(text: str) -> bool:
    """Whether there is a character of a script that writes no space between words."""
    return not text.isascii() and UNSPACED.search(text) is not None


def word_source(split_words: str) -> str:
    """What makes the words of those scripts here: "whitespace", ICU with its version, or "graphemes"."""
    if split_words == WHITESPACE:
        return WHITESPACE
    if word_breaker() is None:
        return GRAPHEMES
    import icu4py

    return f"ICU {icu4py.icu_version}"


@functools.cache
def word_breaker() -> Any | None:
    """ICU's WordBreaker; None where it is not installed."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        return None
    return WordBreaker


def check_split_words(split_words: str) -> None:
    """Raises InputError for an unknown way to split words."""
    if split_words not in SPLIT_WORDS:
        raise InputError(f"split_words={split_words!r}: accepted: {', '.join(SPLIT_WORDS)}.")


def tell_of(splitters: Iterable[str]) -> None:
    """Warns where ICU was missing, once in a process."""
    if any(GRAPHEMES in made_by for made_by in splitters):
        tell()


@functools.cache  # Python's own "once" begins anew whenever any library changes the filters
def tell() -> None:
    """Warns that ICU is missing."""
    warnings.warn(WITHOUT_ICU, InputWarning, stacklevel=3)


def separated(text: str, runs: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Runs without whitespace -> their words; and those of them that are of scripts without spaces.

    Such a script's stretch of a run is split by ICU or into graphemes; what lies between stretches (another script,
    digits, punctuation) is a word as it is. Characters that cannot be seen stay with what they follow.
    """
    words: list[Span] = []
    unspaced: list[bool] = []
    for start, end in runs:
        first = len(words)
        for piece, is_unspaced in pieces(text[start:end]):
            end = start + len(piece)
            if len(words) > first and is_invisible(piece):
                words[-1] = words[-1][0], end
            elif len(words) == first + 1 and is_invisible(text[slice(*words[-1])]):
                words[-1], unspaced[-1] = (words[-1][0], end), is_unspaced
            else:
                words.append((start, end))
                unspaced.append(is_unspaced)
            start = end
    return words, list(itertools.compress(words, unspaced))


def pieces(run: str) -> Iterator[tuple[str, bool]]:
    """The parts of a run, each with whether it is a word of a script without spaces."""
    if not holds_unspaced(run):
        yield run, False
        return
    for is_unspaced, stretch in stretches(graphemes(run)):
        for piece in words_of(stretch) if is_unspaced else [stretch]:
            yield piece, is_unspaced


def stretches(clusters: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """Graphemes -> the stretches that are of scripts without spaces (True), and those between them (False)."""
    unspaced, kinds = False, []
    for cluster in clusters:
        if not is_invisible(cluster):
            # ICU knows no word that has a digit in it: it would take "ราคา๑๐๐บาท" (price, 100, baht) for one.
            unspaced = UNSPACED.match(cluster) is not None and not cluster[0].isdecimal()
        kinds.append((unspaced, cluster))
    for is_unspaced, group in itertools.groupby(kinds, lambda kind: kind[0]):
        yield is_unspaced, "".join(cluster for _, cluster in group)


def words_of(stretch: str) -> list[str]:
    """ICU's words, or graphemes."""
    breaker = word_breaker()
    # Not `segments()`, whose places count UTF-16 units.
    return graphemes(stretch) if breaker is None else list(breaker(stretch, "root"))


def graphemes(text: str) -> list[str]:
    """What a reader takes for one character each: a letter with its marks, an emoji with its colour."""
    return [cluster for cluster, _ in grapheme_splitter().pre_tokenize_str(text)]


@functools.cache
def grapheme_splitter() -> Any:
    """GRAPHEME, compiled."""
    from tokenizers import Regex, pre_tokenizers  # not for the help of a command

    return pre_tokenizers.Split(Regex(GRAPHEME), "isolated")


def is_invisible(text: str) -> bool:
    """Whether there are only characters that cannot be seen, such as U+200B."""
    return all(unicodedata.category(character) in ("Cc", "Cf") for character in text)
