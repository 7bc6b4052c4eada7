"""Training on 1, 2, 4 and 8 simulated devices, replicated and FSDP: the same losses, parameters, metrics and model.

One child process with eight devices makes all runs, each on the first so many, and writes what the tests compare.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import training
from measures import relative_error
from models import write_model
from tolerances import DEVICES_LOGITS, DEVICES_LOSSES, DEVICES_NORMS, DEVICES_PARAMETERS, FSDP_COPIED

from autorel_jax import sharding
from autorel_jax.cli.train import resolve
from autorel_jax.training.batches import TrainBatch
from autorel_jax.training.loop import evaluate
from autorel_jax.training.prepare import prepare
from autorel_jax.training.run import train

STEPS = 20  # 2.5 epochs of 8; the last batch of an epoch has 7 of 12 rows
ROWS = {"train": 91, "dev": 45}
# Divisible by 8 devices; 12 rows are not, in one part or two, nor are 16 rows of an evaluation by 12.
SIZES = {"hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 8}
SETTINGS = {
    "max_length": 8,
    "batch_size": 12,
    "eval_batch_size": 12,
    "max_steps": STEPS,
    "learning_rate": 1e-4,  # Adam scales gradients that are nothing but rounding up to it: 1e-3 moves norms by 1e-4
    "evaluate_every": 8,
    "log_every": 1,
}
# Devices, layout, parts: each pair of two of them. A run is compared with that on one device with as many parts.
REFERENCES = {parts: (1, "replicate", parts) for parts in (1, 2)}
OTHERS = ((2, "replicate", 1), (4, "replicate", 2), (8, "replicate", 1), (2, "fsdp", 2), (4, "fsdp", 1), (8, "fsdp", 2))
RUNS = (*REFERENCES.values(), *OTHERS)
EVALUATED = ((8, "replicate", 1), (8, "fsdp", 2))
HOPS = ((1, "replicate", 0, 7), (4, "fsdp", 7, 14), (2, "replicate", 14, STEPS))  # devices, layout, from and to step


def write_all(folder):
    """In the child, which has eight devices."""
    assert jax.device_count() == 8
    for run in RUNS:
        arrays, metrics = steps_of(folder, *run)
        np.savez(folder / f"{run}.npz", **arrays)
        (folder / f"{run}.json").write_text(json.dumps(metrics))
    finish(folder, "whole", 1, "replicate")
    finish(folder, "divided", 4, "fsdp")
    for hop in HOPS:
        with contextlib.suppress(SystemExit):
            finish(folder, "hops", *hop)


def config_of(folder, layout, parts=1, output="none"):
    config = resolve({"config": folder / "task" / "task.toml", "output": folder / output, "layout": layout})
    return dataclasses.replace(config, accumulation=parts)


def steps_of(folder, count, layout, parts):
    """All steps, then perhaps an evaluation: (arrays by name, metrics)."""
    prepared = prepare(config_of(folder, layout, parts), jax.devices()[:count], lambda line: None)
    learner, losses, norms = prepared.learner, [], []
    state = learner.begin(prepared.start.params)
    held = [bytes_on_devices(state)]
    take, judge = learner.compiled(state)
    place = TrainBatch(*[sharding.by_rows(learner.mesh, axis=1)] * 5)
    for batch in prepared.plan.batches(0, STEPS):
        state, logged = take(state, sharding.put(batch, place))
        losses.append(float(logged.loss))
        norms.append(float(logged.gradient_norm))
    held.append(bytes_on_devices(state))
    leaves = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(state.params)}
    found, metrics = {"losses": losses, "norms": norms, "held": held} | leaves, None
    if count == 1 or (count, layout, parts) in EVALUATED:
        metrics, found["logits"] = evaluate(prepared, judge, state.params, prepared.splits["dev"])
    return found, metrics


def bytes_on_devices(state):
    """Bytes of parameters and moments on each device."""
    held = dict.fromkeys(jax.devices(), 0)
    for leaf in jax.tree.leaves((state.params, state.moments)):
        for shard in leaf.addressable_shards:
            held[shard.device] += shard.data.nbytes
    return list(held.values())


def finish(folder, output, count, layout, first=0, last=STEPS):
    """A run from files to a model, or as if a signal came at step `last`; it goes on from step `first`."""

    def asked():
        for step in range(first + 1, STEPS + 1):
            yield signal.SIGTERM if step == last < STEPS else 0
            if step % SETTINGS["evaluate_every"] == 0 or step == STEPS:
                yield from [0] * -(-ROWS["dev"] // SETTINGS["eval_batch_size"])

    signals = asked()

    train(
        config_of(folder, layout, output=output),
        resume=first > 0,
        devices=jax.devices()[:count],
        listen=lambda: contextlib.nullcontext(lambda: next(signals)),
        show=lambda line: None,
    )


def rows_of(split):
    return training.examples(split)[: ROWS[split]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the child wrote."""
    folder = tmp_path_factory.mktemp("devices")
    write_model(folder / "encoder", labels=(), **SIZES)
    training.write_lines(folder / "task", rows_of, {"labels": list(training.LABELS)}, **SETTINGS)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_training_devices as t; "
    code += f"t.write_all(t.Path({str(folder)!r}))"
    variables = os.environ | {"JAX_NUM_CPU_DEVICES": "8"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    return {run: dict(np.load(folder / f"{run}.npz")) for run in RUNS}


def parameters(run):
    return {name: value for name, value in run.items() if name.startswith("[")}


@pytest.mark.parametrize("run", OTHERS, ids=str)
def test_losses(runs, run):
    for name, tolerance in (("losses", DEVICES_LOSSES), ("norms", DEVICES_NORMS)):
        found, expected = runs[run][name], runs[REFERENCES[run[2]]][name]
        assert found.shape == (STEPS,)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)


def test_losses_are_not_easily_the_same(runs):
    """They move, and dropout, which differs with the parts, moves them by much more than what is allowed."""
    one, two = (runs[1, "replicate", parts]["losses"] for parts in (1, 2))
    assert np.abs(np.diff(one)).min() > 100 * DEVICES_LOSSES
    assert np.abs(one / two - 1).max() > 1000 * DEVICES_LOSSES


@pytest.mark.parametrize("run", OTHERS, ids=str)
def test_parameters(runs, run):
    found, expected = parameters(runs[run]), parameters(runs[REFERENCES[run[2]]])
    assert found.keys() == expected.keys()
    worst = max(float(np.abs(found[name] - expected[name]).max()) for name in expected)
    assert worst < DEVICES_PARAMETERS


@pytest.mark.parametrize("run", EVALUATED, ids=str)
def test_evaluations(folder, runs, run):
    assert relative_error(runs[run]["logits"], runs[REFERENCES[run[2]]]["logits"]) < DEVICES_LOGITS
    found, expected = (json.loads((folder / f"{which}.json").read_text()) for which in (run, REFERENCES[run[2]]))
    assert found == pytest.approx(expected, rel=DEVICES_LOGITS, abs=0)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_what_a_device_holds(runs, run):
    """Of parameters and moments, before the first step and after the last."""
    count, layout, _ = run
    whole = runs[REFERENCES[run[2]]]["held"][0][0]
    assert whole > 3 * sum(value.nbytes for value in parameters(runs[run]).values())
    for held in runs[run]["held"]:
        assert held[count:].tolist() == [0] * (8 - count)
        assert len(set(held[:count])) == 1
        if layout == "replicate":
            assert held[0] == whole
        else:
            assert 1 / count <= held[0] / whole <= 1 / count + FSDP_COPIED


@pytest.mark.parametrize("output", ["divided", "hops"])
def test_the_finished_model(folder, runs, output):
    """Of four devices under FSDP, and of a run that went on elsewhere twice."""
    found, expected = (training.tensors_of(folder / name / "model") for name in (output, "whole"))
    assert found.keys() == expected.keys()
    assert max(float(np.abs(found[name] - expected[name]).max()) for name in expected) < DEVICES_PARAMETERS
    for split, count in ((None, STEPS), ("dev", 3)):
        lines, others = (lines_of(folder / name, split) for name in (output, "whole"))
        assert len(lines) == len(others) == count
        for line, other in zip(lines, others, strict=True):
            assert line == pytest.approx(other, rel=DEVICES_LOGITS if split else DEVICES_NORMS, abs=0)
        if not split:
            losses = [line["loss"] for line in lines]
            np.testing.assert_allclose(losses, runs[1, "replicate", 1]["losses"], rtol=DEVICES_LOSSES, atol=0)
    reports = [json.loads((folder / name / "report.json").read_text()) for name in (output, "whole")]
    assert reports[0]["best_step"] == reports[1]["best_step"]


def lines_of(output, split):
    """The lines of metrics.jsonl about a split; None: about the steps."""
    lines = training.metrics_of(output)
    return [{**line, "split": 0} for line in lines if line.get("split") == split]
