"""Fields: the lines of a table -> the fields of row after row. Used by tables.py, which knows the columns."""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator

from autorel_jax.data.lines import Damaged, Lines, without_end
from autorel_jax.errors import one_line

Fields = Iterator[tuple[int, list[str] | str]]  # number of the row's first line; its fields, or what is wrong with it

# Characters in a .csv field: a book, which csv's own limit of 131,072 is not; an open quote reads as much.
LARGEST_FIELD = 2**24
BLANKS = re.compile(r"[ \t]+")  # and no others: a word may hold a no-break space
DOCUMENT = "-DOCSTART-"  # a CoNLL line that begins so stands between two documents
TSV_FIELD = re.compile(r'"((?:[^"]|"")*)"(?=\t|\Z)|([^\t]*)')  # quoted as a whole, or as it stands


class _Returnable:
    """Lines for csv.reader, which can be handed back: a quote that is never closed takes all lines after it."""

    def __init__(self, lines: Lines):
        self.lines, self.returned = iter(lines), deque()
        self.taken: list[tuple[int, str]] = []  # since the row began

    def __iter__(self) -> "_Returnable":
        return self

    def __next__(self) -> str:
        line = self.returned.popleft() if self.returned else next(self.lines)
        self.taken.append(line)
        return line[1]

    def hand_back(self) -> None:
        """All but the first of the row's lines are read again."""
        self.returned.extendleft(reversed(self.taken[1:]))


def csv_fields(lines: Lines, delimiter: str) -> Fields:
    """Of .csv: quoted as RFC 4180 says, newlines in quotes included."""
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_FIELD))
    source = _Returnable(lines)
    # strict: a quote that is never closed is an error, not a field as long as the rest of the file.
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.taken.clear()
        fields = reason = None
        try:
            fields = next(reader, None)
        except csv.Error as error:
            source.hand_back()
            reason = f"not valid CSV ({one_line(error)})."
        if not source.taken:
            return
        first, line = source.taken[0]
        damaged = [line] if reason else [line for _, line in source.taken]
        reason = next((line.reason for line in damaged if isinstance(line, Damaged)), reason)
        if reason or fields:  # [] is a blank line
            yield first, reason or fields


def raw_fields(lines: Lines, delimiter: str) -> Fields:
    """One line a row, where a quote is a character like any other."""
    for number, line in lines:
        if isinstance(line, Damaged):
            yield number, line.reason
        elif line := without_end(line):
            yield number, line.split(delimiter)


def labelled_fields(lines: Lines) -> Fields:
    """A line is a label, a space and the text."""
    for number, line in lines:
        if isinstance(line, Damaged):
            yield number, line.reason
        elif line := without_end(line):
            label, space, text = line.partition(" ")
            yield number, [label, text] if space else f"{one_line(line)!r} has no space; expected LABEL TEXT."


def tsv_fields(lines: Lines) -> Fields:
    """One line a row; a field is unquoted where it is quoted as a whole."""
    width = None
    for number, line in lines:
        if isinstance(line, Damaged):
            yield number, line.reason
        elif line := without_end(line):
            fields = _unquoted(line, width)
            width = width or len(fields)
            yield number, fields


def _unquoted(line: str, width: int | None) -> list[str]:
    """The fields of one line, unquoted where a quote opens and closes the field and those inside are doubled.

    The .tsv files in use come in both kinds: GLUE's raw lines, where a quote is a character like any other
    (and often alone), and files that a csv writer quoted. Such a writer doubles every quote inside, which raw
    text hardly ever does. A raw field that is one quotation from end to end loses its outer quotes. Where
    unquoting gives a number of fields other than the header's `width`, the line is raw.
    """
    if '"' not in line:
        return line.split("\t")
    fields, at = [], 0
    while at <= len(line):
        match = TSV_FIELD.match(line, at)
        quoted, raw = match.groups()
        fields.append(raw if quoted is None else quoted.replace('""', '"'))
        at = match.end() + 1
    return fields if width in (None, len(fields)) else line.split("\t")


def word_fields(lines: Lines, delimiter: str | None) -> Iterator[tuple[int, list[list[str]] | str]]:
    """Of CoNLL: the number of each sentence's first line, and the fields of each of its lines, or what is wrong.

    A line is a word, blank lines divide sentences. Fields are divided by `delimiter`, or by blanks and tabs.
    """
    first, words, width = 0, [], None
    for number, line in itertools.chain(lines, [(0, "")]):
        if isinstance(line, Damaged):
            yield number, line.reason
            return
        line = without_end(line)
        if not line.strip(" \t") or line.startswith(DOCUMENT):
            if words:
                yield first, words
            words = []
            continue
        fields = line.split(delimiter) if delimiter else BLANKS.split(line.strip(" \t"))
        width = width or len(fields)
        if len(fields) != width:
            yield number, f"{len(fields)} columns, but {width} above; where words hold blanks, give delimiter = 'tab'."
            return
        first = first if words else number
        words.append(fields)
