"""Batches divided among devices: four simulated ones give what one gives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentences import lines
from tolerances import BATCH

ROOT = Path(__file__).parents[1]
COUNT = """
import sys, jax
jax.config.update("jax_num_cpu_devices", 4)
from autorel_jax.cli.explain import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("method", ["attnlrp", pytest.param("contrast_cat", marks=pytest.mark.slow)])
def test_four_devices_give_what_one_gives(model_folder, tmp_path, method):
    (tmp_path / "others.txt").write_text("a good film\nbad\nnot a good film, and not a bad one\n")
    contrast = ["--set", "below=1", "--references", str(tmp_path / "others.txt")] if method == "contrast_cat" else []
    (tmp_path / "in.txt").write_text("\n".join(lines(21)))
    found = {}
    for count in (4, 1):
        output = tmp_path / f"out{count}.jsonl"
        more = [
            "--target",
            "all",
            "--output",
            str(output),
            "--devices",
            str(count),
            "--batch-size",
            "8",
            "--method",
            method,
        ]
        command = [
            sys.executable,
            "-c",
            COUNT,
            str(tmp_path / "in.txt"),
            "--model",
            str(model_folder),
            *more,
            *contrast,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr
        found[count] = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(found[4]) == 63
    largest = max(abs(score) for row in found[1] for score in row["token_relevance"])
    for one, other in zip(found[4], found[1], strict=True):
        assert (one["id"], one["target"], one["tokens"]) == (other["id"], other["target"], other["tokens"])
        np.testing.assert_allclose(one["token_relevance"], other["token_relevance"], rtol=0, atol=BATCH * largest)
        bound = BATCH * max(map(abs, other["logits"]))  # a logit near 0 is a difference of terms of this size
        np.testing.assert_allclose(one["logits"], other["logits"], rtol=0, atol=bound)
