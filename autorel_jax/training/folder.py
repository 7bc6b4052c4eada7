"""The folder of a run: config.toml, metrics.jsonl, tensorboard/, checkpoints/, report.json, model/.

A run is begun in an empty folder, or resumed with the config that it was begun with. Used by run.py,
log.py, loop.py, finish.py and cli/train.py.
"""

import contextlib
import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.files import disk_faults, locked, write_text
from autorel_jax.training.config import PLACES, TrainConfig, as_toml, read_train_config

CONFIG, METRICS_FILE, BOARD, CHECKPOINTS, REPORT, MODEL = (
    "config.toml",
    "metrics.jsonl",
    "tensorboard",
    "checkpoints",
    "report.json",
    "model",
)
LEFT = re.compile(rf"\.({'|'.join(map(re.escape, (CONFIG, METRICS_FILE, REPORT, MODEL)))})\.[0-9a-f]{{8}}(\.old)?")
# What may change when a run is resumed: nothing that training itself depends on. What is at PLACES is compared later.
FREE = (*PLACES, "output", "layout", "checkpoint_every", "log_every", "eval_test", "tensorboard", "export_dtype")


def is_checkpoint(path: Path) -> bool:
    """Whether a path is RUN/checkpoints/STEP."""
    if not path.is_dir():
        return False
    whole = path.resolve()
    return whole.name.isdecimal() and whole.parent.name == CHECKPOINTS and (whole.parents[1] / CONFIG).is_file()


def check(config: TrainConfig, resume: bool) -> None:
    """Raises InputError where the run may not be begun or resumed in `config.output`: it holds another one."""
    if config.output is None:
        raise InputError("--output is missing; give a folder for checkpoints, metrics and the finished model.")
    folder = config.output
    with disk_faults(folder):
        entries = [entry.name for entry in folder.iterdir() if not is_left(entry)] if folder.exists() else []
    if entries and not resume:
        what = "holds a run; add --resume to go on with it, or give" if CONFIG in entries else "is not empty; give"
        raise InputError(f"{folder} {what} another folder with --output.")
    if entries and not {CONFIG, CHECKPOINTS} & {*entries}:
        raise InputError(f"{folder} is not empty and holds no run to resume; give another folder with --output.")
    if entries:
        check_same(folder / CONFIG, config)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds the folder for this process, while it lives; an InputError where another one is at work in it.

    On a file system without locks, as some network ones are, the run goes on without one.
    """
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
    in_use = f"another process is training in {folder}; wait for it or stop it, or give another folder with --output."
    with locked(folder, in_use, required=False):
        yield


def begin(config: TrainConfig, command: str) -> str:
    """Writes the config into the folder; the command that the run was begun with, which heads it."""
    path, command = config.output / CONFIG, "".join(char if char.isprintable() else " " for char in command)
    with disk_faults(config.output):
        if path.exists():
            line = path.read_text(encoding="utf-8").partition("\n")[0]
            command = line.removeprefix("# ") if line.startswith("# ") else ""
        for left in filter(is_left, list(config.output.iterdir())):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        write_text(path, (f"# {command}\n" if command else "") + to_toml(config))
    return command


def is_left(path: Path) -> bool:
    """Whether a kill left it: what was being written beside its place."""
    return LEFT.fullmatch(path.name) is not None


def to_toml(config: TrainConfig) -> str:
    """The config as a TOML file."""
    import tomli_w

    values = as_toml(config)
    task = values.pop("task")
    return tomli_w.dumps(values | {"task": task})


def begun_with(path: Path) -> TrainConfig:
    """The config at `path`, with which a run was begun; an InputError says how to get it back where it is damaged."""
    try:
        values = read_train_config(path)
        return TrainConfig(**values | {"task": TaskConfig(**values["task"])})
    except InputError as error:
        said = str(error) if str(path) in str(error) else f"{path}: {error}"
        said = said if path.exists() else f"{path} does not exist, without which its run cannot go on"
        raise InputError(
            f"{said.rstrip('.')}. Restore it, or write it anew: begin the same run with another --output, stop it, "
            f"and copy its {CONFIG} to {path.parent}."
        ) from None


def check_same(path: Path, config: TrainConfig) -> None:
    """Raises InputError where the run that was begun with the config at `path` is another one."""
    before = begun_with(path)
    for field in dataclasses.fields(TrainConfig):
        old, new = getattr(before, field.name), getattr(config, field.name)
        if field.name not in FREE and old != new:
            if field.name == "task":
                field, old, new = first_difference(old, new)
            raise InputError(
                f"{path.parent} holds a run with {field.name} = {old!r}, not {new!r}; resume it with the same "
                "settings, or give another folder with --output."
            )


def first_difference(old: Any, new: Any) -> tuple[dataclasses.Field, Any, Any]:
    """The first field of two dataclasses that differs, with both values."""
    return next(
        (field, getattr(old, field.name), getattr(new, field.name))
        for field in dataclasses.fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    )


def kept_lines(path: Path, step: int, evaluated: bool = True) -> str:
    """The lines of metrics.jsonl up to a step, if not `evaluated` without its evaluation; one cut short is dropped."""
    kept = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                record = json.loads(line)
                wanted = record["step"] <= step and (evaluated or record["step"] < step or "split" not in record)
                if line.endswith("\n") and wanted:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                break
    return "".join(kept)
