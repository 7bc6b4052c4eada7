"""Writes docs/rules.md and docs/methods.md, and tables of other pages of docs/: `python docs/generate.py`.

They come from composites, methods, docstrings, the declared fields of Explanation, and the protocols of evaluate.
"""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow

from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.methods.plain import PlainMethod
from autorel_jax.corpus.columns import COLUMNS, FILE, arrow_types
from autorel_jax.faithfulness.protocols import PROTOCOLS
from autorel_jax.lrp.composites import COMPOSITES, MULTIPLIER, OPS, RULES, defaults_of
from autorel_jax.report.explanation import IN_FILES
from autorel_jax.report.fields import ID
from autorel_jax.report.readout_shapes import SHAPES
from autorel_jax.report.saved import MADE_BY

ROOT = Path(__file__).parents[1]
PAGE, METHODS_PAGE = ROOT / "docs" / "rules.md", ROOT / "docs" / "methods.md"
OUTPUT_PAGE, LEDGER_PAGE = ROOT / "docs" / "output.md", ROOT / "docs" / "ledger.md"
EVALUATION_PAGE = ROOT / "docs" / "evaluation.md"
PARTS = ("Shapes", "Source", "Conserves", "Default")
METHOD_PARTS = ("Answers", "Scores", "Cost", "Source")
HEAD = """# Rules and composites
Written by `python docs/generate.py` from the docstrings in `autorel_jax/lrp/`; edit those. A test keeps it up to date.

A rule has the forward value of its op and another backward. R is relevance, a an activation, and c = R / a the \
multiplier that flows backwards. B is batch, T and S tokens, D model width, H heads, K head width, F feed-forward \
width. `plain` is the op's own backward: for `linear` this is LRP-0, for `softmax` AttnLRP's rule, for `add` the split \
by contribution. `position_product` and `position_bias` are in families whose attention scores know distances: \
`plain` gives all relevance of a product to its token, and the share of a bias to the ledger. `gate` is in \
ModernBERT. The turn of rotary positions and the mean over tokens are linear maps whose coefficients are constants: \
they have no other rule than their gradient, and keep all relevance (`tests/test_modernbert.py`).
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
base = "attnlrp"  # everything that is not set below is taken from it

[ops]
add = "ratio"                           # op = rule
linear = {rule = "gamma", gamma = 0.1}  # with parameters: a number, or a list of one for each layer
```
`--epsilon`, `--gamma` and `--alpha` set parameters of either, `--set NAME=VALUE` any; \
in Python `explain(..., parameters={"gamma": 0.1})`. \
Parts outside the layers use the value of the nearest layer: the embeddings the first layer's, pooler and classifier \
the last one's. A rule fits a base that carries the same thing backwards: multipliers, or (`bert_lrp`) relevance itself.
"""


METHODS_HEAD = """# Other methods
Written by `python docs/generate.py` from the docstrings in `autorel_jax/attribution/methods/`; edit \
those. A test keeps it up to date.

These methods are not composites of rules. They are called like one, `--method NAME` or \
`explain(..., method="NAME")`, and return the same Explanation. `--set samples=100` (repeat it), or \
`parameters={"samples": 100}`, sets a parameter. `diagnostics` holds what a method measures of itself; `warnings` say \
what to know before reading its scores.

What a method draws at random depends on its seed and on the text alone: not on the batch, the padding, or the place \
in a file. A cost is that of one target in forward passes, a gradient counting as two; \
[benchmarks/RESULTS.md](../benchmarks/RESULTS.md) has it as measured. Composites, gradient x input among them, are in \
[rules.md](rules.md).
"""


def main() -> None:
    """Writes the pages."""
    PAGE.write_text(page(), encoding="utf-8")
    METHODS_PAGE.write_text(methods_page(), encoding="utf-8")
    OUTPUT_PAGE.write_text(output_page(), encoding="utf-8")
    LEDGER_PAGE.write_text(ledger_page(), encoding="utf-8")
    EVALUATION_PAGE.write_text(evaluation_page(), encoding="utf-8")


def output_page() -> str:
    """The text of docs/output.md, its tables of fields and columns written anew."""
    text = OUTPUT_PAGE.read_text("utf-8")
    return with_table(with_table(text, "fields", fields_table()), "columns", columns_table())


def ledger_page() -> str:
    """The text of docs/ledger.md, its table of read-outs written anew."""
    return with_table(LEDGER_PAGE.read_text("utf-8"), "read-outs", readouts_table())


def evaluation_page() -> str:
    """The text of docs/evaluation.md, its table of protocols written anew."""
    return with_table(EVALUATION_PAGE.read_text("utf-8"), "protocols", protocols_table())


def protocols_table() -> str:
    """The protocols and their measures."""
    rows = ["| protocol | measure | better | what it is |", "|---|---|---|---|"]
    for name, protocol in PROTOCOLS.items():
        cheap = "" if protocol.cheap else " Not among the cheap ones."
        labels = " Needs labels." if protocol.needs_labels else ""
        rows.append(f"| **{name}** | | | {protocol.about}.{labels}{cheap} |")
        rows += [f"| | `{one.name}` | {one.better} | {one.meaning} |" for one in protocol.measures]
    return "\n".join(rows)


def with_table(text: str, name: str, table: str) -> str:
    """A page with the table between the markers of that name."""
    begin, end = rf"(<!-- {name}: written by docs/generate.py from [^>]*-->\n)", r"(<!-- end -->)"
    page, count = re.subn(begin + ".*?" + end, lambda found: found[1] + table + "\n" + found[2], text, flags=re.DOTALL)
    assert count == 1, f"{name}: {count} pairs of markers"
    return page


def fields_table() -> str:
    """The fields of a line of .jsonl."""
    rows = [f"| `{field.name}` | {field.json_type} | {field.meaning} |" for field in IN_FILES]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


NO_FIELD = {
    FILE: "the input file, if there are several",
    MADE_BY: "the method, and a digest of model, parameters and rules: the same in all rows",
}


def columns_table() -> str:
    """The columns of .parquet; what one means is said of the field that it holds."""
    types, fields = arrow_types(numbered=True), {field.column: field for field in IN_FILES}
    rows = ["| column | type | field of .jsonl |", "|---|---|---|"]
    for name, column in COLUMNS.items():
        more = "; string with an id column" if column.kind == ID else ""
        held = NO_FIELD[name] if name in NO_FIELD else f"`{fields[name].name}`"
        rows.append(f"| `{name}` | {described(types[column.kind])}{more} | {held} |")
    return "\n".join(rows)


def described(arrow_type: pyarrow.DataType) -> str:
    """An Arrow type in words."""
    if pyarrow.types.is_list(arrow_type):
        return f"list of {described(arrow_type.value_type)}"
    if pyarrow.types.is_struct(arrow_type):
        return f"struct ({', '.join(f'`{field.name}`: {described(field.type)}' for field in arrow_type)})"
    return str(arrow_type)


def readouts_table() -> str:
    """The read-outs with the shapes of their arrays."""
    rows = [f"| `{name}` | [{', '.join(shape.axes)}] | {shape.meaning} |" for name, shape in SHAPES.items()]
    return "\n".join(["| name | shape | relevance of |", "|---|---|---|", *rows])


def methods_page() -> str:
    """The text of docs/methods.md."""
    rows = ["| method | what it answers | cost in forward passes |", "|---|---|---|"]
    for name, method in METHODS.items():
        parts = parsed(type(method), METHOD_PARTS)
        rows.append(f"| [`{name}`](#{name}) | {parts['Answers']} | {parts['Cost']} |")
    sections = [method_section(name, method) for name, method in METHODS.items()]
    return "\n".join(part.rstrip("\n") + "\n" for part in (METHODS_HEAD, "\n".join(rows), *sections))


def method_section(name: str, method: PlainMethod) -> str:
    """A method: what it does, its equation, the parts of its docstring, its parameters, its tests."""
    parts = parsed(type(method), METHOD_PARTS)
    facts = [f"- {part}: {parts[part]}" for part in METHOD_PARTS]
    facts.append(f"- Read at: {', '.join(f'`{point}`' for point in method.reads)}")
    if method.diagnostics:
        facts.append(f"- Diagnostics: {', '.join(f'`{measured}`' for measured in method.diagnostics)}")
    files: dict[str, list[str]] = {}
    for file, test in tests_with(name, type(method).__name__):
        files.setdefault(file, []).append(f"`{test}`")
    tests = (f"{', '.join(names)} ({file})" for file, names in files.items())
    facts.append(f"- Tests: {'; '.join(tests)}")
    about = [text for text in (parts["sentence"], parts["equation"]) if text]
    return "\n\n".join([f"## `{name}`", *about, "\n".join(facts), *parameters_table(method)])


def parameters_table(method: PlainMethod) -> Iterator[str]:
    """The parameters of a method with defaults, what they accept and mean; nothing where it has none."""
    fields = dataclasses.fields(method)
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
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                code = "\n".join(map(ast.unparse, [*node.decorator_list, *node.body]))
                if re.search(rf"\b{kind}\b|'{name}'", code):
                    yield file.name, node.name


def page() -> str:
    """The text of docs/rules.md."""
    parts = [HEAD, "## Which rule for which op", composites_table(), OWN]
    for boundary, title in zip(RULES, ("Rules", "Rules of the original BERT_LRP"), strict=True):
        parts.append(f"## {title}")
        parts.append("They carry the multiplier." if boundary is MULTIPLIER else "They carry relevance itself.")
        parts += [section(op, rule) for op, rules in RULES[boundary].items() for rule in rules]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def composites_table() -> str:
    """Composites by name, each with the rules that it puts in place of plain ones."""
    rows = ["| composite | " + " | ".join(f"`{op}`" for op in OPS) + " | parameters |", "|---" * (len(OPS) + 2) + "|"]
    for name, composite in COMPOSITES.items():
        rules = ("–" if rule == "plain" else f"`{rule}`" for rule in composite.rules.values())
        values = ", ".join(f"{key} = {value:g}" for key, value in composite.record().items()) or "–"
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
    """A docstring by parts: the sentence, the equation with the text around it, and the parts of those names."""
    sentence, _, rest = inspect.cleandoc(rule.__doc__).partition("\n")
    equation, *rest = re.split(rf"^({'|'.join(names)}): ", rest, flags=re.MULTILINE)
    parts = {"sentence": sentence, "equation": "\n\n".join(paragraphs(equation))}
    return parts | {part: " ".join(text.split()) for part, text in zip(rest[::2], rest[1::2], strict=True)}


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
