"""Checkpoints: every bit comes back; a kill, a full disk or a damaged file costs at most the newest checkpoint."""

import contextlib
import functools
import json
import os
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from models import refusal

from autorel_jax.cli import processes
from autorel_jax.cli.command import run
from autorel_jax.errors import InputError
from autorel_jax.training.run_state import Checkpoints

KILLS = 4  # of one run, each at another moment; a save of the child's takes 20 ms
LONGEST = 0.4  # seconds that the child goes on saving before it is killed
WIDTH = 2**12  # of arrays large enough to lie in data files of their own
LITTLE = 5000  # bytes that a file may have, less than an array
SOON = 60  # seconds until two processes must have ended where one cannot write; 12 here, and Orbax's own way 600
TIMEOUT = 300  # seconds for a child that needs two
DEVICES = 4  # simulated in the child that reads and writes other shardings


class State(NamedTuple):
    params: dict
    moments: tuple
    key: jax.Array


class Empty(NamedTuple):
    """As optax has them."""


def state_at(step, width=WIDTH):
    """What a run has at a step: bfloat16, float32, integers, a typed key, and parts without arrays."""
    values = np.random.default_rng(step).standard_normal((3, width), np.float32)
    return State(
        {"head": {"kernel": jnp.asarray(values, jnp.bfloat16)}, "bias": jnp.asarray(values[0])},
        (Empty(), {"mu": jnp.asarray(values), "mask": jnp.asarray(values > 0)}, None, jnp.asarray(step)),
        jax.random.key(step),
    )


def shapes(state):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state)


@functools.cache
def like(width=WIDTH):
    return shapes(state_at(0, width))


def bits(state):
    """Every leaf as (dtype, shape, bytes)."""

    def plain(x):
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    return [(x.dtype, x.shape, np.asarray(plain(x)).tobytes()) for x in jax.tree.leaves(state)]


def fill(folder, *steps, metrics=()):
    """Checkpoints of the given steps, each with its state."""
    with Checkpoints(folder) as checkpoints:
        for step, metric in zip(steps, metrics or [None] * len(steps), strict=True):
            checkpoints.save(step, state_at(step), {"epoch": step // 10}, metric)
    return folder


def restored(folder, wanted=None):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(wanted or like())


def assert_is(checkpoint, step):
    assert (checkpoint.step, checkpoint.progress) == (step, {"epoch": step // 10})
    assert bits(checkpoint.state) == bits(state_at(step))


def command(call):
    """What runs a function of this file in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_checkpoint as t; t.{call}"
    return [sys.executable, "-W", "error", "-c", code]


def child(call, **environment):
    """Such a process; it has one device unless the environment says otherwise."""
    return subprocess.Popen(
        command(call), env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*children):
    for process in children:
        with process:
            _, err = process.communicate(timeout=TIMEOUT)
            assert (process.returncode, err) == (0, "")


# What comes back.


def test_every_bit_comes_back(tmp_path):
    progress = {"epoch": 3, "batch": 17, "best": None, "config": {"rate": 0.1 + 0.2, "name": "é"}}
    with Checkpoints(tmp_path / "a" / "b") as checkpoints:
        assert checkpoints.restore(like()) is None
        checkpoints.save(300, state_at(300), progress, 0.1 + 0.2)
    found = restored(tmp_path / "a" / "b")
    assert (found.step, found.progress, found.metric, found.warnings) == (300, progress, 0.1 + 0.2, ())
    assert bits(found.state) == bits(state_at(300))
    assert jax.tree.structure(found.state) == jax.tree.structure(like())
    assert jax.random.key_impl(found.state.key) == jax.random.key_impl(state_at(300).key)


def test_every_special_value_comes_back(tmp_path):
    words = np.array([0x7FC00001, 0xFFC00000, 0x80000000, 0x00000001, 0x7F800000], np.uint32)  # NaNs, -0, tiny, inf
    state = {"x": jnp.asarray(words.view(np.float32)), "none": jnp.zeros((0, 3)), "i": jnp.asarray([-1], jnp.int8)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        assert bits(checkpoints.restore(shapes(state)).state) == bits(state)


def test_the_state_may_be_donated_once_save_returns(tmp_path):
    state = {str(i): jnp.full(2**18, i, jnp.float32) for i in range(8)}  # 8 MB, so that writing takes a while
    expected, like, progress = bits(state), shapes(state), {"best": [0.5]}
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, progress)
        progress["best"][0] = 0.0
        for _ in range(3):
            state = overwrite(state)
        jax.tree.map(lambda x: x.delete(), state)
        found = checkpoints.restore(like)
    assert bits(found.state) == expected
    assert found.progress == {"best": [0.5]}


def test_two_leaves_of_one_name(tmp_path):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match="one name"):
        checkpoints.save(1, {"a": {"b": jnp.ones(1)}, "a.b": jnp.ones(1)}, {})


# Which are kept.


@pytest.mark.parametrize(
    ("metrics", "kept", "best"),
    [
        ([None, None, None, None], [30, 40], None),
        ([0.9, 0.1, 0.2, 0.3], [10, 30, 40], 10),
        ([0.1, 0.9, 0.2, None], [20, 30, 40], 20),
        ([0.1, 0.9, 0.9, 0.9], [20, 30, 40], 20),  # the first of equals
        ([0.5, 0.1, 0.2, 0.9], [10, 30, 40], 40),  # 10 stays the best where 40 turns out to be damaged
        ([float("nan"), -1.0, None, -2.0], [20, 30, 40], 20),
    ],
)
def test_the_last_two_and_the_best_are_kept(tmp_path, metrics, kept, best):
    fill(tmp_path, 10, 20, metrics=metrics[:2])
    fill(tmp_path, 30, 40, metrics=metrics[2:])  # by a second process, as it were
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == kept
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps == tuple(kept)
        found = checkpoints.best(like())
        assert (found and found.step) == best
        assert_is(checkpoints.restore(like()), 40)


def test_a_part_of_the_best(tmp_path):
    fill(tmp_path, 10, 20, 30, metrics=[0.5, 0.2, 0.3])
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.best({"params": like().params})
    assert (found.step, found.metric, found.progress) == (10, 0.5, {"epoch": 1})
    assert bits(found.state) == bits({"params": state_at(10).params})


def test_the_best_is_damaged(tmp_path):
    fill(tmp_path, 10, 20, 30, metrics=[0.5, 0.2, 0.3])
    flip_a_bit(tmp_path / "10")
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.best(like())
    assert_is(found, 30)
    (warning,) = found.warnings
    begin, end = "checkpoint 10 cannot be read (", "); the best of the others is 30"
    assert re.fullmatch(f"{re.escape(begin)}{CHANGED}{re.escape(end)}", warning)


def test_the_best_is_damaged_before_the_run_goes_on(tmp_path):
    """It is found then, so that it does not outrank what comes later."""
    fill(tmp_path, 10, 20, 30, metrics=[0.5, 0.2, 0.3])
    flip_a_bit(tmp_path / "10")
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(like())
        for step, metric in ((40, 0.4), (50, 0.1), (60, 0.2)):
            checkpoints.save(step, state_at(step), {"epoch": step // 10}, metric)
        assert checkpoints.best(like()).step == 40
    assert_is(found, 30)
    (warning,) = found.warnings
    begin, end = "checkpoint 10 cannot be read (", "); it is now called 10.unreadable, going on from 30"
    assert re.fullmatch(f"{re.escape(begin)}{CHANGED}{re.escape(end)}", warning)


def test_a_step_that_is_there_stays_as_it_is(tmp_path):
    fill(tmp_path, 10)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, state_at(11), {})
        assert_is(checkpoints.restore(like()), 10)


def test_a_metric_that_comes_later(tmp_path):
    """Is that of the checkpoint then, which can be the best; another one changes nothing."""
    fill(tmp_path, 10, 20, metrics=[0.5, None])
    fill(tmp_path, 20, metrics=[0.9])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(20, state_at(21), {}, 0.1)
        found = checkpoints.best(like())
        assert (found.step, found.metric) == (20, 0.9)
        assert_is(found, 20)
        assert checkpoints.steps == (10, 20)


def test_a_step_before_the_last(tmp_path):
    fill(tmp_path, 30)
    with Checkpoints(tmp_path) as checkpoints:
        text = refusal(checkpoints.save, 20, state_at(20), {})
    assert text == f"{tmp_path} holds step 30, after step 20; resume, or give another folder."


# Kills and damage.


def metric_at(step):
    """Goes up and down; no two of eleven in a row are equal."""
    return step * 7 % 110 / 110


def save_for_ever(folder):
    """In a child: goes on from what is there, and saves a checkpoint after another until it is killed."""
    with Checkpoints(folder) as checkpoints:
        found = checkpoints.restore(like())
        step = found.step
        assert bits(found.state) == bits(state_at(step))
        print("ready", flush=True)
        while True:
            step += 10
            checkpoints.save(step, state_at(step), {"epoch": step // 10}, metric_at(step))


def test_killed_at_any_moment(tmp_path):
    fill(tmp_path, 10, metrics=[metric_at(10)])
    moments, steps, interrupted = random.Random(0), [10], 0
    for _ in range(KILLS):
        with child(f"save_for_ever({str(tmp_path)!r})") as process:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            time.sleep(moments.uniform(0, LONGEST))
            process.kill()
            assert process.communicate() == ("", "")
        interrupted += any("tmp" in path.name for path in tmp_path.iterdir())
        with Checkpoints(tmp_path) as checkpoints:
            assert all(path.name.isdigit() for path in tmp_path.iterdir())
            found = checkpoints.restore(like())
            best = checkpoints.best({"params": like().params})
        assert found.warnings == best.warnings == ()
        assert_is(found, found.step)
        assert bits(best.state) == bits({"params": state_at(best.step).params})
        assert best.metric == max(map(metric_at, range(10, found.step + 1, 10)))
        steps.append(found.step)
    assert steps == sorted(steps)
    assert interrupted > 0, "no kill came during a save"


def test_what_a_killed_save_left_is_removed(tmp_path):
    fill(tmp_path, 10)
    shutil.copytree(tmp_path / "10", tmp_path / "20.orbax-checkpoint-tmp")
    with Checkpoints(tmp_path) as checkpoints:
        assert [path.name for path in tmp_path.iterdir()] == ["10"]
        assert_is(checkpoints.restore(like()), 10)


def truncate(path, size=0):
    for file in (path / "state" / "d").iterdir():
        os.truncate(file, size)


def zero(path):
    for file in (path / "state" / "d").iterdir():
        file.write_bytes(bytes(file.stat().st_size))


def flip_a_bit(path):
    """In an array's own bytes, which no checksum of the file format covers."""
    array = np.asarray(state_at(int(path.name)).params["bias"]).tobytes()
    for file in (path / "state").rglob("d/*"):
        data = bytearray(file.read_bytes())
        if array in data:
            data[data.index(array) + 5] ^= 1
            file.write_bytes(data)
            return
    raise AssertionError("the array is nowhere")


def edit_record(path):
    record = path / "record" / "metadata"
    record.write_text(record.read_text().replace('"epoch": 2', '"epoch": 3'))


CHANGED = r"state/\S+ is not what was written"
MISSING = r"state/\S+ is missing"
RECORD = "record/metadata is not what was written"
DAMAGES = {
    "arrays emptied": (truncate, CHANGED),
    "arrays truncated": (lambda path: truncate(path, 100), CHANGED),
    "arrays zeroed": (zero, CHANGED),
    "a bit flipped": (flip_a_bit, CHANGED),
    "arrays deleted": (lambda path: shutil.rmtree(path / "state"), MISSING),
    "structure deleted": (lambda path: (path / "state" / "_METADATA").unlink(), MISSING),
    "index deleted": (lambda path: (path / "state" / "manifest.ocdbt").unlink(), MISSING),
    "record deleted": (lambda path: shutil.rmtree(path / "record"), r"record/\S+ is missing"),
    "record changed": (edit_record, RECORD),
    "checksums deleted": (lambda path: (path / "checksums.json").unlink(), "No such file or directory"),
    "checksums emptied": (lambda path: os.truncate(path / "checksums.json", 0), "Expecting value.*"),
    "checksums of nothing": (lambda path: (path / "checksums.json").write_text("{}"), "checksums.json is not .*"),
    "checksums of another kind": (lambda path: (path / "checksums.json").write_text("[1]"), ".*list.*"),
    "checksums binary": (lambda path: (path / "checksums.json").write_bytes(b"\xff\0"), ".*utf-8.*"),
    "all deleted": (lambda path: [shutil.rmtree(path), path.mkdir()], "No such file or directory"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_the_one_before_a_damaged_checkpoint(tmp_path, damage, reason):
    fill(tmp_path, 10, 20, metrics=[None, 0.5])
    damage(tmp_path / "20")
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(like())
        assert_is(found, 10)
        (warning,) = found.warnings
        begin, end = "checkpoint 20 cannot be read (", "); it is now called 20.unreadable, going on from 10"
        assert re.fullmatch(f"{re.escape(begin)}{reason}{re.escape(end)}", warning)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20.unreadable"]
        checkpoints.save(20, state_at(20), {"epoch": 2})
        found = checkpoints.restore(like())
        assert_is(found, 20)
        assert found.warnings == ()


def test_a_checkpoint_is_damaged_twice(tmp_path):
    fill(tmp_path, 10)
    for _ in range(2):
        fill(tmp_path, 20)
        flip_a_bit(tmp_path / "20")
        assert_is(restored(tmp_path), 10)


def test_all_are_damaged(tmp_path):
    fill(tmp_path, 10, 20)
    edit_record(tmp_path / "20")
    (tmp_path / "10" / "checksums.json").unlink()
    assert refusal(restored, tmp_path) == (
        f"{tmp_path}: no checkpoint can be read (checkpoint 20: {RECORD}; checkpoint 10: No such file or directory); "
        "give another folder to start again."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s._replace(params=s.params | {"new": s.params["bias"]}), "it has no params.new"),
        (lambda s: s._replace(moments=()), "it has moments.1.mask, which this model lacks"),
        (
            lambda s: s._replace(params=like(9).params),
            f"params.bias is float32[{WIDTH}] there and float32[9] here",
        ),
        (
            lambda s: s._replace(key=shapes(jax.random.key(0, impl="rbg"))),
            "key is key<fry>[] there and key<rbg>[] here",
        ),
    ],
)
def test_a_checkpoint_of_another_model(tmp_path, change, fault):
    fill(tmp_path, 10, 20)
    assert refusal(restored, tmp_path, change(like())) == (
        f"{tmp_path}: checkpoint 20 is of another model: {fault}; "
        "give the settings it was made with, or another folder."
    )
    assert_is(restored(tmp_path), 20)


# Where nothing can be written.


@contextlib.contextmanager
def no_file_larger_than(size):
    """A real failure of write(2), for any user."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 500, LITTLE, 20_000])  # at the first file, the record, the arrays
def test_a_failed_save(tmp_path, size):
    message = f"{tmp_path} cannot be written: File too large."
    states = {step: state_at(step) for step in (10, 20, 30)}  # compiled programs are written to a file too
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, states[10], {"epoch": 1}, 0.5)
        checkpoints.wait()

        def save(step):
            checkpoints.save(step, states[step], {"epoch": step // 10}, 0.9)
            checkpoints.wait()

        for step in (20, 20, 30):
            with no_file_larger_than(size):
                assert refusal(save, step) == message
            assert checkpoints.steps == (10,)
            assert checkpoints.best(like()).step == 10
        save(30)
        assert checkpoints.steps == (10, 30)
        assert bits(checkpoints.restore(like()).state) == bits(state_at(30))


def test_the_next_save_raises(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        with no_file_larger_than(LITTLE):
            checkpoints.save(20, state_at(20), {})
            assert refusal(checkpoints.save, 30, state_at(30), {}) == f"{tmp_path} cannot be written: File too large."
        checkpoints.save(30, state_at(30), {"epoch": 3})
    assert_is(restored(tmp_path), 30)


def test_the_exit_raises(tmp_path):
    def leave():
        with no_file_larger_than(LITTLE), Checkpoints(tmp_path) as checkpoints:
            checkpoints.save(20, state_at(20), {})

    fill(tmp_path, 10)
    assert refusal(leave) == f"{tmp_path} cannot be written: File too large."
    assert_is(restored(tmp_path), 10)


def test_the_exit_hides_no_other_exception(tmp_path):
    def leave():
        with no_file_larger_than(LITTLE), Checkpoints(tmp_path) as checkpoints:
            checkpoints.save(20, state_at(20), {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()


def fill_the_disk(folder):
    """In a child, on a disk of 2 MB."""
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(10, state_at(10), {"epoch": 1})
        for step in (20, 30):
            try:
                checkpoints.save(step, {str(i): jnp.full(2**15, 1.5) for i in range(40)}, {})
                checkpoints.wait()
            except InputError as error:
                print(error)
        assert_is(checkpoints.restore(like()), 10)
        checkpoints.save(30, state_at(30), {"epoch": 3})
    assert_is(restored(folder), 30)


def test_a_full_disk(tmp_path):
    mount = f"mount -t tmpfs -o size=2m none {tmp_path}"
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode
    ):
        pytest.skip("this system lets no ordinary user mount a small disk")
    inside = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" "$@"', *command(f"fill_the_disk({str(tmp_path)!r})")]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path} cannot be written: No space left on device.\n" * 2


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "file").touch()
    assert refusal(Checkpoints, tmp_path / "file") == f"{tmp_path}/file cannot be written: File exists."
    below = tmp_path / "file" / "checkpoints"
    assert refusal(Checkpoints, below) == f"{below} cannot be written: Not a directory."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    fill(tmp_path, 10)
    tmp_path.chmod(0o555)
    try:
        assert refusal(Checkpoints, tmp_path) == f"{tmp_path} cannot be written: Permission denied."
    finally:
        tmp_path.chmod(0o755)


# Other devices.


def divided(devices):
    """like() on a mesh; what its length allows is divided."""
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])

    def place(leaf):
        axes = [None] * (leaf.ndim - 1) + ["data"] if leaf.ndim and leaf.shape[-1] % devices == 0 else []
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, PartitionSpec(*axes)))

    return jax.tree.map(place, like())


def read_and_write_divided(folder):
    """In a child with four devices: what one device saved, on two and on four, and the other way round."""
    assert jax.device_count() == DEVICES
    for step, devices in enumerate((DEVICES, 2), 1):
        like = divided(devices)
        with Checkpoints(folder) as checkpoints:
            found = checkpoints.restore(like)
            assert_is(found, step)
            assert jax.tree.map(lambda x: x.sharding, found.state) == jax.tree.map(lambda x: x.sharding, like)
            state = jax.device_put(state_at(step + 1), jax.tree.map(lambda x: x.sharding, like))
            checkpoints.save(step + 1, state, {"epoch": 0})


def test_other_numbers_of_devices(tmp_path):
    fill(tmp_path, 1)
    finish(child(f"read_and_write_divided({str(tmp_path)!r})", JAX_NUM_CPU_DEVICES=str(DEVICES)))
    assert_is(restored(tmp_path), 3)


def one_of_two(index, folder, port):
    """In two children: each has two of four devices; one of them damages what both read."""
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, index)
    from jax.experimental.multihost_utils import sync_global_devices

    like = divided(DEVICES)
    with Checkpoints(folder) as checkpoints:
        found = checkpoints.restore(like)
        assert found.step == 20
        checkpoints.save(30, found.state, {"epoch": 3}, 0.5)
        checkpoints.wait()
        sync_global_devices("saved")
        if index == 1:
            truncate(Path(folder) / "30")
        sync_global_devices("damaged")
        found = checkpoints.restore(like)
        assert found.step == 20
        assert len(found.warnings) == 1
        checkpoints.save(30, found.state, {"epoch": 3})


def one_of_two_fails(index, folder, port):
    """In two children: the disk takes nothing more from one of them, and the other waits for it in the save."""
    processes.join(f"127.0.0.1:{port}", 2, index)

    def save(argv):
        with processes.others(), Checkpoints(folder) as checkpoints:
            found = checkpoints.restore(divided(DEVICES))
            with no_file_larger_than(LITTLE) if index == 1 else contextlib.nullcontext():
                checkpoints.save(30, found.state, {"epoch": 3}, 0.5)
                checkpoints.wait()

    processes.leave(run(save, None, "save"))


@pytest.mark.slow
def test_a_failed_save_of_one_of_two(tmp_path):
    fill(tmp_path, 20)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = [
        child(f"one_of_two_fails({index}, {str(tmp_path)!r}, {port})", JAX_NUM_CPU_DEVICES="2") for index in range(2)
    ]
    for process, said in zip(pair, ("by another process, which may say why.", "File too large."), strict=True):
        with process:
            _, err = process.communicate(timeout=SOON)
        assert process.returncode == 2
        assert err.startswith(f"save: error: {tmp_path} cannot be written")
        assert err.endswith(f"{said}\n")
        assert len(err.splitlines()) == 1
    assert_is(restored(tmp_path), 20)


def test_two_processes(tmp_path):
    fill(tmp_path, 20)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    calls = [f"one_of_two({index}, {str(tmp_path)!r}, {port})" for index in range(2)]
    finish(*[child(call, JAX_NUM_CPU_DEVICES="2") for call in calls])
    found = restored(tmp_path)
    assert (found.step, bits(found.state)) == (30, bits(state_at(20)))
    assert json.loads((tmp_path / "30" / "record" / "metadata").read_text())["progress"] == {"epoch": 3}
