"""The explain command, in process and as a user starts it: what it prints, what it writes, what it refuses."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from models import write_model
from pyarrow import parquet
from tolerances import SUM_FLOAT32

from autorel_jax.cli.explain import main, parser
from autorel_jax.data.by_products import MARK

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(model_folder, capsys):
    """Runs the command with the tiny model: (exit code, stdout, stderr)."""

    def call(*arguments, model=model_folder):
        code = main([*map(str, arguments), "--model", str(model)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_texts_on_the_command_line(run):
    code, out, err = run("a good film", "bad")
    assert code == 0
    assert "good" in out
    assert "film" in out
    assert "\x1b" not in out  # no colours where it is no terminal
    assert "labels negative, neutral, positive; tokenizer uncased" in err


def test_jsonl_holds_words_and_tokens(run, tmp_path):
    code, out, err = run("a good film", "--output", tmp_path / "out.jsonl", "--target", "all")
    assert (code, out) == (0, "")
    assert f"wrote {tmp_path}/out.jsonl" in err
    found = lines(tmp_path / "out.jsonl")
    assert [row["target"] for row in found] == ["negative", "neutral", "positive"]
    assert found[0]["words"] == ["[CLS]", "a", "good", "film", "[SEP]"]
    assert sum(found[0]["word_relevance"]) == pytest.approx(found[0]["explained"], abs=SUM_FLOAT32)


@pytest.mark.parametrize(("level", "unit"), [("word", "film,"), ("token", "film")])
def test_csv_at_either_level(run, tmp_path, level, unit):
    assert run("a good film, good", "--output", tmp_path / "out.csv", "--level", level)[0] == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert unit in [row[level] for row in csv.DictReader(file)]


def test_html(run, tmp_path):
    assert run("a good <script>alert(1)</script> film", "--output", tmp_path / "out.html")[0] == 0
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert r"\u003cscript>alert(1)\u003c/script>" in page


def test_a_file_with_columns(run, tmp_path):
    rows = "nr,review,reply,stars\nx1,a good film,bad,positive\nx2,bad,a good film,negative\n"
    (tmp_path / "in.csv").write_text(rows, encoding="utf-8")
    columns = ("--text-column", "review", "--pair-column", "reply", "--label-column", "stars", "--id-column", "nr")
    code, _, _ = run(tmp_path / "in.csv", *columns, "--target", "given", "--output", tmp_path / "out.jsonl")
    assert code == 0
    found = [(row["id"], row["text_pair"], row["target"]) for row in lines(tmp_path / "out.jsonl")]
    assert found == [("x1", "bad", "positive"), ("x2", "a good film", "negative")]


def test_every_flag_reaches_the_library(run, tmp_path):
    flags = ("--method", "cp_lrp", "--contrast", "positive", "0", "--read-at", "embeddings", "--max-length", "6")
    more = ("--batch-size", "1", "--device", "cpu", "--dtype", "bfloat16", "--split-punctuation", "--pair", "bad")
    assert run("a good, good film", *flags, *more, "--output", tmp_path / "out.jsonl")[0] == 0
    (found,) = lines(tmp_path / "out.jsonl")
    assert (found["method"]["name"], found["method"]["parameters"]) == ("cp_lrp", {"read_at": "embeddings"})
    assert found["target"] == "positive - negative"
    assert len(found["tokens"]) == 6
    assert found["truncated_tokens"] > 0


def test_parameters_of_methods(run, tmp_path):
    flags = ("--set", "samples=30", "--set", "unit=word", "--set", "special=true", "--set", "width=12.5")
    assert run("a good film", "--method", "lime", *flags, "--output", tmp_path / "out.jsonl")[0] == 0
    (found,) = lines(tmp_path / "out.jsonl")
    given = {"samples": 30, "unit": "word", "special": True, "width": 12.5}
    assert found["method"]["parameters"].items() >= given.items()
    assert found["diagnostics"].keys() == {"intercept", "r_squared"}
    assert (
        run("a film", "--method", "gamma", "--set", "linear.gamma=0.1,0.2,0.3", "--output", tmp_path / "out.jsonl")[0]
        == 0
    )
    (found,) = lines(tmp_path / "out.jsonl")
    assert found["method"]["parameters"]["gamma"] == [0.1, 0.2, 0.3]


def test_every_flag_is_documented():
    assert all(action.help for action in parser()._actions)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "--shard", "3/2"], "The shard 3/2 does not exist"),
        (["-", "--shard", "1/2"], "Standard input and pipes cannot be divided into shards; give files."),
        (["a", "--part-rows", "0"], "part_rows=0: expected a whole number of at least 1."),
    ],
)
def test_refused_before_the_model_is_loaded(run, arguments, said, tmp_path):
    code, _, err = run(*arguments, "--output", tmp_path / "out.jsonl", model=tmp_path / "absent")
    assert (code, len(err.splitlines())) == (2, 1)
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.csv"], "no.csv does not exist"),
        (["-", "more"], "- is a source of its own"),
        (["a", "b", "--pair", "c"], "2 texts but 1 --pair"),
        (["a", "--target", "happy"], "Unknown label 'happy'"),
        (["a", "--contrast", "positive", "happy"], "Unknown label 'happy'"),
        (["a", "--method", "lmie"], "invalid choice: 'lmie'"),
        (["a", "--set", "samples"], "'samples': expected NAME=VALUE"),
        (["a", "--method", "lime", "--set", "sample=5"], "lime has no parameter 'sample'; it has unit, special"),
        (
            ["a", "--method", "lime", "--set", "samples=many"],
            "samples=many: expected a whole number of at least 1, at most 524288.",
        ),
        (["a", "--method", "lime", "--epsilon", "0.1"], "lime has no parameter 'epsilon'"),
        (["a", "--method", "bert_lrp", "--read-at", "word_embeddings"], "cannot be read at"),
        (["a", "--output", "out.xlsx"], "cannot write .xlsx; accepted: .parquet, .jsonl, .csv, .npz, .html"),
        (["a", "--output", "absent/out.csv"], "absent"),
        (["a", "--max-length", "100"], "max_length=100 exceeds the model's 64 positions"),
        (["a", "--device", "tpu:3"], "--device tpu:3: there is no such device here; available: cpu:0"),
        (["a", "--device", "cpu:x"], "--device cpu:x: there is no such device here"),
        (["a", "--batch-size", "many"], "invalid int value"),
        (["a", "--target", "given"], "has no label"),
        (["a", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["a", "--revision", "main"], "revision 'main' is for models on the hub"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    message = err.splitlines()[-1]
    assert message.startswith("autorel-explain: error: ")
    assert said in message
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"text\n", "no"),
        (b"review\na good film\n", "text"),
        (b"text\nbad \xff\xfe\n", "line 2: not utf-8"),
        (b'text\n  \n""\n', "the text is empty"),
        (b"text\n\x00\x01\x02\n", "NUL"),
    ],
)
def test_a_bad_file_leaves_the_output_as_it_was(run, tmp_path, content, said):
    (tmp_path / "in.csv").write_bytes(content)
    (tmp_path / "out.jsonl").write_text("precious")
    code, _, err = run(tmp_path / "in.csv", "--output", tmp_path / "out.jsonl")
    assert code == 2
    assert said in err.splitlines()[-1]
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.jsonl"]


def test_a_model_without_a_head_or_a_path(run, tmp_path):
    write_model(tmp_path / "encoder", labels=())
    for model, said in ((tmp_path / "encoder", "no classification head"), (tmp_path / "x", "no such directory")):
        code, _, err = run("a", model=model)
        assert code == 2
        assert said in err.splitlines()[-1]


def script(*arguments, **options):
    return subprocess.run(
        [sys.executable, str(ROOT / "explain.py"), *map(str, arguments)], capture_output=True, text=True, **options
    )


def test_the_script_reads_standard_input(model_folder):
    done = script("-", "--model", model_folder, input="a good film\n\nbad\n")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "film" in done.stdout


def test_help_lists_flags_and_examples():
    done = script("--help")
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in ("--contrast", "--read-at", "--label-column", "--device", "examples:"))


def test_a_reader_that_goes_away(model_folder):
    """`autorel-explain … | head -1` ends quietly."""
    command = [sys.executable, str(ROOT / "explain.py"), *["a good film"] * 500, "--model", str(model_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 2
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_outputs_in_a_folder_are_named_in_a_warning(run, tmp_path):
    (tmp_path / "in.txt").write_text("a good film\n")
    for number in range(7):
        table = pyarrow.table({"text": ["ours"]}).replace_schema_metadata({MARK: "{}"})
        parquet.write_table(table, tmp_path / f"{number}.parquet")
    code, _, err = run(tmp_path, "--output", tmp_path / "no" / "out.csv")
    assert code == 2
    assert "warning: left out, as outputs of this command: " in err
    assert f"{tmp_path / '4.parquet'} and 2 more; to explain" in err


def test_the_output_may_not_be_the_input(run, tmp_path):
    (tmp_path / "in.csv").write_text("text\na good film\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "in.csv")
    for output in ("in.csv", "link.csv"):
        code, _, err = run(tmp_path / "in.csv", "--output", tmp_path / output)
        assert code == 2
        assert "is the input itself" in err
    assert (tmp_path / "in.csv").read_text() == "text\na good film\n"


SIGNALLED = """
import os, sys, time
from pathlib import Path
from autorel_jax.cli.command import run
from autorel_jax.report.output import open_writer

def command(argv):
    with open_writer(Path(argv[0]), "word"):
        os.kill(os.getpid(), int(argv[1]))
        time.sleep(60)

sys.exit(run(command, sys.argv[1:], "autorel-explain"))
"""


IN_A_CALLBACK = """
import gc, os, signal, sys, time
from autorel_jax.cli.command import run

def once(phase, info):
    gc.callbacks.clear()
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0.01)

def command(argv):
    gc.callbacks.append(once)
    gc.collect()
    time.sleep(60)

sys.exit(run(command, None, "autorel-explain"))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_within_a_callback_is_not_lost(number, code):
    command = [sys.executable, "-c", IN_A_CALLBACK, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_half_written(tmp_path, number, code):
    command = [sys.executable, "-c", SIGNALLED, str(tmp_path / "out.jsonl"), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_behind_standard_output(model_folder):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full on this system")
    with full.open("w") as stdout:
        command = [sys.executable, str(ROOT / "explain.py"), "a good film", "--model", str(model_folder)]
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("autorel-explain: error: ")
