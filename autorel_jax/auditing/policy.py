"""Policy: a TOML file -> the words on which a model must not decide, and how much it may. Used by check.py.

docs/audit.md has an example and every key.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.auditing.phrases import Phrases, Shape, shape
from autorel_jax.data.lines import split_lines
from autorel_jax.errors import InputError, one_line
from autorel_jax.files import read_settings, read_toml, reason
from autorel_jax.options import check_options, from_table, option

FAIL, PASS = NOT_ENOUGH = ("fail", "pass")
MIN_TEXTS = 30  # of fewer, an interval is so wide that it says nothing of other texts
IN_SHARE = 0.95
LIMITS = ("max_flips", "max_move", "max_mean_move")


@dataclasses.dataclass(frozen=True)
class PolicyTable:
    """The top of a policy file."""

    groups: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    swaps: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    min_texts: int = option(MIN_TEXTS, "of fewer texts nothing is said", least=2)  # one text has no interval
    not_enough_texts: str = option(FAIL, "what becomes of it then", choices=NOT_ENOUGH)

    def __post_init__(self):
        check_options(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleTable:
    """What the tables of groups and swaps have in common."""

    file: Any = None
    case_sensitive: bool = option(False, "upper and lower case are two words")
    in_share_of_texts: float = option(IN_SHARE, "of the texts must keep to it", least=0, most=1)
    min_texts: int = option(MIN_TEXTS, "of fewer texts nothing is said", least=2)

    def __post_init__(self):
        check_options(self)
        if self.in_share_of_texts == 0:
            raise InputError("in_share_of_texts=0 is kept by any model; give more than 0.")
        for name, value in vars(self).items():
            if name.startswith("max_") and value == 1:
                raise InputError(
                    f"{name}=1 is kept by any model, as nothing is above 1; give less than 1: 0.05 is 5 %."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupTable(RuleTable):
    """A table [groups.NAME]."""

    words: Any = ()
    max_share: float | None = option(None, "of the relevance", least=0, most=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwapTable(RuleTable):
    """A table [swaps.NAME]."""

    pairs: Any = ()
    one_way: bool = option(False, "pairs are read from left to right only")
    max_flips: float | None = option(None, "of the texts may get another label", least=0, most=1)
    max_move: float | None = option(None, "of the predicted label's probability", least=0, most=1)
    max_mean_move: float | None = option(None, "likewise, on average", least=0, most=1)


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
    top = from_table(PolicyTable, raw)
    default = {"min_texts": top.min_texts}
    groups, swaps = (
        [made(f"{kind}.{name}", of, name, default | table, folder) for name, table in tables(raw, kind).items()]
        for kind, of in (("groups", group_of), ("swaps", swap_of))
    )
    if not (groups or swaps):
        raise InputError("it asks for nothing; give a table [groups.NAME] or [swaps.NAME].")
    return Policy(groups, swaps, top.not_enough_texts)


def made(where: str, of: Callable[..., Any], *arguments: Any) -> Any:
    """What a table says; an InputError tells which table it is."""
    try:
        return of(*arguments)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def group_of(name: str, table: Mapping[str, Any], folder: Path) -> Group:
    """The group of a table."""
    asked = from_table(GroupTable, table)
    if not isinstance(asked.words, list | tuple) or not all(isinstance(word, str) for word in asked.words):
        raise InputError(f"words={one_line(repr(asked.words))}: expected a list of words.")
    words = [*asked.words, *lines_of(asked.file, folder)]
    for word in words:
        check_phrase(word)
    if not words:
        raise InputError("it has no words; give words = [...], or file, with one a line.")
    if asked.max_share is None:
        raise InputError("max_share is missing, the largest share of a text's relevance, from 0 to 1.")
    phrases = Phrases(words, asked.case_sensitive)
    return Group(name, phrases, asked.max_share, asked.in_share_of_texts, asked.min_texts)


def swap_of(name: str, table: Mapping[str, Any], folder: Path) -> Swap:
    """The swap of a table."""
    asked = from_table(SwapTable, table)
    other = others(pairs_of(asked, folder), asked.case_sensitive, asked.one_way)
    flips, move, mean_move = limits = [getattr(asked, key) for key in LIMITS]
    if limits == [None] * len(limits):
        raise InputError(f"it has no limit; give one or more of {', '.join(LIMITS)}, each from 0 to 1.")
    if "in_share_of_texts" in table and move is None:
        raise InputError("in_share_of_texts is of max_move; give that too, or leave it out.")
    phrases = Phrases(other, asked.case_sensitive)
    return Swap(name, phrases, other, flips, move, asked.in_share_of_texts, mean_move, asked.min_texts)


def pairs_of(asked: SwapTable, folder: Path) -> list[tuple[str, str]]:
    """The pairs of a swap, of the table and of its file, where a tab stands between the two."""
    if not isinstance(asked.pairs, list | tuple):
        raise InputError(f'pairs={one_line(repr(asked.pairs))}: expected a list of pairs, such as [["he", "she"]].')
    pairs = [*asked.pairs, *(line.split("\t") for line in lines_of(asked.file, folder))]
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


def lines_of(name: Any, folder: Path) -> list[str]:
    """The lines of the file that a table names, but for empty ones."""
    if name is None:
        return []
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"file={one_line(repr(name))}: expected the name of a file.")
    path = folder / name
    try:
        lines = split_lines(read_settings(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it so.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}.") from None
    return [line for line in lines if line.strip()]


def check_phrase(word: str) -> None:
    """Raises InputError for what no text can hold."""
    if not shape(word):
        raise InputError(f"{word!r} is no word; leave it out.")
