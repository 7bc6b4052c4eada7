"""README.md and the pages of docs/: their Python runs, their commands parse, their links lead somewhere.

Also the commands that CI takes from README. That of from_bert_lrp.md, evaluation.md, tasks.md runs elsewhere.
"""

import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from models import write_model

import autorel_jax as ar
from autorel_jax import classifier as loading
from autorel_jax.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {f"autorel {name}": importlib.import_module(module) for name, (module, _) in COMMANDS.items()}
for script in ("explain", "train"):
    PROGRAMS[f"python {script}.py"] = PROGRAMS[f"autorel {script}"]
PROGRAMS["srun python train.py"] = PROGRAMS["autorel train"]
MODULES = set(PROGRAMS.values())
WITH_PYTHON = {  # page -> how many fences it has
    "README.md": 1,
    "audit.md": 1,
    "concepts.md": 1,
    "howto.md": 4,
    "ledger.md": 1,
    "output.md": 5,
    "quickstart.md": 1,
    "rules.md": 1,
}


def fences(page, language):
    return [code for found, code in FENCE.findall(page.read_text("utf-8")) if found == language]


def commands(page):
    """(module of the command, its arguments) for every line that starts one of ours."""
    for line in re.split(r"\n|&&", "".join(fences(page, "")).replace("\\\n", " ")):
        for start, module in PROGRAMS.items():
            if line.strip().startswith(f"{start} "):
                yield module, shlex.split(line.strip().removeprefix(start), comments=True)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """What the pages take as given: files in a folder, and names. Every model is tiny."""
    folder = tmp_path_factory.mktemp("pages")
    write_model(folder / "sst2", labels=("negative", "positive"))
    (folder / "reviews").mkdir()
    (folder / "reviews" / "a.txt").write_text("a good film\n")
    classifier = ar.load(folder / "sst2")
    explanations = ar.explain(classifier, ["a good film", "dull and sad"])
    for name in ("base.parquet", "distilled.parquet", "out.jsonl", "out.csv"):
        explanations.save(folder / name)
    (folder / "reviews.csv").write_text("text,stars\na good film,positive\n")
    flags = [
        "--model",
        str(folder / "sst2"),
        "--target",
        "all",
        "--keep-columns",
        "stars",
        "--output",
        str(folder / "scores.parquet"),
    ]
    assert PROGRAMS["autorel explain"].main([str(folder / "reviews.csv"), *flags]) == 0
    return folder, {"ar": ar, "classifier": classifier, "explanations": explanations}


def test_every_page_with_python_is_known():
    found = {page.name: len(fences(page, "python")) for page in PAGES if fences(page, "python")}
    assert found == WITH_PYTHON | {"evaluation.md": 3, "from_bert_lrp.md": 4, "tasks.md": 6}


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_its_python_runs(page, named, tmp_path, capsys, monkeypatch):
    """Each fence as it stands, after those before it."""
    folder, names = named
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    names = {"pandas": pytest.importorskip("pandas"), **names}
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    tiny = loading.load
    monkeypatch.setattr(loading, "load", lambda path="sst2", **options: tiny(path, **options))  # the built-in one
    (path,) = [path for path in PAGES if path.name == page]
    for number, code in enumerate(fences(path, "python"), start=1):
        exec(compile(code, f"{page}, Python {number}", "exec"), names)
    if page == "howto.md":
        assert names["relevance"].shape == names["embeddings"].shape
        assert np.isfinite(names["relevance"]).all()
    if page == "README.md":
        assert "gorgeous" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_parse(page):
    for module, arguments in commands(page):
        module.parser().parse_args(arguments)


def test_there_are_commands_of_every_program():
    found = [command for page in PAGES for command in commands(page)]
    assert len(found) >= 25
    assert {module for module, _ in found} == MODULES


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/howto.md", "docs/reading.md"])
def test_its_flags_exist(page):
    known = {flag for module in MODULES for flag in module.parser()._option_string_actions}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", (ROOT / page).read_text("utf-8"))) <= known


def slug(heading):
    """GitHub's anchor of a heading, and that of docs/ as a site."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", page.read_text("utf-8")))
    for link in links:
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), link
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.*)", file.read_text("utf-8"), re.MULTILINE)), link


def test_the_site_has_every_page():
    """Else mkdocs refuses to build it."""
    listed = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    notebooks = [f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert sorted(listed) == sorted([path.name for path in PAGES[1:]] + notebooks)


def test_the_api_page_has_every_public_name():
    listed = re.findall(r"^::: (autorel_jax\.\S+)\.(\w+)$", (ROOT / "docs/api.md").read_text("utf-8"), re.MULTILINE)
    assert {(module, name) for name, module in ar.NAMES.items()} <= set(listed)


@pytest.mark.parametrize(("marker", "command"), [("the main job", "python explain.py "), ("the tests", "pytest")])
def test_ci_finds_its_marked_commands(marker, command):
    """With the awk program of .ci/run."""
    program = re.search(r"awk -v marker=.*? '([^']+)'", (ROOT / ".ci" / "run").read_text("utf-8"))[1]
    awk = ["awk", "-v", f"marker=<!-- {marker} -->", program, README]
    found = subprocess.run(awk, capture_output=True, text=True, check=True).stdout
    assert found in fences(README, "")
    assert found.startswith("pip install ")
    assert command in found
    assert found.count("\n") == 1
