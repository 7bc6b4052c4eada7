"""Saved state: a step, a state and a progress -> the record beside the arrays, and back, if the files are whole.

What is ours beside the arrays that Orbax writes. Used by run_state.py.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.sharding import anywhere
from autorel_jax.training.checksums import verify
from autorel_jax.training.orbax_faults import reason_of

Tree = Any  # a pytree of jax.Arrays, or of jax.ShapeDtypeStructs with shardings
STATE, RECORD = "state", "record"  # the folders of a checkpoint: arrays, and JSON
ELSEWHERE = "another process says so"
LATEST = 2  # kept at least, so that there is one to fall back to


@dataclasses.dataclass(frozen=True)
class SavedState:
    """What was read; `warnings` has a line for each better candidate that could not be."""

    step: int
    state: Tree
    progress: dict[str, Any]
    metric: float | None
    warnings: tuple[str, ...] = ()


# ---- what is written


def record_of(state: Tree, progress: dict[str, Any], metric: float | None) -> dict[str, Any]:
    """What is written beside the arrays; a copy, as the caller may change the progress in the meantime."""
    leaves = {name: array_type(leaf) for name, leaf in named(state).items()}
    return json.loads(json.dumps({"progress": progress, "metric": comparable(metric), "leaves": leaves}))


def named(tree: Tree) -> dict[str, Any]:
    """The leaves by their paths, such as params.head.kernel, in the tree's order."""
    flat = jax.tree_util.tree_leaves_with_path(tree)
    leaves = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in flat}
    if len(leaves) < len(flat):
        raise ValueError("Two leaves of the state have one name; use no dots in its keys.")
    return leaves


def array_type(leaf: Any) -> str:
    """Type and shape of an array, such as float32[2,3]."""
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def comparable(metric: float | None) -> float | None:
    """A metric that can be the best, or None."""
    return None if metric is None or np.isnan(metric) else float(metric)


# ---- which are kept


def ranked(steps: Iterable[int], metrics: Mapping[int, float | None]) -> list[int]:
    """The steps that have a metric, the best first and the earlier first among equals."""
    return sorted((step for step in steps if metrics[step] is not None), key=lambda step: (-metrics[step], step))


def kept(steps: Sequence[int], metrics: Mapping[int, float | None]) -> set[int]:
    """The last two and the best; and the best as of the last but one, since the last may turn out unreadable."""
    return {*steps[-LATEST:], *ranked(steps, metrics)[:1], *ranked(steps[:-1], metrics)[:1]}


# ---- what is read


def first_readable(
    folder: Path, steps: Iterable[int], like: Tree, load: Callable[[int, Tree], dict[str, Any]], whole: bool
) -> tuple[SavedState | None, dict[int, str]]:
    """The first of some checkpoints that can be read, and why those before it could not; the same in every process.

    Args:
      folder: of the checkpoints.
      steps: in the order in which they are tried.
      like: the wanted state, with shapes, dtypes and shardings.
      load: reads the leaves of a step that `like` has, in its order.
      whole: whether the checkpoint may hold nothing else.

    Raises:
      InputError: a checkpoint is of another model, or there are some and none can be read.
    """
    faults: dict[int, str] = {}
    for step in steps:
        saved, reason = read_one(folder, step, like, load, whole)
        if saved is not None:
            return saved, faults
        faults[step] = reason
    if faults:
        reasons = "; ".join(f"checkpoint {step}: {reason}" for step, reason in faults.items())
        raise InputError(f"{folder}: no checkpoint can be read ({reasons}); give another folder to start again.")
    return None, faults


def read_one(
    folder: Path, step: int, like: Tree, load: Callable[[int, Tree], dict[str, Any]], whole: bool
) -> tuple[SavedState | None, str]:
    """A checkpoint, or why it cannot be read; the same in every process."""
    record, leaves, reason = None, {}, ""
    try:
        record = read_record(folder, step)
        check_fit(folder, step, record, like, whole)
        verify(folder / str(step), STATE)
        leaves = load(step, like)
    except (InputError, MemoryError, jax.errors.JaxRuntimeError):  # no fault of the checkpoint's
        raise
    except Exception as error:  # damaged files raise anything
        reason = reason_of(error) or one_line(error)
    if any(anywhere(bool(reason))):
        return None, reason or ELSEWHERE
    state = jax.tree.unflatten(jax.tree.structure(like), leaves.values())
    return SavedState(step, state, record["progress"], record["metric"]), ""


def read_record(folder: Path, step: int) -> dict[str, Any]:
    """The record of a checkpoint; whatever a damaged file raises."""
    verify(folder / str(step), RECORD)
    return json.loads((folder / str(step) / RECORD / "metadata").read_text(encoding="utf-8"))


def damage(folder: Path, step: int) -> str:
    """What is wrong with a checkpoint's files, or ""; the same in every process."""
    reason = ""
    try:
        verify(folder / str(step), RECORD, STATE)
    except (OSError, ValueError, AttributeError) as error:  # what checksums.json holds may be anything
        reason = one_line(error)
    damaged = any(anywhere(bool(reason)))
    return reason or (ELSEWHERE if damaged else "")


def check_fit(folder: Path, step: int, record: Mapping[str, Any], like: Tree, whole: bool) -> None:
    """Raises InputError where the checkpoint is of another model."""
    there = record["leaves"]
    here = {name: array_type(leaf) for name, leaf in named(like).items()}
    faults = [f"it has no {name}" for name in here if name not in there]
    faults += [f"it has {name}, which this model lacks" for name in there if whole and name not in here]
    faults += [
        f"{name} is {there[name]} there and {wanted} here"
        for name, wanted in here.items()
        if there.get(name, wanted) != wanted
    ]
    if faults:
        raise InputError(
            f"{folder}: checkpoint {step} is of another model: {faults[0]}; "
            "give the settings it was made with, or another folder."
        )
