"""corpus/on_ray.py: parts made by Ray's workers are those that this process makes. Needs ray; slow."""

import json
import os
import pickle
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from models import refusal
from sentences import lines

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.cli.job import begin_ray
from autorel_jax.corpus.config import JobConfig
from autorel_jax.corpus.job import counted, explain_corpus
from autorel_jax.corpus.on_ray import Reader, Worker, connect, recipe_of, room, task_of
from autorel_jax.data.row import Row
from autorel_jax.data.sources import Corpus, Source, open_corpus
from autorel_jax.errors import InputError, InputWarning
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import explained
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.text import unspaced

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
    return program(COMMAND, *arguments, "--engine", "ray", "--workers", workers)


def program(code, *arguments):
    pytest.importorskip("ray", reason="pip install 'autorel-jax[ray]'")
    command = [sys.executable, "-c", code, *map(str, arguments)]
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

    monkeypatch.setattr("autorel_jax.corpus.parts.explained", interrupted)
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


REGISTERED = """
import os, sys
import ray
import autorel_jax as ar
from autorel_jax.lrp import linear
from autorel_jax.lrp.composites import COMPOSITES

model, folder = sys.argv[1:]
ray.init(log_to_driver=False)  # its workers are in this folder, and the input is in another
os.chdir(folder)
ar.register(COMPOSITES["attnlrp"].derive("mine", linear=linear.gamma))
explainer = ar.Explainer(ar.load(model), ar.ExplainConfig(method="mine", batch_size=4))
for engine in ("local", "ray"):
    ar.explain_corpus(explainer, ar.open_corpus(["in.txt"]), f"{engine}.jsonl", part_rows=8, engine=engine)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_registered_composite_and_a_relative_name(model_folder, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(lines(20)))
    done = program(REGISTERED, model_folder, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


CRASHING = """
import os, sys
import autorel_jax as ar
from autorel_jax.data.row import Row
from autorel_jax.data.sources import Corpus, Source

model, output = sys.argv[1:]
here, rows = os.getpid(), [Row(n, "good", None, None) for n in range(8)]
corpus = Corpus((Source("x", lambda: iter(rows) if os.getpid() == here else os._exit(9), None),))
try:
    ar.explain_corpus(ar.Explainer(ar.load(model), ar.ExplainConfig()), corpus, output, engine="ray", workers=1)
except ar.InputError as error:
    print(error)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_always_crashes_is_given_up(model_folder, tmp_path):
    done = program(CRASHING, model_folder, tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[-1]  # Ray tells of each crash in lines of its own
    assert said.startswith("Ray stopped (")
    assert said.endswith("; the same command goes on from what is done.")
    assert not list(tmp_path.iterdir())


# Without Ray.


def test_a_reader_finds_parts_in_any_order(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"text {n}\n" for n in range(10)))
    reader = Reader(open_corpus([str(tmp_path / "in.txt")]), 3, 10)
    for number in (0, 2, 3, 1, 1, 0):
        assert [row.text for row in reader.items(number)] == [f"text {n}" for n in range(10)][number * 3 :][:3]


def test_a_part_of_another_size_is_refused(tmp_path):
    """A part that lost rows would be stored as done."""
    path = tmp_path / "in.txt"
    path.write_text("text\n" * 7)
    corpus = open_corpus([str(path)])
    reader = Reader(corpus, 3, 10)
    assert len(reader.items(1)) == 3
    assert "Part 3 of the input has 1 rows where 3 were counted: it has changed" in refusal(reader.items, 2)
    assert "Part 4 of the input has 0 rows where 1 were counted" in refusal(reader.items, 3)
    path.write_text("text\n" * 11)
    assert "Part 4 of the input has 2 rows where 1 were counted" in refusal(Reader(corpus, 3, 10).items, 3)


def test_a_reader_begins_anew_where_reading_failed():
    rows = [Row(n, f"text {n}", None, None) for n in range(9)]
    faults = [True, False]

    def read():
        yield from rows[:4]
        if faults.pop(0):
            raise InputError("the disk is gone.")
        yield from rows[4:]

    reader = Reader(Corpus((Source("x", read, None),)), 3, 9)
    assert reader.items(0) == rows[:3]
    assert refusal(reader.items, 1) == "the disk is gone."
    assert [reader.items(number) for number in (1, 2)] == [rows[3:6], rows[6:]]


@pytest.fixture
def fake_ray(monkeypatch):
    """A module ray for what needs no process."""
    made = types.SimpleNamespace(
        get=lambda task: task,
        data=types.SimpleNamespace(DataContext=types.SimpleNamespace(get_current=types.SimpleNamespace)),
    )
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setitem(sys.modules, "ray.data", made.data)
    return made


def test_a_worker_knows_a_registered_composite_and_where_it_is(fake_ray, classifier, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("good\n" * 4)
    (tmp_path / "elsewhere").mkdir()
    made = COMPOSITES["attnlrp"].derive("mine", linear=linear.gamma)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as here:
        here.setitem(COMPOSITES, "mine", made)
        explainer = Explainer(classifier, ar.ExplainConfig(method="mine", parameters={"gamma": 0.2}, batch_size=4))
        task = task_of(explainer, open_corpus(["in.txt"]), None, 3, 4)
    monkeypatch.chdir("elsewhere")  # as in a worker: another folder, and nothing is registered
    worker = Worker(task._replace(config=pickle.loads(pickle.dumps(task.config))))
    assert worker.explainer.method == made.set({"gamma": 0.2})
    assert [row.text for row in worker.reader.items(1)] == ["good"]
    assert Worker(task._replace(folder=str(tmp_path / "absent"))).reader.count == 4


def test_a_worker_that_would_make_other_words_is_refused(fake_ray, explainer, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("good\n")
    task = task_of(explainer, open_corpus([str(tmp_path / "in.txt")]), None, 3, 1)
    monkeypatch.setattr(unspaced, "word_breaker", lambda: None)
    said = refusal(Worker(task._replace(words="ICU 1.0")).made, 0)
    assert said.startswith("Words of scripts without spaces would be made by graphemes on a worker, and by ICU 1.0 ")
    assert "--split-words whitespace" in said


def test_it_says_what_workers_would_say_of_words(explainer, monkeypatch):
    """Rows are counted here before work begins; nobody sees what a worker prints."""
    rows = [Row(1, "good", None, None), Row(2, "good", "电影", None)]
    corpus = Corpus((Source("rows", lambda: iter(rows), None),))
    monkeypatch.setattr(unspaced, "word_breaker", lambda: None)
    unspaced.tell.cache_clear()
    with pytest.warns(InputWarning, match="ICU"):
        assert counted(explainer, corpus, JobConfig(engine="ray")) == 2
    unspaced.tell.cache_clear()
    assert counted(explainer, corpus, JobConfig()) == 2


def test_a_signal_ends_the_process_as_before(fake_ray, monkeypatch):
    """Ray handles it in a way of its own."""
    before = signal.getsignal(signal.SIGTERM)
    fake_ray.init = lambda **options: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        connect(fake_ray)
        assert signal.getsignal(signal.SIGTERM) == before
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("before", "after"), [(None, "false"), ("true", "true")])
def test_the_command_leaves_the_gpu_to_a_worker(fake_ray, monkeypatch, before, after):
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    monkeypatch.setenv(name, str(before))
    if before is None:
        monkeypatch.delenv(name)
    fake_ray.is_initialized = lambda: True
    fake_ray.cluster_resources = lambda: {"CPU": 2, "GPU": 1}
    begin_ray(types.SimpleNamespace(device=None, devices=None, threads=None), None)
    assert os.environ[name] == after


@pytest.mark.parametrize(
    ("there", "workers", "expected"),
    [
        ({"CPU": 4}, None, (0, 2)),
        ({"CPU": 4}, 4, (0, 4)),
        ({"CPU": 16, "GPU": 8}, None, (1, 8)),
        ({"CPU": 4, "GPU": 8}, None, (1, 4)),
    ],
)
def test_room_for_workers(there, workers, expected):
    nodes = [{"Alive": True}, {"Alive": False}, {"Alive": True}]
    ray = types.SimpleNamespace(cluster_resources=lambda: there, nodes=lambda: nodes)
    assert room(ray, workers) == expected
    assert f"expected a whole number from 1 to {min(there.values())}." in refusal(room, ray, 5 + 4 * expected[0])


def test_without_ray_the_input_is_not_counted(explainer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    read = []
    corpus = Corpus((Source("x", lambda: iter(read.append(1) or [Row(1, "good", None, None)]), None),))
    assert "The engine ray needs Ray Data" in refusal(
        explain_corpus, explainer, corpus, tmp_path / "out.jsonl", engine="ray"
    )
    assert not read


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
        (("in.txt", "--output", "a.jsonl", "--engine", "local", "--workers", "2"), "workers=2 is for the engine ray"),
        (
            ("in.txt", "--engine", "local", "--workers", "0"),
            "--engine and --workers are for an --output that is a file",
        ),
        (("in.txt", "--output", "a.jsonl", "--devices", "2"), "--device and --devices are for the engine local"),
        (("in.txt", "--output", "a.jsonl", "--threads", "0"), "--threads is for the engine local"),
        (("-", "--output", "a.jsonl"), "Standard input and pipes cannot be divided among workers; give files"),
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
