"""Log: what a run measures -> metrics.jsonl, TensorBoard, and a progress bar on a terminal.

Used by loop.py.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.data.task import TRAIN
from autorel_jax.files import append, disk_faults, write_text
from autorel_jax.training.board import open_board
from autorel_jax.training.folder import BOARD, METRICS_FILE, kept_lines
from autorel_jax.training.metrics import finite

Write = Callable[[int, Mapping[str, Any]], None]  # (step, values by name)


@contextlib.contextmanager
def open_log(folder: Path, step: int, board: bool, evaluated: bool = True) -> Iterator[Write]:
    """A function that appends a line of metrics; lines after `step`, of a run that was cut off, are dropped first.

    Where that step is not `evaluated`, its evaluation is to come: the lines that it may have written before a kill are
    dropped too. TensorBoard shows such points twice: it can drop only whole steps, and training's of this one stay.

    Raises:
      InputError: the disk is full, or may not be written; the function raises it too.
    """
    path = folder / METRICS_FILE
    with contextlib.ExitStack() as stack:
        with disk_faults(path):
            write_text(path, kept_lines(path, step, evaluated))
            # Without a buffer: what a failed write left in it would be written, and fail, once more at the end.
            file = stack.enter_context(path.open("ab", buffering=0))
        with disk_faults(folder / BOARD):
            show = stack.enter_context(open_board(folder / BOARD, step)) if board else None

        def write(at: int, values: Mapping[str, Any]) -> None:
            with disk_faults(path):
                append(file, f"{json.dumps({'step': at, **finite(values)})}\n".encode())
            numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
            with disk_faults(folder / BOARD):
                if show:
                    show(at, {f"{values.get('split', TRAIN)}/{name}": value for name, value in numbers.items()})

        yield write


class Bar(NamedTuple):
    """A progress bar."""

    tick: Callable[[float, float], None]  # (loss, tokens/s), to be called after each step
    aside: Callable[[], contextlib.AbstractContextManager[None]]  # in which lines may be printed: it is taken off


@contextlib.contextmanager
def progress_bar(done: int, total: int, shown: bool) -> Iterator[Bar]:
    """Shows the steps, the time left and what a step measures where stderr is a terminal."""
    from tqdm import tqdm

    shown = shown and sys.stderr.isatty()
    with tqdm(initial=done, total=total, unit=" steps", disable=not shown, file=sys.stderr) as bar:

        def update(loss: float, rate: float) -> None:
            bar.set_postfix_str(f"loss {loss:.4f}, {rate:,.0f} tokens/s", refresh=False)
            bar.update()

        yield Bar(update, bar.external_write_mode)


class Meter:
    """Means since the last line of metrics: loss, gradient norm, real tokens per second."""

    def __init__(self, loss: float = 0.0, norm: float = 0.0, steps: int = 0, tokens: int = 0, padded: int = 0) -> None:
        self.loss, self.norm, self.steps, self.tokens, self.padded = loss, norm, steps, tokens, padded
        self.before, self.start = tokens, time.perf_counter()

    def add(self, loss: float, norm: float, tokens: int, padded: int) -> None:
        """One step."""
        self.loss += loss
        self.norm += norm
        self.steps += 1
        self.tokens += tokens
        self.padded += padded

    @property
    def as_dict(self) -> dict[str, float]:
        """What makes the same meter in a run that goes on from here."""
        return {name: getattr(self, name) for name in ("loss", "norm", "steps", "tokens", "padded")}

    @property
    def rate(self) -> float:
        """Real tokens per second, since the meter was made."""
        return (self.tokens - self.before) / max(time.perf_counter() - self.start, 1e-9)

    def values(self) -> dict[str, float]:
        """What is logged."""
        return {
            "loss": self.loss / self.steps,
            "gradient_norm": self.norm / self.steps,
            "tokens_per_second": round(self.rate, 1),
            "real_tokens": round(self.tokens / self.padded, 4),
        }
