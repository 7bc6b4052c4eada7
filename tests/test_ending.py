"""The end of a run over a corpus: rows, accuracy, strongest words, what to do next; --json, --quiet, --all-words."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from explanations import explanation
from models import write_model
from test_word_statistics import collected, three

from autorel_jax.cli.ending import words_line
from autorel_jax.cli.explain import main
from autorel_jax.data.row import Row
from autorel_jax.evaluation.strongest import record_of, sample, strongest
from autorel_jax.explaining.part import Marks, mark, together
from autorel_jax.report.explanation import Prediction

ROWS = ("good film,positive", "bad,2", "a film,other", "good,", ",negative", "film good bad,negative")


@pytest.fixture
def run(model_folder, tmp_path, capsys):
    """Runs the command on a file with labels: (exit code, stdout, lines of stderr)."""
    (tmp_path / "in.csv").write_text("text,stars\n" + "\n".join(ROWS) + "\n", encoding="utf-8")

    def call(*arguments):
        code = main([str(tmp_path / "in.csv"), "--model", str(model_folder), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return call


def test_the_strongest_words_are_those_of_the_table():
    """good: shares 1/2, 3/4; film: 1/4, 1/4; bad -1/2 speaks against."""
    assert strongest(three()) == {"positive": ["good", "film"]}


def test_a_certain_word_is_before_a_rare_one():
    often = [explanation(f"fine x{place}", (0, 2 + 3 * (place % 3), 5, 0), id=place) for place in range(30)]
    found = strongest(collected(*often, explanation("rare x", (0, 6, 4, 0), id=99)))
    assert found["positive"][0] == "fine"


def test_of_many_texts_a_word_of_few_is_not_listed():
    often = [explanation(f"fine x{place}", (0, 2 + place % 3, 5, 0), id=place) for place in range(30)]
    made = [*often, *(explanation("rare", (0, 1, 0), id=100 + place) for place in range(2))]
    assert strongest(collected(*made)) == {"positive": ["fine"]}
    assert strongest(collected(*made[-3:]))["positive"][0] == "rare"


def test_what_is_sampled_is_what_a_report_has():
    made = [explanation("good film", (0, 1, 2, 0)), explanation("bad", (0, -3, 0), target="negative")]
    assert strongest(sample(map(record_of, made))) == strongest(collected(*made)) == {"positive": ["film", "good"]}


@pytest.mark.parametrize("scores", [(np.nan,), (0.0,)])
def test_without_scores_there_are_no_words(scores):
    assert list(words_line(lambda: collected(explanation("a b", scores), explanation("", scores, id=2)))) == []


def accuracy_of(results):
    """Worked out from the predictions; "2" is the label positive."""
    labels = ["positive", "positive", None, None, "negative"]
    right = [row["prediction"]["label"] == label for row, label in zip(results, labels, strict=True) if label]
    return f"accuracy {100 * sum(right) / 3:.1f} % ({sum(right)} of 3 with a label)"


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".html", ".csv"])
def test_a_corpus_ends_with_three_lines(run, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    _, out, _ = run("--json")
    results = [json.loads(line) for line in out.splitlines()]
    parts = ("--part-rows", "2") if suffix == ".jsonl" else ()  # each part counts its own
    code, out, said = run("--label-column", "stars", "--keep-columns", "stars", "--output", output, *parts)
    assert (code, out) == (0, "")
    said = [line.removeprefix("autorel-explain: ") for line in said]
    assert f"6 rows read = 5 explained + 1 left out; {accuracy_of(results)}" in said
    assert any(line.startswith("strongest words: ") for line in said) == (suffix != ".csv")
    (warning,) = (line for line in said if line.startswith("warning: 1 of 5 rows have a label"))
    assert "and no part in the accuracy: Unknown label 'other'. The labels of " in warning
    assert warning.endswith(": negative (id:0), neutral (id:1), positive (id:2).")
    assert said[-1].startswith(f"wrote {output}")
    ends = {
        ".html": "; open it in a browser",
        ".csv": "the text is empty.)",
        ".jsonl": f"; as a page for a browser: autorel report {output} --label-column stars",
    }
    assert said[-1].endswith(ends.get(suffix, ends[".jsonl"].replace(".jsonl", suffix)))


def test_on_the_terminal_too(run):
    code, out, said = run("--label-column", "stars")
    assert code == 0
    assert "good" in out
    assert said[-3].startswith("autorel-explain: 6 rows read = 5 explained + 1 left out; accuracy ")
    assert said[-2].startswith("autorel-explain: strongest words: ")
    assert said[-1] == "autorel-explain: to keep this as a page for a browser: --output report.html"


def test_quiet_keeps_what_is_lost(run, tmp_path):
    code, _, said = run("--quiet")
    assert (code, len(said)) == (0, 1)
    assert said[0].endswith("line 6: the text is empty.")
    code, _, said = run("--quiet", "--output", tmp_path / "out.jsonl")
    assert (code, len(said)) == (0, 1)
    assert said[0].startswith("autorel-explain: warning: 1 left out, see ")


def test_json_is_one_object_a_line(model_folder, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "good \x1b[31m \u202e é", "url": "a"}) + "\n")
    arguments = [str(tmp_path / "in.jsonl"), "--model", str(model_folder), "--keep-columns", "url"]
    assert main([*arguments, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert main([*arguments, "--output", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads(out) == json.loads((tmp_path / "out.jsonl").read_text())


def test_json_says_from_which_file(model_folder, tmp_path, capsys):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("good\n")
    assert main([f"{tmp_path}/", "--model", str(model_folder), "--json"]) == 0
    files = [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()]
    assert files == [f"{tmp_path}/a.txt", f"{tmp_path}/b.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json", "--output", "out.jsonl"), "--json is for standard output; give --output out.jsonl or --json"),
        (("--json", "--all-words"), "--all-words is for text on the terminal"),
        (("--all-words", "--output", "out.jsonl"), "--all-words is for text on the terminal"),
        (("--json", "--keep-columns", "text"), "--keep-columns text: the output has a field of this name already"),
        (("--json", "--columns", "id"), "are for an --output that is a file of rows"),
    ],
)
def test_flags_that_exclude_each_other(run, arguments, said):
    code, out, error = run(*arguments)
    assert (code, out, len(error)) == (2, "", 1)
    assert said in error[0]


def test_marks_of_all_rows():
    found = together([Marks(1, 1), Marks(unknown=1, example="b"), Marks(1, 0), Marks(unknown=1, example="a"), Marks()])
    assert found == Marks(2, 1, 2, "b")


def test_a_label_that_nothing_is_compared_with_is_said(tmp_path, capsys):
    write_model(tmp_path / "one", labels=("LABEL_0",))
    (tmp_path / "in.csv").write_text("text,label\ngood,1\n")
    assert main([str(tmp_path / "in.csv"), "--model", str(tmp_path / "one"), "--label-column", "label"]) == 0
    said = "the model has one output, so no prediction is right or wrong: --label-column counts nothing"
    assert f"autorel-explain: {said}" in capsys.readouterr().err.splitlines()


def test_regressions_and_several_labels_have_no_accuracy():
    def marked(problem, labels, label="a", task="sequence_classification", zero_shot=(), multi_label=False):
        config = SimpleNamespace(num_labels=len(labels), problem=problem, labels=labels, task=task)
        asked = SimpleNamespace(zero_shot=zero_shot, multi_label=multi_label)
        explainer = SimpleNamespace(classifier=SimpleNamespace(config=config), config=asked, row_label=labels.index)
        return mark(explainer, Row(1, "x", None, label), explanation(prediction=Prediction("a", 0.5, 1.0)))

    assert marked("single_label_classification", ["a", "b"]) == Marks(1, 1)
    assert marked("single_label_classification", ["a", "b"], "b") == Marks(1, 0)
    assert marked("multi_label_classification", ["a", "b"]) == Marks()
    assert marked("single_label_classification", ["a", "b"], task="token_classification") == Marks()
    nli = "single_label_classification", ["entailment", "contradiction"]
    assert marked(*nli, zero_shot=("a", "c")) == Marks(1, 1)
    assert marked(*nli, "c", zero_shot=("a", "c")) == Marks(1, 0)
    assert marked(*nli, "entailment", zero_shot=("a", "c")).unknown == 1  # a label of the model, not of the question
    assert marked(*nli, zero_shot=("a", "c"), multi_label=True) == Marks()
    assert marked("regression", ["a", "b"]) == Marks()
    assert marked("single_label_classification", ["a"]) == Marks()
    assert marked("single_label_classification", ["a", "b"], "") == Marks()
