"""docs/hooks.py: notebooks become pages with what they show, and links that leave docs/ lead to copies."""

import runpy
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
ROOT = Path(__file__).parents[1]
HOOKS = runpy.run_path(str(ROOT / "docs" / "hooks.py"))


def test_links_lead_to_where_their_files_are():
    text = "[a](rules.md#ratio) [b](../CONTRIBUTING.md#suites) [c](../notebooks/vjp.ipynb) [d](https://x.org) [e](#f)"
    assert HOOKS["relinked"](text, "docs/index.md") == (
        "[a](rules.md#ratio) [b](files/CONTRIBUTING.md#suites) [c](notebooks/vjp.md) [d](https://x.org) [e](#f)"
    )
    assert HOOKS["relinked"]("[a](docs/rules.md), [b](tests/golden)", "CONTRIBUTING.md") == "[a](../rules.md), b"


def test_a_notebook_is_a_page_with_its_output():
    data = {"text/html": "<div>\n  <b>good</b>\n</div>", "text/plain": "Explanation"}
    outputs = [
        nbformat.v4.new_output("stream", text="said\n"),
        nbformat.v4.new_output("execute_result", data=data),
        nbformat.v4.new_output("display_data", data={"image/png": "QUJD\n", "text/plain": "<Figure>"}),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("1 + 1", outputs=outputs)]
    assert list(HOOKS["cells"](nbformat.v4.new_notebook(cells=cells))) == [
        "# Title",
        "```python\n1 + 1\n```",
        "```text\nsaid\n```",
        "<div><b>good</b></div>",
        '<img alt="" src="data:image/png;base64,QUJD">',
    ]
