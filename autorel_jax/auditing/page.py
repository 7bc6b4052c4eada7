"""Page: titled sections of lines, a table and coloured texts -> an .html file without script. Used by browser.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from autorel_jax.files import write_text
from autorel_jax.report import view
from autorel_jax.report.explanation import Explanation
from autorel_jax.report.html import entry


class Section(NamedTuple):
    """A part of a page."""

    title: str
    lines: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()  # of a table, whose first row is its head
    texts: Sequence[Explanation] = ()


def save_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Writes the page.

    Raises:
      InputError: it cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("autorel_jax", "auditing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = view.visible
    shown = [
        {**section._asdict(), "entries": [entry(text, view.WORD) for text in section.texts]} for section in sections
    ]
    write_text(path, environment.get_template("page.html").render(title=title, sections=shown))
