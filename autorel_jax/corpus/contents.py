"""Contents: the columns that were asked for, beside those a format can have -> the columns of an output.

Used by formats.py and npz.py; job.py says what an output is to hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autorel_jax.corpus import nested
from autorel_jax.errors import InputError
from autorel_jax.report.explanation import ALIASES

if TYPE_CHECKING:
    import pyarrow


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an output is to hold.

    Attributes:
      columns: names, in their order; empty for all of the format.
      kept: names of the input's columns that pass through, after the others.
      level: "word" or "token", of .csv.
      files: whether there are several input files, so that each row names its own.
      numbered: whether ids are the numbers of rows.
      types: Arrow types of the columns that pass through, where they are known.
      about: JSON, the same for all rows.
      audit: whether there are ledgers to write.
      readouts: names of the read-outs to write.
    """

    columns: Sequence[str] = ()
    kept: Sequence[str] = ()
    level: str = "word"
    files: bool = False
    numbered: bool = True
    types: Mapping[str, pyarrow.DataType] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    audit: bool = False
    readouts: Sequence[str] = ()


def chosen(
    names: Sequence[str], contents: Contents, default: Sequence[str], reserved: Collection[str] = ()
) -> tuple[str, ...]:
    """The columns of an output, in their order.

    Args:
      names: of all columns that the format can have.
      contents: what was asked for.
      default: the columns if none were named.
      reserved: names that a reader of the output takes for ours, which no column that passes through may have.

    Raises:
      InputError: a column is unknown or named twice, the name of one that passes through is taken, or a ledger or
        read-outs were asked for that the columns leave out.
    """
    for name in contents.columns:
        if ALIASES.get(name, name) not in names:
            raise InputError(f"--columns {name}: there is no such column; available: {', '.join(names)}.")
    columns = tuple(contents.columns) or tuple(default)
    check_once(columns, contents.kept)
    if taken := [name for name in contents.kept if name in reserved]:
        raise InputError(
            f"--keep-columns {taken[0]}: results have a field of this name, and readers would take the column for it, "
            "also where --columns leaves ours out; rename the column in the input."
        )
    check_aliases(columns, contents.kept)
    for flag, asked, name in (
        ("--audit", contents.audit, nested.LEDGER),
        ("--readout", contents.readouts, nested.READOUTS),
    ):
        if asked and name not in names:
            raise nested.not_in(flag, name, nested.SHOWN_IN[name])
        if asked and name not in columns:
            raise InputError(f"{flag}: --columns leaves out what it asks for; add {name}.")
    return columns


def check_once(columns: Sequence[str], kept: Sequence[str]) -> None:
    """Raises InputError where a name stands for two columns."""
    every = (*columns, *kept)
    twice = next((name for name in every if every.count(name) > 1), None)
    if twice is None:
        return
    if twice in kept and twice in columns:
        raise InputError(f"--keep-columns {twice}: the output has a column of this name already; rename yours.")
    raise InputError(f"The column {twice} is asked for twice.")


def check_aliases(columns: Sequence[str], kept: Sequence[str]) -> None:
    """Raises InputError where a reader of the output would take a column of the input for one of ours."""
    for name in kept:
        if name in ALIASES and ALIASES[name] not in columns:
            raise InputError(
                f"--keep-columns {name}: this is an older name of {ALIASES[name]}; add {ALIASES[name]} to --columns, "
                "or rename the column."
            )
