"""Pages and tables that docs/generate.py writes: up to date, each rule and method in full; examples run."""

import dataclasses
import re
import runpy
import tomllib
from pathlib import Path

import pytest

import autorel_jax as ar
from autorel_jax.attribution.methods import METHODS
from autorel_jax.lrp.composite_file import parse_composite
from autorel_jax.lrp.composites import RULES
from autorel_jax.report.explanation import IN_FILES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rules.md"
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
EACH = [(op, rule) for found in RULES.values() for op, rules in found.items() for rule in rules]


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == GENERATE["page"](), "run: python docs/generate.py"


@pytest.mark.parametrize(("op", "rule"), EACH, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_each_rule_is_documented_in_full_and_tested(op, rule):
    parts = GENERATE["parsed"](rule)
    wanted = {"sentence", "equation", "Shapes", "Source", "Conserves"}
    assert parts.keys() == wanted | ({"Default"} if GENERATE["defaults_of"](op, rule) else set())
    assert all(parts.values())
    assert "```" in parts["equation"]
    assert len(list(GENERATE["tests_of"](rule.__name__))) >= 1


def fence(language):
    return re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)[1]


def test_both_ways_to_a_composite_of_ones_own_lead_to_the_same(capsys):
    names = {}
    exec(compile(fence("python"), "docs/rules.md", "exec"), names)
    assert capsys.readouterr().out.startswith("linear            gamma        gamma = 0.1\n")
    read = parse_composite(tomllib.loads(fence("toml")))
    assert read == names["mine"] != ar.COMPOSITES["gamma"]
    assert (read.name, read.parameters) == (names["mine"].name, names["mine"].parameters)


@pytest.mark.parametrize("page", ["output", "ledger", "evaluation"])
def test_tables_of_pages_are_up_to_date(page):
    assert GENERATE[f"{page.upper()}_PAGE"].read_text("utf-8") == GENERATE[f"{page}_page"](), (
        "run: python docs/generate.py"
    )


def test_the_python_of_the_page_of_evaluation_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/evaluation.md").read_text("utf-8"), re.M | re.S):
        exec(compile(code, "docs/evaluation.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "curves, mask, 3 texts" in printed
    assert "Across(words=['good', 'dull']" in printed
    assert (tmp_path / "evaluation.json").is_file()


def test_every_field_is_documented():
    text = GENERATE["OUTPUT_PAGE"].read_text("utf-8")
    for field in IN_FILES:
        assert field.meaning
        assert f"| `{field.name}` | {field.json_type} | {field.meaning} |" in text


def test_the_page_of_methods_is_up_to_date():
    assert GENERATE["METHODS_PAGE"].read_text("utf-8") == GENERATE["methods_page"](), "run: python docs/generate.py"


@pytest.mark.parametrize(("name", "method"), METHODS.items(), ids=METHODS)
def test_each_method_is_documented_in_full_and_tested(name, method):
    parts = GENERATE["parsed"](type(method), GENERATE["METHOD_PARTS"])
    assert parts.keys() == {"sentence", "equation", *GENERATE["METHOD_PARTS"]}
    assert all(parts[part] for part in ("sentence", *GENERATE["METHOD_PARTS"]))
    assert all(field.metadata["help"] for field in dataclasses.fields(method))
    assert len(list(GENERATE["tests_with"](name, type(method).__name__))) >= 1
