"""Prepare: a TrainConfig -> everything that a run needs before its first step. Used by run.py."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import sharding
from autorel_jax.data.splits import Split, read_splits, settle
from autorel_jax.data.summary import summary
from autorel_jax.data.tags import in_one
from autorel_jax.data.task import DEV, SPLITS, TEST, TRAIN, TaskConfig
from autorel_jax.errors import LARGEST_INT, InputError
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.model.config import REGRESSION, BertConfig
from autorel_jax.model.encoder import Bert
from autorel_jax.training import tag_metrics
from autorel_jax.training.answering import in_windows
from autorel_jax.training.batches import MULTIPLE, Examples, Plan, padded_lengths, program_cost
from autorel_jax.training.config import PLACES, TrainConfig
from autorel_jax.training.loss import class_weights
from autorel_jax.training.masking import Masking, mask_of, masking
from autorel_jax.training.metrics import selector
from autorel_jax.training.optimizer import frozen, optimizer
from autorel_jax.training.pretrained import Pretrained, read_pretrained
from autorel_jax.training.schemes import scheme
from autorel_jax.training.step import Learner
from autorel_jax.training.tagging import examples_of, not_read, sentences, to_learn


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A run before its first step."""

    config: TrainConfig
    task: TaskConfig  # with its labels settled
    folder: Path | None  # the run's; None where nothing is to be written
    start: Pretrained
    splits: dict[str, Examples]
    plan: Plan
    learner: Learner
    steps: int  # of the whole run
    select: str  # the metric that chooses the best checkpoint
    fingerprint: str  # of the data, and of what training starts from
    show: Callable[[str], None]

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return jax.process_index() == 0

    @property
    def eval_rows(self) -> int:
        """Rows of an evaluation's batch, a multiple of the devices; no more than train and dev have.

        Test has no say: with another size of batch, dev's metrics may differ in their last digits.
        """
        most = max(len(self.splits[name]) for name in (TRAIN, DEV) if name in self.splits)
        rows = min(self.config.eval_batch_size, most)
        return round_up(rows, self.learner.mesh.size)

    def lengths(self, examples: Examples) -> tuple[int, ...]:
        """What an evaluation pads to: the lengths of training, and one more where rows are longer."""
        longest = min(round_up(examples.lengths.max(), MULTIPLE), self.start.config.longest_text)
        return self.plan.lengths if longest <= self.plan.lengths[-1] else (*self.plan.lengths, int(longest))


def prepare(config: TrainConfig, devices: Sequence[Any] | None, show: Callable[[str], None]) -> Prepared:
    """Reads, checks and tokenizes; writes nothing.

    Raises:
      InputError: the config, the data or the model do not fit each other.
    """
    if not config.model:
        raise InputError("--model is missing; give a pretrained encoder: a directory, a weights file or a hub name.")
    show = show if jax.process_index() == 0 else lambda line: None
    select = selector(config.select, config.task.problem)
    if config.task.problem == TOKEN_LABELS:
        tag_metrics.check()
    task = settle(config.task, data_folder(config))
    start = read_pretrained(config, task)
    show(f"{start.source}: {'; '.join(start.notes)}")
    splits = tokenized_splits(config, task, start, show)
    mesh = sharding.make_mesh(devices or jax.devices())
    plan = make_plan(config, splits, start.config, mesh.size)
    steps = config.max_steps or math.ceil(config.epochs * plan.steps_per_epoch)
    if steps > LARGEST_INT:
        raise InputError(
            f"epochs={config.epochs} are {steps} steps; expected at most {LARGEST_INT}: use less, or --max-steps."
        )
    weights = class_weights(dataclasses.replace(config, task=task), splits[TRAIN].counted, start.config.num_labels)
    learner = Learner(
        model=Bert(start.config, dtype=jnp.dtype(config.dtype), remat=config.remat),
        transform=optimizer(config, steps, start.params),
        frozen=frozen(config, start.params),
        class_weights=weights,
        smoothing=config.label_smoothing,
        seed=config.seed,
        mesh=mesh,
        layout=config.layout,
    )
    listed = ", ".join(map(str, plan.lengths))
    show(f"{steps} steps of {config.batch_size} rows on {mesh.size} device(s), padded to {listed} tokens")
    digest = fingerprint([splits[name] for name in (TRAIN, DEV) if name in splits], task.labels, start)
    return Prepared(config, task, config.output, start, splits, plan, learner, steps, select, digest, show)


def make_plan(config: TrainConfig, splits: dict[str, Examples], model: BertConfig, devices: int) -> Plan:
    """The batches, padded to few lengths: the more, the more there is to compute.

    Other splits have no say: dropout depends on the length that is padded to.
    """
    steps_per_epoch = math.ceil(len(splits[TRAIN]) / config.batch_size)
    passes = config.max_steps / steps_per_epoch if config.max_steps else config.epochs
    lengths = padded_lengths(splits[TRAIN].lengths, program=program_cost(model, passes))
    lengths = tuple(dict.fromkeys(min(length, model.longest_text) for length in lengths))
    rows = min(config.batch_size, len(splits[TRAIN]))  # a step has no more, and is not padded to more
    part_rows = round_up(round_up(rows, config.accumulation) // config.accumulation, devices)
    return Plan(splits[TRAIN], config.batch_size, config.accumulation, part_rows, lengths, config.seed)


def data_folder(config: TrainConfig) -> Path:
    """Where the task's files are."""
    return config.data_dir or Path(".")


def tokenized_splits(
    config: TrainConfig, task: TaskConfig, start: Pretrained, show: Callable[[str], None]
) -> dict[str, Examples]:
    """The splits that the run uses, tokenized; says what is in each."""
    named = {name for name in SPLITS if name == TRAIN or getattr(task, name) or (name == DEV and task.dev_fraction)}
    names = [name for name in SPLITS if name in named and (name != TEST or config.eval_test)]
    if config.eval_test and TEST not in named:
        raise InputError("--eval-test: [task] names no test data; set test to a file or a split.")
    for name in ("early_stopping", "select", "evaluate_every"):
        if getattr(config, name) and DEV not in named:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag}: [task] names no dev data; set dev or dev_fraction.")
    splits = {}
    of_kind = {TOKEN_LABELS: tagged, ANSWERS: answered}.get(task.problem, tokenized)
    for split in read_splits(task, names, data_folder(config)):
        if split.name != TRAIN and task.problem == REGRESSION and np.ptp(split.labels) == 0:
            raise InputError(
                f"{split.name}: all {len(split.labels)} labels are {split.labels[0]:g}, so that no correlation with "
                "them is defined, by which a regression is judged; give other data, or none."
            )
        splits[split.name], lines = of_kind(split, start, config, task.labels)
        for line in lines:
            show(line)
    return splits


def tokenized(
    split: Split, start: Pretrained, config: TrainConfig, labels: Sequence[str]
) -> tuple[Examples, list[str]]:
    """A split as token ids, and lines that say what is in it."""
    encoded = start.tokenizer.encode(split.texts, split.pairs, max_length=config.max_length)
    if encoded.first.max(initial=0) < encoded.lengths.max(initial=0) and start.config.type_vocab_size == 1:
        raise InputError("the task has pairs of texts but the model has type_vocab_size=1; use a model with two types.")
    masked = None
    if split.name == TRAIN and config.mask_words:
        masked = masking(start.tokenizer, split.texts, split.pairs, encoded)
    made = Examples(encoded, split.labels, start.tokenizer.pad_id, masked)
    return made, summary(split, encoded.whole, config.max_length, labels)


def tagged(split: Split, start: Pretrained, config: TrainConfig, labels: Sequence[str]) -> tuple[Examples, list[str]]:
    """Likewise of sentences with a label for each word. Of those to train on, sentences without a word are left out."""
    read, gold = list(sentences(start.tokenizer, split.texts, config.max_length)), list(split.labels)
    lines = summary(split, [one.whole for one in read], config.max_length, labels)
    lines += [f"  {scheme(labels, gold)}", *not_read(read, gold, config.max_length)]
    usable, its_gold, left_out = to_learn(read, gold, split.name)
    if split.name == TRAIN:
        read, gold, lines = usable, its_gold, lines + left_out
    made = examples_of(read, gold, start.tokenizer.pad_id)
    if split.name == TRAIN and config.mask_words:
        masked = Masking(made.encoded, in_one([one.units for one in read]), mask_of(start.tokenizer))
        made = dataclasses.replace(made, masking=masked)
    return made, lines


def answered(split: Split, start: Pretrained, config: TrainConfig, labels: Sequence[str]) -> tuple[Examples, list[str]]:
    """Likewise of questions with their contexts, in windows."""
    made, lines = in_windows(split, start.tokenizer, config.max_length, config.stride, config.answer_tokens)
    if start.config.type_vocab_size == 1 and made.encoded.first.max() < made.encoded.lengths.max():
        raise InputError("answers need pairs of texts but the model has type_vocab_size=1; use a model with two types.")
    if split.name == TRAIN and config.mask_words:
        made = dataclasses.replace(made, masking=Masking(made.encoded, made.units, mask_of(start.tokenizer)))
    return made, lines


def fingerprint(splits: Sequence[Examples], labels: Sequence[str], start: Pretrained) -> str:
    """SHA-256 of all that decides what is trained and chosen, wherever it lies: data as ids and labels, and the model.

    Of the tokenizer too, which the finished model takes along.
    """
    hidden = start.config.details, start.config.embedding_dropout  # which the config's repr leaves out
    own = () if start.config.details is None else hidden
    own += (start.config.task, start.config.head_dropout) if start.config.on_tokens else ()
    digest = hashlib.sha256(repr((tuple(labels), start.config, start.tokenizer.fingerprint, *own)).encode())
    data = [leaf for split in splits for leaf in split.content]
    for leaf in (*data, *jax.tree.leaves(start.params)):
        digest.update(np.ascontiguousarray(leaf).view(np.uint8))
    return digest.hexdigest()


def check_processes_agree(prepared: Prepared) -> None:
    """Raises InputError where one of several processes has other data, weights or settings: its steps would not fit."""
    if jax.process_count() == 1:
        return
    # What the paths of data and model name may lie elsewhere on each host: its content is compared. The output is one.
    settings = dataclasses.replace(prepared.config, **dict.fromkeys(PLACES))
    data = fingerprint(list(prepared.splits.values()), prepared.task.labels, prepared.start)
    digest = hashlib.sha256(f"{settings} {data}".encode()).digest()
    digests = sharding.each(np.frombuffer(digest, np.uint8))
    if (digests != digests[0]).any():
        raise InputError(
            "the processes have different data, weights, settings or folders for --output; give all of them the same."
        )


def round_up(number: int, multiple: int) -> int:
    """The next multiple."""
    return -(-number // multiple) * multiple
