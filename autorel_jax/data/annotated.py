"""Annotated: files of texts in which words have labels or answers are marked -> Records: CoNLL and SQuAD.

Readers as those of tables.py, which lists them.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from autorel_jax.data.answers import IMPOSSIBLE
from autorel_jax.data.fields import word_fields
from autorel_jax.data.lines import Damaged, Lines
from autorel_jax.data.records import COLUMNS, Fault, Record, Wanted, place, single, value_of
from autorel_jax.data.task import WORDS_AND_TAGS
from autorel_jax.errors import InputError, one_line

CONLL, SQUAD = "conll", "squad"
HEADINGS = ("label", "labels", "tag", "tags", "ner", "ner_tag", "ner_tags")  # of a column; no label of a word


def conll(
    lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = (), delimiter: str | None = None
) -> Iterator[Record | Fault]:
    """A word a line, a blank line between sentences: a Record has a list of words and a list of their labels.

    Without `header`, which names all columns, the word is the first and its label the last.
    """
    if wanted[3] is not None:
        raise InputError(f"[task] id={wanted[3]!r}: sentences of a CoNLL file have none; leave it out.")
    named = [column for column, default in zip(wanted[::2], WORDS_AND_TAGS, strict=True) if column != default]
    if named and not header:
        raise InputError(f"{name} has no header to find the column {named[0]!r} in; name all its columns: {COLUMNS}.")
    word, tag = (place(header, column, name) for column in (wanted[0], wanted[2])) if header else (0, -1)
    for number, (line, sentence) in enumerate(word_fields(lines, delimiter), 1):
        where = f"{name}, sentence from line {line}"
        if isinstance(sentence, str):
            yield Fault(f"{name}, line {line}", sentence, line)
            return
        width = len(sentence[0])
        if width < 2 or (header and width != len(header)):
            expected = f"columns names {len(header)}" if header else "at least two are expected, a word and its label"
            yield Fault(where, f"{width} column{'s' if width > 1 else ''}, but {expected}.", line)
            return
        words, tags = ([fields[column] for fields in sentence] for column in (word, tag))
        if number == 1 and (sentence[0] == list(header) or tags[0].lower() in HEADINGS):
            yield Fault(where, f"the first line is a header ({one_line(' '.join(sentence[0]))}); take it out.", line)
            return
        yield Record(where, number, (words, None, tags, None), line)


def squad(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """SQuAD's own JSON, version 1 or 2, held in memory: articles, their paragraphs, and questions about each.

    A question without answers that is not marked as impossible has no label. An id that stands twice is an InputError.
    """
    if header:
        raise InputError(f"{name} is SQuAD's JSON, which has no columns; leave out {COLUMNS}.")
    text = "".join(whole(line, number, name) for number, line in lines)
    number, seen = 0, {}
    for where, paragraph in paragraphs(text, name):
        context = value_at(paragraph, wanted[1], where)
        for place_of, entry in listed(paragraph, "qas", where):
            number += 1
            question = value_at(entry, wanted[0], place_of)
            key = entry.get("id") if wanted[3] is None else value_at(entry, wanted[3], place_of)
            if key is not None:
                first = seen.setdefault(repr(key), place_of)
                if first != place_of:
                    said = f"the id {one_line(key)!r} is a duplicate, see {first}; ids are different."
                    raise InputError(f"{place_of}: {said}")
                place_of = f"{name}, question {one_line(key)!r}"
            impossible = entry.get(IMPOSSIBLE, False)
            answers = entry.get(wanted[2], []) if impossible is True else value_at(entry, wanted[2], place_of)
            if impossible not in (True, False) or not isinstance(answers, list) or (impossible and answers):
                said = f"{IMPOSSIBLE} is {one_line(repr(impossible))}, and answers {one_line(repr(answers), 60)}"
                yield Fault(place_of, f"{said}; expected a list, and an empty one where it is true.", number)
                continue
            yield Record(place_of, number, (question, context, answers if answers or impossible else None, key), number)


def whole(line: str, number: int, name: str) -> str:
    """A line of a file that is read as a whole, or InputError where it cannot be decoded."""
    if isinstance(line, Damaged):
        raise InputError(f"{name}, line {number}: {line.reason}")
    return line


def paragraphs(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each paragraph of a file, with where it stands."""
    try:
        found = json.loads(text, object_pairs_hook=single)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not valid JSON ({one_line(error)}).") from None
    if not isinstance(found, dict) or "data" not in found:
        raise InputError(
            f"{name} is not SQuAD's JSON, an object with 'data', 'paragraphs' and 'qas'; a list of rows, or a row a "
            "line, with question, context and answers is format = 'json' or 'jsonl'."
        )
    for where, article in listed(found, "data", name):
        yield from listed(article, "paragraphs", where)


def listed(item: dict[str, Any], key: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list inside an object, with where each stands."""
    entries = value_at(item, key, where)
    if not isinstance(entries, list):
        raise InputError(f"{where}: {key!r} is a {type(entries).__name__}; expected a list of objects.")
    for number, entry in enumerate(entries, 1):
        place_of = f"{where}, {key} {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{place_of} is a {type(entry).__name__}; expected an object.")
        yield place_of, entry


def value_at(item: dict[str, Any], key: str, where: str) -> Any:
    """What an object has under a key, or InputError."""
    try:
        return value_of(item, key)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
