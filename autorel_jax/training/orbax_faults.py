"""Orbax's faults: what it raises -> one line; what it prints beside that -> nothing.

Used by run_state.py and saved_state.py.
"""

import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

ORBAX = os.path.join("", "orbax", "checkpoint", "")  # in the path of each of its files


def reason_of(error: BaseException) -> str | None:
    """What the operating system said, if anything; tensorstore puts it behind a path and an address."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else getattr(error, "strerror", None)


def of_tensorstore(error: BaseException | None) -> bool:
    """Whether its text, half a page with all settings, begins with the name of a status code."""
    return isinstance(error, ValueError) and re.match(r"[A-Z_]+: ", str(error)) is not None


def silence() -> None:
    """Silences what Orbax prints beside what it raises: each fault is one line here.

    It logs warnings and tracebacks; and where one of its parallel reads or writes fails, the others find their event
    loop closed. Whatever else reports through the same three places is still heard.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(is_of_others)  # adding it twice changes nothing
    if getattr(sys.unraisablehook, "func", None) is not report_others:
        sys.unraisablehook = functools.partial(report_others, sys.unraisablehook)


def is_of_others(record: logging.LogRecord) -> bool:
    """Whether a record of a log is not Orbax's."""
    _, error, trace = record.exc_info or (None, None, None)
    files = [record.pathname, *(frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace))]
    return not any(ORBAX in file for file in files) and not of_tensorstore(error)


def report_others(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Passes on what was raised where nobody catches it, but for Orbax's closed event loop."""
    if unraisable.object is not None or str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)
