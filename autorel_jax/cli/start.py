"""Start: a command -> its exit code. An interrupt while modules are imported ends the process without a traceback.

The console scripts, explain.py and train.py begin here; so this imports next to nothing itself.
"""

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

RECEIVED: list[int] = []  # the SIGINTs that this process got; of one that is not a command's own, none


def start(name: str) -> int:
    """Calls `main` of the module of autorel_jax.cli of that name; the process is the command's own."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the caller has it ignored
        signal.signal(signal.SIGINT, interrupt)
    with importing():
        main = importlib.import_module(f"autorel_jax.cli.{name}").main
    return main()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """An interrupt inside ends the process: libraries crash, or raise anything, if it interrupts their import.

    Nothing may have begun that has to be ended well. Where the process is not the command's own, nothing changes.
    """
    ours = signal.getsignal(signal.SIGINT) is interrupt
    if ours:
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, interrupt)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Raises what Python does, and notes it."""
    RECEIVED.append(number)
    raise KeyboardInterrupt


def end(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process as an interrupted one."""
    os._exit(128 + number)


def autorel() -> NoReturn:
    """The console script `autorel`."""
    sys.exit(start("main"))


def explain() -> NoReturn:
    """The console script `autorel-explain`."""
    sys.exit(start("explain"))


def train() -> NoReturn:
    """The console script `autorel-train`."""
    sys.exit(start("train"))


def convert() -> NoReturn:
    """The console script `autorel-convert`."""
    sys.exit(start("convert"))


def report() -> NoReturn:
    """The console script `autorel-report`."""
    sys.exit(start("report"))


def export() -> NoReturn:
    """The console script `autorel-export`."""
    sys.exit(start("export"))
