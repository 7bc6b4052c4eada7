"""Swaps: a text -> the text with each word of a pair in place of the other. Used by check.py."""

from __future__ import annotations

from collections.abc import Mapping

from autorel_jax.auditing.phrases import Phrases, small


def swapped(text: str, phrases: Phrases, other: Mapping[str, str], edges: frozenset[int]) -> str:
    """The text with all occurrences exchanged at once, each in the case of what it replaces.

    Where phrases overlap, the first counts, and of those that begin together the longest.

    Args:
      text: any.
      phrases: those that are replaced.
      other: what stands in place of each, as spelled in `phrases`.
      edges: the characters at which a word of the text begins or ends.
    """
    parts, end = [], 0
    for found in phrases.apart_in(text, edges):
        parts += [text[end : found.start], cased(text[found.start : found.end], found.phrase, other[found.phrase])]
        end = found.end
    return "".join([*parts, text[end:]])


def cased(seen: str, spelled: str, other: str) -> str:
    """The other phrase in the case in which this one is seen.

    As spelled in the policy, the other is as spelled there. Else in small letters, in capitals, or with the first
    letter of the first or of each word a capital, so is the other; in any other case it is as spelled.
    """
    if seen == spelled:
        return other
    if seen == seen.lower():
        return small(other)
    if seen == seen.upper() and sum(letter.isalpha() for letter in seen) > 1:
        return other.upper()
    words = [word for word in seen.split() if word[0].isalpha()]
    if words and all(is_title(word) for word in words):
        return capitalised(other, all_words=len(words) > 1)
    if words and is_title(words[0]) and all(word == word.lower() for word in words[1:]):
        return capitalised(small(other), all_words=False)
    return other


def is_title(word: str) -> bool:
    """Whether the first letter alone is a capital."""
    return word[0] != word[0].lower() and word[1:] == word[1:].lower()


def capitalised(phrase: str, all_words: bool) -> str:
    """The phrase with the first letter of the first word, or of all, as a capital; other letters stay."""
    if not all_words:
        return phrase[:1].upper() + phrase[1:]
    return " ".join(word[:1].upper() + word[1:] for word in phrase.split(" "))
