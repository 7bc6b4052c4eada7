"""Processes: the train command as one of several, on one machine or many: how it joins the others, and how it ends."""

import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator

from autorel_jax.errors import InputError, one_line

AUTO = "auto"
SHUTDOWN = 30  # seconds that a process which ends waits for the others; JAX then ends them all with a stack trace
LINGER = 2  # seconds that the first process, to which the others are connected, gives them to end after a fault
UNKNOWN = re.compile(r"must be defined|should be defined")  # JAX, where no cluster told it who is who
LOST = re.compile("gloo|nccl|coordination service", re.IGNORECASE)  # what the connection's errors speak of


def join(address: str, processes: int | None, process: int | None) -> None:
    """Joins the other processes of the run.

    With AUTO, JAX asks SLURM or MPI and takes one GPU for each task of a host. With an address it is kept from asking:
    under SLURM it would leave a process one GPU there too, and a host that has a single process would use no other.
    JAX itself ends a process, with a stack trace, if the others do not come within five minutes.

    Raises:
      InputError: the flags do not say how, or the port is taken.
    """
    import jax

    auto = address == AUTO
    if not auto:
        check(address, processes, process)
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM away from the command
    try:
        with ended_by_signals():
            jax.distributed.initialize(
                None if auto else address,
                processes,
                process,
                cluster_detection_method=None if auto else "deactivate",
                shutdown_timeout_seconds=SHUTDOWN,
            )
    except (RuntimeError, ValueError) as error:
        why = one_line(error)
        if auto and UNKNOWN.search(why):
            why = "this is no job of SLURM or MPI; give HOST:PORT, --processes and --process"
        raise InputError(f"--coordinator {address}: {why}.") from None


def check(address: str, processes: int | None, process: int | None) -> None:
    """Raises InputError where JAX would crash: it asserts this in C++, or not at all."""
    if processes is None or process is None:
        raise InputError(f"--coordinator needs --processes N and --process I, or the address {AUTO}.")
    if not 0 <= process < processes:
        raise InputError(f"--process {process}: expected a number from 0 and less than --processes {processes}.")
    found = re.fullmatch(r".+:(\d{1,5})", address)
    if not found or int(found[1]) >= 2**16:
        raise InputError(f"--coordinator {address}: expected HOST:PORT, the address of the first process, or {AUTO}.")
    if process == 0:
        try:
            socket.create_server(("", int(found[1]))).close()
        except OSError as error:
            raise InputError(f"--coordinator {address}: {os.strerror(error.errno)}; give another port.") from None


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Lets SIGINT and SIGTERM end the process: Python's handlers would run only once the others are there."""
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def others() -> Iterator[None]:
    """Says in one line where another process is gone; its own message says why."""
    try:
        yield
    except Exception as error:
        if not joined() or not LOST.search(str(error)):
            raise
        raise InputError(f"lost another process, which may say why ({one_line(error)}); go on with --resume.") from None


def leave(code: int) -> None:
    """Ends one of several processes at once where it failed: on a normal way out it would wait for the others first."""
    if code and joined():
        sys.stdout.flush()
        sys.stderr.flush()
        if sys.modules["jax"].process_index() == 0:
            time.sleep(LINGER)
        os._exit(code)


def joined() -> bool:
    """Whether this is one of several processes."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
