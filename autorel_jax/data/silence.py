"""Silence: a block in which libraries log nothing. Used by tfds.py and hf.py."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """Switches logging off: what a library logs of something that is missing, our own message says."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
