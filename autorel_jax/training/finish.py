"""Finish: the best checkpoint of a run -> its metrics, a report, and a Hugging Face directory with a model card.

Used by run.py.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autorel_jax import sharding, weights
from autorel_jax.data.task import DEV, TEST
from autorel_jax.errors import InputError
from autorel_jax.files import write_text
from autorel_jax.training import metrics
from autorel_jax.training.card import card
from autorel_jax.training.folder import CHECKPOINTS, MODEL, REPORT
from autorel_jax.training.judging import judge_of
from autorel_jax.training.loop import Outcome, evaluate
from autorel_jax.training.prepare import Prepared
from autorel_jax.training.run_state import Checkpoints


@dataclasses.dataclass(frozen=True)
class Trained:
    """A finished run."""

    model: Path  # the Hugging Face directory
    steps: int
    best_step: int  # whose parameters the model has
    metrics: dict[str, dict[str, float]]  # by split: dev and test, as far as there are


def finish(prepared: Prepared, outcome: Outcome, command: str) -> Trained:
    """Evaluates the best checkpoint, prints its reports and writes the model.

    Raises:
      InputError: the disk does not take it; the checkpoints stay, and --resume finishes again.
    """
    step, params = best_parameters(prepared, outcome)
    _, function = prepared.learner.compiled(outcome.state)
    by_split: dict[str, dict[str, float]] = {}
    tables: dict[str, Any] = {}
    for name in (DEV, TEST):
        if name in prepared.splits:
            by_split[name], tables[name] = evaluate_split(prepared, function, params, name)
    whole = gather(prepared, params)
    trained = Trained(prepared.folder / MODEL, outcome.step, step, by_split)
    sharding.together(lambda: write_results(prepared, trained, whole, tables, command) if prepared.is_first else None)
    prepared.show(f"wrote {trained.model}, the parameters of step {step}")
    return trained


def write_results(prepared: Prepared, trained: Trained, params: Any, tables: dict[str, Any], command: str) -> None:
    """Writes the model and the report."""
    params = jax.tree.map(np.asarray, params)
    text = card(prepared, trained.best_step, trained.metrics, command)
    start, dtype, files = prepared.start, prepared.config.export_dtype, {"README.md": text}
    # force: of a run that was finished before.
    weights.write(trained.model, start.config, params, start.tokenizer, dtype=dtype, files=files, force=True)
    report = {"steps": trained.steps, "best_step": trained.best_step, "metrics": metrics.finite(trained.metrics)}
    write_text(prepared.folder / REPORT, json.dumps(report | {"report": tables}, indent=2) + "\n")


def best_parameters(prepared: Prepared, outcome: Outcome) -> tuple[int, Any]:
    """The step and the parameters of the best checkpoint; without evaluations, those of the last step.

    Those are also taken, and a line says so, where no checkpoint with a metric can be read any more.
    """
    step = outcome.progress.best_step
    if outcome.progress.best is None or step == outcome.step:
        return outcome.step, outcome.state.params
    with Checkpoints(prepared.folder / CHECKPOINTS) as checkpoints:
        try:
            saved = checkpoints.best({"params": prepared.learner.shapes(prepared.start.params).params})
        except InputError:  # each has a metric and none can be read
            saved = None
    if saved is None:
        prepared.show(f"checkpoint {step} cannot be read; the last step, {outcome.step}, is taken")
        return outcome.step, outcome.state.params
    warnings = saved.warnings
    if saved.step != step and not warnings:  # its metric cannot be read
        warnings = (
            f"checkpoint {step} cannot be read (its record is damaged); the best of the others is {saved.step}",
        )
    for warning in warnings:
        prepared.show(warning)
    return saved.step, saved.state["params"]


def evaluate_split(
    prepared: Prepared, function: Any, params: Any, name: str
) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics of a split and the details of its report, which is shown."""
    examples, judge = prepared.splits[name], judge_of(prepared.task)
    values, outputs = evaluate(prepared, function, params, examples)
    table = judge.details(prepared.task, examples, outputs, values)
    prepared.show(f"\n{name}: {judge.report(table)}")
    return values, table


def gather(prepared: Prepared, params: Any) -> Any:
    """The parameters, whole on every device of every process."""
    return jax.jit(lambda tree: tree, out_shardings=sharding.copied(prepared.learner.mesh))(params)
