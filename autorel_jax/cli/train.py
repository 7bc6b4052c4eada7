"""autorel-train, the same as `python train.py`: a pretrained BERT and a task -> a classifier that everyone can load."""

import argparse
import contextlib
import dataclasses
import functools
import os
import shlex
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.cli import Parser, run
from autorel_jax.cli.processes import join, leave, others
from autorel_jax.data.presets import FOLDERS, named
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.training.config import TrainConfig, read_config

PROG = "autorel-train"
EXAMPLES = """examples:
  autorel-train --config configs/sst5.toml --model bert-base --data-dir data/SST5 --output runs/sst5
  autorel-train --config my-task.toml --model bert-base --output runs/mine --learning-rate 5e-5 --resume
  autorel-train --task_name SST5 --data_dir data/SST5 --vocab_file bert/vocab.txt \\
      --bert_config_file bert/bert_config.json --init_checkpoint bert/pytorch_model.bin --output_dir runs/sst5 \\
      --do_lower_case --max_seq_length 512 --train_batch_size 8 --learning_rate 2e-5 --num_train_epochs 3 --eval_test
"""
# The original BERT_LRP's names for our fields; each field's own name with underscores is taken too.
ORIGINAL = {
    "model": ("--init_checkpoint",),
    "model_config": ("--bert_config_file",),
    "vocab": ("--vocab_file",),
    "output": ("--output_dir",),
    "max_length": ("--max_seq_length",),
    "batch_size": ("--train_batch_size",),
    "epochs": ("--num_train_epochs",),
    "warmup": ("--warmup_proportion",),
    "accumulation": ("--gradient_accumulation_steps", "--accumulate_gradients"),
}
# Its flags that mean nothing here, with the number of their values, and why.
IGNORED = {
    "--model_type": (1, "every model is a BERT"),
    "--do_train": (0, "this command trains"),
    "--do_eval": (0, "dev is always evaluated"),
    "--do_save_model": (0, "the model is always saved"),
    "--no_cuda": (0, "see --device"),
    "--local_rank": (1, "see --coordinator"),
    "--layers": (1, "relevance is the explain command's"),
    "--save_checkpoints_steps": (1, "see --checkpoint-every"),
    "--iterations_per_loop": (1, "each step is one call"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    code = run(train, argv, PROG)
    leave(code)
    return code


def parser() -> Parser:
    """The flags: one for each field of TrainConfig, which documents it, and those that say where it runs."""
    made = Parser(
        prog=PROG,
        description="Fine-tunes a pretrained BERT to a classifier and writes it as a Hugging Face directory.",
        epilog=EXAMPLES,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    task = made.add_argument_group("task").add_mutually_exclusive_group()
    task.add_argument("--config", type=Path, metavar="FILE", help="a TOML file: the task, and defaults for the flags")
    task.add_argument("--task", "--task_name", metavar="NAME", help="one of the tasks in configs/, such as SST5")
    fields = made.add_argument_group("what is trained, and how; flags override the file")
    hints = typing.get_type_hints(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        if field.name != "task":
            add_flag(fields, field, hints[field.name])
    fields.add_argument("--do_lower_case", action="store_false", dest="cased", help="the same as --no-cased")
    place = made.add_argument_group("where it runs")
    place.add_argument("--resume", action="store_true", help="go on with the run in --output, if there is one")
    place.add_argument("--device", metavar="KIND", help="cpu, gpu, or one such as gpu:1 (default: the best there is)")
    place.add_argument("--devices", type=int, metavar="N", help="use the first N devices (default: all)")
    place.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="one of several processes: the address of the first; 'auto' finds all three values under SLURM or MPI, "
        "which start one process for each GPU",
    )
    place.add_argument("--processes", type=int, metavar="N", help="how many processes there are")
    place.add_argument("--process", type=int, metavar="I", help="the number of this one, from 0")
    original = made.add_argument_group("the original's flags without a meaning here: accepted and ignored")
    for flag, (count, reason) in IGNORED.items():
        ignored = {"dest": "ignored", "action": "append", "help": reason, "metavar": "VALUE"}
        if not count:
            ignored = {"dest": "ignored", "action": "append_const", "const": flag, "help": reason}
        original.add_argument(flag, **ignored)
    return made


def add_flag(group: argparse._ArgumentGroup, field: dataclasses.Field, hint: Any) -> None:
    """The flag of a field: its name with dashes, with underscores, and the original's."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType] or [hint]
    kind = kinds[0] if isinstance(hint, types.UnionType) else hint
    names = [f"--{field.name.replace('_', '-')}", f"--{field.name}", *ORIGINAL.get(field.name, ())]
    names, text = list(dict.fromkeys(names)), field.metadata["help"].replace("%", "%%")
    shown = isinstance(field.default, str | int | float) and not isinstance(field.default, bool) and field.default != ""
    text += f" (default: {field.default})" if shown else ""
    if kind is bool:
        group.add_argument(*names, dest=field.name, action=argparse.BooleanOptionalAction, help=text)
    elif typing.get_origin(kind) is tuple:
        group.add_argument(*names, dest=field.name, nargs="+", metavar="VALUE", help=text)
    else:
        choices = field.metadata["choices"] or None
        metavar = None if choices else {Path: "PATH", str: "NAME", int: "N", float: "X"}[kind]
        group.add_argument(*names, dest=field.name, type=kind, choices=choices, metavar=metavar, help=text)


def train(argv: Sequence[str] | None) -> None:
    """Parses, says what is ignored, trains. Whatever can be checked early is checked before JAX is imported."""
    words = list(sys.argv[1:] if argv is None else argv)
    given = vars(parser().parse_args(words))
    ignored = [word for word in words if word.split("=")[0] in IGNORED]
    config = resolve(given)
    devices = place(given)
    from autorel_jax.training.run import train

    for word in ignored:
        flag = word.split("=")[0]
        print(f"{PROG}: {flag} is ignored: {IGNORED[flag][1]}", file=sys.stderr)
    with others():
        train(
            config,
            resume=given.get("resume", False),
            devices=devices,
            listen=signals,
            show=functools.partial(print, flush=True),  # as it happens, into a file too
            command=shlex.join([PROG, *words]),
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
        raise InputError(f"--config FILE or --task NAME is missing; see {PROG} --help")
    source = source.absolute()
    values = read_config(source)
    if source.parent in FOLDERS and "data_dir" not in values | given:  # where no data are
        raise InputError("--data-dir DIR is missing: the folder with the files of the task.")
    values.setdefault("data_dir", source.parent)
    names = {field.name for field in dataclasses.fields(TrainConfig)} - {"task"}
    values |= {name: value for name, value in given.items() if name in names}
    if "class_weights" in given:
        values["class_weights"] = tuple(given["class_weights"])
    for name, value in values.items():
        if isinstance(value, Path):
            values[name] = Path(os.path.expanduser(value)).absolute()  # pathlib's raises for ~nobody
    values["model"] = absolute(given.get("model") or beside(source.parent, values.get("model", "")))
    return TrainConfig(**values | {"task": TaskConfig(**values["task"])})


def place(given: dict[str, Any]) -> Sequence[Any]:
    """Joins the other processes, if any; the devices that share the work."""
    import jax

    from autorel_jax import sharding
    from autorel_jax.cli.device import choose_device, keep_compiled_programs

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
