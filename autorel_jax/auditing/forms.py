"""Forms: what may be a shortcut -> where it is in a text, and the text without it or with it. Used by trials.py.

A Candidate is a word, two words in a row, two words in their order anywhere, or words that begin or end a text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from autorel_jax.auditing.units import Units
from autorel_jax.text.characters import is_mark

WORD, NEXT, PAIR, BEGINS, ENDS = FORMS = ("word", "2-gram", "pair", "beginning", "ending")
Place = tuple[int, ...]  # of the units of one occurrence


class Candidate(NamedTuple):
    """What may be a shortcut."""

    form: str
    words: tuple[str, ...]  # keys of units

    def __str__(self) -> str:
        if self.form == PAIR:
            return " … ".join(self.words)
        text = " ".join(self.words)
        return {BEGINS: f"{text} …", ENDS: f"… {text}"}.get(self.form, text)


class Piece(NamedTuple):
    """A string to insert."""

    segment: int
    where: float  # 0: before the first unit, 1: after the last
    text: str
    glued: bool  # whether no space is before it
    shift: int = 0  # by so many units later than `where`


def places(candidate: Candidate, units: Units) -> list[Place]:
    """Where a text holds it; each occurrence is within one segment."""
    form, words = candidate
    size = len(words)
    if form == PAIR:
        return pair_places(words, units)
    if form in (BEGINS, ENDS):
        edges = [(units.first(segment), units.count(segment)) for segment in dict.fromkeys(units.segments)]
        starts = [first if form == BEGINS else first + count - size for first, count in edges if count >= size]
    else:
        starts = [place for place, key in enumerate(units.keys) if key == words[0]]
    return [
        tuple(range(start, start + size))
        for start in starts
        if units.keys[start : start + size] == words and len(set(units.segments[start : start + size])) == 1
    ]


def pair_places(words: Sequence[str], units: Units) -> list[Place]:
    """Each first word with the next second one."""
    found, first = [], None
    for place, key in enumerate(units.keys):
        if first is not None and units.segments[first] != units.segments[place]:
            first = None
        if key == words[1] and first is not None:
            found.append((first, place))
            first = None
        elif key == words[0] and first is None:
            first = place
    return found


def to_delete(candidate: Candidate, units: Units) -> set[int]:
    """The units that are taken away with it: of a pair both words wherever they are."""
    if candidate.form == PAIR:
        return {place for place, key in enumerate(units.keys) if key in candidate.words}
    return {one for place in places(candidate, units) for one in place}


def without(texts: Sequence[str], units: Units, gone: Collection[int]) -> tuple[str, ...]:
    """The texts without some units; of the spaces around each one stays."""
    made = []
    for segment, text in enumerate(texts):
        parts, end = [], 0
        for place in sorted(gone):
            if units.segments[place] == segment:
                start, stop = units.spans[place]
                # A word takes the space before it along; a mark does where a space or nothing is after it.
                spare = text[start].isalnum() or stop == len(text) or text[stop].isspace()
                parts.append(text[end:start].rstrip() if spare else text[end:start])
                end = stop
        made.append("".join([*parts, text[end:]]).strip() if parts else text)
    return tuple(made)


def pieces_of(place: Place, texts: Sequence[str], units: Units) -> list[Piece]:
    """An occurrence as what can be inserted into another text, at the like place: units in a row are one piece."""
    segment = units.segments[place[0]]
    first, text = units.first(segment), texts[segment]
    room = units.count(segment) - len(place)
    pieces, before = [], 0
    for stretch in stretches(place):
        start, end = units.spans[stretch[0]][0], units.spans[stretch[-1]][1]
        where = (stretch[0] - first - before) / room if room else 0.0
        pieces.append(Piece(segment, where, text[start:end], start > 0 and not text[start - 1].isspace()))
        before += len(stretch)
    return pieces


def stretches(place: Place) -> list[list[int]]:
    """The units of an occurrence, those in a row together."""
    made: list[list[int]] = []
    for unit in place:
        if made and unit == made[-1][-1] + 1:
            made[-1].append(unit)
        else:
            made.append([unit])
    return made


def alone(number: int, place: Place, texts: Sequence[str], units: Units) -> Piece:
    """One unit of an occurrence, to insert where it would stand with the others: as far from the nearer end."""
    unit = place[number]
    (own,) = pieces_of((unit,), texts, units)
    of_all = zip(stretches(place), pieces_of(place, texts, units), strict=True)
    where = next(piece.where for stretch, piece in of_all if unit in stretch)
    return own._replace(where=where, shift=number if where < 0.5 else number + 1 - len(place))


def inserted(texts: Sequence[str], units: Units, pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The texts with pieces among their units, in the order of the pieces."""
    made = list(texts)
    for piece in reversed(pieces):
        segment = piece.segment
        count, first = units.count(segment), units.first(segment)
        at = min(max(round(piece.where * count) + piece.shift, 0), count)
        place = units.spans[first + at - 1][1] if at else 0
        glue = "" if (piece.glued and at) or not at else " "
        after = made[segment][place:]
        space = " " if after and not after[0].isspace() and not (at and is_mark(after[0])) else ""
        made[segment] = made[segment][:place] + glue + piece.text + space + after
    return tuple(made)
