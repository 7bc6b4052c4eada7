"""Sharding: devices -> one mesh, and where each array lies on it.

The mesh has the one axis "data". Rows of a batch are divided along it; parameters and optimizer moments are copied to
every device ("replicate"), or divided along the same axis too ("fsdp"), by shape. Of several processes, each makes the
same calls; here is also how they agree. Used by training/ and explaining/compute.py.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from autorel_jax.errors import InputError

AXIS = "data"
Result = TypeVar("Result")
SMALLEST = 2**11  # elements; smaller arrays (biases, LayerNorm) are copied: gathering them costs more than they take


def make_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """One axis over the devices."""
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,), devices=devices)


def copied(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """The array is divided along an axis that counts rows of a batch."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def divided(mesh: Mesh, tree: Any) -> Any:
    """FSDP: for each array (or its shape), a sharding along its longest axis that the devices divide.

    The axis of the layers in a stack stays whole, as each step of the scan over layers needs one layer.
    """
    count = mesh.shape[AXIS]

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        stacked = any(getattr(key, "key", None) == "layers" for key in path)
        axes = [axis for axis, size in enumerate(leaf.shape) if size % count == 0 and not (stacked and axis == 0)]
        if not axes or np.prod(leaf.shape) < SMALLEST:
            return copied(mesh)
        return by_rows(mesh, max(axes, key=lambda axis: leaf.shape[axis]))

    return jax.tree.map_with_path(place, tree)


def layout_of(mesh: Mesh, tree: Any, layout: str) -> Any:
    """The shardings of a tree of parameters or optimizer state under "replicate" or "fsdp"."""
    return divided(mesh, tree) if layout == "fsdp" else jax.tree.map(lambda _: copied(mesh), tree)


def put(tree: Any, shardings: Any) -> Any:
    """Host arrays that every process has in full -> global arrays; a process keeps what its own devices need."""

    def place(leaf: Any, sharding: NamedSharding) -> jax.Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(place, tree, shardings)


def first_devices(devices: Sequence[jax.Device], count: int | None) -> Sequence[jax.Device]:
    """The first `count` of the devices there are; None: all of them, those of other processes included."""
    if count is not None and count < 1:
        raise InputError(f"--devices {count}: expected at least 1.")
    if count is not None and (count > len(devices) or jax.process_count() > 1):
        raise InputError(
            f"--devices {count}: there are {len(devices)} ({devices[0].platform})"
            + (", of several processes; leave the flag out." if jax.process_count() > 1 else " here.")
        )
    return devices[:count]


def together(call: Callable[[], Result]) -> Result:
    """What `call`, in which processes do not communicate, returns; if it is refused in one of them, then in each.

    Otherwise the others would wait for that one in whatever they compute next.
    """
    result = error = None
    try:
        result = call()
    except InputError as caught:
        error = caught
    refused = each(np.asarray(error is not None))
    if error:
        raise error
    if refused.any():
        raise InputError(f"process {refused.argmax()} of {len(refused)} cannot go on; its own message says why.")
    return result


def each(value: np.ndarray) -> np.ndarray:
    """The values of all processes, by their numbers [P, ...]."""
    return value[None] if jax.process_count() == 1 else np.asarray(multihost_utils.process_allgather(value))


def anywhere(*facts: bool) -> list[bool]:
    """For each fact, whether it is one in any process."""
    return each(np.array(facts)).any(axis=0).tolist()


def greatest(mesh: Mesh) -> Callable[[int], jax.Array]:
    """A function of a number that all processes call at once: the greatest they gave, the same array for each.

    Nobody waits for it before it is read, so that asking at every step costs the devices no pause.
    """
    place = by_rows(mesh)
    find = jax.jit(jnp.max, in_shardings=place, out_shardings=copied(mesh))

    def call(number: int) -> jax.Array:
        own = np.full(1, number, np.int32)  # on each of the process's devices
        return find(jax.make_array_from_callback((mesh.size,), place, lambda index: own))

    return call
