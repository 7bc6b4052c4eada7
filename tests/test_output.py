"""The files of --output: what they hold, and that they are there as a whole or not at all."""

import csv
import json
import os
import stat
import threading

import numpy as np
import pytest
from explanations import explanation
from models import refusal
from tolerances import SUM_FLOAT32

from autorel_jax.files import TEXT
from autorel_jax.report import output
from autorel_jax.report.explanation import Prediction
from autorel_jax.report.output import open_writer

KEYS = [
    "schema", "version", "model", "id", "text", "text_pair", "prediction", "target", "target_value", "span_text",
    "span", "span_segment", "logits", "probabilities", "fillings", "tokens", "token_relevance", "token_words",
    "token_spans", "words", "word_relevance", "word_spans", "word_segments", "word_splitter", "explained",
    "truncated_tokens", "warnings", "diagnostics", "windows", "attention", "ledger", "readouts", "method",
]  # fmt: skip
SUFFIXES = sorted(output.WRITERS)


def write(path, *made, level="word"):
    with open_writer(path, level) as put:
        for one in made:
            put(one)
    return path.read_text(encoding="utf-8")


def enter(path, level="word"):
    with open_writer(path, level):
        pass


def table(path, *made, level="word"):
    write(path, *made, level=level)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# .jsonl


def test_jsonl(tmp_path):
    lines = write(tmp_path / "a.jsonl", explanation(), explanation("zwei 🎬", pair="x", id="b")).splitlines()
    first, second = map(json.loads, lines)
    assert list(first) == KEYS
    assert first["schema"] == 2
    assert first["model"] == {"name": "tiny", "weights_sha256": "0123456789abcdef" * 4, "labels": []}
    assert first["prediction"] == {"label": "positive", "probability": 0.9876, "logit": 1.5}
    assert first["method"] == {
        "name": "attnlrp",
        "parameters": {"read_at": "word_embeddings"},
        "rules": {"linear": "plain", "contract": "halved"},
    }
    assert first["words"][:2] == ["[CLS]", "not"]
    assert first["tokens"][:3] == ["[CLS]", "n", "##ot"]
    assert first["word_spans"][:2] == [None, [0, 3]]
    assert first["token_words"][:3] == [0, 1, 1]
    assert sum(first["word_relevance"]) == pytest.approx(first["explained"], abs=SUM_FLOAT32)
    assert second["word_segments"] == [0, 0, 0, 0, 1, 1]
    assert "🎬" in lines[1]


def test_jsonl_is_strict_json(tmp_path):
    nan = Prediction("positive", float("nan"), float("inf"))
    made = explanation("a \ud800", (np.nan, 1.0), prediction=nan, target_value=float("nan"), parameters={"e": np.inf})
    (line,) = write(tmp_path / "a.jsonl", made).splitlines()

    def refuse(name):
        raise AssertionError(name)

    found = json.loads(line, parse_constant=refuse)
    assert found["prediction"] == {"label": "positive", "probability": None, "logit": None}
    assert found["word_relevance"] == [None, 1.0, None, 1.0]
    assert found["method"]["parameters"] == {"e": None}
    assert found["text"] == "a \ud800"  # written as \ud800, JSON's own escape


def test_docs_name_every_field():
    with open(os.path.join(os.path.dirname(__file__), "..", "docs", "output.md"), encoding="utf-8") as file:
        text = file.read()
    for key in KEYS:
        assert f"`{key}`" in text or f"`{key}." in text, key


# .csv


def test_csv(tmp_path):
    text = write(
        tmp_path / "a.csv", explanation("not bad", (0.5, -0.1, 0.02, 0.0), prediction=Prediction("x", 0.75, 2.0))
    )
    assert text == (
        "id,target,target_value,prediction,probability,index,segment,word,start,end,relevance,span_text\n"
        "1,positive,1.5,x,0.75,0,0,[CLS],,,0.5,\n"
        "1,positive,1.5,x,0.75,1,0,not,0,3,-0.1,\n"
        "1,positive,1.5,x,0.75,2,0,bad,4,7,0.02,\n"
        "1,positive,1.5,x,0.75,3,0,[SEP],,,0.0,\n"
    )


def test_csv_of_tokens_and_pairs(tmp_path):
    rows = table(tmp_path / "a.csv", explanation("hi", pair="a, b"), level="token")
    assert [row["token"] for row in rows] == ["[CLS]", "h", "##i", "[SEP]", "a,", "b", "[SEP]"]
    assert [row["segment"] for row in rows] == list("0000111")
    assert (rows[2]["start"], rows[2]["end"]) == ("1", "2")


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("x","y")', "=cmd|'/C'!A0", "＝1", "-"])
def test_csv_cells_are_no_formulas(tmp_path, word):
    made = explanation(word, id=word, target=word, prediction=Prediction(word, None, 1.0))
    for row in table(tmp_path / "a.csv", made):
        for column in ("id", "target", "prediction"):
            assert row[column] == f"'{word}"
        assert not row["word"].startswith(output.FORMULA)
        assert row["probability"] == ""


def test_csv_cells_of_whole_numbers_beyond_any_float():
    assert output.cell(10**309) == 10**309
    assert output.cell(float("inf")) is None


def test_csv_cells_that_begin_with_white_space():
    assert [output.cell(text) for text in ("\tx", "\rx", "\nx", "x=1", "", "'x")] == [
        "'\tx",
        "'\rx",
        "'\nx",
        "x=1",
        "",
        "'x",
    ]


CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF)]


@pytest.mark.parametrize("reader", ["csv", "pandas"])
def test_csv_cells_of_control_characters(tmp_path, reader):
    """Each is one cell of one row, for every reader: a row that began after it might begin with a formula."""
    path, values = tmp_path / "a.csv", [f"a{char}=HYPERLINK(1){char}" for char in CONTROLS]
    with open(path, "w", **TEXT) as stream:
        writer = output.Csv(stream, "word", ("id", "word"), ("kept",))
        writer.begin()
        for value in values:
            writer.write(explanation("good", id=value), kept=[value])
    ids = [value for value in values for _ in range(3)]  # [CLS] good [SEP]
    expected = list(zip(ids, ["[CLS]", "good", "[SEP]"] * len(values), ids, strict=True))
    if reader == "csv":
        with open(path, encoding="utf-8", newline="") as stream:
            found = [tuple(row) for row in csv.reader(stream)][1:]
    else:
        pandas = pytest.importorskip("pandas")
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        found = list(frame.itertuples(index=False, name=None))
    assert found == expected
    assert path.read_bytes().count(b"\r\n") == 0


def test_csv_numbers_stay_numbers(tmp_path):
    made = explanation(scores=(-1.5, np.nan, -np.inf, 1e-8), target_value=-2.5)
    rows = table(tmp_path / "a.csv", made)
    assert [row["relevance"] for row in rows[:4]] == ["-1.5", "", "", "1e-08"]
    assert rows[0]["target_value"] == "-2.5"


def test_csv_relevance_is_exact(tmp_path):
    scores = np.random.default_rng(0).standard_normal(7).astype(np.float32)
    rows = table(tmp_path / "a.csv", explanation(scores=scores))
    np.testing.assert_array_equal([np.float32(row["relevance"]) for row in rows], scores)


# .html


def test_html(tmp_path):
    """A page; tests/test_report_page.py says what is in it."""
    text = write(tmp_path / "a.HTML", explanation(), explanation("second", id=2))
    assert text.startswith("<!DOCTYPE html>")
    assert text.count("<head>") == text.count("</html>") == 1
    assert '"text":["not a gorgeous, witty movie.","second"]' in text


# As a whole or not at all.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_explanations(tmp_path, suffix):
    write(tmp_path / f"a{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, BrokenPipeError])
@pytest.mark.parametrize("before", [None, "precious"])
def test_an_exception_leaves_everything_as_it_was(tmp_path, suffix, error, before):
    path = tmp_path / f"a{suffix}"
    if before:
        path.write_text(before)
    with pytest.raises(error), open_writer(path, "word") as put:  # noqa: PT012 - the block is the subject
        put(explanation())
        raise error
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == (
        [(path.name, before)] if before else []
    )


def test_a_file_is_replaced_at_the_end_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    path.chmod(0o640)
    with open_writer(path, "word") as put:
        put(explanation())
        assert path.read_text() == "old"
    assert json.loads(path.read_text())["id"] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "a.jsonl", tmp_path / "there" / "b.jsonl"
    link.symlink_to(target)
    write(link, explanation())
    assert link.is_symlink()
    assert json.loads(target.read_text())["id"] == 1


def test_a_pipe_is_written_directly(tmp_path):
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    found = []
    reader = threading.Thread(target=lambda: found.append(path.read_text()), daemon=True)
    reader.start()
    with open_writer(path, "word") as put:
        put(explanation())
    reader.join(timeout=10)
    assert json.loads(found[0])["id"] == 1
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_full_disk_is_said_in_one_line(tmp_path):
    path = tmp_path / "full.jsonl"
    path.symlink_to("/dev/full")

    def fill():
        with open_writer(path, "word") as put:
            for _ in range(100):
                put(explanation())

    assert refusal(fill) == f"{path} cannot be written: No space left on device."


# What is refused, before anything is computed.


@pytest.mark.parametrize(("name", "what"), [("a.txt", ".txt"), ("a", "a name without suffix"), ("a.json", ".json")])
def test_an_unknown_suffix(tmp_path, name, what):
    path = tmp_path / name
    said = f"{path}: cannot write {what} text by text, as into a pipe or a device; accepted: .jsonl, .csv, .html."
    assert refusal(enter, path) == said
    assert not path.exists()


def test_an_unknown_level(tmp_path):
    assert "accepted: word, token" in refusal(enter, tmp_path / "a.csv", "letter")


def test_a_missing_directory(tmp_path):
    path = tmp_path / "no" / "a.csv"
    assert refusal(enter, path) == f"{path}: there is no directory {path.parent}; make it first."


def test_a_directory(tmp_path):
    path = tmp_path / "a.csv"
    path.mkdir()
    assert refusal(enter, path) == f"{path} is a directory; give the name of a file in it."


def test_a_name_that_is_too_long(tmp_path):
    assert "cannot be written: File name too long." in refusal(enter, tmp_path / ("a" * 300 + ".csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("what", ["directory", "file"])
def test_no_permission(tmp_path, what):
    place, path = tmp_path / "place", tmp_path / "place" / "a.csv"
    place.mkdir()
    path.touch()
    (place if what == "directory" else path).chmod(0o500)
    try:
        text = refusal(enter, path)
    finally:
        place.chmod(0o700)
    assert text.startswith(f"{path} ")


def test_no_permission_without_being_root(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(enter, path) == f"{path} is write-protected; give another name."
