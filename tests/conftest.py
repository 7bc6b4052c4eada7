"""What every test shares: a CPU, caches of its own, a tiny model, and the folder of real models where there is one."""

import os
import shutil
import signal
import tempfile
from importlib import metadata
from pathlib import Path
from unittest import mock

import pytest

if "PYTEST_XDIST_WORKER" not in os.environ:  # the controller; its workers and their subprocesses inherit all this
    # Most of the suite's time is XLA's: hundreds of small programs. Without LLVM's optimizations it takes less than
    # half, and half of that with its older code for fusions (XLA ends the process over a flag that it no longer knows).
    # XLA_FLAGS= before pytest runs what users run.
    older = " --xla_cpu_use_fusion_emitters=false" if metadata.version("jaxlib").startswith("0.10.") else ""
    os.environ.setdefault("XLA_FLAGS", f"--xla_backend_optimization_level=0{older}")
    SCRATCH = tempfile.mkdtemp(prefix="autorel-tests-")
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": f"{SCRATCH}/jax",  # so that each program is compiled once for all of them
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XDG_CACHE_HOME": f"{SCRATCH}/cache",
        "XDG_CONFIG_HOME": f"{SCRATCH}/config",  # chromium's
        "IPYTHONDIR": f"{SCRATCH}/ipython",  # the notebook's kernel writes its history there,
        "JUPYTER_DATA_DIR": f"{SCRATCH}/jupyter",  # its connection file there,
        "JUPYTER_CONFIG_DIR": f"{SCRATCH}/jupyter",  # and obeys what the user configured
        "HF_HOME": f"{SCRATCH}/huggingface",
        "HF_HUB_OFFLINE": "1",
    }

# Only now, since jax and huggingface_hub read the environment when they are imported.
import jax
from models import write_model

from autorel_jax.classifier import load
from autorel_jax.lrp.composites import COMPOSITES

# A job in the background may have been told to ignore it, and would hand that on to the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Warnings of libraries that are of no concern."""
    # Two workers may write one program at once; who reads half of it warns and compiles by itself.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache:UserWarning")
    # Orbax drops what it had not begun to write when a save fails; whenever Python comes to collect it.
    config.addinivalue_line("filterwarnings", "ignore:coroutine 'async_serialize_from_host:RuntimeWarning")


def pytest_unconfigure(config):
    """The controller leaves nothing behind; its workers have ended."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def programs():
    """Those of one file at a time: each has tens of memory maps, of which Linux gives a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def composites():
    """A composite that a test registers ends with the test."""
    with mock.patch.dict(COMPOSITES):
        yield


@pytest.fixture
def shared():
    """The folder beside the checkout that holds real models and data."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no shared/ folder beside the checkout: it holds a real model and real text")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A directory with a tiny random classifier (labels negative, neutral, positive) and the test vocabulary."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def classifier(model_folder):
    """The classifier of `model_folder`."""
    return load(model_folder)
