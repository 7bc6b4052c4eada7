"""Pages: what check.py and shortcuts.py found -> a page for a browser."""

from __future__ import annotations

from pathlib import Path

from autorel_jax.auditing.check import Checked
from autorel_jax.auditing.lines import example_line, measured, rows_line
from autorel_jax.auditing.page import Section, save_page


def of_check(path: Path, found: Checked) -> None:
    """Writes the verdicts, and the worst texts of each rule with their words coloured."""
    record = found.record
    head = ["rule", "limit", "asked", "found [95 %]", "texts", "verdict", "why"]
    rows = [
        [one["rule"], one["limit"], one["asked"], measured(one), str(one["texts"]), one["verdict"], one["why"]]
        for one in record["results"]
    ]
    sections = [Section("", [rows_line(record["texts"])], [head, *rows])]
    for name, texts in found.explanations.items():
        apart = next(one["not_counted"] for one in record["results"] if one["rule"] == name)
        lines = [f"{count} texts are not counted: {why}" for why, count in apart.items()]
        lines += [example_line(one) for one in record["worst"][name]]
        sections.append(Section(f"{name}: the worst texts", lines, (), texts))
    save_page(path, f"Check of {record['model']['name']}", sections)
