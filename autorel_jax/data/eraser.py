"""ERASER: a folder of its layout (a .jsonl of evidences, and docs/) -> rows of words with what people marked.

Source of the layout: DeYoung et al. 2020. Used by cli/evaluate.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError, one_line

ERASER = "eraser"  # the name of the format
QUERY = "query"


def eraser_rows(path: Path, pair: str | None = None) -> Iterator[Row | Rejected]:
    """The rows of a file; the marks, 0 or 1 for each word, are the one value that passes through.

    Args:
      path: of the .jsonl, beside a folder docs/ with a document of words between spaces in each file.
      pair: "query", where the query is the second text.

    Raises:
      InputError: there is no such layout.
    """
    if pair not in (None, QUERY):
        raise InputError(f"--pair-column {pair}: an ERASER file has {QUERY!r} alone beside its documents.")
    if not path.is_file() or not (path.parent / "docs").is_dir():
        raise InputError(f"{path} is not of ERASER's layout: a .jsonl file beside a folder docs/.")
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                yield row(json.loads(line), number, path, pair)
            except (ValueError, KeyError, TypeError, OSError, IndexError) as error:
                yield Rejected(str(path), number, f"it cannot be read: {one_line(error)}.", f"{path}, line {number}")


def row(record: dict[str, Any], number: int, path: Path, pair: str | None) -> Row:
    """One line of the file; an InputError for what lies in several documents."""
    evidences = [one for group in record["evidences"] for one in group]
    names = {one["docid"] for one in evidences} | set(record.get("docids") or ())
    if len(names) != 1:
        raise InputError(f"it names {len(names)} documents; expected one")
    document = (path.parent / "docs" / names.pop()).read_text(encoding="utf-8")
    words = [word for line in document.split("\n") for word in line.strip().split(" ") if word]
    marks = [0] * len(words)
    for one in evidences:
        start, end = one["start_token"], one["end_token"]
        if not 0 <= start < end <= len(words):
            raise InputError(f"the words {start} to {end} are not in a document of {len(words)}")
        if one.get("text", there := " ".join(words[start:end])) != there:
            raise InputError(
                f"its words {start} to {end} are {one_line(there, 40)!r}, not {one_line(one['text'], 40)!r}"
            )
        marks[start:end] = [1] * (end - start)
    return Row(record["annotation_id"], words, record[QUERY] if pair else None, None, str(path), number, (marks,))
