"""The device that a command computes on, and what it keeps: compiled programs between runs, memory between calls."""

import os
import platform
import subprocess
import sys

import jax
import jaxlib
import pytest
from models import refusal

from autorel_jax.cli.device import doubts_of_dtype, limit_threads
from autorel_jax.cli.main import main as call

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


THREADS = """
import os, sys
from pathlib import Path
import jax
from autorel_jax.cli.device import limit_threads
limit_threads(int(sys.argv[1]))
x = jax.numpy.ones((300, 300))
(x @ x).block_until_ready()
names = [(task / "comm").read_text().rstrip("0123456789\\n") for task in Path("/proc/self/task").iterdir()]
print(names.count("tf_XLAEigen"), os.environ["RAYON_NUM_THREADS"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core, which is used anyway")
def test_threads_that_compute():
    """XLA's pool is as large as was asked for."""
    found = [subprocess.check_output([sys.executable, "-c", THREADS, str(count)], text=True) for count in (1, 2)]
    assert found == ["1 1\n", "2 2\n"]


@pytest.mark.parametrize("count", [0, -1, 10**6])
def test_threads_that_there_are_not(count):
    cores = len(os.sched_getaffinity(0))
    assert refusal(limit_threads, count) == (
        f"--threads {count}: expected 1 to {cores}, the cores that this process may use."
    )


def test_threads_once_jax_computes(monkeypatch):
    """It would be accepted and do nothing."""
    jax.devices()
    monkeypatch.setenv("NPROC", "")
    assert refusal(limit_threads, 1).startswith("--threads is for a process of the command's own: JAX computes in this")
    assert os.environ["NPROC"] == ""
    limit_threads(None)


@pytest.mark.parametrize(
    ("dtype", "flags", "doubted"),
    [
        ("bfloat16", "flags\t\t: fpu avx2 avx512f", True),
        ("bfloat16", "flags\t\t: fpu avx512f avx512_bf16", False),
        ("bfloat16", "flags\t\t: fpu amx_bf16 amx_tile", False),
        ("bfloat16", "Features\t: fp asimd", True),
        ("bfloat16", "Features\t: fp asimd bf16", False),
        ("bfloat16", "model name\t: unknown", False),  # nothing is said where nothing is known
        ("float32", "flags\t\t: fpu avx2", False),
    ],
)
def test_doubts_of_bfloat16(tmp_path, dtype, flags, doubted):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    said = doubts_of_dtype(dtype, tmp_path / "cpuinfo")
    assert ["no instructions for it" in line for line in said] == [True] * doubted
    assert doubts_of_dtype(dtype, tmp_path / "absent") == []


@pytest.mark.parametrize("command", ["explain a", "evaluate {data}", "train --config {config}"])
def test_commands_take_threads(command, tmp_path, capsys):
    data, config = tmp_path / "data.csv", tmp_path / "task.toml"
    data.write_text("text,label\ngood,a\n")
    config.write_text('model = "none"\noutput = "run"\n[task]\ntrain = "data.csv"\nlabels = ["a", "b"]\n')
    assert call([*command.format(data=data, config=config).split(), "--threads", "0"]) == 2
    assert "--threads 0: expected 1 to " in capsys.readouterr().err


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


FAULTS = """
import resource, sys
import jax, autorel_jax.cli.explain
from autorel_jax.cli.memory import keep_freed_memory
assert "jax" in sys.modules
if sys.argv[1] == "keep":
    keep_freed_memory()
import numpy as np, jax
double = jax.jit(lambda x: 2 * x)
x = np.ones((16, 2**20), np.float32)
for turn in range(16):
    if turn == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    double(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="keep_freed_memory is for Linux with glibc")
def test_freed_memory_is_used_again():
    """Page faults of eight calls, each of which allocates 64 MiB, twice the largest array that glibc keeps itself.

    As in a command, JAX and NumPy are imported before.
    """
    faults = {}
    for word in ("keep", "plain"):
        command = [sys.executable, "-c", FAULTS, word]
        faults[word] = int(subprocess.check_output(command, text=True))
    assert faults["keep"] < faults["plain"] / 2
