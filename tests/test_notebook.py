"""notebooks/quickstart.ipynb: committed without outputs, runs as it stands, and shows coloured words."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_committed_without_outputs(notebook):
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))


def test_it_runs_and_shows_coloured_words(notebook, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling is most of the time
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()  # raises what a cell raises
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    shown = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(shown) == 3
    assert all("background:rgba(213,94,0,0.6)" in html or "background:rgba(0,114,178,0.6)" in html for html in shown)
    assert any("explained, of the logit" in output.get("text", "") for output in outputs)
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
