"""Verdict: what was checked -> a line for each finding, an exit code, and JUnit XML for CI systems.

Used by every command that audits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from autorel_jax.files import write_text

HOLDS, BROKEN, UNKNOWN = ANSWERS = ("holds", "broken", "unknown")  # the last: it cannot be told
EXIT = {HOLDS: 0, BROKEN: 1, UNKNOWN: 2}
UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 has no way to write


class Finding(NamedTuple):
    """One thing that was checked.

    Attributes:
      name: as in the flag or the file that asked for it.
      answer: one of ANSWERS.
      said: one line: what was found, and what is accepted.
      details: more lines, such as the texts that are to blame.
    """

    name: str
    answer: str
    said: str
    details: Sequence[str] = ()

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"{self.answer}: {self.name}: {self.said}"


def at_most(name: str, found: float, limit: float, said: str, details: Sequence[str] = ()) -> Finding:
    """Whether a number stays within a limit; a number that is not there (NaN) leaves it unknown."""
    answer = UNKNOWN if math.isnan(found) else HOLDS if found <= limit else BROKEN
    return Finding(name, answer, f"{said}; accepted: at most {limit:g}", details)


def at_least(name: str, found: float, limit: float, said: str, details: Sequence[str] = ()) -> Finding:
    """Likewise, from below."""
    answer = UNKNOWN if math.isnan(found) else HOLDS if found >= limit else BROKEN
    return Finding(name, answer, f"{said}; accepted: at least {limit:g}", details)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if all hold, 1 if one is broken, else 2: one cannot be told."""
    answers = {finding.answer for finding in findings}
    return next((EXIT[answer] for answer in (BROKEN, UNKNOWN) if answer in answers), EXIT[HOLDS])


def write_junit(path: Path, suite: str, findings: Sequence[Finding]) -> None:
    """Writes findings as a JUnit report: a test case each, which failed if it is broken and errs if it is unknown.

    Args:
      path: of the .xml file.
      suite: the name of the one test suite.
      findings: the cases.

    Raises:
      InputError: the file cannot be written.
    """
    write_text(path, junit(suite, findings))


def junit(suite: str, findings: Sequence[Finding]) -> str:
    """The XML, as Jenkins, GitLab and others read it."""
    answers = [finding.answer for finding in findings]
    counts = {
        "tests": len(answers),
        "failures": answers.count(BROKEN),
        "errors": answers.count(UNKNOWN),
        "skipped": 0,
    }
    about = {"name": fit(suite)} | {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", about)
    one = ElementTree.SubElement(root, "testsuite", about | {"time": "0"})
    for finding in findings:
        case = ElementTree.SubElement(
            one, "testcase", {"classname": fit(suite), "name": fit(finding.name), "time": "0"}
        )
        text = fit("\n".join([finding.said, *finding.details]))
        if finding.answer == HOLDS:
            ElementTree.SubElement(case, "system-out").text = text
        else:
            kind = "failure" if finding.answer == BROKEN else "error"
            ElementTree.SubElement(case, kind, {"message": fit(finding.said), "type": finding.answer}).text = text
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def fit(text: str) -> str:
    """The text, with U+FFFD for characters that XML cannot hold."""
    return UNFIT.sub("\ufffd", text)
