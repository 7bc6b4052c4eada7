"""notebooks/: committed without outputs, run as they stand, and show what they are about."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from masked_models import write_masked
from models import write_model
from nbclient import NotebookClient
from token_models import write_answerer, write_tagger

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_six():
    assert NAMES == ["corpus", "lrp_visualize", "own_rule", "quickstart", "tasks", "vjp"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_committed_without_outputs(name):
    notebook = read(name)
    assert notebook.cells[0].source.startswith("# ")
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))


def test_the_first_one_explains_in_five_lines():
    lines = [line for line in code(read("quickstart"))[0].source.splitlines() if line]
    assert len(lines) == 5
    assert lines[-1] == "explanations"


@pytest.fixture
def shown(monkeypatch):
    """Executes a notebook; its outputs. What a cell raises is raised."""
    for library in ("matplotlib", "pandas"):
        pytest.importorskip(library)
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling is most of the time
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))

    def execute(name):
        notebook = read(name)
        NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
        outputs = [output for cell in code(notebook) for output in cell.outputs]
        assert not [output.text for output in outputs if output.get("name") == "stderr"]
        return outputs

    return execute


def of_kind(outputs, kind):
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def printed(outputs):
    return "".join(output.get("text", "") for output in outputs)


STRONGEST = ("background:rgba(213,94,0,0.6)", "background:rgba(0,114,178,0.6)")


def test_a_sentence(shown):
    outputs = shown("quickstart")
    html = of_kind(outputs, "text/html")
    assert [any(colour in one for colour in STRONGEST) for one in html] == [True, True, True, False]  # last, a table
    assert "<table" in html[-1]
    assert len(of_kind(outputs, "image/png")) == 1
    assert "explained, of the logit" in printed(outputs)


@pytest.mark.slow
def test_a_corpus(shown):
    outputs = shown("corpus")
    assert re.search(r"accuracy [78]\d%", printed(outputs))
    table, errors = of_kind(outputs, "text/html")
    assert "phone book" in table
    assert "phone" in errors
    assert any("'positive': ['wonderful', 'superb'" in text for text in of_kind(outputs, "text/plain"))


@pytest.mark.slow
def test_the_vjp(shown):
    assert len(shown("vjp")) == 4


@pytest.mark.slow
def test_a_rule_of_ones_own(shown):
    outputs = shown("own_rule")
    assert printed(outputs).count("sums absorb") == 2
    assert len(of_kind(outputs, "text/html")) == 1


@pytest.mark.slow
def test_the_notebook_of_the_original(shown):
    outputs = shown("lrp_visualize")
    assert len(of_kind(outputs, "image/png")) == 5
    assert printed(outputs).count("20 of 20 right") == 2


@pytest.mark.slow
def test_other_tasks(tmp_path, monkeypatch):
    """With tiny models in place of those that it names."""
    write_tagger(tmp_path / "tagger")
    write_answerer(tmp_path / "reader")
    write_model(tmp_path / "reranker", labels=("LABEL_0",))
    write_model(tmp_path / "nli", labels=("contradiction", "neutral", "entailment"))
    write_masked(tmp_path / "filler")
    for name in ("tagger", "reader", "reranker", "nli", "filler"):
        monkeypatch.setenv(name.upper(), str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    notebook = read("tasks")
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    shown = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(shown) == 6
    assert "higher than B" in shown[3]
    assert "fillings" in shown[5]
    assert "New York" in shown[1]
