"""Checkpoints: a training run's state -> a folder of checkpoints, and back after any interruption.

A checkpoint is a step, a state (a pytree of jax.Arrays), a progress (a small dict that JSON can hold) and perhaps a
metric. It appears whole or not at all, and its files' checksums are compared when it is read. Used by training/.
"""

import contextlib
import dataclasses
import functools
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from autorel_jax.errors import InputError, one_line
from autorel_jax.training.checksums import seal, verify

Tree = Any  # a pytree of jax.Arrays, or of jax.ShapeDtypeStructs with shardings
LATEST = 2  # kept at least, so that there is one to fall back to
POLL = 0.05  # seconds between two looks at what other processes have written
ORBAX = str(Path(ocp.__file__).parent)
UNREADABLE = ".unreadable"  # what a checkpoint that cannot be read is renamed to: nothing of the user's is deleted


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What was read; `warnings` has a line for each better candidate that could not be."""

    step: int
    state: Tree
    progress: dict[str, Any]
    metric: float | None
    warnings: tuple[str, ...] = ()


class Checkpoints:
    """The checkpoints in a folder; a context manager that leaves when everything is on disk.

    Kept are the last two and the best as of each of them. With more than one process under jax.distributed, each makes
    the same calls on one shared folder.
    """

    def __init__(self, folder: Path):
        """Makes the folder, and removes what a killed save left in it.

        Raises:
          InputError: nothing can be written there.
        """
        self.folder = Path(folder).expanduser().resolve()
        _quieten()
        self._reader = ocp.PyTreeCheckpointHandler()
        self._fault: BaseException | None = None  # what ended a save of one of several processes
        self._left = False  # whether the others are left alone, as one of several processes cannot write
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()  # Orbax would notice at the first save
            self._open()
        except OSError as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the save in progress; its failure does not hide an exception that is on its way."""
        try:
            self._wait() if error else self.wait()
        except InputError:
            if error is None:
                raise
        finally:
            if not self._left:
                self._manager.close()

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the checkpoints, increasing; the one being written counts."""
        return tuple(sorted(self._manager.all_steps()))

    def save(self, step: int, state: Tree, progress: dict[str, Any], metric: float | None = None) -> None:
        """Starts to write a checkpoint, after the one before is on disk.

        A step that is already there stays as it is, unless it has no metric and now there is one. Until it is on disk
        again the one before it is the last.

        The state may be donated or deleted, and the progress changed, once this returns.

        Args:
          step: not before the last checkpoint's.
          state: jax.Arrays, typed PRNG keys among them; across processes, global ones.
          progress: for `restore` to return.
          metric: what the best checkpoint has most of; None or NaN is never the best.

        Raises:
          InputError: this or the save before failed.
        """
        self.wait()
        last = max(self.steps, default=step)
        if step < last:
            raise InputError(f"{self.folder} holds step {last}, after step {step}; resume, or give another folder.")
        if step in self.steps:
            if _comparable(metric) is None or self._metrics[step] is not None:
                return
            self._manager.delete(step)
        leaves = {name: leaf for name, leaf in _named(state).items() if leaf.size}  # Orbax refuses empty arrays
        # On a CPU Orbax keeps views of the arrays; JAX then copies what is donated instead of reusing it.
        items = ocp.args.Composite(
            state=ocp.args.PyTreeSave(leaves), record=ocp.args.JsonSave(_record(state, progress, metric))
        )
        self._metrics[step], self._written = _comparable(metric), step
        try:
            self._manager.save(step, args=items, force=True)  # force: no policy of Orbax's decides whether
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def wait(self) -> None:
        """Blocks until what was saved is on disk.

        Raises:
          InputError: it could not be written. The checkpoints before it stay; a later save may succeed, but several
            processes, each of which is told, must end.
        """
        while jax.process_count() > 1:
            busy, failed = _anywhere(self._manager.is_saving_in_progress(), self._fault is not None)
            if failed:
                raise self._failed(self._fault or TimeoutError())
            if not busy:
                break
            time.sleep(POLL)
        self._wait()

    def _wait(self) -> None:
        """Without a word to other processes, which may be elsewhere."""
        if self._left:
            return
        try:
            self._manager.wait_until_finished()
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def restore(self, like: Tree) -> Checkpoint | None:
        """The newest checkpoint that can be read, or None where there is none.

        Newer ones that cannot be read are renamed, as is the best if it is damaged, and `warnings` says so.

        Args:
          like: the state's structure with shapes, dtypes and shardings, which may differ from those it was saved with.

        Raises:
          InputError: the checkpoint is of another model, or there are some and none can be read.
        """
        self.wait()
        found, faults = self._first(reversed(self.steps), like, whole=True)
        if found is None:
            return None
        ranked = (step for step in self._ranked(self.steps) if step not in faults)
        best = next(ranked, found.step)
        # A best one that could not be read in the end would keep others from being kept until then.
        if best != found.step and (reason := self._damage(best)):
            faults[best] = reason
        if not faults:
            return found
        self._set_aside(faults)
        warnings = (
            f"checkpoint {step} cannot be read ({reason}); it is now called {step}{UNREADABLE}, "
            f"going on from {found.step}"
            for step, reason in faults.items()
        )
        return dataclasses.replace(found, warnings=tuple(warnings))

    def best(self, like: Tree) -> Checkpoint | None:
        """The checkpoint with the greatest metric, the first among equals; None where none has a metric.

        Args:
          like: as for `restore`, or a part of it, such as {"params": ...}; only that is read.

        Raises:
          InputError: as for `restore`.
        """
        self.wait()
        found, faults = self._first(self._ranked(self.steps), like, whole=False)
        if found is None:
            return None
        warnings = (
            f"checkpoint {step} cannot be read ({reason}); the best of the others is {found.step}"
            for step, reason in faults.items()
        )
        return dataclasses.replace(found, warnings=tuple(warnings))

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Orbax's question after each save: which checkpoints, the new one included, are kept.

        The best as of the last but one is kept too, since the last may turn out unreadable.
        """
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*steps[-LATEST:], *self._ranked(steps)[:1], *self._ranked(steps[:-1])[:1]}
        return [step in kept for step in steps]

    def _ranked(self, steps: Sequence[int]) -> list[int]:
        """Those with a metric, the best first and the earlier first among equals."""
        return sorted((s for s in steps if self._metrics[s] is not None), key=lambda s: (-self._metrics[s], s))

    def _open(self) -> None:
        """The manager with what is on disk."""
        if jax.process_index() == 0:
            for left in self.folder.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
        handlers = ocp.handlers.DefaultCheckpointHandlerRegistry()
        # Compression takes 8 % off float32 parameters and makes a save take three times as long.
        handlers.add("state", ocp.args.PyTreeSave, ocp.PyTreeCheckpointHandler(use_compression=False))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self,
            save_root_metadata=False,
            lightweight_initialize=True,  # its own metadata may be what is damaged; nothing here needs it
            async_options=ocp.AsyncOptions(
                create_directories_asynchronously=False,  # so that save itself fails on a full disk
                post_finalization_callback=self._seal,
                barrier_sync_fn=self._meet if jax.process_count() > 1 else None,
            ),
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options, handler_registry=handlers)
        self._metrics = {}
        for step in self.steps:
            self._metrics[step] = None
            with contextlib.suppress(Exception):  # damaged files raise anything; who reads this one is told
                self._metrics[step] = _comparable(self._read_record(step)["metric"])

    def _seal(self) -> None:
        """Adds the checksums to a checkpoint whose other files are complete, before Orbax renames it into place."""
        (path,) = self.folder.glob(f"{self._written}{ocp.utils.TMP_DIR_SUFFIX}*")
        seal(path, "state", "record")

    def _meet(self, *, key: str, timeout_ms: int) -> None:
        """Waits for the other processes; not on the way out of a save that failed, which they know nothing of."""
        if error := sys.exception():
            self._fault = error
            raise error
        ocp.multihost.get_barrier_sync_fn()(key=key, timeout_ms=timeout_ms)

    def _failed(self, error: BaseException) -> BaseException:
        """Starts anew with what is on disk; what to raise.

        One of several processes neither closes nor opens anything: it would wait for the others.
        """
        if jax.process_count() > 1:
            self._left = True
            if isinstance(error, TimeoutError):
                return InputError(f"{self.folder} cannot be written by another process, which may say why.")
        else:
            with contextlib.suppress(OSError, ValueError):
                self._manager.close()
            self._open()
        return self._unwritable(error) if isinstance(error, OSError) or _of_tensorstore(error) else error

    def _unwritable(self, error: Exception) -> InputError:
        return InputError(f"{self.folder} cannot be written: {_reason(error) or one_line(error)}.")

    def _read_record(self, step: int) -> dict[str, Any]:
        verify(self.folder / str(step), "record")
        return json.loads((self.folder / str(step) / "record" / "metadata").read_text(encoding="utf-8"))

    def _first(self, steps: Iterable[int], like: Tree, whole: bool) -> tuple[Checkpoint | None, dict]:
        """The first that can be read, and the reasons of those before it."""
        faults = {}
        for step in steps:
            found, reason = self._read(step, like, whole)
            if found is not None:
                return found, faults
            faults[step] = reason
        if faults:
            reasons = "; ".join(f"checkpoint {step}: {reason}" for step, reason in faults.items())
            raise InputError(
                f"{self.folder}: no checkpoint can be read ({reasons}); give another folder to start again."
            )
        return None, faults

    def _read(self, step: int, like: Tree, whole: bool) -> tuple[Checkpoint | None, str]:
        """A checkpoint, or why it cannot be read; the same in every process."""
        record, leaves, reason = None, {}, ""
        try:
            record = self._read_record(step)
            self._check_fit(step, record, like, whole)
            verify(self.folder / str(step), "state")
            leaves = self._load(step, like)
        except (InputError, MemoryError, jax.errors.JaxRuntimeError):  # no fault of the checkpoint's
            raise
        except Exception as error:  # damaged files raise anything
            reason = _reason(error) or one_line(error)
        if any(_anywhere(bool(reason))):
            return None, reason or "another process says so"
        state = jax.tree.unflatten(jax.tree.structure(like), leaves.values())
        return Checkpoint(step, state, record["progress"], record["metric"]), ""

    def _damage(self, step: int) -> str:
        """What is wrong with a checkpoint's files, or ""; the same in every process."""
        reason = ""
        try:
            verify(self.folder / str(step), "record", "state")
        except (OSError, ValueError, AttributeError) as error:  # what checksums.json holds may be anything
            reason = one_line(error)
        damaged = any(_anywhere(bool(reason)))
        return reason or ("another process says so" if damaged else "")

    def _load(self, step: int, like: Tree) -> dict[str, jax.Array]:
        """The leaves that `like` has, in its order."""
        named = _named(like)
        wanted = {name: leaf for name, leaf in named.items() if leaf.size}
        arguments = ocp.args.PyTreeRestore(
            item=wanted, restore_args=ocp.checkpoint_utils.construct_restore_args(wanted), partial_restore=True
        )
        # The handler rather than the manager, which would wait for other processes where only one cannot read.
        read = self._reader.restore(epath.Path(self.folder / str(step) / "state"), args=arguments)
        empty = {
            n: jnp.zeros(leaf.shape, leaf.dtype, device=leaf.sharding) for n, leaf in named.items() if not leaf.size
        }
        return {name: empty[name] if name in empty else read[name] for name in named}

    def _check_fit(self, step: int, record: dict[str, Any], like: Tree, whole: bool) -> None:
        """Raises InputError where the checkpoint is of another model."""
        there = record["leaves"]
        here = {name: _kind(leaf) for name, leaf in _named(like).items()}
        faults = [f"it has no {name}" for name in here if name not in there]
        faults += [f"it has {name}, which this model lacks" for name in there if whole and name not in here]
        faults += [
            f"{name} is {there[name]} there and {kind} here"
            for name, kind in here.items()
            if there.get(name, kind) != kind
        ]
        if faults:
            raise InputError(
                f"{self.folder}: checkpoint {step} is of another model: {faults[0]}; "
                "give the settings it was made with, or another folder."
            )

    def _set_aside(self, steps: Sequence[int] | dict[int, str]) -> None:
        """Renames checkpoints, so that these steps can be saved again."""
        self._manager.close()
        try:
            for step in steps if jax.process_index() == 0 else ():
                aside = self.folder / f"{step}{UNREADABLE}"
                shutil.rmtree(aside, ignore_errors=True)
                (self.folder / str(step)).rename(aside)
            if jax.process_count() > 1:
                multihost_utils.sync_global_devices("autorel_jax.training.run_state: renamed")
            self._open()
        except OSError as error:
            raise self._unwritable(error) from None


def _reason(error: Exception) -> str | None:
    """What the operating system said, if anything; tensorstore puts it behind a path and an address."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else getattr(error, "strerror", None)


def _of_tensorstore(error: BaseException) -> bool:
    """Whether its text, half a page with all settings, begins with the name of a status code."""
    return isinstance(error, ValueError) and re.match(r"[A-Z_]+: ", str(error)) is not None


def _quieten() -> None:
    """Silences what Orbax prints beside what it raises: each fault is one line here.

    It logs warnings and tracebacks; and where one of its parallel reads or writes fails, the others find their event
    loop closed. Whatever else reports through the same three places is still heard.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_not_of_orbax)  # adding it twice changes nothing
    if getattr(sys.unraisablehook, "func", None) is not _report_others:
        sys.unraisablehook = functools.partial(_report_others, sys.unraisablehook)


def _not_of_orbax(record: logging.LogRecord) -> bool:
    _, error, trace = record.exc_info or (None, None, None)
    files = [record.pathname, *(frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace))]
    return not any(file.startswith(ORBAX) for file in files) and not _of_tensorstore(error)


def _report_others(hook: Callable[[Any], object], unraisable: Any) -> None:
    if unraisable.object is not None or str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _named(tree: Tree) -> dict[str, Any]:
    """The leaves by their paths, such as params.head.kernel, in the tree's order."""
    flat = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in flat}
    if len(named) < len(flat):
        raise ValueError("Two leaves of the state have one name; use no dots in its keys.")
    return named


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _comparable(metric: float | None) -> float | None:
    return None if metric is None or np.isnan(metric) else float(metric)


def _record(state: Tree, progress: dict[str, Any], metric: float | None) -> dict[str, Any]:
    """What is written beside the arrays; a copy, as the caller may change the progress in the meantime."""
    leaves = {name: _kind(leaf) for name, leaf in _named(state).items()}
    return json.loads(json.dumps({"progress": progress, "metric": _comparable(metric), "leaves": leaves}))


def _anywhere(*facts: bool) -> list[bool]:
    """For each fact, whether it is one in any process."""
    if jax.process_count() == 1:
        return list(facts)
    return np.any(multihost_utils.process_allgather(np.array(facts)), axis=0).tolist()
