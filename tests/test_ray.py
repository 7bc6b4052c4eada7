"""corpus/on_ray.py: parts made by Ray's workers are those that this process makes. Needs ray; slow."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from models import refusal
from sentences import lines

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.corpus import explain_corpus
from autorel_jax.corpus.job import explained
from autorel_jax.corpus.on_ray import Reader, recipe_of
from autorel_jax.data import open_corpus
from autorel_jax.explainer import Explainer
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composites import COMPOSITES

ROOT = Path(__file__).parents[1]
COMMAND = "import sys; from autorel_jax.cli.explain import main; sys.exit(main(sys.argv[1:]))"
PATIENCE = 900  # seconds; alone on two cores a job takes 50, most of which Ray and its workers take to start


@pytest.fixture(scope="module")
def job(tmp_path_factory, model_folder):
    """The arguments of a job of 6 parts, the second of which has no row that can be explained."""
    rows = [json.dumps({"text": text, "n": n}) for n, text in enumerate(lines(45))]
    rows[8:16] = ["{"] * 8
    source = tmp_path_factory.mktemp("job") / "in.jsonl"
    source.write_text("\n".join(rows))
    more = ["--batch-size", "4", "--part-rows", "8", "--keep-columns", "n", "--target", "all"]
    return [str(source), "--model", str(model_folder), *more]


def on_ray(*arguments, workers=2):
    pytest.importorskip("ray", reason="pip install 'autorel-jax[ray]'")
    command = [sys.executable, "-c", COMMAND, *map(str, arguments), "--engine", "ray", "--workers", str(workers)]
    environment = os.environ | {
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will do by itself; until then it warns
        "RAY_worker_niceness": "0",  # 15 by default: beside other tests they would starve
    }
    environment.pop("RAY_ADDRESS", None)
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=PATIENCE)


@pytest.mark.ray
@pytest.mark.slow
def test_the_same_bytes_as_in_one_process(job, tmp_path):
    """With a composite of one's own, whose rules have to be found again, and with what is told of the inside."""
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nbase = "attnlrp"\n[ops]\nadd = "ratio"\nlinear = {rule = "gamma", gamma = 0.1}\n'
    )
    more = ["--composite-file", str(tmp_path / "mine.toml"), "--audit", "--readout", "heads"]
    assert main([*job, *more, "--output", str(tmp_path / "local.parquet")]) == 0
    done = on_ray(*job, *more, "--output", tmp_path / "ray.parquet", "--strict")
    assert done.returncode == 1, done.stderr  # rows were left out
    assert "ray.parquet: 37 texts; 8 left out" in done.stderr
    for ending in ("", ".rejected.jsonl"):
        assert (tmp_path / f"ray.parquet{ending}").read_bytes() == (tmp_path / f"local.parquet{ending}").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.ray
@pytest.mark.slow
def test_it_goes_on_from_what_this_process_did(job, tmp_path, monkeypatch):
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert main([*job, "--output", str(whole)]) == 0
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return explained(*arguments)

    monkeypatch.setattr("autorel_jax.corpus.job.explained", interrupted)
    assert main([*job, "--output", str(output)]) == 130
    done = on_ray(*job, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "(24 rows had been done before)" in done.stderr
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.ray
@pytest.mark.slow
def test_faults_are_one_line(job, tmp_path):
    done = on_ray(*job, "--output", tmp_path / "out.jsonl", workers=999)
    assert done.returncode == 2
    assert "workers=999: Ray has " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# Without Ray.


def test_a_reader_finds_parts_in_any_order(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"text {n}\n" for n in range(10)))
    reader = Reader(open_corpus([str(tmp_path / "in.txt")]), 3)
    for number in (0, 2, 3, 1, 1, 0):
        assert [row.text for row in reader.items(number)] == [f"text {n}" for n in range(10)][number * 3 :][:3]
    assert reader.items(4) == []


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composite_comes_back_from_the_names_of_its_rules(name):
    made = COMPOSITES[name]
    found = pickle.loads(pickle.dumps(recipe_of(made))).composite
    assert found == made
    assert (found.name, found.boundary is made.boundary, found.parameters) == (name, True, made.parameters)


def test_a_composite_with_parameters_comes_back():
    made = COMPOSITES["attnlrp"].derive("mine", linear=linear.gamma, add=rules.ratio).set(gamma=[0.1, 0.2, 0.3])
    found = pickle.loads(pickle.dumps(recipe_of(made))).composite
    assert (found, found.name, found.parameters) == (made, "mine", made.parameters)


def test_a_rule_of_ones_own_is_refused():
    made = COMPOSITES["attnlrp"].derive("mine", add=lambda a, b: a + b)
    assert "The composite mine has rules that are not in docs/rules.md" in refusal(recipe_of, made)


@pytest.fixture
def explainer(classifier):
    return Explainer(classifier, ar.ExplainConfig(batch_size=4))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "spark"}, "Unknown engine 'spark'. Available: local, ray."),
        ({"workers": 2}, "workers=2 is for the engine ray; the engine local is this process alone."),
    ],
)
def test_engines_that_there_are_not(explainer, tmp_path, options, said):
    (tmp_path / "in.txt").write_text("good\n")
    corpus = open_corpus([str(tmp_path / "in.txt")])
    assert said in refusal(explain_corpus, explainer, corpus, tmp_path / "out.jsonl", **options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("in.txt",), "--columns, --keep-columns, --shard, --engine and --workers are for an --output"),
        (("in.txt", "--output", "a.jsonl", "--engine", "local", "--workers", "2"), "--workers 2 is for --engine ray"),
        (("in.txt", "--output", "a.jsonl", "--devices", "2"), "--device and --devices are for the engine local"),
        (("-", "--output", "a.jsonl"), "Standard input cannot be divided among workers; give files"),
        (("in.txt", "--output", "a.jsonl"), "The engine ray needs Ray Data (import of ray halted; None in sys.modules"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("good\n")
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    assert main(["--engine", "ray", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert os.listdir() == ["in.txt"]
