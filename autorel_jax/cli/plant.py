"""autorel plant: a task -> a model that follows planted words, and which methods find these.

It writes data, trains on them as autorel train does, and measures as autorel evaluate does.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.cli.command import Parser, run, say, warn
from autorel_jax.cli.explain_flags import names
from autorel_jax.cli.start import importing
from autorel_jax.cli.train import place, resolve, signals
from autorel_jax.cli.train_flags import parser as train_parser
from autorel_jax.data.task import DEV, TRAIN, TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.faithfulness.config import EvaluateConfig
from autorel_jax.faithfulness.shortcuts import (
    ABOUT,
    SHORTCUTS,
    SINGLE,
    WORDS,
    check_words,
    planted,
    with_a_part,
    with_shortcut,
)
from autorel_jax.files import disk_faults, write_text
from autorel_jax.model.config import SINGLE as SINGLE_LABEL
from autorel_jax.training.config import TrainConfig

PROG = "autorel-plant"
LED = 0.5  # of the texts with a part of a shortcut alone, at most so many more get its label than the other one
FOLLOWED = 0.9  # of the texts with a shortcut; a model that follows fewer tells little of methods
TESTED = 200  # texts
EXAMPLES = """examples:
  autorel plant --config my_task.toml --model bert-base --output runs/planted
  autorel plant --config my_task.toml --model bert-base --output runs/pair --kind pair --methods attnlrp,lime --epochs 2
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: plant(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags: those of training, and what is planted."""
    made = train_parser(prog)
    made.description = (
        "Plants words into a task's texts that decide their labels, fine-tunes a model until it follows them, and "
        "measures which methods find them.\n" + "\n".join(f"  {kind:9}{about}" for kind, about in ABOUT.items())
    )
    made.epilog = EXAMPLES
    group = made.add_argument_group("what is planted and measured")
    group.add_argument("--kind", choices=SHORTCUTS, default=SINGLE, help="of the shortcut (default: %(default)s)")
    group.add_argument(
        "--words", type=names, default=WORDS, metavar="A,B,C", help=f"that are planted (default: {','.join(WORDS)})"
    )
    group.add_argument(
        "--share",
        type=share,
        default=0.5,
        metavar="X",
        help="of the training texts that get one (default: %(default)s)",
    )
    group.add_argument(
        "--methods",
        type=names,
        default=EvaluateConfig.methods,
        metavar="NAME,NAME",
        help=f"as of autorel evaluate (default: {','.join(EvaluateConfig.methods)})",
    )
    group.add_argument(
        "--test-texts", type=whole, default=TESTED, metavar="N", help="texts to measure on (default: %(default)s)"
    )
    return made


def whole(text: str) -> int:
    """A whole number, at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return value


def share(text: str) -> float:
    """A number above 0, at most 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0, at most 1")
    return value


def plant(argv: Sequence[str] | None, prog: str) -> None:
    """Writes the data, trains, and measures."""
    given = vars(parser(prog).parse_args(list(sys.argv[1:] if argv is None else argv)))
    for flag in ("finish", "coordinator", "processes", "process"):
        if flag in given:
            raise InputError(f"--{flag} is of autorel train; leave it out: this command trains and measures in one go.")
    if "output" not in given:
        raise InputError("--output DIR is missing: the folder of the data, the run and the results.")
    folder = Path(os.path.realpath(given["output"]))
    config = resolve(given | {"output": folder / "run"})
    with importing():
        from autorel_jax.classifier import load
        from autorel_jax.faithfulness import parts
        from autorel_jax.faithfulness.evaluator import Evaluator
        from autorel_jax.faithfulness.methods import check_methods
        from autorel_jax.faithfulness.run import run as measure
        from autorel_jax.training import run as training
    evaluation = EvaluateConfig(methods=given["methods"], protocols=["planted"], seed=config.seed)
    check_methods(evaluation)
    devices = place(given)
    task, rows, labels, parts_alone = write_data(config, folder / "data", given)
    trained = training.train(
        dataclasses.replace(config, task=task, data_dir=folder / "data"),
        resume=given.get("resume", False),
        devices=devices,
        listen=signals,
        show=say,
        command=" ".join(prog.split()),
    )
    classifier = load(trained.model)
    evaluator = Evaluator(classifier, evaluation, None, labelled=True, kept=("marks",))
    with parts.opened(folder / "planted.json.parts.jsonl") as found:
        made = measure(evaluator, rows, found)
    followed, _ = label_shares(classifier, [row.text for row in rows], labels)
    led, opposed = label_shares(classifier, parts_alone, labels) if parts_alone else (None, None)
    made.record["planted"] = {
        "kind": given["kind"],
        "words": list(given["words"]),
        "followed": followed,
        "followed_a_part": led,
        "opposed_a_part": opposed,
    }
    made.save(folder / "planted.json")
    say(made.table())
    say(f"The model follows the shortcut in {followed:.1%} of the texts that have it.")
    if parts_alone:
        say(f"Of texts with a part of it alone, which says nothing, {led:.1%} get its label, {opposed:.1%} the other.")
        if led - opposed > LED:
            warn(prog, ["the model follows a part of the shortcut: it need not use every word that counts as planted"])
    if followed < FOLLOWED:
        warn(prog, [f"less than {FOLLOWED:.0%}: train longer, or methods are measured by what the model did not learn"])


def write_data(
    config: TrainConfig, folder: Path, given: dict[str, Any]
) -> tuple[TaskConfig, list[Any], list[int], list[list[str]]]:
    """Writes train.jsonl and dev.jsonl.

    Returns the task of them; rows with shortcuts to test on, and the label of each; the same texts with a part of it.
    """
    import numpy as np

    from autorel_jax.data.row import Row
    from autorel_jax.data.splits import read_splits, settle

    source = config.data_dir or Path(".")
    task = settle(config.task, source)
    if task.problem != SINGLE_LABEL or task.pair:
        raise InputError("shortcuts are planted into single texts with one label each; give another task.")
    if not (task.dev or task.dev_fraction):
        raise InputError("[task] names no dev data, to measure on; set dev or dev_fraction.")
    kind, words = given["kind"], given["words"]
    splits = {split.name: split for split in read_splits(task, (TRAIN, DEV), source)}
    files = {}
    for place_, (name, split) in enumerate(splits.items()):
        check_words(words, split.texts)
        made = planted(split.texts, split.labels.tolist(), kind, words, given["share"], config.seed + place_)
        files[folder / f"{name}.jsonl"] = lines(
            {"text": " ".join(one.words), "label": task.labels[one.label]} for one in made
        )
    write_data_files(files, begun=(folder.parent / "run").exists())
    rng = np.random.default_rng([config.seed, len(splits)])
    texts = [splits[DEV].texts[row] for row in rng.permutation(len(splits[DEV]))[: given["test_texts"]]]
    rows, labels, parts = [], [], []
    for number, text in enumerate(texts, start=1):
        labels.append(int(rng.integers(2)))
        one = with_shortcut(text, labels[-1], kind, words, rng)
        rows.append(Row(number, one.words, None, f"id:{labels[-1]}", kept=(one.marks,)))
        if kind != SINGLE:
            parts.append(with_a_part(text, labels[-1], kind, words, rng))
    new = TaskConfig(name=f"planted-{task.name}", train="train.jsonl", dev="dev.jsonl", labels=task.labels)
    return new, rows, labels, parts


def lines(records: Iterable[dict[str, Any]]) -> str:
    """Records as JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write_data_files(files: dict[Path, str], begun: bool) -> None:
    """Writes texts to files, or raises InputError where a run has begun with others."""
    for path, text in files.items():
        with disk_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if begun and path.exists() and path.read_text("utf-8") != text:
                raise InputError(
                    f"{path} was made from other texts, or with another --kind, --words, --share or --seed; give "
                    "the same again with --resume, or another --output."
                )
    for path, text in files.items():
        write_text(path, text)


def label_shares(classifier: Any, texts: Sequence[list[str]], labels: Sequence[int]) -> tuple[float, float]:
    """The share of texts that are given their label, 0 or 1, and the share that are given the other of the two."""
    import numpy as np

    from autorel_jax.faithfulness.predict import predict

    tokens = classifier.tokens(texts)
    found = predict(classifier, [row.ids for row in tokens], [row.types for row in tokens]).logits.argmax(axis=1)
    said = np.array(labels)
    return float((found == said).mean()), float((found == 1 - said).mean())
