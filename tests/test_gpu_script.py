"""benchmarks/gpu.py, which waits for a GPU: what it records, and that all of it runs, with tiny models on a CPU."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def record_of(tmp_path, monkeypatch):
    """A function that opens the record of a part, as a later run of the script does."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_record import Record

    return lambda seconds=60: Record(tmp_path / "part.json", small=True, deadline=time.monotonic() + seconds)


def found_in(record):
    return json.loads(record.path.read_text())


def test_a_record_goes_on_where_it_ended(record_of):
    first = record_of()
    first.item("good", lambda: {"rate": 1.0})
    first.item("bad", lambda: 1 / 0)
    first.finish()
    assert found_in(first)["finished"] is False
    assert found_in(first)["items"]["bad"]["error"] == "ZeroDivisionError: division by zero"
    second = record_of()
    assert second.item("good", lambda: pytest.fail("computed twice"))["rate"] == 1.0
    second.item("bad", lambda: {"rate": 2.0})
    second.finish()
    assert found_in(second)["finished"] is True
    assert found_in(second)["items"]["bad"]["rate"] == 2.0


def test_without_time_nothing_is_computed(record_of):
    record = record_of(seconds=-1)
    record.item("late", lambda: pytest.fail("computed"))
    record.finish()
    assert found_in(record) == {"finished": False, "items": {"late": {"skipped": "no time left"}}}


def test_a_batch_is_halved_until_it_fits(monkeypatch):
    """Every case finds its own; what is no matter of memory is raised."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_speed import halved

    tried = []

    def find(count, fits=6, message="RESOURCE_EXHAUSTED: Out of memory"):
        tried.append(count)
        if count > fits:
            raise jax.errors.JaxRuntimeError(message)
        return {"batch": count}

    assert halved(64, find) == {"batch": 4}
    assert tried == [64, 32, 16, 8, 4]
    with pytest.raises(jax.errors.JaxRuntimeError, match="Out of memory"):
        halved(4, lambda count: find(count, fits=0))
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        halved(64, lambda count: find(count, message="INTERNAL: another"))
    assert tried[5:] == [4, 2, 1, 64]


@pytest.mark.slow
def test_every_part_runs(tmp_path):
    """With `--device cpu --small`; what needs PyTorch is left out where it is not installed."""
    torch = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    parts = ["checks", "explain", "resume", *(["torch_explain", "training"] if torch else []), "memory", "corpus"]
    command = [sys.executable, BENCHMARKS / "gpu.py", "--output", tmp_path, "--device", "cpu", "--small"]
    command += ["--parts", ",".join(parts)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found) == set(parts)
    assert all(part["finished"] for part in found.values())
    assert found["resume"]["items"]["killed and resumed"]["same_bits"] is True
    again = subprocess.run(command, capture_output=True, text=True)
    assert [f"{part}: there already" in again.stdout for part in parts] == [True] * len(parts)
