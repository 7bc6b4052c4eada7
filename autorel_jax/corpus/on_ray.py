"""On Ray: the parts of a corpus, by number -> the bytes of each and what became of its rows, made by many processes.

The engine is Ray Data: each number is a row of a data set, and an actor that holds the model maps it to its part. An
actor reads the input by itself, so every node must see it under the same name. The only importer of ray. Used by
job.py and parts.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

import autorel_jax
from autorel_jax.attribution.registry import named
from autorel_jax.classifier import Classifier
from autorel_jax.corpus.config import PRECISION
from autorel_jax.data.row import Rejected, Row
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import explained, prepared, written
from autorel_jax.lrp.composites import OPS, PLAIN_RULE, RULES, Composite
from autorel_jax.model.ops import PLAIN
from autorel_jax.text.unspaced import word_source

if TYPE_CHECKING:
    import pyarrow

INSTALL = "pip install 'autorel-jax[ray]'"
SETTINGS = (  # of JAX, that a worker takes over: its precision, and where compiled programs are kept
    *PRECISION,
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
TRIES = 3  # of a worker that ends, and of its part again; Ray Data's default has no end
PART, RECORD, DATA, ERROR = "part", "record", "data", "error"  # columns of the data sets


class Task(NamedTuple):
    """All that a worker needs; it can be pickled."""

    classifier: Classifier  # its parameters as NumPy's arrays
    config: ExplainConfig  # its method a Method or a Recipe
    corpus: Corpus
    format: Any  # of formats.py
    part_rows: int
    rows: int  # of the corpus
    folder: str  # that relative names are of
    settings: dict[str, Any]  # of JAX, by name
    words: str  # what makes the words of scripts without spaces


class Recipe(NamedTuple):
    """A composite by the names of its rules: functions that are pickled come back as others, unequal to themselves."""

    boundary: int  # its place in RULES
    rules: dict[str, str]
    others: dict[str, Any]  # fields of the composite

    @property
    def composite(self) -> Composite:
        """The composite."""
        boundary = list(RULES)[self.boundary]
        known = {op: {rule.__name__: rule for rule in rules} for op, rules in RULES[boundary].items()}
        changed = {op: known[op][name] for op, name in self.rules.items() if name in known.get(op, ())}
        return Composite(ops=dataclasses.replace(PLAIN, **changed), boundary=boundary, **self.others)


def recipe_of(composite: Composite) -> Recipe:
    """The recipe of a composite; InputError where one of its rules is not in the package."""
    fields = {name: getattr(composite, name) for name in ("reads", "every_query", "name", "changed")}
    if composite.boundary in RULES:
        made = Recipe(list(RULES).index(composite.boundary), composite.rules, fields)
        if made.composite == composite:
            return made
    own = [op for op in OPS if composite.rules[op] != PLAIN_RULE]
    raise InputError(
        f"The composite {composite.name} has rules that are not in docs/rules.md (of {', '.join(own)}, some or all): "
        "other processes do not know them; use the engine local."
    )


def check(explainer: Explainer) -> None:
    """Raises InputError for what can be refused before the input is counted."""
    package()
    if explainer.computer.mesh:
        raise InputError("This Explainer divides its batches among devices; for Ray's workers make it without devices.")


def task_of(explainer: Explainer, corpus: Corpus, made: Any, part_rows: int, rows: int) -> Task:
    """The task of explaining a corpus of so many rows into parts of a format."""
    classifier, config = explainer.classifier, explainer.config
    host = dataclasses.replace(classifier, params=jax.tree.map(np.asarray, classifier.params))
    method = named(config.method)  # here, as a name that was registered is known to this process alone
    method = recipe_of(method) if isinstance(method, Composite) else method
    config = dataclasses.replace(config, method=method, batch_size=explainer.computer.batch_size)
    settings = {name: getattr(jax.config, name) for name in SETTINGS}
    return Task(host, config, corpus, made, part_rows, rows, os.getcwd(), settings, word_source(config.split_words))


class Worker:
    """Holds the model in a process of its own, and makes parts."""

    def __init__(self, task: Any):
        import ray

        task = ray.get(task)
        with contextlib.suppress(OSError):  # on another node it may be missing; then names have to be absolute
            os.chdir(task.folder)  # Ray starts workers of a cluster elsewhere
        for name, value in task.settings.items():
            jax.config.update(name, value)
        method = task.config.method
        config = dataclasses.replace(task.config, method=method.composite if isinstance(method, Recipe) else method)
        params = jax.device_put(task.classifier.params)
        self.explainer = Explainer(dataclasses.replace(task.classifier, params=params), config)
        self.task, self.reader = task, Reader(task.corpus, task.part_rows, task.rows)

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """The table of one number -> that of its part."""
        import pyarrow as pa

        (number,) = batch[PART].to_pylist()
        record, data, error = {}, b"", ""
        try:
            record, data = self.made(number)
        except InputError as found:  # as a value: of an exception Ray makes another
            error = str(found)
        columns = {PART: [number], RECORD: [json.dumps(record)], ERROR: [error]}
        return pa.table({**columns, DATA: pa.array([data], pa.large_binary())})

    def made(self, number: int) -> tuple[dict[str, Any], bytes]:
        """The record of a part, and the bytes of its file."""
        if (here := word_source(self.task.config.split_words)) != self.task.words:
            raise InputError(
                f"Words of scripts without spaces would be made by {here} on a worker, and by {self.task.words} where "
                "it was started: install the same icu4py on both, or use --split-words whitespace."
            )
        part = prepared(self.explainer, number, self.reader.items(number))
        part, pairs = explained(self.explainer, part, lambda rows: None)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / PART
            record = written(self.task.format, self.explainer, path, part, pairs)
            return record, path.read_bytes()


class Reader:
    """The parts of a corpus by number; it reads forward, and from the beginning for a number that lies behind.

    `count` is how many rows there have to be.
    """

    def __init__(self, corpus: Corpus, part_rows: int, count: int):
        self.corpus, self.part_rows, self.count = corpus, part_rows, count
        self.rows, self.next = iter(()), None  # next: the part that comes next; None: begin anew

    def items(self, number: int) -> list[Row | Rejected]:
        """The rows of a part.

        Raises:
          InputError: the input cannot be read, or the part has more rows or fewer than were counted.
        """
        if self.next is None or number < self.next:
            self.rows, self.next = self.corpus.rows(), 0
        skipped = (number - self.next) * self.part_rows
        self.next = None  # if reading fails, its place is unknown
        found = list(itertools.islice(self.rows, skipped, skipped + self.part_rows))
        self.next = number + 1
        expected = min(self.part_rows, self.count - number * self.part_rows)
        if len(found) != expected:
            raise InputError(
                f"Part {number + 1} of the input has {len(found)} rows where {expected} were counted: it has changed, "
                "or another node sees another one. Give all nodes the same files, and begin anew with --restart."
            )
        return found


def finished_parts(task: Task, numbers: Sequence[int], workers: int | None) -> Iterator[tuple[int, bytes, dict]]:
    """The parts of those numbers, each as soon as it is done: number, bytes of its file, record.

    This uses the Ray that this process is connected to, else the cluster of RAY_ADDRESS, else starts Ray on this
    machine and ends it after the last part.

    Args:
      task: from `task_of`.
      numbers: of the parts.
      workers: processes with a model each; None is one for each GPU that has a CPU, or without GPUs for each node.

    Raises:
      InputError: ray is not installed or has no room for the workers, or a part cannot be made.
    """
    if not numbers:
        return
    ray = package()
    ours = not ray.is_initialized()
    if ours:
        connect(ray)
    try:
        gpus, workers = room(ray, workers)
        todo = ray.data.from_items([{PART: number} for number in numbers], override_num_blocks=len(numbers))
        done = todo.map_batches(
            Worker,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=[ray.put(task)],
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(numbers))),
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=TRIES,
            max_task_retries=TRIES,
        )
        for row in done.iter_rows():
            if row[ERROR]:
                raise InputError(row[ERROR])
            yield row[PART], row[DATA], json.loads(row[RECORD])
    except ray.exceptions.RayError as error:  # a worker that was killed, for instance where memory ran out
        last = str(error).strip().splitlines()[-1:]  # the lines before it are a traceback
        why = f"{type(error).__name__}: {one_line(*last)}"
        raise InputError(f"Ray stopped ({why}); the same command goes on from what is done.") from error
    finally:
        if ours:
            ray.shutdown()


def package() -> Any:
    """The package ray with Ray Data."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"The engine ray needs Ray Data ({one_line(error)}): {INSTALL}.") from None
    return ray


def connect(ray: Any) -> None:
    """Connects to the cluster of RAY_ADDRESS, or starts Ray here.

    Ray starts by a fork, which is unsafe once JAX has computed and has threads: connect before.
    """
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it logs its plans, and errors that our message tells
    ray.data.DataContext.get_current().enable_progress_bars = False  # we show our own
    here = [str(Path(autorel_jax.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    path = {"env_vars": {"PYTHONPATH": os.pathsep.join(here)}}  # workers on this machine find this very package
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env=path)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"Ray cannot be reached or started: {one_line(error)}.") from None
    finally:  # Ray replaces our handler, whose exit code differs
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def room(ray: Any, workers: int | None) -> tuple[int, int]:
    """GPUs of a worker (0 or 1), and the number of workers; InputError where Ray has no room for them."""
    there = ray.cluster_resources()
    gpus, cpus = int(there.get("GPU", 0)), int(there.get("CPU", 0))
    most = min(gpus, cpus) if gpus else cpus
    if workers is None:
        workers = most if gpus else len([node for node in ray.nodes() if node["Alive"]])
    if not 1 <= workers <= most:
        what = f"{gpus} GPUs and {cpus} CPUs" if gpus else f"{cpus} CPUs"
        raise InputError(f"workers={workers}: Ray has {what}; expected a whole number from 1 to {most}.")
    return min(gpus, 1), workers
