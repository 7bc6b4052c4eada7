"""Texts of the study: half of the rows of a table, and pairs that differ in a few words. Used by study.py."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def write_halves(file: Path, half: Path, others: Path, count: int) -> None:
    """Of a table with a line for each row, its rows 2, 4, …, and as the other file the first `count` of the others."""
    head, *rows = file.read_text("utf-8").splitlines(keepends=True)
    for path, kept in ((half, rows[1::2]), (others, rows[: 2 * count : 2])):
        path.write_text("".join([head, *kept]), encoding="utf-8")


def write_swapped(table: Path, pairs: Path, columns: Mapping[str, str], swaps: Iterable[Sequence[str]]) -> None:
    """Of the rows of a table, those with a word of `swaps`, each with a copy in which these words are exchanged."""
    other = {first: second for one, two in swaps for first, second in ((one, two), (two, one))}
    with table.open(encoding="utf-8", newline="") as rows, pairs.open("w", encoding="utf-8") as file:
        for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = row[columns["text"]]
            copy = " ".join(other.get(word, word) for word in text.split(" "))
            if copy != text:
                file.write(json.dumps({columns["text"]: text, columns["changed"]: copy}, ensure_ascii=False) + "\n")
