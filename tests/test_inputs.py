"""What is a file: formats, compression, separators, files without header, and arguments that only look like texts."""

import bz2
import dataclasses
import gzip
import io
import json
import lzma
import os
import sys

import pyarrow
import pytest
from models import refusal

from autorel_jax.cli.explain import main
from autorel_jax.cli.train import resolve
from autorel_jax.cli.train_flags import parser as train_parser
from autorel_jax.data.row import Columns, Rejected
from autorel_jax.data.sources import is_source, open_corpus
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig

ROWS = [{"text": "a good film", "label": "pos"}, {"text": "bad", "label": "neg"}]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS)
CSV = "text,label\na good film,pos\nbad,neg\n"


def zstd(data):
    return pyarrow.compress(data, codec="zstd", asbytes=True)


CONTENTS = {
    "in.json": json.dumps(ROWS, indent=2).encode(),
    "lines.json": LINES.encode(),
    "in.ndjson": LINES.encode(),
    "in.jsonl.gz": gzip.compress(LINES.encode()),
    "in.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "in.csv.bz2": bz2.compress(CSV.encode()),
    "in.csv.xz": lzma.compress(CSV.encode()),
    "IN.CSV.ZST": zstd(CSV.encode()),
    "in.tsv.gz": gzip.compress(CSV.replace(",", "\t").encode()),
    "semicolons.csv": CSV.replace(",", ";").encode(),
    "tabs.csv": CSV.replace(",", "\t").encode(),
    "bars.tsv": CSV.replace(",", "|").encode(),
}


def found(path, columns=None, **options):
    return [(row.text, row.label) for row in open_corpus([str(path)], columns, **options).rows()]


@pytest.mark.parametrize("name", CONTENTS)
def test_every_kind_of_file(tmp_path, name):
    """Explained and trained on, the same rows."""
    path = tmp_path / name
    path.write_bytes(CONTENTS[name])
    expected = [("a good film", "pos"), ("bad", "neg")]
    assert found(path, Columns(label="label")) == expected
    if name not in ("semicolons.csv", "tabs.csv", "bars.tsv"):
        task = TaskConfig(train=name, labels=("neg", "pos"))
        split = read_split(task, "train", tmp_path)
        assert (split.texts, split.labels.tolist()) == (["a good film", "bad"], [1, 0])


def test_a_compressed_text_file(tmp_path):
    (tmp_path / "in.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [text for text, _ in found(tmp_path / "in.txt.gz")] == ["one", "two"]


def test_a_folder_takes_compressed_files_and_no_json(tmp_path):
    for name in ("in.jsonl.gz", "in.json"):
        (tmp_path / name).write_bytes(CONTENTS[name])
    corpus = open_corpus([str(tmp_path)])
    assert [source.path.name for source in corpus.sources] == ["in.jsonl.gz"]
    assert [source.path.name for source in open_corpus([f"{tmp_path}/*.json"]).sources] == ["in.json"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.json", b'[{"text": "a"},\n', "is not valid JSON"),
        (
            "in.json",
            b'{\n"data": [{"text": "a"}]}',
            "holds a JSON dict; expected a list of objects, or an object a line.",
        ),
        ("in.json", b'{"data": [{"text": "a"}]}', "Its rows may be those under 'data': write that list alone."),
        ("in.json", b'{\n"data": [1]}', "Its rows may be those under 'data': write that list alone."),
        ("in.json", b'{"text": ["a film", "bad"], "label": [1, 0]}', "in.json holds columns, or one text as a list of"),
        ("in.json", b"5", "holds a JSON int"),
        ("in.json", b'[\n"\xff"]', "in.json, line 2: not utf-8"),
        ("in.json", b'[\n{"text": "a", "text": "b"}]', "the key 'text' stands twice"),
        ("in.jsonl.gz", b"no gzip", "is cut off or damaged: Not a gzipped file"),
        ("in.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9], "is cut off or damaged"),
        ("in.csv.xz", b"no xz", "is cut off or damaged"),
        ("in.csv.zst", b"no zstd", "is cut off or damaged"),
        ("in.xlsx", b"PK", "in.xlsx is no kind of file that can be read; accepted: .txt, .tsv,"),
        ("in.xlsx", b"PK", "save the sheet as .csv."),
        ("in.zip", b"PK", "unpack it first."),
        ("in.dat", b"text\n", "or say what it is: --format."),
        ("in.parquet.gz", b"", "is read from a file, compresses itself"),
        ("in.txt", b"a film\t1\nbad\t0\n", "each line has a tab, as in a table ('a film 1'); give --format tsv"),
        ("in.csv", b"review;stars\na;1\n", "The separator seems to be ';': give --delimiter ';', or set [task]"),
        (
            "in.csv",
            b"sep=;\nreview;stars\na;1\n",
            "Line 1 is Excel's: it says what the separator is, and is no header.",
        ),
        (
            "in.csv",
            b'3,"Wall St.","Reuters"\n',
            "If the file has no header, name its columns: [task] columns or",
        ),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refusal(found, tmp_path / name)


def test_items_of_a_json_list_that_cannot_be_used(tmp_path):
    (tmp_path / "in.json").write_text('[{"text": "good"}, 5, {"txt": "a"}, {"text": ""}]')
    rows = list(open_corpus([str(tmp_path / "in.json")]).rows())
    assert [getattr(row, "text", None) for row in rows] == ["good", None, None, None]
    assert [row.line for row in rows if isinstance(row, Rejected)] == [2, 3, 4]


def test_a_key_that_stands_twice_in_a_row(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "good", "more": {"a": 1}}\n{"text": "a", "label": 0, "label": 1}\n')
    row, rejected = open_corpus([str(tmp_path / "in.jsonl")]).rows()
    assert row.text == "good"
    assert "the key 'label' stands twice" in rejected.reason


@pytest.mark.parametrize(
    ("name", "content", "columns", "expected"),
    [
        (
            "ag.csv",
            '3,"Wall St.","Bears, again"\n',
            Columns("more", label="y", header=("y", "t", "more")),
            "Bears, again",
        ),
        ("cola.tsv", "gj04\t1\t\tThey drank.\n", Columns("text", header=("s", "y", "a", "text")), "They drank."),
        ("in.txt", "They drank.\t1\n", Columns("text", label="y", format="tsv", header=("text", "y")), "They drank."),
        ("in.txt", "They drank.\t1\n", Columns(format="text"), "They drank.\t1"),
        ("in.dat", 'text;y\n"a; b";1\n', Columns(format="csv", delimiter=";"), "a; b"),
        ("in.tsv", "text|y\na|1\n", Columns(format="tsv_raw", delimiter="|"), "a"),
        ("in.csv", "text\ty\na\t1\n", Columns(delimiter="tab"), "a"),
        ("in.csv", "a;1\n", Columns("text", header=("text", "y")), "a"),  # assumed
        ("in.csv", '3;"Wall St.\nBears, again"\n', Columns("text", header=("y", "text")), "Wall St.\nBears, again"),
        ("in.tsv", "3\tBears, again\n", Columns("text", header=("y", "text")), "Bears, again"),
        ("in.csv", "Bears; again\n", Columns("text", header=("text",)), "Bears; again"),
        ("in.csv", "text,a;b,y\nx;y,1,2\n", Columns(), "x;y"),
        ("in.csv", "text\na; b\n", Columns(), "a; b"),
        ("in.txt", "3 bad film\n", Columns(format="labelled"), "bad film"),
    ],
)
def test_how_a_file_is_written(tmp_path, name, content, columns, expected):
    (tmp_path / name).write_text(content)
    ((text, _),) = found(tmp_path / name, columns)
    assert text == expected


@pytest.mark.parametrize(
    ("name", "columns", "said"),
    [
        ("in.csv", Columns(format="xml"), "format='xml' is unknown; accepted: text, tsv,"),
        ("in.csv", Columns(delimiter=";;"), "delimiter=';;': expected one character, such as ';', or tab."),
        ("in.csv", Columns(delimiter='"'), "expected one character"),
        (
            "in.jsonl",
            Columns(delimiter=";"),
            "is for csv, tsv, tsv_quoted, tsv_raw, text, but the format is jsonl.",
        ),
        ("in.csv", Columns(header=("text", "label")), "the file has a header; leave out --input-columns."),
        (
            "in.jsonl",
            Columns(header=("text",)),
            "names its columns itself; leave out [task] columns or",
        ),
        ("in.csv", Columns("txt", header=("text", "label")), "has no column 'txt'"),
    ],
)
def test_ways_of_writing_that_are_refused(tmp_path, name, columns, said):
    (tmp_path / name).write_text(LINES if name.endswith("jsonl") else CSV)
    assert said in refusal(found, tmp_path / name, columns)


def test_what_was_assumed_is_said_and_remembered(tmp_path):
    (tmp_path / "in.csv").write_bytes(CONTENTS["semicolons.csv"])
    (source,) = open_corpus([str(tmp_path / "in.csv")]).sources
    assert source.note == f"{tmp_path}/in.csv: its columns are separated by ';', it seems; --delimiter says it"
    said = open_corpus([str(tmp_path / "in.csv")], Columns(delimiter=";"))
    assert said.sources[0].note is None
    assert said.state["columns"] != open_corpus([str(tmp_path / "in.csv")]).state["columns"]


NO_HEADER = Columns("text", label="label", header=("label", "text"))


def test_rows_without_header_are_divided_as_all_of_them_say(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("3;Wall St. Bears, again\n4;Oil rises\n")
    assert found(path, NO_HEADER) == [("Wall St. Bears, again", "3"), ("Oil rises", "4")]
    for content, said in (
        ("3;Wall St. Bears, again\n", "in.csv: ',' and ';' each give 2 columns in all of its first lines ('3;Wall St."),
        ("3;Bears, again\n4;up\n5,down\n", "',' and ';' each give 2 columns in some of its first lines ('3;Bears"),
    ):
        path.write_text(content)
        assert said in refusal(found, path, NO_HEADER)
        assert "--delimiter" in refusal(found, path, NO_HEADER)
    said = dataclasses.replace(NO_HEADER, delimiter=";")
    path.write_text("3;Wall St. Bears, again\n")
    assert found(path, said) == [("Wall St. Bears, again", "3")]
    assert "say which with --delimiter" in refusal(
        read_split, TaskConfig(train="in.csv", labels=("3", "4"), columns=("label", "text")), "train", tmp_path
    )


def test_rows_of_standard_input_likewise(monkeypatch):
    def stdin(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode()))))

    columns = dataclasses.replace(NO_HEADER, format="csv")
    stdin("3;Wall St. Bears, again\n")
    assert refusal(found, "-", columns).startswith("standard input: ',' and ';' each give 2 columns in all")
    stdin("3;Wall St. Bears, again\n4;Oil\n")
    (source,) = open_corpus(["-"], columns).sources
    assert source.note == "standard input: its columns are separated by ';', it seems; --delimiter says it"
    assert [(row.text, row.label) for row in source.rows()] == [("Wall St. Bears, again", "3"), ("Oil", "4")]


def test_a_quote_open_at_the_last_line_looked_at_is_no_doubt(tmp_path):
    (tmp_path / "in.csv").write_text("3,a; b\n" + "3,a\n" * 18 + '3,"one\ntwo"\n')
    assert found(tmp_path / "in.csv", NO_HEADER)[-1] == ("one\ntwo", "3")


def test_text_with_tabs(tmp_path, monkeypatch):
    """A file and standard input alike: labels are not read as words without a word."""

    def stdin(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode()))))
        return "-"

    def written(content):
        (tmp_path / "in.txt").write_text(content)
        return str(tmp_path / "in.txt")

    for source in (stdin, written):
        name = "standard input" if source is stdin else f"{tmp_path}/in.txt"
        said = refusal(found, source("a film\t1\nbad\t0\n"))
        assert said.startswith(f"{name}: each line has a tab, as in a table ('a film 1'); give --format tsv")
        said = refusal(found, source("no tab\n" + "bad\t0\n" * 9))
        assert said.startswith(
            f"{name}: 9 of its first 10 lines have a tab, as in a table ('bad 0'); give --format tsv"
        )
        corpus = open_corpus([source("no tab\n" * 2 + "bad\t0\n" * 8)])
        assert corpus.sources[0].note.startswith(
            f"{name}: 8 of its first 10 lines have a tab ('bad 0'), which is taken"
        )
        assert [row.text for row in corpus.rows()] == ["no tab"] * 2 + ["bad\t0"] * 8
        assert open_corpus([source("no tab\n")]).sources[0].note is None
        asked = open_corpus([source("bad\t0\n")], Columns(format="text"))
        assert [asked.sources[0].note, *(row.text for row in asked.rows())] == [None, "bad\t0"]


@pytest.mark.parametrize(
    "name", ["news.json", "news.json.gz", "news.ndjson", "a.xlsx", "notes.md", "x/y.foo", "node.js"]
)
def test_what_looks_like_a_file_is_one(name):
    assert is_source(name)
    assert "does not exist; give a file" in refusal(open_corpus, [name])


@pytest.mark.parametrize("text", ["U.S.", "3.5", "wow...", "no...", "a.m", "e.g.", "good!", "what.", "Mr.X", "…"])
def test_what_looks_like_a_text_is_one(text):
    assert not is_source(text)


def test_a_name_that_exists_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my reviews.csv").write_text(CSV)
    (tmp_path / "reviews").write_text("a\n")
    assert is_source("my reviews.csv")
    assert is_source("reviews")
    assert "or say what it is: --format" in refusal(open_corpus, ["reviews"])
    assert [text for text, _ in found("reviews", Columns(format="text"))] == ["a"]


# --- the commands


def call(capsys, *arguments):
    code = main([*map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("news.json", "--text-column", "headline"), "news.json does not exist"),
        (("good", "--text-column", "headline"), "--text-column is for files, but 'good' is not one that exists"),
        (("a good film", "--label-column", "x"), "--label-column is for files"),
        (("a good film", "--delimiter", ";"), "--delimiter is for files"),
        (("a good film", "--keep-columns", "x"), "--keep-columns is for files"),
        (("a good film", "--encoding", "latin-1"), "--encoding is for files"),
    ],
)
def test_flags_of_files(tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, err = call(capsys, *arguments, "--output", "o.jsonl")
    assert (code, os.listdir(tmp_path)) == (2, [])
    assert said in err


def test_the_flags_reach_the_reader(model_folder, tmp_path, capsys):
    (tmp_path / "in.dat").write_text("neg;bad; or not\npos;good;x\n".replace("bad; or not", '"bad; or not";y'))
    flags = ("--format", "csv", "--delimiter", ";", "--input-columns", "label,review,more", "--text-column", "review")
    code, _ = call(capsys, tmp_path / "in.dat", *flags, "--model", model_folder, "--output", tmp_path / "o.jsonl")
    assert code == 0
    assert [json.loads(line)["text"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == [
        "bad; or not",
        "good",
    ]
    (tmp_path / "in.csv").write_bytes(CONTENTS["semicolons.csv"])
    code, err = call(capsys, tmp_path / "in.csv", "--model", model_folder, "--output", tmp_path / "o.jsonl")
    assert (code, "its columns are separated by ';', it seems" in err) == (0, True)


# --- training


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    labels = ["pos", "", "nan", "neg", " "]
    (tmp_path / "in.csv").write_text("text,label\n" + "".join(f"film {i},{y}\n" for i, y in enumerate(labels)))
    task = TaskConfig(train="in.csv")
    assert "the label is empty" in refusal(settle, task, tmp_path)
    settled = settle(TaskConfig(train="in.csv", skip_unlabelled=True), tmp_path)
    assert settled.labels == ("neg", "pos")
    split = read_split(settled, "train", tmp_path)
    assert (split.texts, split.left_out) == (["film 0", "film 3"], 3)


def test_a_delimiter_in_a_task(tmp_path):
    (tmp_path / "in.csv").write_bytes(CONTENTS["semicolons.csv"])
    said = refusal(settle, TaskConfig(train="in.csv"), tmp_path)
    assert said.endswith("The separator seems to be ';': give --delimiter ';', or set [task] delimiter = ';'.")
    task = settle(TaskConfig(train="in.csv", delimiter=";"), tmp_path)
    assert read_split(task, "train", tmp_path).texts == ["a good film", "bad"]
    said = refusal(TaskConfig, train="in.csv", separator=";")
    assert "stands between the labels of a multi-label row, and this is no multi-label task; between columns" in said


def test_flags_of_training_go_over_the_task(tmp_path):
    (tmp_path / "my.toml").write_text("[task]\ntrain = 'in.dat'\nformat = 'tsv'\n")
    flags = ("--format", "csv", "--delimiter", ";", "--input-columns", "label, text", "--skip-unlabelled")
    more = ("--problem-type", "regression", "--rename", "out.=classifier.", "--drop", "loss*", "criterion.*")
    given = vars(train_parser().parse_args(["--config", str(tmp_path / "my.toml"), *flags, *more]))
    config = resolve(given)
    task = config.task
    assert (task.format, task.delimiter, task.columns, task.skip_unlabelled) == ("csv", ";", ("label", "text"), True)
    assert task.problem == "regression"
    assert (config.rename, config.drop) == (("out.=classifier.",), ("loss*", "criterion.*"))
