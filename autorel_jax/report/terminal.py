"""Terminal: an Explanation -> text on a stream.

A terminal gets the text in a line, coloured where that is possible, and the strongest words below it; anything else
gets a line for every word, which can be searched. Honours NO_COLOR, FORCE_COLOR, TERM and COLUMNS, as rich does. Used
by cli/stream.py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from autorel_jax.report import colour, view

if TYPE_CHECKING:
    from rich.columns import Columns
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from autorel_jax.report.explanation import Explanation

Strength = Mapping[view.Unit, float]

BAR = 8  # characters of the longest bar
SECOND = "second text"
COLUMN = 20  # characters of a word in the table of the strongest; a longer one is cut


def show(explanation: Explanation, level: str, file: TextIO, every: bool = False) -> None:
    """Writes one explanation to the stream.

    Args:
      explanation: of one text and target.
      level: "word" or "token".
      file: a terminal, or any text stream.
      every: whether a terminal gets the scores of all words, in reading order, and not only of the strongest.
    """
    console = colour_console(file)
    if console is None:
        text = plain(explanation, level, with_text=file.isatty(), every=every or not file.isatty())
    else:
        text = coloured(explanation, level, console, every)
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def colour_console(file: TextIO) -> Console | None:
    """The terminal behind the stream, or None where colour is not wanted or cannot be shown."""
    if os.environ.get("NO_COLOR") or not (os.environ.get("FORCE_COLOR") or file.isatty()):
        return None
    from rich.console import Console

    console = Console(file=file, highlight=False, markup=False, emoji=False)
    return console if console.color_system else None


def plain(explanation: Explanation, level: str, with_text: bool = False, every: bool = True) -> str:
    """A headline, the text if asked for, warnings, and a line for each word in reading order or for the strongest."""
    label, value = view.decision(explanation)
    facts = ", ".join(f"{name} {fact}" for name, fact in view.facts(explanation))
    head = f"{view.visible(str(explanation.id))}: {label} {value} ({facts})"
    units = view.units(explanation, level)
    passages = view.passages(explanation, units) if with_text else []
    texts = [f"  {''.join(run.text for run in passage)}" for passage in passages]
    warnings = [f"  warning: {view.visible(warning)}" for warning in explanation.warnings]
    rows = listing(units) if every else strongest_listing(units, view.sides(explanation))
    return "\n".join([head, *texts, *warnings, *rows, *audit(explanation), "", ""])


def audit(explanation: Explanation) -> Iterator[str]:
    """Where the target's value went, and what to conclude; nothing without an audit."""
    if rows := view.ledger(explanation):
        yield "  where the logit went"
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for amount, share, name in rows:
            yield f"  {amount:>{widths[0]}}  {share:>{widths[1]}}  {name}"
        yield f"  {explanation.ledger.conclusion}"


def listing(units: Sequence[view.Unit]) -> Iterator[str]:
    """Score, bar, word in columns; the word comes last, since its printed width depends on the terminal."""
    segment = 0
    for unit, row in zip(units, rows_of(units, units), strict=True):
        if unit.segment != segment:
            segment = unit.segment
            yield f"  {SECOND}"
        yield row


def strongest_listing(units: Sequence[view.Unit], names: tuple[str, str]) -> Iterator[str]:
    """As `listing`, of the strongest alone: those for the target, then those against it, under these names."""
    sides = view.strongest(units)
    for name, side in zip(names, sides, strict=True):
        if side:
            yield f"  {name}"
            yield from rows_of(side, units)
    if more := weaker(units, sides):
        yield f"  {more}"


def rows_of(shown: Sequence[view.Unit], units: Sequence[view.Unit]) -> Iterator[str]:
    """A row for each unit that is shown, in the scale and with the decimals of all units."""
    number, strength = view.number_format(units), strength_of(units)
    scores = [number(unit.score) for unit in shown]
    width = max(map(len, scores), default=0)
    for unit, score in zip(shown, scores, strict=True):
        bar = ("+" if strength[unit] > 0 else "-") * round(BAR * abs(strength[unit]))
        yield f"  {score:>{width}}  {bar:<{BAR}}  {view.visible(unit.text)}"


def strength_of(units: Sequence[view.Unit]) -> Strength:
    """How strongly each unit is shown."""
    return dict(zip(units, colour.strengths(unit.score for unit in units), strict=True))


def weaker(units: Sequence[view.Unit], sides: Sequence[Sequence[view.Unit]]) -> str:
    """How many units are not among the strongest; "" for none."""
    more = len(units) - sum(map(len, sides))
    return f"and {more} weaker; --all-words shows all" if more else ""


def coloured(explanation: Explanation, level: str, console: Console, every: bool = False) -> str:
    """A headline, the text with its words coloured, warnings, and bars for every word or for the strongest."""
    from rich.padding import Padding
    from rich.text import Text

    units = view.units(explanation, level)
    strength = strength_of(units)
    label, value = view.decision(explanation)
    head = Text.assemble((f"{view.visible(str(explanation.id))}  ", "dim"), (f"{label} {value}", "bold"))
    facts = Text("   ".join(f"{name} {fact}" for name, fact in view.facts(explanation)), "dim")
    lines = [coloured_line(passage, strength) for passage in view.passages(explanation, units)]
    warnings = [Text(f"warning: {view.visible(warning)}", "italic") for warning in explanation.warnings]
    below = all_bars(units, strength) if every else strongest_bars(units, strength, view.sides(explanation))
    with console.capture() as captured:
        console.print(head)
        for part in (facts, "", *lines, *warnings, "", *below):
            console.print(Padding(part, (0, 0, 0, 2)))
        if explanation.ledger is not None:
            console.print()
            console.print(Text("\n".join(audit(explanation))))
        console.print()
    return captured.get()


def coloured_line(passage: Sequence[view.Run], strength: Strength) -> Text:
    """One text; special tokens are in faint colour whatever their score, and dim without colour."""
    from rich.text import Text

    line = Text()
    for text, unit in passage:
        if unit is None:
            line.append(text)
        elif unit.span is None:
            faint = math.copysign(min(abs(strength[unit]), colour.FAINT), strength[unit])
            line.append(text, colour.terminal(faint) or "dim")
        else:
            line.append(text, colour.terminal(strength[unit]))
    return line


def strongest_bars(units: Sequence[view.Unit], strength: Strength, names: tuple[str, str]) -> list[Columns | Text]:
    """The strongest words for the target, and beside them (below on a narrow terminal) those against it.

    `names` are those of both sides.
    """
    from rich.columns import Columns
    from rich.text import Text

    sides, number = view.strongest(units), view.number_format(units)
    tables = [bars(name, side, strength, number) for name, side in zip(names, sides, strict=True) if side]
    more = weaker(units, sides)
    return [Columns(tables, padding=(0, 3)), *([Text(more, "dim")] if more else [])]


def all_bars(units: Sequence[view.Unit], strength: Strength) -> list[Table]:
    """Every word of the text, and below them those of its pair, in reading order."""
    number = view.number_format(units)
    texts = (("", 0), (SECOND, 1))
    parts = [(name, [unit for unit in units if unit.segment == segment]) for name, segment in texts]
    return [bars(name, part, strength, number) for name, part in parts if part]


def bars(name: str, units: Sequence[view.Unit], strength: Strength, number: Callable[[float], str]) -> Table:
    """A row for each unit: the word, its score, a bar."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", min_width=14, max_width=COLUMN)
    table.add_column(no_wrap=True, justify="right", min_width=6)
    table.add_column(no_wrap=True, min_width=BAR)
    if name:
        table.add_row(name, style="dim")
    for unit in units:
        size = abs(strength[unit])
        length = max(size > view.NEGLIGIBLE, round(BAR * size))
        table.add_row(Text(view.visible(unit.text)), number(unit.score), Text("━" * length, colour.hue(strength[unit])))
    return table
