"""Browser: what check.py and shortcuts.py found -> a page for a browser."""

from __future__ import annotations

from pathlib import Path

from autorel_jax.auditing.check import Checked
from autorel_jax.auditing.page import Section, save_page
from autorel_jax.auditing.terminal import (
    Record,
    example_line,
    measured,
    quoted,
    ranged,
    rows_line,
    shortcut_rows,
    too_few,
)
from autorel_jax.report.view import percent


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


def of_shortcuts(path: Path, record: Record) -> None:
    """Writes the list, with the evidence and the counter-examples of each."""
    few = too_few(record)
    also = f"; {few} more could not be tested, for lack of texts" if few else ""
    tested = f"{len(record['not_listed']) - few} more candidates were tested and are not listed{also}."
    lines = [rows_line(record["texts"]), tested]
    sections = [Section("", lines, shortcut_rows(record["listed"]) if record["listed"] else ())]
    sections += [Section(f"{one['rank']}. {one['shown']} ({one['label']})", evidence(one)) for one in record["listed"]]
    dropped = [["candidate", "label", "why it is not listed"]]
    dropped += [[one["shown"], one["label"], "; ".join(one["why_not"])] for one in record["not_listed"]]
    sections.append(Section("Not listed", (), dropped if record["not_listed"] else ()))
    save_page(path, f"Shortcuts of {record['model']['name']}", sections)


def evidence(one: Record) -> list[str]:
    """What speaks for a shortcut, and what against."""
    lines = []
    if other := one["other_texts"]:
        lines.append(
            f"In the other texts: {other['of_label']} of {other['texts']} texts that hold it, log odds ratio "
            f"{ranged(other['association'])}."
        )
    for each in one["examples"]:
        lines.append(
            f"{each['id']}, {each['predicted']}: {quoted(each['texts'])}; without it {each['becomes']}: "
            f"{quoted(each['changed_to'])}"
        )
    against = one["counter_examples"]
    if against["texts"]:
        share = percent(against["predicted_as_the_label"] / against["texts"])
        lines.append(
            f"Counter-examples: {against['texts']} texts that hold it have another label; {share} of them are "
            f"predicted as {one['label']}."
        )
    lines += [f"{each['id']}, {each['label']}: {quoted(each['texts'])}" for each in against["first"]]
    return lines
