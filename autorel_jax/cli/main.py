"""autorel: the name of a command and its arguments -> the command. `python -m autorel_jax` is the same.

A command is imported when it is called, so `autorel --help` imports none of them.
"""

import importlib
import sys
from collections.abc import Sequence

import autorel_jax
from autorel_jax.cli.command import BAD_INPUT, run
from autorel_jax.errors import InputError, one_line

PROG = "autorel"
COMMANDS = {  # name -> its module, which has main(argv, prog), and what it does
    "explain": ("autorel_jax.cli.explain", "shows which words of a text made a text classifier decide"),
    "rank": ("autorel_jax.cli.rank", "ranks passages by a reranker, and shows why one is before another"),
    "similar": ("autorel_jax.cli.similar", "shows which words make two texts alike to a model of sentence embeddings"),
    "report": ("autorel_jax.cli.report", "writes a page that shows results over many texts, for a browser"),
    "evaluate": ("autorel_jax.cli.evaluate", "measures how well the scores of methods predict what the model does"),
    "plant": ("autorel_jax.cli.plant", "trains a model on planted shortcuts, and measures which methods find them"),
    "check": ("autorel_jax.cli.check", "checks that a model does not decide by words that a policy names"),
    "shortcuts": ("autorel_jax.cli.shortcuts", "lists words and phrases that decide without being a reason"),
    "record": ("autorel_jax.cli.record", "writes explanations down with hashes of all that they depend on"),
    "verify": ("autorel_jax.cli.verify", "tells whether a record still holds, or what differs"),
    "diff": ("autorel_jax.cli.diff", "says what changes from one model or method to another, within limits or not"),
    "train": ("autorel_jax.cli.train", "fine-tunes a pretrained encoder to a classifier"),
    "convert": ("autorel_jax.cli.convert", "writes a checkpoint of any format as a Hugging Face directory"),
    "export": ("autorel_jax.cli.export", "writes a classifier with its explanations as one file, for other programs"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    return run(call, argv, PROG)


def call(argv: Sequence[str] | None) -> int:
    """Calls the command that the first word names, or prints what was asked for; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(usage(), file=sys.stderr)
        return BAD_INPUT
    name, *arguments = words
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"{PROG} {autorel_jax.__version__}")
        return 0
    if name not in COMMANDS:
        raise unknown(name)
    module, _ = COMMANDS[name]
    return importlib.import_module(module).main(arguments, f"{PROG} {name}")


def usage() -> str:
    """The help: a line for each command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {does}" for name, (_, does) in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROG} COMMAND ...",
            "",
            "Which words made a text classifier decide: layer-wise relevance propagation as one jax.vjp.",
            "",
            "commands:",
            *lines,
            "",
            f"{PROG} COMMAND --help documents the flags of a command; {PROG} --version prints the version.",
        ]
    )


def unknown(name: str) -> InputError:
    """What to raise where no command has that name."""
    import difflib  # here: every other call does without it

    commands = ", ".join(COMMANDS)
    if name.startswith("-"):
        return InputError(f"unknown option {one_line(name)!r}; available: --help, --version, or a command: {commands}.")
    close = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return InputError(f"unknown command {one_line(name) if name else ''!r}; available: {commands}.{hint}")
