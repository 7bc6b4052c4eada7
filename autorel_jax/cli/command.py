"""Command: a function of argv -> an exit code; every fault of the input is one line on stderr, without a traceback.

`run` calls the function, `Parser` reads its flags, `warn` prints what to beware of. Used by every command.
"""

import argparse
import contextlib
import functools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.cli.start import RECEIVED
from autorel_jax.errors import InputError, InputWarning, one_line
from autorel_jax.foreign import visible

BAD_INPUT, INTERRUPTED, TERMINATED = 2, 128 + signal.SIGINT, 128 + signal.SIGTERM
SIGNALS = {(KeyboardInterrupt, ""): signal.SIGINT, (SystemExit, str(TERMINATED)): signal.SIGTERM}  # their exceptions
SOON = 0.05  # seconds


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are InputErrors: one line, without the usage. Its texts keep their lines.

    What it returns has the command's name as `prog`.
    """

    def __init__(self, *args: Any, formatter_class: Any = argparse.RawDescriptionHelpFormatter, **kwargs: Any):
        super().__init__(*args, formatter_class=formatter_class, **kwargs)
        self.set_defaults(prog=self.prog)
        self.completions: list[Callable[[], object]] = []

    def complete_help(self, complete: Callable[[], object]) -> None:
        """Has a function called before the help is shown: it fills in what is slow to find out."""
        self.completions.append(complete)

    def format_help(self) -> str:
        """The help, with all that is slow to find out."""
        for complete in self.completions:
            complete()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise InputError(f"{message}; see {self.prog} --help")


def run(command: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None, prog: str) -> int:
    """Runs command(argv) and returns the exit code of the command named `prog`.

    It is what the command returns (0 for None); 2 with one line on stderr for an InputError or where the output
    cannot be written, and silently where its reader has gone; 130 when interrupted, 143 when terminated (files in
    progress are removed, or can be continued).
    """
    open_closed_streams()
    if argv is None:  # the process is the command's, not a program's that calls it
        keep_freed_memory()
        # Orbax drops what it had not begun to write when a save fails, of which our own message tells.
        warnings.filterwarnings("ignore", "coroutine 'async_serialize_from_host", RuntimeWarning)
        sys.unraisablehook = functools.partial(signal_again, sys.unraisablehook)
    with contextlib.suppress(ValueError):  # only the main thread may say what a signal does
        signal.signal(signal.SIGTERM, stop)
    try:
        with telling(prog):
            return called(command, argv, prog)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        if RECEIVED:  # a library that is interrupted may raise something else
            return INTERRUPTED
        raise


def called(command: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None, prog: str) -> int:
    """The exit code of the command; it is 2 where a fault of the input, or of standard output, ends it."""
    try:
        code = command(argv)
        sys.stdout.flush()
    except InputError as error:
        return complain(prog, error)
    except BrokenPipeError:
        drop_output()
        return BAD_INPUT
    except OSError as error:  # a full disk behind standard output; files of ours raise InputError
        drop_output()
        return complain(prog, one_line(error))
    return code or 0


def tell(prog: str, message: str) -> None:
    """Prints a line on stderr; what the message quotes of files cannot act on the terminal."""
    print(f"{prog}: {visible(message)}", file=sys.stderr)


def note(args: argparse.Namespace, message: str) -> None:
    """As `tell`, of what --quiet leaves out."""
    if not args.quiet:
        tell(args.prog, message)


def say(message: str) -> None:
    """Prints lines on stdout, likewise, at once."""
    text = "\n".join(map(visible, message.split("\n")))
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def warn(prog: str, doubts: Iterable[object]) -> None:
    """Prints what to beware of on stderr, a line for each."""
    for doubt in doubts:
        tell(prog, f"warning: {doubt}")


@contextlib.contextmanager
def telling(prog: str) -> Iterator[None]:
    """Within it, an InputWarning of the library is printed as `warn` does."""
    before = warnings.showwarning

    def show(message: Warning, category: type[Warning], *more: Any) -> None:
        if issubclass(category, InputWarning):
            warn(prog, [message])
        else:
            before(message, category, *more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def complain(prog: str, error: object) -> int:
    """Prints one line on stderr; the exit code of bad input."""
    tell(prog, f"error: {' '.join(str(error).splitlines())}")
    return BAD_INPUT


def counted(read: int, explained: int, left_out: int) -> str:
    """What became of the rows of the input, each of which is in one of the two counts.

    Raises:
      RuntimeError: a row is in neither or in both, which is a fault of the program.
    """
    if read != explained + left_out:
        raise RuntimeError(f"{read} rows were read, but {explained} explained and {left_out} left out")
    return f"{read} rows read = {explained} explained + {left_out} left out"


def stop(number: int, frame: object) -> NoReturn:
    """A signal as an exception, so that files in progress are removed on the way out; a second one ends at once."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def signal_again(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Sends a signal again if its exception was raised inside a callback, mostly one of JAX for the garbage collector.

    Python drops the exception there and calls this hook; the command would go on to its end.
    """
    number = SIGNALS.get((unraisable.exc_type, str(unraisable.exc_value)))
    if number is None:
        hook(unraisable)
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)
    soon = threading.Timer(SOON, os.kill, (os.getpid(), number))  # by then outside of the callback
    soon.daemon = True
    soon.start()


def open_closed_streams() -> None:
    """Gives the null device to a standard stream that the caller closed, where Python has None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - stays open as long as the process


def drop_output() -> None:
    """Discards what is left for stdout: Python flushes it once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
