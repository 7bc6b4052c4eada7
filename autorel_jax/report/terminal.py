"""Terminal: an Explanation -> text on a stream; in colour where it is a terminal, else a list that can be searched.

Honours NO_COLOR, FORCE_COLOR, TERM and COLUMNS, as rich does. Used by cli/stream.py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from autorel_jax.report import colour, view

if TYPE_CHECKING:
    from rich.columns import Columns
    from rich.console import Console
    from rich.text import Text

    from autorel_jax.report.explanation import Explanation

Strength = Mapping[view.Unit, float]

BAR = 8  # characters of the longest bar
COLUMN = 20  # characters of a word in the table of the strongest; a longer one is cut


def show(explanation: Explanation, level: str, file: TextIO) -> None:
    """Writes one explanation to the stream.

    Args:
      explanation: of one text and target.
      level: "word" or "token".
      file: a terminal, or any text stream.
    """
    console = colour_console(file)
    text = plain(explanation, level) if console is None else coloured(explanation, level, console)
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def colour_console(file: TextIO) -> Console | None:
    """The terminal behind the stream, or None where colour is not wanted or cannot be shown."""
    if os.environ.get("NO_COLOR") or not (os.environ.get("FORCE_COLOR") or file.isatty()):
        return None
    from rich.console import Console

    console = Console(file=file, highlight=False, markup=False, emoji=False)
    return console if console.color_system else None


def plain(explanation: Explanation, level: str) -> str:
    """A headline, warnings, and a line for each word in reading order."""
    label, value = view.decision(explanation)
    facts = ", ".join(f"{name} {fact}" for name, fact in view.facts(explanation))
    head = f"{view.visible(str(explanation.id))}: {label} {value} ({facts})"
    warnings = [f"  warning: {view.visible(warning)}" for warning in explanation.warnings]
    return "\n".join([head, *warnings, *listing(view.units(explanation, level)), *audit(explanation), "", ""])


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
    number = view.number_format(units)
    scores = [number(unit.score) for unit in units]
    width, segment = max(map(len, scores), default=0), 0
    for unit, score, strength in zip(units, scores, colour.strengths(unit.score for unit in units), strict=True):
        if unit.segment != segment:
            segment = unit.segment
            yield "  second text"
        bar = ("+" if strength > 0 else "-") * round(BAR * abs(strength))
        yield f"  {score:>{width}}  {bar:<{BAR}}  {view.visible(unit.text)}"


def coloured(explanation: Explanation, level: str, console: Console) -> str:
    """A headline, the text with its words coloured, warnings, and the strongest words for and against the target."""
    from rich.padding import Padding
    from rich.text import Text

    units = view.units(explanation, level)
    strength = dict(zip(units, colour.strengths(unit.score for unit in units), strict=True))
    label, value = view.decision(explanation)
    head = Text.assemble((f"{view.visible(str(explanation.id))}  ", "dim"), (f"{label} {value}", "bold"))
    facts = Text("   ".join(f"{name} {fact}" for name, fact in view.facts(explanation)), "dim")
    lines = [coloured_line(passage, strength) for passage in view.passages(explanation, units)]
    warnings = [Text(f"warning: {view.visible(warning)}", "italic") for warning in explanation.warnings]
    with console.capture() as captured:
        console.print(head)
        for part in (facts, "", *lines, *warnings, "", strongest_table(units, strength)):
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


def strongest_table(every: Sequence[view.Unit], strength: Strength) -> Columns:
    """The strongest words for the target, and beside them (below on a narrow terminal) those against it."""
    from rich.columns import Columns
    from rich.table import Table
    from rich.text import Text

    number, tables = view.number_format(every), []
    for name, units in zip(("for the target", "against it"), view.strongest(every), strict=True):
        if not units:
            continue
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=14, max_width=COLUMN)
        table.add_column(no_wrap=True, justify="right", min_width=6)
        table.add_column(no_wrap=True, min_width=BAR)
        table.add_row(name, style="dim")
        for unit in units:
            bar = Text("━" * max(1, round(BAR * abs(strength[unit]))), colour.hue(strength[unit]))
            table.add_row(Text(view.visible(unit.text)), number(unit.score), bar)
        tables.append(table)
    return Columns(tables, padding=(0, 3))
