"""Writes docs/rules.md and docs/methods.md from composites, methods and docstrings: `python docs/generate.py`."""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from autorel_jax.attribution.methods.method import Method

from autorel_jax.attribution.methods import METHODS
from autorel_jax.lrp.composites import COMPOSITES, MULTIPLIER, OPS, RULES, defaults_of

ROOT = Path(__file__).parents[1]
PAGE, METHODS_PAGE = ROOT / "docs" / "rules.md", ROOT / "docs" / "methods.md"
PARTS = ("Shapes", "Source", "Conserves", "Default")
METHOD_PARTS = ("Answers", "Scores", "Cost", "Source")
HEAD = """# Rules and composites
Written by `python docs/generate.py` from the docstrings in `autorel_jax/lrp/`; edit those. A test keeps it up to date.

A rule has the forward value of its op and another backward. R is relevance, a an activation, c = R / a the multiplier \
that flows backwards; B batch, T and S tokens, D model width, H heads, K head width, F feed-forward width. `plain` is \
the op's own backward: for `linear` this is LRP-0, for `softmax` AttnLRP's rule, for `add` the split by contribution.
"""
OWN = """## A composite of your own
In Python; `explain` takes it as `method`, and `ar.register(mine)` gives it a name for the rest of the program:
```python
import autorel_jax as ar
from autorel_jax.lrp import linear, rules

mine = ar.COMPOSITES["attnlrp"].derive("robust", linear=linear.gamma, add=rules.ratio).set(gamma=0.1)
print(mine)
```
In a file, for `autorel-explain --composite-file robust.toml`:
```toml
name = "robust"   # for reports
base = "attnlrp"  # what is not said below is as there

[ops]
add = "ratio"                           # op = rule
linear = {rule = "gamma", gamma = 0.1}  # with parameters: a number, or a list of one for each layer
```
`--epsilon`, `--gamma` and `--alpha` set parameters of either, `--set NAME=VALUE` any; \
in Python `explain(..., parameters={"gamma": 0.1})`. \
What stands outside the layers takes the value of the nearest: the embeddings the first layer's, pooler and classifier \
the last one's. A rule can be named on a base that carries what the rule does, multipliers or (`bert_lrp`) relevance \
itself.
"""


METHODS_HEAD = """# Methods that are no composites
Written by `python docs/generate.py` from the docstrings in `autorel_jax/methods/`; edit those. A test keeps it up to \
date.

All of them are called as a composite is, `--method NAME` or `explain(..., method="NAME")`, and return the same \
Explanation. `--set samples=100` (repeat it), or `parameters={"samples": 100}`, sets a parameter. What a method \
measures of itself stands in `diagnostics`; what to know of its scores before reading them, in `warnings`.

What a method draws at random depends on its seed and on the text alone: not on the batch, the padding, or the place \
in a file. A cost is that of one target in forward passes, a gradient counting as two; \
[benchmarks/RESULTS.md](../benchmarks/RESULTS.md) has it as measured. Composites, gradient x input among them, are in \
[rules.md](rules.md).
"""


def main() -> None:
    """Writes the pages."""
    PAGE.write_text(page(), encoding="utf-8")
    METHODS_PAGE.write_text(methods_page(), encoding="utf-8")


def methods_page() -> str:
    """The text of docs/methods.md."""
    rows = ["| method | what it answers | cost in forward passes |", "|---|---|---|"]
    for name, made in METHODS.items():
        parts = parsed(type(made), METHOD_PARTS)
        rows.append(f"| [`{name}`](#{name}) | {parts['Answers']} | {parts['Cost']} |")
    sections = [method_section(name, made) for name, made in METHODS.items()]
    return "\n".join(part.rstrip("\n") + "\n" for part in (METHODS_HEAD, "\n".join(rows), *sections))


def method_section(name: str, made: Method) -> str:
    """A method: what it does, its equation, the parts of its docstring, its parameters, its tests."""
    parts = parsed(type(made), METHOD_PARTS)
    facts = [f"- {part}: {parts[part]}" for part in METHOD_PARTS]
    facts.append(f"- Read at: {', '.join(f'`{point}`' for point in made.reads)}")
    if made.diagnostics:
        facts.append(f"- Diagnostics: {', '.join(f'`{found}`' for found in made.diagnostics)}")
    files: dict[str, list[str]] = {}
    for file, test in tests_with(name, type(made).__name__):
        files.setdefault(file, []).append(f"`{test}`")
    tests = (f"{', '.join(found)} ({file})" for file, found in files.items())
    facts.append(f"- Tests: {'; '.join(tests)}")
    about = [text for text in (parts["sentence"], parts["equation"]) if text]
    return "\n\n".join([f"## `{name}`", *about, "\n".join(facts), *parameters_table(made)])


def parameters_table(made: Method) -> Iterator[str]:
    """The parameters of a method with defaults, what they accept and mean; nothing where it has none."""
    fields = dataclasses.fields(made)
    if fields:
        rows = ["| parameter | default | accepted | meaning |", "|---|---|---|---|"]
        for field in fields:
            about = field.metadata
            rows.append(f"| `{field.name}` | {field.default} | {about['accepts']} | {about['help']} |")
        yield "\n".join(rows)


def tests_with(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """(file, test) for each test whose code names the method or its class; others test every method."""
    for file in sorted((ROOT / "tests").glob("test_*methods.py")):
        text = file.read_text("utf-8")
        for found in ast.parse(text).body:
            if isinstance(found, ast.FunctionDef) and found.name.startswith("test_"):
                code = "\n".join(map(ast.unparse, [*found.decorator_list, *found.body]))
                if re.search(rf"\b{kind}\b|'{name}'", code):
                    yield file.name, found.name


def page() -> str:
    """The text of docs/rules.md."""
    parts = [HEAD, "## Which rule for which op", composites_table(), OWN]
    for boundary, title in zip(RULES, ("Rules", "Rules of the original BERT_LRP"), strict=True):
        parts.append(f"## {title}")
        parts.append("They carry the multiplier." if boundary is MULTIPLIER else "They carry relevance itself.")
        parts += [section(op, rule) for op, found in RULES[boundary].items() for rule in found]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def composites_table() -> str:
    """Composites by name, each with the rules that it puts in place of plain ones."""
    rows = ["| composite | " + " | ".join(f"`{op}`" for op in OPS) + " | parameters |", "|---" * (len(OPS) + 2) + "|"]
    for name, made in COMPOSITES.items():
        rules = ("–" if rule == "plain" else f"`{rule}`" for rule in made.rules.values())
        values = ", ".join(f"{key} = {value:g}" for key, value in made.record().items()) or "–"
        rows.append(f"| `{name}` | {' | '.join(rules)} | {values} |")
    return "\n".join(rows)


def section(op: str, rule: Callable) -> str:
    """A rule: what it does, its equation, the five parts of its docstring, its tests."""
    name = rule.__name__
    parts = parsed(rule)
    given = ", ".join(f"{key} = {value:g}" for key, value in defaults_of(op, rule).items())
    facts = [f"- {part}: {parts[part]}" for part in PARTS if part in parts]
    tests = ", ".join(f"`{test}` ({file})" for file, test in tests_of(name))
    head = f"### `{op}`: `{name}`" + (f" ({given})" if given else "")
    return "\n".join([head, parts["sentence"], "", parts["equation"], "", *facts, f"- Tests: {tests}"])


def parsed(rule: Callable, names: tuple[str, ...] = PARTS) -> dict[str, str]:
    """A docstring by parts: the sentence, the equation with what stands around it, and the parts of those names."""
    sentence, _, rest = inspect.cleandoc(rule.__doc__).partition("\n")
    equation, *rest = re.split(rf"^({'|'.join(names)}): ", rest, flags=re.MULTILINE)
    found = {"sentence": sentence, "equation": "\n\n".join(paragraphs(equation))}
    return found | {part: " ".join(text.split()) for part, text in zip(rest[::2], rest[1::2], strict=True)}


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs as Markdown: indented ones as code."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if paragraph.startswith(" "):
            yield f"```\n{textwrap.dedent(paragraph).rstrip()}\n```"
        elif paragraph.strip():
            yield " ".join(paragraph.split())


def tests_of(name: str) -> Iterator[tuple[str, str]]:
    """(file, test) for each test that is named after the rule, and the file where it meets its oracle."""
    for file in sorted((ROOT / "tests").glob("test_*rules.py")):
        for test in re.findall(rf"^def (test_{name}_\w+)", file.read_text("utf-8"), re.MULTILINE):
            yield file.name, test
    if re.search(rf"^def {name}\(", (ROOT / "tests" / "oracles.py").read_text("utf-8"), re.MULTILINE):
        yield "test_rules.py", "test_oracle"


if __name__ == "__main__":
    main()
