"""The commands: each module's `main(argv) -> exit code` is a console script.

`Parser` and `run` make every fault of the input one line on stderr and exit code 2, without a traceback.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from autorel_jax.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130  # 130 = 128 + SIGINT


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are InputErrors: one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise InputError(f"{message}; see {self.prog} --help")


def run(command: Callable[[Sequence[str] | None], object], argv: Sequence[str] | None, prog: str) -> int:
    """Runs command(argv) and returns the exit code of the command named `prog`.

    0 after a normal return; 2 with one line on stderr for an InputError, and silently where the reader of our
    output has gone; 130 when interrupted.
    """
    try:
        command(argv)
        sys.stdout.flush()
    except InputError as error:
        print(f"{prog}: error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_INPUT
    return 0
