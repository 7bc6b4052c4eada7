"""Training and corpora of every architecture: resumed bit for bit, divided among devices, killed and continued.

One child process with four devices trains; it writes what the tests compare. All of it is slow.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_resume
import test_training_devices as devices
import training
from family_models import CHANGES, tokenizer_of, write_family
from models import random_params, tiny_config
from sentences import lines
from test_family_runs import ARCHITECTURES, architectures
from tolerances import DEVICES_PARAMETERS

from autorel_jax.cli.explain import main
from autorel_jax.weights import write

pytestmark = pytest.mark.slow
FIRST = 7  # the step after which a run is interrupted


def train_all(root):
    """In the child: for each architecture a whole run, one that was interrupted, and one under FSDP."""
    for model_type in ARCHITECTURES:
        folder = root / model_type
        devices.finish(folder, "whole", 1, "replicate")
        try:
            devices.finish(folder, "resumed", 1, "replicate", 0, FIRST)
        except SystemExit:
            devices.finish(folder, "resumed", 1, "replicate", FIRST)
        devices.finish(folder, "divided", 4, "fsdp")


def write_start(folder, model_type):
    """An encoder of the family and a task."""
    folder.mkdir()
    tokenizer = tokenizer_of(folder / "tokenizer", model_type)
    changes = CHANGES[model_type] | devices.SIZES | {"vocab_size": tokenizer.max_id + 1, "labels": ()}
    config = tiny_config(**changes, model_type=model_type, max_position_embeddings=66)
    write(folder / "encoder", config, random_params(config), tokenizer)
    training.write_lines(folder / "task", devices.rows_of, {"labels": list(training.LABELS)}, **devices.SETTINGS)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """What the child wrote."""
    root = tmp_path_factory.mktemp("families")
    for model_type in ARCHITECTURES:
        write_start(root / model_type, model_type)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_family_training as t; "
    code += f"t.train_all(t.Path({str(root)!r}))"
    variables = os.environ | {"JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return root


@architectures
def test_resumed_bit_for_bit(root, model_type):
    whole, resumed = (root / model_type / name for name in ("whole", "resumed"))
    assert training.weights_of(resumed) == training.weights_of(whole)
    assert training.metrics_of(resumed) == training.metrics_of(whole)


@architectures
def test_divided_among_four_devices(root, model_type):
    found, expected = (training.tensors_of(root / model_type / name / "model") for name in ("divided", "whole"))
    start = training.tensors_of(root / model_type / "encoder")
    assert found.keys() == expected.keys()
    worst = max(float(np.abs(found[name] - expected[name]).max()) for name in expected)
    moved = max(float(np.abs(start[name] - expected[name]).max()) for name in expected.keys() & start.keys())
    assert worst < DEVICES_PARAMETERS
    assert moved > 10 * DEVICES_PARAMETERS


@architectures
def test_a_corpus_that_is_killed(model_type, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("\n".join(lines(200)), encoding="utf-8")
    folder = write_family(tmp_path / "model", model_type)
    job = [str(source), "--model", str(folder), "--batch-size", "2", "--part-rows", "10"]
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out" / "a.jsonl"
    output.parent.mkdir()
    assert main([*job, "--output", str(whole)]) == 0
    with test_resume.start(job, output) as process:
        test_resume.wait_for(process, output, 3)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert main([*job, "--output", str(output)]) == 0
    assert output.read_bytes() == whole.read_bytes()
