"""A job that is killed, interrupted or refused, and started again: every row once, the same bytes as in one run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sentences import lines

from autorel_jax.cli.explain import main

ROOT = Path(__file__).parents[1]
ROWS, PART = 600, 10  # so many parts that a busy machine kills it before it ends
PATIENCE = 120  # seconds, of which a start takes about 4
COMMAND = """
import sys
from autorel_jax.cli.explain import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory, model_folder):
    """The arguments of a job of 30 parts, without its output; one row is left out."""
    source = tmp_path_factory.mktemp("job") / "in.txt"
    source.write_text("\n".join(["", *lines(ROWS - 1)]))
    return [str(source), "--model", str(model_folder), "--batch-size", "2", "--part-rows", str(PART)]


@pytest.fixture(scope="module")
def whole(job, tmp_path_factory):
    """A function of a suffix: the bytes that an uninterrupted run writes, and its rejected rows."""
    folder, made = tmp_path_factory.mktemp("whole"), {}

    def find(suffix):
        output = folder / f"out{suffix}"
        if suffix not in made:
            assert main([*job, "--output", str(output)]) == 0
            made[suffix] = (output.read_bytes(), Path(f"{output}.rejected.jsonl").read_bytes())
        return made[suffix]

    return find


def start(job, output, *more):
    command = [sys.executable, "-c", COMMAND, *job, "--output", str(output), *more]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def parts(output):
    return sorted(path.stem for path in Path(f"{output}.partial").glob("0*.json"))


def wait_for(process, output, count):
    """Until so many parts are done, or the process has ended."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and len(parts(output)) < count:
        assert time.monotonic() < end, "the job makes no progress"
        time.sleep(0.002)


def is_whole(output, expected):
    rejected = Path(f"{output}.rejected.jsonl")
    assert (output.read_bytes(), rejected.read_bytes()) == expected
    assert sorted(path.name for path in output.parent.iterdir()) == sorted([output.name, rejected.name])


def test_killed_at_three_moments(job, whole, tmp_path):
    chance, output = random.Random(5), tmp_path / "out.jsonl"
    done = 0
    for count in (3, 11, 20):
        with start(job, output) as process:
            wait_for(process, output, count)
            time.sleep(0.02 * chance.random())
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not output.exists()
        assert done < len(parts(output))
        done = len(parts(output))
    with start(job, output) as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert f"wrote {output}: {ROWS - 1} texts ({done * PART} rows had been done before); 1 left out" in said
    is_whole(output, whole(".jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_killed_at_random_moments(job, whole, tmp_path, suffix):
    """Ten moments each, anywhere between the start of the process and its end; a finished run begins anew."""
    chance, output, kills = random.Random(suffix), tmp_path / f"out{suffix}", 0
    started = time.monotonic()
    with start(job, tmp_path / f"warm{suffix}") as process:
        process.communicate()
    length = time.monotonic() - started
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    while kills < 10:
        with start(job, output) as process:
            try:
                process.wait(length * chance.uniform(0.3, 1))
                assert process.returncode == 0, process.stderr.read()
                is_whole(output, whole(suffix))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
    with start(job, output) as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    is_whole(output, whole(suffix))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_it_says_how_to_go_on(job, whole, tmp_path, number, code):
    output = tmp_path / "out.jsonl"
    with start(job, output) as process:
        wait_for(process, output, 2)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == code
    assert f"interrupted; what is done is in {output}.partial, and the same command goes on from there" in said
    assert "Traceback" not in said
    assert main([*job, "--output", str(output)]) == 0
    is_whole(output, whole(".jsonl"))


def test_standard_input_begins_anew(job, tmp_path):
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", COMMAND, "-", *job[1:], "--output", str(output)]
    pipes = {"cwd": ROOT, "stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write("\n".join(lines(PART * 3)))
        process.stdin.flush()
        wait_for(process, output, 2)
        process.terminate()
        said = process.communicate()[1]
    assert process.returncode == 143
    assert "standard input cannot be read again: if this run is interrupted, it has to begin anew" in said
    assert "goes on from there" not in said
    assert not list(tmp_path.iterdir())


@pytest.fixture
def begun(job, tmp_path):
    """An output whose work was begun and left by a process that was killed."""
    output = tmp_path / "out.jsonl"
    with start(job, output) as process:
        wait_for(process, output, 2)
        process.kill()
    return output


def test_what_does_not_continue_the_work_is_refused(job, whole, begun, capsys):
    before = parts(begun)
    source = Path(job[0])
    for more, other in ([["--columns", "id"], "output"], [["--target", "negative"], "explanation"]):
        assert main([*job, *more, "--output", str(begun)]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{begun}.partial holds unfinished work of another command (other: {other})" in said
        assert "--restart" in said
        assert parts(begun) == before
    state = source.stat()
    try:
        os.utime(source, ns=(1, 1))
        assert main([*job, "--output", str(begun)]) == 2
        assert "(other: input)" in capsys.readouterr().err
    finally:
        os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert main([*job, "--target", "negative", "--restart", "--output", str(begun)]) == 0
    found = [json.loads(line) for line in begun.read_text("utf-8").splitlines()]
    assert {row["target"] for row in found} == {"negative"}
    assert len(found) == ROWS - 1
