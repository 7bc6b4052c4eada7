"""Loop: takes the steps of a run, and evaluates, logs and saves between them.

Where a run stands is its step number: the batches, keys and learning rate of the next step follow from it.
Used by run.py and finish.py.
"""

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import sharding
from autorel_jax.data.task import DEV
from autorel_jax.errors import InputError
from autorel_jax.model.encoder import Params
from autorel_jax.training.batches import Examples, TrainBatch, in_order
from autorel_jax.training.folder import CHECKPOINTS, METRICS_FILE
from autorel_jax.training.judging import Outputs, judge_of
from autorel_jax.training.log import Meter, open_log, progress_bar
from autorel_jax.training.optimizer import schedule
from autorel_jax.training.prepare import Prepared
from autorel_jax.training.run_state import Checkpoints
from autorel_jax.training.step import Logged, State

IN_FLIGHT = 2  # steps that the device may be ahead of the host; a signal waits for them


@dataclasses.dataclass(frozen=True)
class Progress:
    """How the evaluations went; saved with the state."""

    fingerprint: str  # of the data
    lengths: tuple[int, ...] = ()  # that batches are padded to
    best: float | None = None  # the selected metric
    best_step: int = 0
    stale: int = 0  # evaluations since the best one
    unjudged: bool = False  # a signal came before the evaluation that is due was over: a resumed run begins with it
    meter: dict[str, float] = dataclasses.field(default_factory=dict)  # as of the checkpoint; see log.py

    def after(self, step: int, metric: float) -> "Progress":
        """With one more evaluation."""
        if self.best is None or metric > self.best:
            return dataclasses.replace(self, best=metric, best_step=step, stale=0, unjudged=False)
        return dataclasses.replace(self, stale=self.stale + 1, unjudged=False)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How the steps ended."""

    state: State
    progress: Progress
    step: int
    stopped_by: int = 0  # a signal's number


def run(prepared: Prepared, stop: Callable[[], int], early: bool = False) -> Outcome:
    """Takes all steps that are left, from the newest checkpoint that can be read; none of them to end a run `early`.

    Raises:
      InputError: there is no checkpoint to end a run with; the loss is not finite; the disk does not take a
        checkpoint.
    """
    with Checkpoints(prepared.folder / CHECKPOINTS) as checkpoints, ExitStack() as stack:
        outcome = starting_point(prepared, checkpoints, early)
        if early:
            return outcome
        prepared = padded_as_begun(prepared, outcome.progress)
        loop = Loop(prepared, checkpoints, stack, outcome, stop)
        if not loop.is_finished(outcome.step, outcome.progress):
            outcome = loop.run(outcome)
        checkpoints.wait()
    return outcome


def starting_point(prepared: Prepared, checkpoints: Checkpoints, early: bool) -> Outcome:
    """The state of the newest checkpoint, or that before the first step, with which no run can end `early`."""
    saved = checkpoints.restore(prepared.learner.shapes(prepared.start.params))
    if saved is None and early:
        raise InputError(f"{prepared.folder / CHECKPOINTS} holds no checkpoint to finish with; train on by --resume.")
    if saved is None:
        if (prepared.folder / METRICS_FILE).is_file():
            prepared.show(
                f"{prepared.folder / CHECKPOINTS} holds no checkpoint: the run begins again at its first step"
            )
        return Outcome(
            prepared.learner.begin(prepared.start.params), Progress(prepared.fingerprint, prepared.plan.lengths), 0
        )
    for warning in saved.warnings:
        prepared.show(warning)
    progress = Progress(**saved.progress)
    if progress.fingerprint != prepared.fingerprint:
        raise InputError(
            f"{prepared.folder} holds a run on other data, or from another model: they changed since it began. "
            "Restore them, or give another folder with --output."
        )
    prepared.show(f"going on from step {saved.step} of {prepared.steps}")
    return Outcome(saved.state, progress, saved.step)


def padded_as_begun(prepared: Prepared, progress: Progress) -> Prepared:
    """The run with the lengths that it began with, on which dropout depends; another version may choose others."""
    lengths = tuple(progress.lengths)
    if lengths in ((), prepared.plan.lengths):
        return prepared
    prepared.show(f"padded to {', '.join(map(str, lengths))} tokens, as the run began")
    return dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, lengths=lengths))


class Loop:
    """The steps of one run, with what surrounds them."""

    def __init__(
        self,
        prepared: Prepared,
        checkpoints: Checkpoints,
        stack: ExitStack,
        outcome: Outcome,
        stop: Callable[[], int],
    ) -> None:
        self.stop = stop  # gives the number of a signal that this process got, or 0
        self.prepared, self.config, self.checkpoints = prepared, prepared.config, checkpoints
        self.rate = schedule(self.config, prepared.steps)
        first, step = prepared.is_first, outcome.step
        log = open_log(prepared.folder, step, self.config.tensorboard, not outcome.progress.unjudged)
        self.write_metrics = stack.enter_context(log) if first else None
        self.bar = stack.enter_context(progress_bar(step, prepared.steps, first))
        self.pending: deque[tuple[int, Logged, TrainBatch, Any]] = deque()
        self.agreed_signal = sharding.greatest(prepared.learner.mesh) if jax.process_count() > 1 else None
        self.signal = 0  # the number of one that ends the run
        self.meter = Meter(**outcome.progress.meter)

    def is_finished(self, step: int, progress: Progress) -> bool:
        """Whether a run that stands there has nothing left to do."""
        patience = self.config.early_stopping
        if progress.unjudged:
            return False
        return step >= self.prepared.steps or bool(patience and progress.stale >= patience)

    def run(self, outcome: Outcome) -> Outcome:
        """All steps until the run is over, or a signal ends it."""
        prepared, (state, progress, step) = self.prepared, (outcome.state, outcome.progress, outcome.step)
        take, evaluate = prepared.learner.compiled(state)
        place = sharding.by_rows(prepared.learner.mesh, axis=1)
        if progress.unjudged:
            progress = self.evaluate_and_save(evaluate, state, step, progress)
        batches = prepared.plan.batches(step, prepared.steps)
        while not (self.is_finished(step, progress) or self.signal):
            batch = next(batches)
            state, logged = take(state, sharding.put(batch, TrainBatch(*[place] * len(batch))))
            step += 1
            self.pending.append((step, logged, batch, self.note_signal(self.stop())))
            self.wait_for_steps(IN_FLIGHT)
            due = self.evaluation_due(step)
            if due or step % self.config.checkpoint_every == 0 or step == prepared.steps or self.signal:
                self.wait_for_steps(0)
                self.check_parameters(state, step)
                if due:
                    progress = self.evaluate_and_save(evaluate, state, step, progress)
                else:
                    self.save(step, state, progress, None)
        self.wait_for_steps(0)
        over = self.is_finished(step, progress)
        return Outcome(state, progress, step, 0 if over else self.signal)

    def note_signal(self, signal: int) -> Any:
        """Notes a signal that this process got; one of several processes learns with its steps what any of them got.

        So all of them stop after the same step, at most IN_FLIGHT after the signal.
        """
        if self.agreed_signal:
            return self.agreed_signal(signal)
        self.signal = signal
        return signal

    def evaluation_due(self, step: int) -> bool:
        """Whether dev is due after a step: each so many, at the end of an epoch, or at the end."""
        if DEV not in self.prepared.splits:
            return False
        every = self.config.evaluate_every or self.prepared.plan.steps_per_epoch
        return step % every == 0 or step == self.prepared.steps

    def wait_for_steps(self, allowed: int) -> None:
        """Waits until at most so many steps are in flight, and logs those that are done.

        Raises:
          InputError: a loss or a gradient is not finite.
        """
        while len(self.pending) > allowed:
            step, logged, batch, signal = self.pending.popleft()
            self.signal = self.signal or int(signal)
            loss, norm = float(logged.loss), float(logged.gradient_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                what = f"the loss is {loss:g} and the gradient's norm {norm:g}"
                # A loss comes from the parameters of the step before: that checkpoint is no good one either.
                raise InputError(self.diverged(step, what, step - 1 if math.isfinite(loss) else step - 2))
            self.meter.add(loss, norm, int(batch.mask.sum()), batch.mask.size)
            self.bar.tick(loss, self.meter.rate)
            if step % self.config.log_every == 0 or step == self.prepared.steps:
                self.log(step)

    def check_parameters(self, state: State, step: int) -> None:
        """Raises InputError where the step's own update broke the parameters, which its loss does not show."""
        if not jax.jit(all_finite, out_shardings=sharding.copied(self.prepared.learner.mesh))(state.params):
            raise InputError(self.diverged(step, "a parameter is not finite any more", step - 1))

    def diverged(self, step: int, what: str, last: int) -> str:
        """What to say when training has broken down; a checkpoint up to step `last` is good."""
        self.checkpoints.wait()
        good = [made for made in self.checkpoints.steps if made <= last]
        kept = f"checkpoint {good[-1]} is the last good one" if good else "there is no good checkpoint yet"
        return (
            f"step {step}: {what}; {kept}. Look at the data, or give another --output and a lower --learning-rate or "
            "more --warmup: a run that is resumed keeps its settings."
        )

    def log(self, step: int) -> None:
        """A line of metrics, and a new meter."""
        epoch = round(step / self.prepared.plan.steps_per_epoch, 4)
        if self.write_metrics:
            # The rate that step used: steps count from 1 here, from 0 in the schedule.
            rate = float(self.rate(np.int32(step - 1)))
            self.write_metrics(step, {"epoch": epoch, "learning_rate": rate, **self.meter.values()})
        self.meter = Meter()

    def evaluate_and_save(self, function: Any, state: State, step: int, progress: Progress) -> Progress:
        """Evaluates, and saves the state with what came out; where a signal ends the run first, as unjudged."""
        metric = None if self.signal else self.evaluate(function, state, step)
        progress = dataclasses.replace(progress, unjudged=True) if metric is None else progress.after(step, metric)
        self.save(step, state, progress, metric)
        return progress

    def must_stop(self) -> bool:
        """Whether a signal that any process got ends the run."""
        self.signal = self.signal or int(self.note_signal(self.stop()))
        return bool(self.signal)

    def evaluate(self, function: Any, state: State, step: int) -> float | None:
        """The selected metric on dev; logs and shows all of them. None where a signal came in between."""
        prepared, begun = self.prepared, time.perf_counter()
        result = evaluate(prepared, function, state.params, prepared.splits[DEV], self.must_stop)
        if result is None:
            return None
        values, _ = result
        if self.write_metrics:
            self.write_metrics(step, {"split": DEV, **values})
        listed = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        with self.bar.aside():
            prepared.show(f"step {step}, {DEV}: {listed}")
        self.meter.start += time.perf_counter() - begun  # tokens/s is of training alone
        return values[prepared.select]

    def save(self, step: int, state: State, progress: Progress, metric: float | None) -> None:
        """A checkpoint, written while training goes on."""
        progress = dataclasses.replace(progress, meter=self.meter.as_dict)
        self.checkpoints.save(step, state, dataclasses.asdict(progress), metric)


def all_finite(params: Params) -> jax.Array:
    """Whether no parameter is NaN or infinite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]))


def evaluate(
    prepared: Prepared, function: Any, params: Any, examples: Examples, must_stop: Callable[[], bool] = lambda: False
) -> tuple[dict[str, float], Outputs] | None:
    """The metrics of a split, its mean loss first, and what `Judge.read` keeps of each row.

    None where `must_stop` ends it early.
    """
    judge, found, total, weight = judge_of(prepared.task), {}, 0.0, 0.0
    for rows, logits, loss, mass in forward_batches(prepared, function, params, examples):
        found |= zip(rows.tolist(), judge.read(examples, rows, logits), strict=True)
        total, weight = total + loss, weight + mass
        if must_stop():
            return None
    outputs = [found[row] for row in range(len(examples))]
    return {"loss": total / weight, **judge.evaluate(prepared.task, examples, outputs)}, outputs


def forward_batches(
    prepared: Prepared, function: Any, params: Any, examples: Examples
) -> Iterator[tuple[np.ndarray, np.ndarray, float, float]]:
    """Batches of a split: (row numbers, logits [R, C] or of tokens [R, T, C], summed loss, weight)."""
    place, config = sharding.by_rows(prepared.learner.mesh), prepared.start.config
    for rows, batch in in_order(examples, prepared.eval_rows, prepared.lengths(examples)):
        logits, loss, mass = function(params, sharding.put(batch, TrainBatch(*[place] * len(batch))))
        logits = np.asarray(jax.device_get(logits), np.float32)[: len(rows)]
        if config.on_tokens:
            logits = logits.reshape(len(rows), -1, config.num_labels)
        yield rows, logits, float(loss), float(mass)
