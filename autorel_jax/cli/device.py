"""Where a command computes: the device by name, threads, what bfloat16 gains, the folder of compiled programs."""

import os
from pathlib import Path

import jax
import jaxlib

from autorel_jax.errors import InputError, one_line
from autorel_jax.model.config import BFLOAT16

CPUINFO = Path("/proc/cpuinfo")  # Linux's
MULTIPLY_BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}  # flags of processors there; the last is ARM's


def choose_device(name: str | None) -> jax.Device | None:
    """The device of a name such as "cpu", "gpu" or "gpu:1"; None, JAX's own choice, without a name.

    Raises:
      InputError: there is no such device here.
    """
    platform, _, index = (name or "").partition(":")
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")  # else JAX would take a GPU's memory too
    try:
        available = jax.devices()
    except RuntimeError as error:
        raise InputError(f"JAX finds no device ({one_line(error)}); look at JAX_PLATFORMS.") from None
    if name is None:
        return None
    try:
        return dict(enumerate(jax.devices(platform)))[int(index or 0)]
    except (RuntimeError, KeyError, ValueError):
        found = ", ".join(f"{device.platform}:{device.id}" for device in available)
        raise InputError(f"--device {name}: there is no such device here; available: {found}.") from None


def limit_threads(count: int | None) -> None:
    """Computes and tokenizes on so many threads of the processor; None changes nothing. Before JAX's first device.

    They are tied to no core, so that two processes with half of the threads each do not share the same ones.

    Raises:
      InputError: the process may not use so many cores, or JAX computes already.
    """
    if count is None:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not 1 <= count <= cores:
        raise InputError(f"--threads {count}: expected 1 to {cores}, the cores that this process may use.")
    from jax._src import xla_bridge  # nothing public says whether devices were asked for

    if xla_bridge.backends_are_initialized():
        raise InputError("--threads is for a process of the command's own: JAX computes in this one already.")
    os.environ["NPROC"] = str(count)  # XLA's thread pools are as large, for which it has no option
    os.environ["RAYON_NUM_THREADS"] = str(count)  # the tokenizer's


def doubts_of_dtype(dtype: str, told: Path = CPUINFO) -> list[str]:
    """What to say where JAX computes on a processor that has no instructions for products of the dtype."""
    if dtype != BFLOAT16 or jax.default_backend() != "cpu" or not told.exists():
        return []
    words = set(told.read_text("utf-8", "replace").split())
    if words & MULTIPLY_BFLOAT16 or not words & {"flags", "Features"}:
        return []
    return [f"--dtype {dtype}: this processor has no instructions for it; scores lose digits and may save no time."]


def keep_compiled_programs() -> None:
    """Keeps compiled programs on disk between runs, unless JAX_COMPILATION_CACHE_DIR says where to.

    The folder is named after jaxlib's version, as another version cannot use what is in it. If it cannot be
    written to, programs are compiled each time, without a message.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        try:
            home = Path(os.environ.get("XDG_CACHE_HOME", ""))
            if not home.is_absolute():  # unset, or relative, which the XDG standard calls invalid
                home = Path.home() / ".cache"
            folder = home / "autorel_jax" / f"jaxlib-{jaxlib.__version__}"
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # RuntimeError: there is no home
            return
        if not os.access(folder, os.W_OK):
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
