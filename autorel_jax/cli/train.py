"""autorel train: a pretrained encoder and a task -> a classifier that everyone can load.

The same as autorel-train and `python train.py`. The flags are in train_flags.py.
"""

import contextlib
import dataclasses
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.cli.command import run, say, tell, warn
from autorel_jax.cli.processes import join, leave, others
from autorel_jax.cli.start import importing
from autorel_jax.cli.train_flags import IGNORED, PROG, parser
from autorel_jax.data.presets import FOLDERS, named
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.training.config import TrainConfig, read_train_config

OF_TASK = {  # flags -> the keys of [task] that they override
    "problem_type": "problem",
    "format": "format",
    "delimiter": "delimiter",
    "skip_unlabelled": "skip_unlabelled",
}


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    code = run(lambda words: train(words, prog), argv, prog)
    leave(code)
    return code


def train(argv: Sequence[str] | None, prog: str) -> None:
    """Parses, says what is ignored, trains. Whatever can be checked early is checked before JAX is imported."""
    words = list(sys.argv[1:] if argv is None else argv)
    given = vars(parser(prog).parse_args(words))
    if "finish" in given:
        if not given.keys().isdisjoint({"output", "resume"}):
            raise InputError("--finish RUN names the run itself; leave out --output and --resume.")
        given |= {"output": given["finish"], "resume": True}
    config = resolve(given)
    with importing():
        from autorel_jax.cli.device import doubts_of_dtype
        from autorel_jax.training import run as training
    devices = place(given)
    warn(prog, doubts_of_dtype(config.dtype))
    for flag in (word.split("=")[0] for word in words):
        if flag in IGNORED:
            tell(prog, f"{flag} is ignored: {IGNORED[flag][1]}")
    with others():
        training.train(
            config,
            resume=given.get("resume", False),
            early="finish" in given,
            devices=devices,
            listen=signals,
            show=say,
            command=shlex.join([*prog.split(), *words]),
        )


def resolve(given: dict[str, Any]) -> TrainConfig:
    """The config of the flags over the file over the defaults, all paths absolute.

    Without --config and --task, --resume takes what the run in --output was begun with.
    """
    from autorel_jax.training.folder import CHECKPOINTS, CONFIG, begun_with
    from autorel_jax.training.pretrained import absolute, beside

    source = given.get("config") or (named(given["task"]) if "task" in given else None)
    output = given.get("output")
    begun = output and any((output / name).exists() for name in (CONFIG, CHECKPOINTS))
    if source is None and given.get("resume") and begun:
        source = output / CONFIG
        begun_with(source)
    if source is None:
        raise InputError(f"--config FILE or --task NAME is missing; see {given.get('prog', PROG)} --help")
    source = source.absolute()
    values = read_train_config(source)
    if source.parent in FOLDERS and "data_dir" not in values | given:  # where no data are
        raise InputError("--data-dir DIR is missing: the folder with the files of the task.")
    values.setdefault("data_dir", source.parent)
    names = {field.name for field in dataclasses.fields(TrainConfig)} - {"task"}
    values |= {name: value for name, value in given.items() if name in names}
    values |= {name: tuple(given[name]) for name in ("class_weights", "rename", "drop") if name in given}
    for name, value in values.items():
        if isinstance(value, Path):
            values[name] = Path(os.path.expanduser(value)).absolute()  # pathlib's raises for ~nobody
    values["model"] = absolute(given.get("model") or beside(source.parent, values.get("model", "")))
    for flag, key in OF_TASK.items():
        if flag in given:
            values["task"][key] = given[flag]
    if "input_columns" in given:
        values["task"]["columns"] = tuple(name.strip() for name in given["input_columns"].split(","))
    return TrainConfig(**values | {"task": TaskConfig(**values["task"])})


def place(given: dict[str, Any]) -> Sequence[Any]:
    """Joins the other processes, if any; the devices that share the work."""
    import jax

    from autorel_jax import sharding
    from autorel_jax.cli.device import choose_device, keep_compiled_programs, limit_threads

    limit_threads(given.get("threads"))
    keep_compiled_programs()
    if address := given.get("coordinator"):
        join(address, given.get("processes"), given.get("process"))
    elif "processes" in given or "process" in given:
        raise InputError("--processes and --process need --coordinator HOST:PORT, the address of the first process.")
    device = choose_device(given.get("device"))
    if device is None:
        return sharding.first_devices(jax.devices(), given.get("devices"))
    if ":" not in given["device"]:
        return sharding.first_devices(jax.devices(device.platform), given.get("devices"))
    if "devices" in given:
        raise InputError(f"--device {given['device']} is one device; leave out its number or --devices.")
    if jax.process_count() > 1:
        raise InputError(f"--device {given['device']}: of several processes each has its own; leave out the number.")
    jax.config.update("jax_default_device", device)  # for what is computed before it lies on the mesh
    return [device]


@contextlib.contextmanager
def signals() -> Iterator[Callable[[], int]]:
    """A function that gives the number of the first SIGINT or SIGTERM, or 0; a second one ends at once.

    A signal that the caller has set to be ignored, as a shell does for a job in the background, is ignored.
    """
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        for each in heard:
            signal.signal(each, signal.SIG_DFL)

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
