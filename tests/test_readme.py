"""README.md: its Python runs, its commands parse, its links lead somewhere, and CI finds the marked commands."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from autorel_jax.cli import convert, evaluate, explain, export, train

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "python explain.py": explain,
    "autorel explain": explain,
    "autorel convert": convert,
    "autorel evaluate": evaluate,
    "autorel export": export,
    "python train.py": train,
    "srun python train.py": train,
}
MODULES = set(PROGRAMS.values())


def fences(language):
    return [code for found, code in FENCE.findall(README.read_text("utf-8")) if found == language]


def commands():
    """(module of the command, its arguments) for every line that starts one of ours."""
    for line in re.split(r"\n|&&", "".join(fences(""))):
        for start, module in PROGRAMS.items():
            if line.strip().startswith(f"{start} "):
                yield module, shlex.split(line.strip().removeprefix(start), comments=True)


def test_its_python_runs(capsys, tmp_path, monkeypatch):
    """Each fence as it stands, after those before it."""
    monkeypatch.chdir(tmp_path)  # one saves a file
    names, codes = {}, fences("python")
    for number, code in enumerate(codes, start=1):
        exec(compile(code, f"README.md, Python {number}", "exec"), names)
    assert len(codes) == 3
    assert "gorgeous" in capsys.readouterr().out
    assert (tmp_path / "scores.parquet").is_file()
    assert names["relevance"].shape == names["embeddings"].shape
    assert np.isfinite(names["relevance"]).all()


def test_its_commands_parse():
    found = list(commands())
    assert len(found) >= 6
    assert {module for module, _ in found} == MODULES
    for module, arguments in found:
        module.parser().parse_args(arguments)


def test_its_flags_exist():
    known = {flag for module in MODULES for flag in module.parser()._option_string_actions}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README.read_text("utf-8"))) <= known


def slug(heading):
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)\s]+)\)", README.read_text("utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert local
    for link in local:
        path, _, anchor = link.partition("#")
        file = ROOT / path if path else README
        assert file.exists(), link
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.*)", file.read_text("utf-8"), re.MULTILINE)), link


@pytest.mark.parametrize(("marker", "command"), [("the main job", "python explain.py "), ("the tests", "pytest")])
def test_ci_finds_its_marked_commands(marker, command):
    """With the awk program of .ci/run."""
    program = re.search(r"awk -v marker=.*? '([^']+)'", (ROOT / ".ci" / "run").read_text("utf-8"))[1]
    awk = ["awk", "-v", f"marker=<!-- {marker} -->", program, README]
    found = subprocess.run(awk, capture_output=True, text=True, check=True).stdout
    assert found in fences("")
    assert found.startswith("pip install ")
    assert command in found
    assert found.count("\n") == 1
