"""Findings: their answers, exit codes and JUnit XML."""

import math
from xml.etree import ElementTree

import pytest

from autorel_jax.auditing.verdict import Finding, at_least, at_most, exit_code, write_junit

HOLDS, BROKEN, UNKNOWN = (Finding(answer, answer, "said") for answer in ("holds", "broken", "unknown"))


@pytest.mark.parametrize(
    ("findings", "code"),
    [([], 0), ([HOLDS], 0), ([HOLDS, BROKEN], 1), ([UNKNOWN, HOLDS], 2), ([UNKNOWN, BROKEN, HOLDS], 1)],
)
def test_the_exit_code_is_of_the_worst_that_is_known(findings, code):
    assert exit_code(findings) == code


@pytest.mark.parametrize(
    ("found", "most", "least"), [(1, "holds", "broken"), (3, "broken", "holds"), (2, "holds", "holds")]
)
def test_a_limit_itself_is_accepted(found, most, least):
    assert at_most("max_x", found, 2, "x").answer == most
    assert at_least("min_x", found, 2, "x").answer == least


def test_a_number_that_is_not_there_is_neither():
    assert at_most("max_x", math.nan, 2, "x").answer == at_least("min_x", math.nan, 2, "x").answer == "unknown"


def test_a_line_says_the_answer_and_the_limit():
    assert at_most("max_flips", 3, 2, "3 of 9 texts").line == "broken: max_flips: 3 of 9 texts; accepted: at most 2"


def test_junit_counts_and_quotes(tmp_path):
    path = tmp_path / "found.xml"
    write_junit(path, "diff <a> & b", [HOLDS, BROKEN._replace(details=('text "1": \x00\x1b[31m <b>',)), UNKNOWN])
    root = ElementTree.parse(path).getroot()
    (suite,) = root
    counts = {"tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "diff <a> & b")
    assert {name: suite.get(name) for name in counts} == {name: root.get(name) for name in counts} == counts
    broken = suite[1]
    assert [case.get("name") for case in suite] == ["holds", "broken", "unknown"]
    assert [child.tag for case in suite for child in case] == ["system-out", "failure", "error"]
    assert broken[0].get("message") == "said"
    assert broken[0].text == 'said\ntext "1": \ufffd\ufffd[31m <b>'
