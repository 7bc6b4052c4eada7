"""autorel: one command for all; what it lists, what it calls, what it refuses, and what it does not import."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autorel_jax
from autorel_jax.cli import (
    check,
    convert,
    diff,
    evaluate,
    explain,
    export,
    plant,
    rank,
    record,
    report,
    shortcuts,
    similar,
    train,
    verify,
)
from autorel_jax.cli.main import COMMANDS, main


def module(*words, **options):
    """`python -m autorel_jax`: the finished process."""
    command = [sys.executable, "-m", "autorel_jax", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def refused(capsys, *words):
    """The one line with which the command refuses its arguments."""
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.rstrip("\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_lists_each_command_in_a_line(capsys, flag):
    assert main([flag]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    for name, (_, does) in COMMANDS.items():
        assert [name, does] in lines


def test_each_command_has_its_module():
    assert list(COMMANDS) == [
        "explain",
        "rank",
        "similar",
        "report",
        "evaluate",
        "plant",
        "check",
        "shortcuts",
        "record",
        "verify",
        "diff",
        "train",
        "convert",
        "export",
    ]
    found = [importlib.import_module(module) for module, _ in COMMANDS.values()]
    assert found == [
        explain,
        rank,
        similar,
        report,
        evaluate,
        plant,
        check,
        shortcuts,
        record,
        verify,
        diff,
        train,
        convert,
        export,
    ]


def test_without_a_command_it_prints_the_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "explain" in err
    assert err.startswith("usage: autorel COMMAND")


def test_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"autorel {autorel_jax.__version__}\n"


AVAILABLE = f"available: {', '.join(COMMANDS)}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("explian", f"unknown command 'explian'; {AVAILABLE}. Did you mean explain?"),
        ("Convert", f"unknown command 'Convert'; {AVAILABLE}. Did you mean convert?"),
        ("measure", f"unknown command 'measure'; {AVAILABLE}."),
        ("replay", f"unknown command 'replay'; {AVAILABLE}."),
        ("a\nb", f"unknown command 'a'; {AVAILABLE}."),
        ("", f"unknown command ''; {AVAILABLE}."),
        ("--verson", "unknown option '--verson'; available: --help, --version, or a command:"),
    ],
)
def test_an_unknown_word_is_refused_in_one_line(capsys, word, said):
    assert refused(capsys, word).startswith(f"autorel: error: {said}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_speaks_under_the_name_it_was_called_by(capsys, name):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: autorel {name} ")
    assert f"  autorel {name} " in shown  # an example
    assert f"autorel-{name}" not in shown
    assert refused(capsys, name, "--frobnicate").startswith(f"autorel {name}: error: ")
    assert importlib.import_module(COMMANDS[name][0]).main(["--frobnicate"]) == 2
    assert capsys.readouterr().err.startswith(f"autorel-{name}: error: ")


def test_an_explanation(model_folder):
    done = module("explain", "a good film", "--model", model_folder)
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout
    assert done.stderr.startswith("autorel explain: ")


def imported_by(*words):
    """The modules that a fresh interpreter has after the command."""
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules))\n"
    script += "from autorel_jax.cli.main import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


ALONE = ("cli", "cli.start", "cli.main", "cli.command", "cli.memory", "errors", "foreign")


def test_the_help_imports_no_command():
    modules = imported_by("--help")
    assert not modules & {"jax", "numpy", "flax", "pyarrow"}
    ours = {name for name in modules if name.startswith("autorel_jax.")}
    assert ours == {f"autorel_jax.{name}" for name in ALONE}


def test_a_command_imports_no_other():
    modules = imported_by("convert", "--help")
    assert "autorel_jax.cli.convert" in modules
    assert not modules & {"jax", *(f"autorel_jax.cli.{name}" for name in ("explain", "report", "train", "export"))}


def test_the_module_is_the_same_command():
    done = module("--version")
    assert (done.returncode, done.stdout) == (0, f"autorel {autorel_jax.__version__}\n")
    done = module("explian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("autorel: error: unknown command 'explian'")


def test_the_installed_script(tmp_path):
    """As pip makes it; only where the package is installed with it."""
    script = Path(sys.executable).with_name("autorel")
    if not script.exists():
        pytest.skip("the script autorel is not installed beside Python: pip install .")
    source = {**os.environ, "PYTHONPATH": str(Path(autorel_jax.__file__).parents[1])}
    for words, code in ((["--version"], 0), ([], 2), (["explian"], 2), (["convert", "--frobnicate"], 2)):
        done = subprocess.run([script, *words], capture_output=True, text=True, check=False, env=source, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_full_disk_behind_standard_output():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full on this system")
    with full.open("w") as stdout:
        command = [sys.executable, "-m", "autorel_jax", "--help"]
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "autorel: error: [Errno 28] No space left on device\n")
