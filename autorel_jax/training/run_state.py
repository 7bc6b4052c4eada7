"""Run state: the state of a training run -> a folder of checkpoints, and back after any interruption.

A checkpoint is a step, a state (a pytree of jax.Arrays), a progress (a small dict that JSON can hold) and perhaps a
metric. It appears whole or not at all, and its files' checksums are compared when it is read. The only
importer of Orbax. Used by loop.py and finish.py.
"""

import contextlib
import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from autorel_jax.errors import InputError, one_line
from autorel_jax.sharding import anywhere
from autorel_jax.training.checksums import seal
from autorel_jax.training.orbax_faults import of_tensorstore, reason_of, silence
from autorel_jax.training.saved_state import (
    RECORD,
    STATE,
    SavedState,
    Tree,
    comparable,
    damage,
    first_readable,
    kept,
    named,
    ranked,
    read_record,
    record_of,
)

POLL = 0.05  # seconds between two looks at what other processes have written
UNREADABLE = ".unreadable"  # what a checkpoint that cannot be read is renamed to: nothing of the user's is deleted


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
        silence()
        self._fault: BaseException | None = None  # what ended a save of one of several processes
        self._detached = False  # whether it no longer talks to the other processes, as one of them cannot write
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
            if not self._detached:
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
            if comparable(metric) is None or self._metrics[step] is not None:
                return
            self._manager.delete(step)
        leaves = {name: leaf for name, leaf in named(state).items() if leaf.size}  # Orbax refuses empty arrays
        # On a CPU Orbax keeps views of the arrays; JAX then copies what is donated instead of reusing it.
        items = ocp.args.Composite(
            state=ocp.args.PyTreeSave(leaves), record=ocp.args.JsonSave(record_of(state, progress, metric))
        )
        self._metrics[step], self._written = comparable(metric), step
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
            busy, failed = anywhere(self._manager.is_saving_in_progress(), self._fault is not None)
            if failed:
                raise self._failed(self._fault or TimeoutError())
            if not busy:
                break
            time.sleep(POLL)
        self._wait()

    def _wait(self) -> None:
        """Without a word to other processes, which may be elsewhere."""
        if self._detached:
            return
        try:
            self._manager.wait_until_finished()
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def restore(self, like: Tree) -> SavedState | None:
        """The newest checkpoint that can be read, or None where there is none.

        Newer ones that cannot be read are renamed, as is the best if it is damaged, and `warnings` says so.

        Args:
          like: the state's structure with shapes, dtypes and shardings, which may differ from those it was saved with.

        Raises:
          InputError: the checkpoint is of another model, or there are some and none can be read.
        """
        self.wait()
        saved, faults = self._first(reversed(self.steps), like, whole=True)
        if saved is None:
            return None
        readable = (step for step in ranked(self.steps, self._metrics) if step not in faults)
        best = next(readable, saved.step)
        # A best one that could not be read in the end would keep others from being kept until then.
        if best != saved.step and (reason := damage(self.folder, best)):
            faults[best] = reason
        if not faults:
            return saved
        self._set_aside(faults)
        warnings = (
            f"checkpoint {step} cannot be read ({reason}); it is now called {step}{UNREADABLE}, "
            f"going on from {saved.step}"
            for step, reason in faults.items()
        )
        return dataclasses.replace(saved, warnings=tuple(warnings))

    def best(self, like: Tree) -> SavedState | None:
        """The checkpoint with the greatest metric, the first among equals; None where none has a metric.

        Args:
          like: as for `restore`, or a part of it, such as {"params": ...}; only that is read.

        Raises:
          InputError: as for `restore`.
        """
        self.wait()
        saved, faults = self._first(ranked(self.steps, self._metrics), like, whole=False)
        if saved is None:
            return None
        warnings = (
            f"checkpoint {step} cannot be read ({reason}); the best of the others is {saved.step}"
            for step, reason in faults.items()
        )
        return dataclasses.replace(saved, warnings=tuple(warnings))

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Orbax's question after each save: which checkpoints, the new one included, are kept."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        keep = kept(steps, self._metrics)
        return [step in keep for step in steps]

    def _open(self) -> None:
        """The manager with what is on disk."""
        if jax.process_index() == 0:
            for left in self.folder.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
        handlers = ocp.handlers.DefaultCheckpointHandlerRegistry()
        # Compression takes 8 % off float32 parameters and makes a save take three times as long.
        handlers.add(STATE, ocp.args.PyTreeSave, ocp.PyTreeCheckpointHandler(use_compression=False))
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
                self._metrics[step] = comparable(read_record(self.folder, step)["metric"])

    def _seal(self) -> None:
        """Adds the checksums to a checkpoint whose other files are complete, before Orbax renames it into place."""
        (path,) = self.folder.glob(f"{self._written}{ocp.utils.TMP_DIR_SUFFIX}*")
        seal(path, STATE, RECORD)

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
            self._detached = True
            if isinstance(error, TimeoutError):
                return InputError(f"{self.folder} cannot be written by another process, which may say why.")
        else:
            with contextlib.suppress(OSError, ValueError):
                self._manager.close()
            self._open()
        return self._unwritable(error) if isinstance(error, OSError) or of_tensorstore(error) else error

    def _unwritable(self, error: Exception) -> InputError:
        return InputError(f"{self.folder} cannot be written: {reason_of(error) or one_line(error)}.")

    def _first(self, steps: Iterable[int], like: Tree, whole: bool) -> tuple[SavedState | None, dict[int, str]]:
        """The first that can be read, and why those before it could not."""
        return first_readable(self.folder, steps, like, partial(read_leaves, self.folder), whole)

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


def read_leaves(folder: Path, step: int, like: Tree) -> dict[str, jax.Array]:
    """The leaves of a checkpoint that `like` has, in its order."""
    leaves = named(like)
    wanted = {name: leaf for name, leaf in leaves.items() if leaf.size}
    arguments = ocp.args.PyTreeRestore(
        item=wanted, restore_args=ocp.checkpoint_utils.construct_restore_args(wanted), partial_restore=True
    )
    # The handler rather than the manager, which would wait for other processes where only one cannot read.
    read = ocp.PyTreeCheckpointHandler().restore(epath.Path(folder / str(step) / STATE), args=arguments)
    return {
        name: read[name] if leaf.size else jnp.zeros(leaf.shape, leaf.dtype, device=leaf.sharding)
        for name, leaf in leaves.items()
    }


def read_step(folder: Path, step: int, like: Tree) -> Tree:
    """A part of the state of one checkpoint, such as {"params": …}; nothing in the folder changes, also in a run.

    Raises:
      InputError: it cannot be read, or is of another model.
    """
    silence()
    found, _ = first_readable(folder, [step], like, partial(read_leaves, folder), whole=False)
    return found.state
