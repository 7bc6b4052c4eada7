"""The device that the train command is told to use, and the folder that keeps compiled programs."""

import os
import subprocess
import sys

import jaxlib
import pytest

SCRIPT = """
import warnings
warnings.simplefilter("error")
import jax
from autorel_jax.cli.device import keep_compiled_programs
keep_compiled_programs()
print(jax.jit(lambda x: 2 * x)(21))
"""


PLACE = """
import jax
from autorel_jax.cli.train import place
print(place({}), place({"device": "cpu", "devices": 2}), place({"device": "cpu:2"}), jax.numpy.zeros(1).devices())
"""


def test_where_the_train_command_computes():
    """On all devices, the first two, or the one that is named; what is not told elsewhere lies there too."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "3"}
    done = subprocess.run([sys.executable, "-c", PLACE], capture_output=True, text=True, env=environment)
    cpu = [f"CpuDevice(id={i})" for i in range(3)]
    expected = f"[{', '.join(cpu)}] [{', '.join(cpu[:2])}] [{cpu[2]}] {{{cpu[2]}}}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def compiles(**changes):
    """Compiles something in a process of its own, whose environment names no folder but what `changes` say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"JAX_PLATFORMS": "cpu"} | {name: str(value) for name, value in changes.items()}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_programs_are_kept_in_the_users_cache(tmp_path):
    compiles(XDG_CACHE_HOME=tmp_path)
    folder = tmp_path / "autorel_jax" / f"jaxlib-{jaxlib.__version__}"
    kept = {file.name: file.stat().st_mtime_ns for file in folder.iterdir() if not file.name.endswith("-atime")}
    assert kept
    compiles(XDG_CACHE_HOME=tmp_path)
    again = {file.name: file.stat().st_mtime_ns for file in folder.iterdir() if not file.name.endswith("-atime")}
    assert again == kept


def test_jaxs_own_variable_comes_first(tmp_path):
    compiles(XDG_CACHE_HOME=tmp_path / "xdg", JAX_COMPILATION_CACHE_DIR=tmp_path / "jax")
    assert [path.name for path in tmp_path.iterdir()] == ["jax"]
    assert any((tmp_path / "jax").iterdir())


@pytest.mark.parametrize("home", ["file", "file/below", "denied"])
def test_a_folder_that_cannot_be_made_is_no_fault(tmp_path, home):
    """`compiles` asserts that nothing is said."""
    (tmp_path / "file").touch()
    (tmp_path / "denied").mkdir(mode=0o500)
    if home == "denied" and os.access(tmp_path / "denied", os.W_OK):
        pytest.skip("root may write everywhere")
    compiles(XDG_CACHE_HOME=tmp_path / home)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["denied", "file"]
