"""Policy: a TOML file -> the words on which a model must not decide, and how much it may. Used by check.py.

docs/audit.md has an example and every key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.auditing.phrases import Phrases, Shape, shape
from autorel_jax.errors import InputError, one_line
from autorel_jax.files import read_settings, read_toml, reason

FAIL, PASS = NOT_ENOUGH = ("fail", "pass")
KEYS = ("groups", "swaps", "min_texts", "not_enough_texts")
MIN_TEXTS = 30  # of fewer, an interval is so wide that it says nothing of other texts
IN_SHARE = 0.95
OF_ALL = ("file", "case_sensitive", "min_texts", "in_share_of_texts")
OF_GROUP = ("words", "max_share", *OF_ALL)
LIMITS = ("max_flips", "max_move", "max_mean_move")
OF_SWAP = ("pairs", "one_way", *LIMITS, *OF_ALL)


class Group(NamedTuple):
    """Words that may have little of the relevance."""

    name: str
    phrases: Phrases
    max_share: float  # of Σ|relevance| over the words of a text
    in_share_of_texts: float
    min_texts: int


class Swap(NamedTuple):
    """Words that may be exchanged without changing much."""

    name: str
    phrases: Phrases
    other: Mapping[str, str]  # what stands in place of each
    max_flips: float | None  # share of texts
    max_move: float | None  # of a probability
    in_share_of_texts: float  # in which it moves no further
    max_mean_move: float | None
    min_texts: int


class Policy(NamedTuple):
    """What is asked of a model."""

    groups: Sequence[Group]
    swaps: Sequence[Swap]
    not_enough_texts: str  # FAIL or PASS


def read_policy(path: Path) -> Policy:
    """The policy of a file.

    Raises:
      InputError: it cannot be read, has an unknown key, or a value that means nothing.
    """
    raw = read_toml(path, "give a policy, as in docs/audit.md")
    try:
        return policy_of(raw, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def policy_of(raw: Mapping[str, Any], folder: Path) -> Policy:
    """The policy of the tables of a file; files that it names lie in the folder."""
    known(raw, KEYS)
    least = count_of(raw, "min_texts", MIN_TEXTS)
    what = raw.get("not_enough_texts", FAIL)
    if what not in NOT_ENOUGH:
        raise InputError(f"not_enough_texts={one_line(repr(what))}: accepted: {', '.join(NOT_ENOUGH)}.")
    groups, swaps = (
        [made(f"{kind}.{name}", of, name, table, folder, least) for name, table in tables(raw, kind).items()]
        for kind, of in (("groups", group_of), ("swaps", swap_of))
    )
    if not (groups or swaps):
        raise InputError("it asks for nothing; give a table [groups.NAME] or [swaps.NAME].")
    return Policy(groups, swaps, what)


def made(where: str, of: Callable[..., Any], *arguments: Any) -> Any:
    """What a table says; an InputError tells which table it is."""
    try:
        return of(*arguments)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def group_of(name: str, table: Mapping[str, Any], folder: Path, least: int) -> Group:
    """The group of a table."""
    known(table, OF_GROUP)
    given = table.get("words", [])
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise InputError(f"words={one_line(repr(given))}: expected a list of words.")
    words = [*given, *lines_of(table, folder)]
    for word in words:
        check_phrase(word)
    if not words:
        raise InputError("it has no words; give words = [...], or file, with one a line.")
    if "max_share" not in table:
        raise InputError("max_share is missing, the largest share of a text's relevance, from 0 to 1.")
    return Group(
        name,
        Phrases(words, truth_of(table, "case_sensitive")),
        share_of(table, "max_share", None),
        share_of(table, "in_share_of_texts", IN_SHARE),
        count_of(table, "min_texts", least),
    )


def swap_of(name: str, table: Mapping[str, Any], folder: Path, least: int) -> Swap:
    """The swap of a table."""
    known(table, OF_SWAP)
    case = truth_of(table, "case_sensitive")
    other = others(pairs_of(table, folder), case, truth_of(table, "one_way"))
    flips, move, mean_move = limits = [share_of(table, key, None) for key in LIMITS]
    if limits == [None] * len(limits):
        raise InputError(f"it has no limit; give one or more of {', '.join(LIMITS)}, each from 0 to 1.")
    if "in_share_of_texts" in table and move is None:
        raise InputError("in_share_of_texts is of max_move; give that too, or leave it out.")
    within, least = share_of(table, "in_share_of_texts", IN_SHARE), count_of(table, "min_texts", least)
    return Swap(name, Phrases(other, case), other, flips, move, within, mean_move, least)


def pairs_of(table: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """The pairs of a swap, of the table and of its file, where a tab stands between the two."""
    given = table.get("pairs", [])
    if not isinstance(given, list):
        raise InputError(f'pairs={one_line(repr(given))}: expected a list of pairs, such as [["he", "she"]].')
    pairs = [*given, *(line.split("\t") for line in lines_of(table, folder))]
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(word, str) for word in pair):
            raise InputError(
                f'{one_line(repr(pair))} is no pair; expected ["he", "she"], or in a file two words with a tab between.'
            )
        for word in pair:
            check_phrase(word)
    if not pairs:
        raise InputError('it has no pairs; give pairs = [["he", "she"]], or file, with one a line.')
    return [(first.strip(), second.strip()) for first, second in pairs]


def others(pairs: Sequence[tuple[str, str]], case: bool, one_way: bool) -> dict[str, str]:
    """What stands in place of each word."""
    found: dict[Shape, tuple[str, str]] = {}
    for first, second in pairs:
        if shape(first, case) == shape(second, case):
            raise InputError(f"{first!r} and {second!r} are the same word; give two that differ.")
        for word, other in [(first, second)] if one_way else [(first, second), (second, first)]:
            _, before = found.setdefault(shape(word, case), (word, other))
            if shape(before, case) != shape(other, case):
                raise InputError(
                    f"{word!r} would become both {before!r} and {other!r}; give it in one pair of a swap, or set "
                    "one_way = true where the pairs are to be read from left to right only."
                )
    return dict(found.values())


def tables(raw: Mapping[str, Any], kind: str) -> Mapping[str, Mapping[str, Any]]:
    """The tables of that kind."""
    given = raw.get(kind, {})
    if not isinstance(given, dict) or not all(isinstance(table, dict) for table in given.values()):
        raise InputError(f"{kind}: expected tables, each [{kind}.NAME].")
    return given


def lines_of(table: Mapping[str, Any], folder: Path) -> list[str]:
    """The lines of the file that a table names, but for empty ones."""
    name = table.get("file")
    if name is None:
        return []
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"file={one_line(repr(name))}: expected the name of a file.")
    path = folder / name
    try:
        lines = read_settings(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it so.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}.") from None
    return [line.rstrip("\r") for line in lines if line.strip()]


def check_phrase(word: str) -> None:
    """Raises InputError for what no text can hold."""
    if not shape(word):
        raise InputError(f"{word!r} is no word; leave it out.")


def known(table: Mapping[str, Any], accepted: Sequence[str]) -> None:
    """Raises InputError for a key that means nothing."""
    for key in table:
        if key not in accepted:
            raise InputError(f"unknown key {one_line(repr(key))}; accepted: {', '.join(accepted)}.")


def share_of(table: Mapping[str, Any], key: str, default: float | None) -> float | None:
    """A number from 0 to 1."""
    value = table.get(key, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise InputError(f"{key}={one_line(repr(value))}: expected a number from 0 to 1; 0.05 is 5 %.")
    return float(value)


def count_of(table: Mapping[str, Any], key: str, default: int) -> int:
    """A whole number of at least 2: one text has no interval."""
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        raise InputError(f"{key}={one_line(repr(value))}: expected a whole number of at least 2.")
    return value


def truth_of(table: Mapping[str, Any], key: str) -> bool:
    """True or false; false where it is not given."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{key}={one_line(repr(value))}: expected true or false.")
    return value
