"""sharding.py: which axis of which array is divided among the devices, and how little each of them then holds."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from models import refusal, shapes, tiny_config
from tolerances import FSDP_COPIED_MINILM

from autorel_jax import sharding
from autorel_jax.data.task import TaskConfig
from autorel_jax.model.config import BertConfig
from autorel_jax.training.config import OPTIMIZERS, TrainConfig
from autorel_jax.training.optimizer import optimizer
from autorel_jax.training.step import State

COUNTS = (1, 2, 4, 8)
# all-MiniLM-L6-v2's sizes.
MINILM = BertConfig(
    vocab_size=30522,
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    intermediate_size=1536,
    max_position_embeddings=512,
    labels=("negative", "positive"),
)


def mesh(count):
    """An abstract mesh: shardings of shapes need no devices."""
    return jax.sharding.AbstractMesh((count,), (sharding.AXIS,))


def state_of(config, **options):
    """The shapes of parameters and optimizer state."""
    train = TrainConfig(task=TaskConfig(train="x"), **options)

    def begin(params):
        return State(jnp.zeros((), jnp.int32), params, optimizer(train, 10, params).init(params))

    return jax.eval_shape(begin, shapes(config))


def spec(leaf, place):
    return tuple(place.spec) + (None,) * (leaf.ndim - len(place.spec))


def listed(tree, count, layout="fsdp"):
    """(path, leaf, what each axis is divided along) of each leaf."""
    places = jax.tree.leaves(sharding.layout_of(mesh(count), tree, layout))
    leaves = jax.tree.leaves_with_path(tree)
    return [(path, leaf, spec(leaf, place)) for (path, leaf), place in zip(leaves, places, strict=True)]


def is_stacked(path):
    return any(getattr(key, "key", None) == "layers" for key in path)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("config", [MINILM, tiny_config(hidden_size=64, intermediate_size=80)], ids=["MiniLM", "tiny"])
def test_the_longest_axis_that_can_be_is_divided(config, count):
    divided = 0
    for path, leaf, axes in listed(state_of(config), count):
        can = [i for i, size in enumerate(leaf.shape) if size % count == 0 and (i or not is_stacked(path))]
        if leaf.size < sharding.SMALLEST or not can:
            assert axes == (None,) * leaf.ndim
            continue
        assert axes.count(sharding.AXIS) == 1
        axis = axes.index(sharding.AXIS)
        assert axis in can
        assert leaf.shape[axis] == max(leaf.shape[i] for i in can)
        divided += 1
    assert divided > 40


def test_axes_by_hand():
    tree = {"layers": {"kernel": (8, 384, 1536), "bias": (8, 1536)}, "word": (30522, 384), "odd": (2049, 2051)}
    tree |= {"small": (8, 255), "scalar": (), "tall": (4096, 8)}
    tree["layers"]["tall"] = (4096, 8)
    tree = jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, np.float32), tree, is_leaf=lambda x: type(x) is tuple)
    found = {jax.tree_util.keystr(path, simple=True, separator="."): axes for path, _, axes in listed(tree, 8)}
    assert found == {
        "layers.bias": (None, "data"),
        "layers.kernel": (None, None, "data"),
        "layers.tall": (None, "data"),  # the layers' own axis stays whole
        "odd": (None, None),
        "scalar": (),
        "small": (None, None),
        "tall": ("data", None),
        "word": (None, "data"),  # 8 does not divide 30,522
    }
    assert dict((path[-1].key, axes) for path, _, axes in listed(tree, 2))["word"] == ("data", None)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_lie_where_their_parameters_do(name):
    """Each moment has a parameter's path as the end of its own."""
    state = state_of(MINILM, optimizer=name)
    params = {tuple(path): axes for path, _, axes in listed(state.params, 8)}
    moments = [entry for entry in listed(state.moments, 8) if entry[1].ndim]
    assert len(moments) == 2 * len(params)
    for path, _, axes in moments:
        ends = [tuple(path[start:]) for start in range(len(path))]
        assert [params[end] for end in ends if end in params] == [axes]


def test_replicate_divides_nothing():
    assert all(set(axes) <= {None} for _, _, axes in listed(state_of(MINILM), 8, "replicate"))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_device_holds_little(name, count):
    """Of parameters and moments at MiniLM's size, by shapes."""
    whole = part = 0
    for _, leaf, axes in listed(state_of(MINILM, optimizer=name), count):
        size = leaf.size * leaf.dtype.itemsize
        whole, part = whole + size, part + size // (count if sharding.AXIS in axes else 1)
    assert whole > 3 * 90e6
    assert 1 / count <= part / whole <= 1 / count + FSDP_COPIED_MINILM


def test_more_devices_than_there_are():
    devices = jax.devices()
    there = len(devices)
    assert sharding.first_devices(devices, None) == devices
    assert sharding.first_devices(devices, 1) == devices[:1]
    assert refusal(sharding.first_devices, devices, there + 1) == (
        f"--devices {there + 1}: there are {there} (cpu) here."
    )


@pytest.mark.parametrize("count", [0, -1])
def test_no_device_at_all(count):
    assert refusal(sharding.first_devices, jax.devices(), count) == f"--devices {count}: expected at least 1."


# --- arrays, on eight simulated devices in a process of their own


def held(tree):
    """Bytes on each device."""
    bytes_ = dict.fromkeys(jax.devices(), 0)
    for leaf in jax.tree.leaves(tree):
        for shard in leaf.addressable_shards:
            bytes_[shard.device] += shard.data.nbytes
    return list(bytes_.values())


def look_at_arrays():
    """In a child: values and sizes on meshes over the first devices."""
    kernel = np.arange(3 * 64 * 80, dtype=np.float32).reshape(3, 64, 80)
    tree = {"layers": {"kernel": kernel}, "bias": np.arange(64, dtype=np.float32), "step": np.int32(3)}
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    for count in COUNTS:
        made = sharding.make_mesh(jax.devices()[:count])
        for layout in ("replicate", "fsdp"):
            places = sharding.layout_of(made, tree, layout)
            found = sharding.put(tree, places)
            assert jax.tree.map(lambda leaf: leaf.sharding, found) == places
            jax.tree.map(np.testing.assert_array_equal, found, tree)
            size = whole if layout == "replicate" else whole - (1 - 1 / count) * kernel.nbytes
            assert held(found) == [size] * count + [0] * (8 - count)
        batch = sharding.put(np.arange(24, dtype=np.int32).reshape(3, 8), sharding.by_rows(made, axis=1))
        assert batch.sharding.spec == PartitionSpec(None, "data")
        assert batch.addressable_shards[-1].data.tolist() == np.arange(24).reshape(3, 8)[:, -8 // count :].tolist()
        assert sharding.first_devices(jax.devices(), count) == jax.devices()[:count]


def test_arrays():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_sharding as t; t.look_at_arrays()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
