"""Writes docs/rules.md from the composites and from the docstrings of the rules: `python docs/generate.py`."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from autorel_jax.lrp.composites import COMPOSITES, MULTIPLIER, OPS, RULES, defaults_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rules.md"
PARTS = ("Shapes", "Source", "Conserves", "Default")
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
`--epsilon`, `--gamma` and `--alpha` set parameters of either; in Python `explain(..., parameters={"gamma": 0.1})`. \
What stands outside the layers takes the value of the nearest: the embeddings the first layer's, pooler and classifier \
the last one's. A rule can be named on a base that carries what the rule does, multipliers or (`bert_lrp`) relevance \
itself.
"""


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


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


def parsed(rule: Callable) -> dict[str, str]:
    """A rule's docstring by parts: the sentence, the equation with what stands around it, and PARTS."""
    sentence, _, rest = inspect.cleandoc(rule.__doc__).partition("\n")
    equation, *rest = re.split(rf"^({'|'.join(PARTS)}): ", rest, flags=re.MULTILINE)
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
