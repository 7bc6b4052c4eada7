"""Flags of the train command: one for each field of TrainConfig, and those of where it runs. Used by train.py.

The original BERT_LRP's command line is taken as it is.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser
from autorel_jax.cli.flags import add_field, add_threads
from autorel_jax.data.task import LEARNABLE
from autorel_jax.training.config import TrainConfig

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
    "--model_type": (1, "the model's config says it"),
    "--do_train": (0, "this command trains"),
    "--do_eval": (0, "dev is always evaluated"),
    "--do_save_model": (0, "the model is always saved"),
    "--no_cuda": (0, "see --device"),
    "--local_rank": (1, "see --coordinator"),
    "--layers": (1, "relevance is the explain command's"),
    "--save_checkpoints_steps": (1, "see --checkpoint-every"),
    "--iterations_per_loop": (1, "each step is one call"),
    "--embed_file": (1, "of its baselines without BERT"),
    "--base_learning_rate": (1, "of its baselines without BERT"),
}


def parser(prog: str = PROG) -> Parser:
    """The flags: one for each field of TrainConfig, which documents it, and those that say where it runs."""
    made = Parser(
        prog=prog,
        description="Fine-tunes a pretrained encoder to a classifier and writes it as a Hugging Face directory.",
        epilog=EXAMPLES.replace(PROG, prog),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    task = made.add_argument_group("task").add_mutually_exclusive_group()
    task.add_argument("--config", type=Path, metavar="FILE", help="a TOML file: the task, and defaults for the flags")
    task.add_argument("--task", "--task_name", metavar="NAME", help="one of the tasks in configs/, such as SST5")
    fields = made.add_argument_group("what is trained, and how; flags override the file")
    for field in dataclasses.fields(TrainConfig):
        if field.name != "task":
            add_field(fields, TrainConfig, field.name, spellings(field.name), switch=argparse.BooleanOptionalAction)
    fields.add_argument(
        "--problem-type", "--problem_type", choices=LEARNABLE, help="what is learnt (default: problem of [task])"
    )
    data = made.add_argument_group("how the data are written; over [task]")
    data.add_argument("--format", metavar="NAME", help="one of the formats that configs/example.toml lists")
    data.add_argument("--delimiter", metavar="MARK", help="between the columns, such as ';' or tab")
    data.add_argument(
        "--input-columns", metavar="NAME,NAME", help="names of all columns of files without a header: [task] columns"
    )
    data.add_argument("--skip-unlabelled", action="store_true", help="leave out rows without a label, and count them")
    fields.add_argument("--do_lower_case", action="store_false", dest="cased", help="the same as --no-cased")
    add_place_flags(made.add_argument_group("where it runs"))
    add_ignored_flags(made.add_argument_group("the original's flags without a meaning here: accepted and ignored"))
    return made


def spellings(name: str) -> Sequence[str]:
    """The flags of a field: its name with dashes, with underscores, and the original's."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}", *ORIGINAL.get(name, ())]))


def add_ignored_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the original's flags that mean nothing here."""
    for flag, (count, reason) in IGNORED.items():
        ignored = {"dest": "ignored", "action": "append", "help": reason, "metavar": "VALUE"}
        if not count:
            ignored = {"dest": "ignored", "action": "append_const", "const": flag, "help": reason}
        group.add_argument(flag, **ignored)


def add_place_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of where the run goes on, and on which devices and processes."""
    group.add_argument("--resume", action="store_true", help="go on with the run in --output, if there is one")
    group.add_argument(
        "--finish", type=Path, metavar="RUN", help="end the run in that folder early: its best checkpoint is the result"
    )
    group.add_argument("--device", metavar="KIND", help="cpu, gpu, or one such as gpu:1 (default: the best there is)")
    group.add_argument("--devices", type=int, metavar="N", help="use the first N devices (default: all)")
    add_threads(group)
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="one of several processes: the address of the first; 'auto' finds all three values under SLURM or MPI, "
        "which start one process for each GPU",
    )
    group.add_argument("--processes", type=int, metavar="N", help="how many processes there are")
    group.add_argument("--process", type=int, metavar="I", help="the number of this one, from 0")
