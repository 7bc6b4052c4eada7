"""Saving: explanations in memory -> one file, as the explain command writes it. `Explanations.save` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax import __version__
from autorel_jax.corpus.contents import Contents
from autorel_jax.corpus.formats import FORMATS
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.files import beside, disk_faults, new_file, writable
from autorel_jax.report.explanation import SCHEMA
from autorel_jax.report.output import WRITERS, open_writer

OF_EACH = (".jsonl", ".html")  # formats that say of each explanation what made it
OF_ALL = ("model", "weights_sha256", "labels", "method", "parameters", "rules", "readouts")

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation


def save(explanations: Sequence[Explanation], path: str | Path, level: str = "word") -> None:
    """Writes explanations, whole or not at all.

    Args:
      explanations: as `explain` returns them; of one model and method but for .jsonl and .html.
      path: of a .parquet, .jsonl, .csv, .npz or .html file in a directory that exists.
      level: "word" or "token", of .csv and .html; the others hold both.

    Raises:
      InputError: the list is empty, the suffix is unknown, the file cannot be written, or it would say of all what
        holds for some.
    """
    path = Path(path)
    suffix = format_of(path)
    if not explanations:
        raise InputError(f"{path}: there are no explanations to save.")
    if suffix not in OF_EACH:
        check_alike(explanations, path)
    if suffix in WRITERS:
        with open_writer(path, level) as write:
            for one in explanations:
                write(one)
        return
    made = FORMATS[suffix](contents_of(explanations, level))
    pairs = [(Row(one.id, one.text, one.text_pair, None), one) for one in explanations]
    part = beside(writable(path))
    try:
        with new_file(path) as draft, disk_faults(path), open(draft, "xb") as target:
            made.write(part, pairs)
            made.merge([part], target)
    finally:
        part.unlink(missing_ok=True)


def check_alike(explanations: Sequence[Explanation], path: Path) -> None:
    """Raises InputError where explanations differ in what a table says once for all of them."""
    first, *others = [of_all(one) for one in explanations]
    for other in others:
        if name := next((name for name in OF_ALL if other[name] != first[name]), None):
            raise InputError(
                f"{path}: the explanations differ in {name} ({one_line(first[name], 60)}; "
                f"{one_line(other[name], 60)}), and a {path.suffix} has one for all; write .jsonl, or a file for each."
            )


def of_all(explanation: Explanation) -> dict[str, Any]:
    """What a table says once for all of its rows; of read-outs that is their names."""
    return {name: getattr(explanation, name) for name in OF_ALL} | {"readouts": tuple(explanation.readouts)}


def format_of(path: Path) -> str:
    """The suffix that decides how a file is written; InputError for one that is unknown."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS and suffix not in WRITERS:
        accepted = ", ".join(dict.fromkeys([*FORMATS, *WRITERS]))
        raise InputError(f"{path}: cannot write {suffix or 'a name without suffix'}; accepted: {accepted}.")
    return suffix


def check_output(path: Path) -> None:
    """Raises InputError where `save` could not write the file."""
    format_of(path)
    writable(path)


def contents_of(explanations: Sequence[Explanation], level: str) -> Contents:
    """What the file is to hold."""
    first = explanations[0]
    method = {"name": first.method, "parameters": first.parameters}
    return Contents(
        level=level,
        numbered=all(isinstance(one.id, int) for one in explanations),
        about={
            "schema": SCHEMA,
            "version": __version__,
            "model": {"name": first.model, "weights_sha256": first.weights_sha256},
            "labels": first.labels,
            "method": method,
        },
        audit=any(one.ledger is not None for one in explanations),
        readouts=tuple(first.readouts),
    )
