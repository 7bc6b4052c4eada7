"""Phrases: a user's words and phrases -> where a text holds them. Used by policy.py, swaps.py and check.py.

A word is a run of letters, digits, underscores and the marks on them; any other character stands alone. A phrase is
found where its words and signs follow each other with whitespace where the phrase has some, and where no letter or
digit adjoins it: "he" is in "he," and in "he's", not in "the". In scripts that write no space between words a phrase
must begin and end where a word of the text does. Characters that cannot be seen (soft hyphens, joiners) do not count.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from autorel_jax.text.unspaced import RANGES

VARIANTS = {  # of a sign: curly ones, hyphens, en dash, minus; an em dash stands for itself
    "'": "\u2018\u2019\u201b\u02bc\u2032",
    '"': "\u201c\u201d\u201f\u2033",
    "-": "\u2010\u2011\u2012\u2013\u2212",
}
SAME = str.maketrans({variant: sign for sign, variants in VARIANTS.items() for variant in variants})
DOTTED = "i\u0307"  # what becomes of Turkish \u0130 in small letters; everyone else writes i
Shape = tuple[tuple[str, bool], ...]  # of each atom its key, and whether whitespace is before it


class Atom(NamedTuple):
    """A word, or another character, of a text."""

    start: int
    end: int
    key: str
    after_space: bool
    unspaced: bool  # a character of a script that writes no space between words


class Found(NamedTuple):
    """A phrase in a text."""

    start: int
    end: int
    phrase: str  # as the user spelled it


@functools.cache
def patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds the atoms of a text, and the characters that do not count."""
    of_kind: dict[str, list[str]] = {"M": [], "Cf": []}
    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(character := chr(code))
        if kind == "Cf" or 0xFE00 <= code <= 0xFE0F:  # selectors of a character's look
            of_kind["Cf"].append(character)
        elif kind[0] == "M":
            of_kind["M"].append(character)
    hidden = re.escape("".join(of_kind["Cf"]))
    marks = re.escape("".join(of_kind["M"])) + hidden
    unspaced = "".join(RANGES.values())
    signs = re.escape("".join(map(chr, SAME)))  # one of them is a letter to Unicode
    atoms = rf"(?P<unspaced>[{unspaced}][{marks}]*)|(?:(?![{unspaced}{signs}_])[\w{marks}])+|\S[{marks}]*"
    return re.compile(atoms), re.compile(f"[{hidden}]")


def fold(text: str, case_sensitive: bool = False) -> str:
    """What counts as the same word: upper and lower case, and how accents are encoded, make no difference."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", patterns()[1].sub("", text).translate(SAME))
    return text if case_sensitive else unicodedata.normalize("NFC", text.casefold().replace(DOTTED, "i"))


def small(text: str) -> str:
    """A text in small letters, as it is written: without the dot that Python leaves over the i of \u0130."""
    return text.lower().replace(DOTTED, "i")


@functools.lru_cache(maxsize=8)  # several groups search one text
def atoms(text: str, case_sensitive: bool = False) -> tuple[Atom, ...]:
    """The words and signs of a text, in their order."""
    found, end = [], 0
    for match in patterns()[0].finditer(text):
        key = fold(match[0], case_sensitive)
        if key:
            start = match.start()
            space = any(map(str.isspace, text[end:start]))
            found.append(Atom(start, match.end(), key, space, match["unspaced"] is not None))
            end = match.end()
    return tuple(found)


def shape(phrase: str, case_sensitive: bool = False) -> Shape:
    """What two spellings of one phrase have in common; empty where it holds nothing that can be found."""
    made = atoms(phrase, case_sensitive)
    return tuple((atom.key, atom.after_space and place > 0) for place, atom in enumerate(made))


class Phrases:
    """Words and phrases to find."""

    def __init__(self, phrases: Iterable[str], case_sensitive: bool = False):
        self.case_sensitive = case_sensitive
        self._by_first: dict[str, dict[Shape, str]] = {}
        for phrase in phrases:
            made = shape(phrase, case_sensitive)
            self._by_first.setdefault(made[0][0], {}).setdefault(made, phrase)

    def all_in(self, text: str, edges: frozenset[int]) -> Iterator[Found]:
        """Every place at which one stands, also in or across another; of those that begin together the longest first.

        Args:
          text: to search.
          edges: the characters at which a word of the text begins or ends.
        """
        there = atoms(text, self.case_sensitive)
        for place, first in enumerate(there):
            known = self._by_first.get(first.key)
            if not known or not is_edge(there, place, first.start, edges):
                continue
            for made in sorted(known, key=len, reverse=True):
                last = place + len(made) - 1
                if holds(there, place, made) and is_edge(there, last + 1, there[last].end, edges):
                    yield Found(first.start, there[last].end, known[made])

    def apart_in(self, text: str, edges: frozenset[int]) -> Iterator[Found]:
        """The first, the longest of those that begin there, the next after its end, and so on."""
        end = 0
        for found in self.all_in(text, edges):
            if found.start >= end:
                yield found
                end = found.end


def holds(there: Sequence[Atom], place: int, made: Shape) -> bool:
    """Whether a phrase of that shape begins at an atom."""
    run = there[place : place + len(made)]
    return len(run) == len(made) and all(
        atom.key == key and (number == 0 or atom.after_space == space)
        for number, (atom, (key, space)) in enumerate(zip(run, made, strict=True))
    )


def is_edge(there: Sequence[Atom], place: int, character: int, edges: frozenset[int]) -> bool:
    """Whether a word may begin at the atom or end before it; within a script without spaces, words are the text's."""
    if not 0 < place < len(there) or there[place].after_space:
        return True
    within = there[place - 1].unspaced and there[place].unspaced
    return not within or character in edges
