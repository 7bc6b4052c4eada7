"""Two processes over loopback through the train command: the parameters of one process, stops and faults of either."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import training
from models import refusal, write_model
from tolerances import PROCESSES_LOSSES, PROCESSES_PARAMETERS
from training import finished, metrics_of, tensors_of

from autorel_jax import sharding
from autorel_jax.cli import processes
from autorel_jax.cli.command import run

STEPS = 20
SIZES = {"hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2}
SETTINGS = {"max_length": 8, "batch_size": 12, "max_steps": STEPS, "evaluate_every": 8}
SETTINGS |= {"learning_rate": 1e-3, "log_every": 1, "layout": "fsdp"}
GLOO = "[Gloo]"  # begins a line that the library prints on stdout when processes connect
SOON = 60  # seconds until the other process must have noticed; it takes 1 to 3, and JAX's own way 30 to 300
SLURM_PORTS = 2**16 - 2**12  # JAX adds the job's number modulo 4096


def free_port(first=0):
    """A port nobody listens on; JAX's are the same on all addresses."""
    while True:
        with socket.socket() as found:
            try:
                found.bind(("", first and random.randrange(first, 2**16)))
                return found.getsockname()[1]
            except OSError:
                assert first


def start(*arguments, **environment):
    """The command in a process of its own, with a device unless the environment says otherwise."""
    return start_python(str(training.ROOT / "train.py"), *map(str, arguments), **environment)


def start_python(*arguments, **environment):
    command = [sys.executable, "-W", "error", *arguments]
    variables = os.environ | {"JAX_NUM_CPU_DEVICES": "1"} | environment
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_two(folder, output, *arguments, other=()):
    """Two processes with one device each; `other` are flags of the second alone."""
    address, run = f"127.0.0.1:{free_port()}", ("--config", folder / "task/task.toml", "--output", folder / output)
    join = ("--coordinator", address, "--processes", 2, "--process")
    pair = ((*run, *arguments, *join, 0), (*run, *arguments, *join, 1, *other))
    return [start(*flags) for flags in pair]


def start_two_in_slurm(folder, output, *arguments):
    """The same as tasks of a job; nothing in the flags tells them apart."""
    job = free_port(SLURM_PORTS) - SLURM_PORTS
    shared = {"SLURM_JOB_ID": job, "SLURM_NTASKS": 2, "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_NUM_NODES": 1}
    flags = ("--config", folder / "task/task.toml", "--output", folder / output, "--coordinator", "auto", *arguments)
    tasks = (shared | {"SLURM_PROCID": task, "SLURM_LOCALID": task} for task in range(2))
    return [start(*flags, **{name: str(value) for name, value in task.items()}) for task in tasks]


def printed(out):
    return [line for line in out.splitlines() if not line.startswith(GLOO)]


def wait_for_step(output, step, *pair):
    """Until the lines of metrics have reached it."""
    while not (output / "metrics.jsonl").is_file() or len(metrics_of(output)) < step:
        assert [process.poll() for process in pair] == [None] * len(pair), [finished(process) for process in pair]
        time.sleep(0.002)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run in one process with two devices, and one in two processes that is stopped and goes on in others."""
    folder = tmp_path_factory.mktemp("processes")
    write_model(folder / "encoder", labels=(), **SIZES)
    training.write_task(folder / "task", **SETTINGS)
    found = SimpleNamespace(folder=folder, one=folder / "one", two=folder / "two")
    alone = ("--config", folder / "task/task.toml", "--output", found.one, "--devices", 2)
    assert finished(start(*alone, JAX_NUM_CPU_DEVICES="2"))[::2] == (0, "")
    pair = start_two(folder, "two")
    wait_for_step(found.two, 3, *pair)
    pair[1].terminate()
    found.stopped = [finished(process) for process in pair]
    found.ended = [finished(process) for process in start_two_in_slurm(folder, "two", "--resume")]
    return found


@pytest.mark.multiprocess
def test_one_is_told_to_stop(runs):
    """Only the second got SIGTERM. Both stop after one and the same step, of which there is a checkpoint."""
    first, second = runs.stopped
    assert (first[0], second[0]) == (143, 143)
    assert (first[2], second[2]) == ("", "")
    assert printed(second[1]) == []
    step = int(printed(first[1])[-1].removeprefix("SIGTERM: stopped after step ").partition(";")[0])
    assert 3 <= step < STEPS
    assert f"going on from step {step} of {STEPS}" in printed(runs.ended[0][1])


@pytest.mark.multiprocess
def test_two_do_what_one_does(runs):
    for code, _, err in runs.ended:
        assert (code, err) == (0, "")
    assert printed(runs.ended[1][1]) == []
    assert f"{STEPS} steps of 12 rows on 2 device(s)" in runs.ended[0][1]
    assert printed(runs.ended[0][1])[-1].startswith(f"wrote {runs.two}/model, the parameters of step ")
    found, expected = tensors_of(runs.two / "model"), tensors_of(runs.one / "model")
    assert found.keys() == expected.keys()
    assert max(float(np.abs(found[name] - expected[name]).max()) for name in expected) <= PROCESSES_PARAMETERS
    lines, others = metrics_of(runs.two), metrics_of(runs.one)
    assert [line["step"] for line in lines] == [line["step"] for line in others]
    for line, other in zip(lines, others, strict=True):
        assert {**line, "split": 0} == pytest.approx({**other, "split": 0}, rel=PROCESSES_LOSSES, abs=0)


@pytest.mark.multiprocess
def test_only_the_first_writes(runs):
    training.assert_events_are_metrics(runs.two)  # each value once
    assert {path.name for path in runs.two.iterdir()} == {path.name for path in runs.one.iterdir()}


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("flags", "faults"),
    [
        (("--data-dir", "nowhere"), ("process 1 of 2 cannot go on; its own message says why.", "nowhere/train.csv")),
        (
            ("--learning-rate", 0.5),
            ("the processes have different data, weights, settings or folders for --output; g",) * 2,
        ),
        (
            ("--output", "elsewhere"),
            ("the processes have different data, weights, settings or folders for --output",) * 2,
        ),
    ],
    ids=["no data", "other settings", "another output"],
)
def test_a_fault_of_one_is_a_fault_of_both(runs, flags, faults):
    begun = time.monotonic()
    pair = [finished(process) for process in start_two(runs.folder, "refused", other=flags)]
    for (code, _, err), fault in zip(pair, faults, strict=True):
        assert code == 2
        assert err.startswith("autorel-train: error: ")
        assert fault in err
        assert len(err.splitlines()) == 1
    assert time.monotonic() - begun < SOON
    assert not (runs.folder / "refused").exists()


def lose(index, address):
    """In two children: the second leaves without a word, as one that is killed."""
    processes.join(address, 2, index)

    def agree(argv):
        with processes.others():
            for number in range(10**6):
                assert sharding.each(np.array(number)).tolist() == [number] * 2
                if index == 1 and number == 3:
                    os._exit(9)

    processes.leave(run(agree, None, "autorel-train"))


@pytest.mark.multiprocess
def test_one_is_lost():
    """The other says so in one line and ends, instead of waiting for it in a collective operation."""
    begun, path, address = time.monotonic(), str(Path(__file__).parent), f"127.0.0.1:{free_port()}"
    codes = (f"import sys; sys.path.insert(0, {path!r}); import test_training_processes as t; t.lose" for _ in range(2))
    pair = [start_python("-c", f"{code}({index}, {address!r})") for index, code in enumerate(codes)]
    (code, out, err), (lost, _, _) = map(finished, pair)
    assert (code, printed(out), lost) == (2, [], 9)
    assert err.startswith("autorel-train: error: lost another process")
    assert len(err.splitlines()) == 1
    assert time.monotonic() - begun < SOON


# --- in one process


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (("--processes", 2), "--processes and --process need --coordinator HOST:PORT, the address of the first"),
        (("--coordinator", "a:1", "--processes", 2), "--coordinator needs --processes N and --process I, or"),
        (("--coordinator", "a:1", "--processes", 2, "--process", 2), "--process 2: expected a number from 0 and less"),
        (
            ("--coordinator", "a:1", "--processes", 2, "--process", -1),
            "--process -1: expected a number from 0 and",
        ),
        (("--coordinator", "a", "--processes", 2, "--process", 1), "--coordinator a: expected HOST:PORT"),
        (("--coordinator", "a:65536", "--processes", 2, "--process", 1), "--coordinator a:65536: expected HOST:PORT"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, flags, fault):
    training.write_task(tmp_path / "task")
    flags = ("--config", tmp_path / "task/task.toml", "--output", tmp_path / "run", *flags)
    assert training.refused(*flags).startswith(fault)


def test_a_port_that_is_taken():
    with socket.create_server(("", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert refusal(processes.check, address, 2, 0) == (
            f"--coordinator {address}: Address already in use; give another port."
        )
        processes.check(address, 2, 1)  # the first process listens there


@pytest.mark.parametrize(("address", "asked"), [("auto", (None, None, None)), ("b:7", ("b:7", 3, 1))])
def test_what_jax_is_asked(monkeypatch, address, asked):
    """And SIGTERM ends a process that waits for the others, where Python would not come to handle it."""
    seen, before = [], signal.getsignal(signal.SIGTERM)

    def initialize(*arguments, **options):
        seen.append((arguments, options, signal.getsignal(signal.SIGTERM), jax.config.jax_enable_preemption_service))

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    processes.join(address, *asked[1:])
    how = {"cluster_detection_method": None if address == "auto" else "deactivate"}
    assert seen == [(asked, how | {"shutdown_timeout_seconds": processes.SHUTDOWN}, signal.SIG_DFL, False)]
    assert signal.getsignal(signal.SIGTERM) == before


def test_auto_without_a_job():
    """In a child, as JAX asks for this before anything of it is used."""
    code = (
        "from autorel_jax.cli import command, processes; "
        "command.run(lambda _: processes.join('auto', None, None), None, 'train')"
    )
    said = "--coordinator auto: this is no job of SLURM or MPI; give HOST:PORT, --processes and --process.\n"
    outside = ("KUBERNETES_SERVICE_HOST", "SLURM_", "OMPI_")  # where the tests themselves run as a job
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"train: error: {said}")


def test_auto_in_a_job_whose_processes_do_not_come(monkeypatch):
    """Is not said to be no job."""

    def initialize(*arguments, **options):
        raise RuntimeError("DEADLINE_EXCEEDED: Barrier timed out.\nand more")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    said = refusal(processes.join, "auto", None, None)
    assert said == "--coordinator auto: DEADLINE_EXCEEDED: Barrier timed out."


IN_SLURM = """
import jax
from autorel_jax.cli import processes
processes.join({address!r}, 1, 0)
print(jax.config.read('jax_cuda_visible_devices'))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("address", "visible"), [("auto", "3"), ("127.0.0.1:{port}", "all")])
def test_the_gpus_of_a_task(address, visible):
    """Of SLURM's fourth task of a host: with an address all that it sees, else the fourth."""
    job = free_port(SLURM_PORTS) - SLURM_PORTS
    task = {"JOB_ID": job, "NTASKS": 1, "STEP_NODELIST": "127.0.0.1", "STEP_NUM_NODES": 1, "PROCID": 0, "LOCALID": 3}
    code = IN_SLURM.format(address=address.format(port=free_port()))
    child = start_python("-c", code, **{f"SLURM_{name}": str(value) for name, value in task.items()})
    code, out, err = finished(child)
    assert (code, printed(out), err) == (0, [visible], "")


def test_one_process_agrees_with_itself():
    assert sharding.together(lambda: 7) == 7
    assert sharding.each(np.array([1, 2])).tolist() == [[1, 2]]
    agree = sharding.greatest(sharding.make_mesh(jax.devices()[:1]))
    assert [int(agree(number)) for number in (0, 15, 2)] == [0, 15, 2]


def test_errors_of_the_program_keep_their_traceback():
    with pytest.raises(ValueError, match=r"^Gloo"), processes.others():
        raise ValueError("Gloo, but in one process alone")
