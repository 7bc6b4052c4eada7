"""Runs that are killed, told to stop, out of disk or that diverge: nothing is lost, and one line says what happened."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import training
from models import refusal
from test_checkpoint import bits, fill, like, no_file_larger_than, state_at, truncate
from training import STEPS, call, metrics_of, refused, tensors_of, weights_of

from autorel_jax.cli import train as command
from autorel_jax.training import batches, prepare
from autorel_jax.training import folder as folder_names
from autorel_jax.training.finish import best_parameters
from autorel_jax.training.log import open_log, progress_bar
from autorel_jax.training.loop import Outcome, Progress
from autorel_jax.training.run import train
from autorel_jax.training.step import Learner

KILLS = 3
MANY_KILLS = 20
TEMPORARY = "*.orbax-checkpoint-tmp"  # what Orbax calls a checkpoint before it is whole
# May change when a run is resumed; most checkpoints lie between two lines of metrics.
OFTEN = ("--checkpoint-every", 6, "--log-every", 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """encoder/ and task/, and run/, an uninterrupted run that all others are compared with."""
    folder = tmp_path_factory.mktemp("interrupted")
    training.write_encoder(folder / "encoder")
    training.write_task(folder / "task")
    code, _, err = call(*arguments(folder, folder / "run"))
    assert (code, err) == (0, "")
    return folder


def arguments(folder, output):
    return ("--config", folder / "task/task.toml", "--output", output, *OFTEN)


def assert_finished(output, folder):
    """Bit for bit what the uninterrupted run has, and nothing lies about."""
    assert weights_of(output) == weights_of(folder / "run")
    assert metrics_of(output) == metrics_of(folder / "run")
    training.assert_events_are_metrics(output)
    assert {path.name for path in output.iterdir()} == {path.name for path in (folder / "run").iterdir()}


# --- SIGKILL


def last_step(output):
    """Of the last line of metrics; 0 before there is one."""
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        return json.loads((output / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    return 0


def kill_after(process, output, step, moment):
    """Kills it `moment` seconds after a line of metrics of that step or a later one."""
    while last_step(output) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    time.sleep(moment)
    process.kill()


def kill_in_a_save(process, output):
    """Kills it while a checkpoint is being written."""
    left = 0
    while not left:
        assert process.poll() is None, process.communicate()
        if any(output.glob(f"checkpoints/{TEMPORARY}")):
            process.send_signal(signal.SIGSTOP)  # so that it is not whole by now
            left = any(output.glob(f"checkpoints/{TEMPORARY}"))
            process.send_signal(signal.SIGKILL if left else signal.SIGCONT)


def kill_and_resume(folder, output, kills, seed):
    """Runs until it is finished, killed that often on the way: in a save, after some step, in a save, and so on."""
    rng = random.Random(seed)
    steps = sorted(rng.sample(range(1, STEPS - 10), kills))
    for number, step in enumerate(steps):
        process = training.start(*arguments(folder, output), "--resume")
        if number % 2:
            kill_in_a_save(process, output)
        else:
            kill_after(process, output, step, rng.uniform(0, 0.02))
        code, _, err = training.finished(process)
        assert (code, err) == (-signal.SIGKILL, "")
    code, _, err = call(*arguments(folder, output), "--resume")
    assert (code, err) == (0, "")
    assert_finished(output, folder)


def test_killed_three_times(folder, tmp_path):
    kill_and_resume(folder, tmp_path / "run", KILLS, seed=0)


@pytest.mark.slow
def test_killed_twenty_times(folder, tmp_path):
    kill_and_resume(folder, tmp_path / "run", MANY_KILLS, seed=1)


def test_the_checkpoints_are_lost(folder, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(folder / "run", output)
    shutil.rmtree(output / "checkpoints")
    code, out, err = call("--resume", "--output", output)
    assert (code, err) == (0, "")
    assert f"{output / 'checkpoints'} holds no checkpoint: the run begins again at its first step\n" in out
    assert_finished(output, folder)


# --- SIGTERM and SIGINT


def told_to_stop(folder, output, number, step, *more):
    """The last line that it prints when it gets the signal after a step, and its exit code."""
    process = training.start(*arguments(folder, output), *more)
    while last_step(output) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(number)
    code, out, err = training.finished(process)
    assert err == ""
    return out.splitlines()[-1], code


def test_told_to_stop(folder, tmp_path):
    """By SIGTERM, and when resumed by SIGINT; each saves, and the end is that of a run that was not stopped."""
    output = tmp_path / "run"
    for number, more in ((signal.SIGTERM, ()), (signal.SIGINT, ("--resume",))):
        for attempt in range(5):
            before = tmp_path / f"before {number.name} {attempt}"
            shutil.copytree(output, before) if output.exists() else before.mkdir()
            step = last_step(output) + 2
            line, code = told_to_stop(folder, output, number, step, *more)
            if code:
                break
            shutil.rmtree(output)  # the run was over before the signal, on a busy machine: again from where it was
            if more:
                before.rename(output)
        assert code == 128 + number
        last = max(int(path.name) for path in (output / "checkpoints").iterdir())
        assert line == f"{number.name}: stopped after step {last}; add --resume to go on."
        assert step <= last < STEPS
    assert call("--resume", "--output", output)[::2] == (0, "")
    assert_finished(output, folder)


@pytest.mark.slow
def test_a_resumed_run_is_padded_as_it_began(folder, tmp_path, monkeypatch):
    """To lengths that this version would not choose: dropout depends on them, and the end is as without a stop."""
    monkeypatch.setattr(batches, "MULTIPLE", 4)
    monkeypatch.setattr(batches, "PROGRAM", 0)
    assert call(*arguments(folder, tmp_path / "whole"))[::2] == (0, "")
    monkeypatch.setattr(command, "signals", stopped_after(30))
    assert call(*arguments(folder, tmp_path / "run"))[0] == 143
    monkeypatch.undo()
    code, out, err = call("--resume", "--output", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "padded to 4, 8 tokens, as the run began\n" in out
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")
    assert weights_of(tmp_path / "run") != weights_of(folder / "run")


def stopped_after(asked):
    """In place of the command's signals: SIGTERM comes when it was asked for that often."""

    @contextlib.contextmanager
    def signals():
        answers = iter([0] * asked)
        yield lambda: next(answers, signal.SIGTERM)

    return signals


@pytest.mark.parametrize("again", [(), pytest.param((0,), marks=pytest.mark.slow)], ids=["once", "twice"])
def test_told_to_stop_while_it_evaluates(again, folder, tmp_path, monkeypatch):
    """At the step that is the best in the end: the evaluation is done anew, and its metric is kept."""
    output, step = tmp_path / "run", json.loads((folder / "run/report.json").read_text())["best_step"]
    assert step < STEPS  # else the model would not be read from a checkpoint
    before = step + step // training.SETTINGS["evaluate_every"] - 1  # each step asks, and each evaluation's one batch
    for asked in (before, *again):
        monkeypatch.setattr(command, "signals", stopped_after(asked))
        code, out, _ = call(*arguments(folder, output), "--resume")
        assert code == 143
        assert out.endswith(f"SIGTERM: stopped after step {step}; add --resume to go on.\n")
        assert f"step {step}, dev: " not in out
    monkeypatch.undo()
    assert call("--resume", "--output", output)[::2] == (0, "")
    assert_finished(output, folder)
    assert (output / "report.json").read_text() == (folder / "run/report.json").read_text()


def test_a_run_is_finished_early(folder, tmp_path, monkeypatch):
    """With the best of its checkpoints so far, and without another step."""
    output = tmp_path / "run"
    monkeypatch.setattr(command, "signals", stopped_after(2 * training.SETTINGS["evaluate_every"]))
    assert call(*arguments(folder, output))[0] == 143
    monkeypatch.undo()
    last = last_step(output)
    assert 0 < last < STEPS
    code, out, err = call("--finish", output)
    assert (code, err) == (0, "")
    report = json.loads((output / "report.json").read_text())
    assert (report["steps"], report["best_step"] <= last) == (last, True)
    assert out.endswith(f"wrote {output}/model, the parameters of step {report['best_step']}\n")
    assert last_step(output) == last
    assert "leave out --output and --resume" in training.refused("--finish", output, "--output", output)
    empty = shutil.copytree(output, tmp_path / "empty")
    shutil.rmtree(empty / "checkpoints")
    assert "holds no checkpoint to finish with; train on by --resume." in call("--finish", empty)[2]


def test_a_second_signal_ends_at_once():
    """Also one of the other kind."""
    script = (
        "import os, signal, time\n"
        "from autorel_jax.cli.train import signals\n"
        "with signals() as stop:\n"
        "    assert stop() == 0\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert stop() == signal.SIGINT\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with command.signals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop() == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_the_first_step_ends_at_once(number, code, folder, tmp_path, monkeypatch):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(*_):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(prepare, "read_pretrained", interrupted)
    try:
        assert call(*arguments(folder, tmp_path / "run")) == (code, "", "")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert not (tmp_path / "run").exists()


# --- what is on disk when a run is resumed


@pytest.fixture(scope="module")
def stopped(folder):
    """A run that was stopped after 13 steps, with the checkpoints 12 and 13."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "signals", stopped_after(12))
        code, out, err = call(*arguments(folder, folder / "stopped"))
    assert (code, err) == (143, "")
    assert out.endswith("SIGTERM: stopped after step 13; add --resume to go on.\n")
    return folder / "stopped"


def test_a_damaged_checkpoint(stopped, folder, tmp_path):
    """The one before is taken, and a line says so; a line of metrics that a kill cut is written again."""
    output = shutil.copytree(stopped, tmp_path / "run")
    truncate(output / "checkpoints/13", 13)
    with (output / "metrics.jsonl").open("a") as file:
        file.write('{"step": 14, "lo')
    code, out, err = call("--resume", "--output", output)
    assert (code, err) == (0, "")
    said = r"checkpoint 13 cannot be read \(.*\); it is now called 13.unreadable, going on from 12\n"
    assert re.search(rf"^{said}going on from step 12 of {STEPS}\n", out, re.MULTILINE)
    assert_finished(output, folder)


@pytest.mark.parametrize(
    ("damaged", "step", "said"),
    [
        ({}, 10, []),
        ({10: "record"}, 20, ["checkpoint 10 cannot be read (its record is damaged); the best of the others is 20"]),
        (dict.fromkeys((10, 20, 30), "record"), 40, ["checkpoint 10 cannot be read; the last step, 40, is taken"]),
        (dict.fromkeys((10, 20, 30), "state"), 40, ["checkpoint 10 cannot be read; the last step, 40, is taken"]),
    ],
)
def test_a_damaged_best_checkpoint(damaged, step, said, tmp_path):
    """The best of the others is taken, or else the state in memory, and a line says so."""
    (tmp_path / folder_names.CHECKPOINTS).mkdir()
    fill(tmp_path / folder_names.CHECKPOINTS, 10, 20, 30, metrics=[0.9, 0.5, 0.4])
    for number, item in damaged.items():
        for file in (tmp_path / folder_names.CHECKPOINTS / str(number) / item).rglob("*"):
            if file.is_file():
                os.truncate(file, 1)
    shown, learner = [], SimpleNamespace(shapes=lambda params: like())
    prepared = SimpleNamespace(folder=tmp_path, learner=learner, start=SimpleNamespace(params=None), show=shown.append)
    outcome = Outcome(state_at(40), Progress("", best=0.9, best_step=10), 40)
    found, params = best_parameters(prepared, outcome)
    assert (found, shown) == (step, said)
    assert bits(params) == bits(state_at(step).params)


@pytest.mark.slow
def test_data_and_model_that_were_moved(stopped, folder, tmp_path):
    """What they are is compared, not where they lie; of the model also its config, which no weight tells."""
    output = shutil.copytree(stopped, tmp_path / "run")
    model, data = (
        shutil.copytree(folder / "encoder", tmp_path / "bert"),
        shutil.copytree(folder / "task", tmp_path / "d"),
    )
    moved = ("--resume", "--output", output, "--model", model, "--data-dir", data)
    config = (model / "config.json").read_text()
    assert '"hidden_act": "gelu"' in config
    (model / "config.json").write_text(config.replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    assert "holds a run on other data, or from another model" in refused(*moved)
    (model / "config.json").write_text(config)
    assert call(*moved)[::2] == (0, "")
    assert_finished(output, folder)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_data_that_changed(split, stopped, folder, tmp_path):
    """One label, of train or of what chooses the checkpoint."""
    output, file = shutil.copytree(stopped, tmp_path / "run"), folder / f"task/{split}.csv"
    before = file.read_text()
    assert before.endswith("positive\n")
    file.write_text(before.removesuffix("positive\n") + "neutral\n")
    try:
        said = refused("--resume", "--output", output)
    finally:
        file.write_text(before)
    assert said == (
        f"{output} holds a run on other data, or from another model: they changed since it began. Restore them, or "
        "give another folder with --output."
    )
    assert (output / "metrics.jsonl").read_bytes() == (stopped / "metrics.jsonl").read_bytes()


# --- a full disk


def fill_the_disk(folder, output):
    """In a child, on a small disk: too little room for the third checkpoint, and then enough."""
    size = sum(file.stat().st_blocks * 512 for file in (folder / f"run/checkpoints/{STEPS}").rglob("*"))
    filler = output.parent / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(output.parent).free - 2 * size - size // 2))
    code, _, err = call(*arguments(folder, output))
    assert code == 2
    print(err, end="")
    print(sorted(path.name for path in (output / "checkpoints").iterdir()))
    filler.unlink()
    assert call("--resume", "--output", output)[::2] == (0, "")
    assert_finished(output, folder)


def test_a_full_disk(folder, tmp_path):
    mount = f"mount -t tmpfs -o size=8m none {tmp_path}"
    tried = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True)
    if not tried or tried.returncode:
        pytest.skip("this system lets no ordinary user mount a small disk")
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_train_interrupted as t; "
    code += f"t.fill_the_disk(t.Path({str(folder)!r}), t.Path({str(tmp_path)!r}) / 'run')"
    inside = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" "$@"', sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"autorel-train: error: {tmp_path}/run/checkpoints cannot be written: No space left on device.\n['12', '6']\n"
    )


def test_a_full_disk_under_the_metrics(tmp_path):
    """A line is written in part; the run that goes on writes it again."""
    with open_log(tmp_path, 0, board=False) as write:
        write(1, {"loss": 0.5})
        with no_file_larger_than(35):
            said = refusal(write, 2, {"loss": 0.25})
    assert said == f"{tmp_path}/metrics.jsonl cannot be written: File too large."
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 0.5}\n{"step": 2'
    with open_log(tmp_path, 1, board=False) as write:
        write(2, {"loss": float("nan"), "split": "dev"})
    assert metrics_of(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None, "split": "dev"}]
    with open_log(tmp_path, 2, board=False, evaluated=False):
        assert metrics_of(tmp_path) == [{"step": 1, "loss": 0.5}]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_full_disk_under_tensorboard(tmp_path):
    with open_log(tmp_path, 0, board=True) as write:
        write(1, {"loss": 0.5})
        (file,) = (tmp_path / "tensorboard").iterdir()
        with no_file_larger_than(file.stat().st_size + 9):
            said = refusal(write, 2, {"loss": 0.25})
    assert said == f"{tmp_path}/tensorboard cannot be written: File too large."
    assert training.events_of(tmp_path) == {("train/loss", 1): 0.5}


def test_tensorboard_is_written_without_a_thread(tmp_path):
    """Of a thread that has died nobody is told, and what waits for it waits for ever."""
    before = threading.enumerate()
    with open_log(tmp_path, 0, board=True) as write:
        write(1, {"loss": 0.5, "rate": 1e300, "split": "dev"})
        assert training.events_of(tmp_path) == {("dev/loss", 1): 0.5, ("dev/rate", 1): float("inf")}
        assert threading.enumerate() == before


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_beside_the_progress_bar(monkeypatch):
    """Begin where the bar was, which is wiped out first and drawn again after them."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    with progress_bar(0, 9, shown=True) as bar:
        bar.tick(0.5, 100.0)
        with bar.aside():
            print("step 1, dev: loss 0.5")
    before, after = screen.getvalue().split("step 1, dev: loss 0.5\n")
    *_, wiped, begin = before.split("\r")
    assert (wiped.strip(), begin) == ("", "")
    assert after.lstrip("\r").startswith(" 11%|")


def test_a_reader_that_goes_away(folder, tmp_path):
    """Is not taken for a full disk."""

    def show(line):
        if line.startswith("step 20, dev: "):
            raise BrokenPipeError(32, "Broken pipe")

    config = command.resolve({"config": folder / "task/task.toml", "output": tmp_path / "run", "checkpoint_every": 9})
    with pytest.raises(BrokenPipeError):
        train(config, show=show)
    assert {path.name for path in (tmp_path / "run/checkpoints").iterdir()} == {"9", "18"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(folder, tmp_path):
    tmp_path.chmod(0o555)
    try:
        assert refused(*arguments(folder, tmp_path / "run")) == f"{tmp_path}/run cannot be written: Permission denied."
    finally:
        tmp_path.chmod(0o755)


# --- a loss that is not finite


def test_weights_that_are_not_finite(folder, tmp_path):
    model = shutil.copytree(folder / "encoder", tmp_path / "encoder")
    tensors = tensors_of(model)
    tensors["bert.pooler.dense.bias"][0] = np.nan
    training.save_file(tensors, model / "model.safetensors")
    said = refused(*arguments(folder, tmp_path / "run"), "--model", model)
    assert said == (
        "step 1: the loss is nan and the gradient's norm nan; there is no good checkpoint yet. Look at the data, or "
        "give another --output and a lower --learning-rate or more --warmup: a run that is resumed keeps its settings."
    )


def test_a_loss_that_is_not_finite(folder, tmp_path, monkeypatch):
    """In step 13: its loss comes from the parameters of checkpoint 12, which may be to blame."""
    original = prepare.Plan.batches

    def poisoned(plan, start, stop):
        for step, batch in enumerate(original(plan, start, stop), start + 1):
            yield batch._replace(weights=batch.weights * np.float32("inf")) if step == 13 else batch

    with monkeypatch.context() as patch:
        patch.setattr(prepare.Plan, "batches", poisoned)
        said = refused(*arguments(folder, tmp_path / "run"))
    assert said.startswith("step 13: the loss is nan and the gradient's norm nan; checkpoint 6 is the last good one. ")
    assert call("--resume", "--output", tmp_path / "run")[::2] == (0, "")
    assert_finished(tmp_path / "run", folder)


def test_parameters_that_are_not_finite(folder, tmp_path, monkeypatch):
    """Where a step's own update breaks them its loss tells nothing; they are not saved."""
    original = Learner.compiled

    def compiled(learner, state):
        take, evaluate = original(learner, state)

        def broken(state, batch):
            state, logged = take(state, batch)
            scale = np.float32("inf" if int(state.step) == 18 else 1)
            return state._replace(params=jax.tree.map(lambda leaf: leaf * scale, state.params)), logged

        return broken, evaluate

    monkeypatch.setattr(Learner, "compiled", compiled)
    said = refused(*arguments(folder, tmp_path / "run"))
    assert said.startswith("step 18: a parameter is not finite any more; checkpoint 12 is the last good one. ")
    assert {path.name for path in (tmp_path / "run/checkpoints").iterdir()} == {"6", "12"}
