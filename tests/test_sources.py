"""sources.py: files, folders, patterns, standard input and data sets -> one stream of rows, with what is left out."""

import json
import os

import pyarrow
import pytest
from explanations import explanation
from models import refusal
from pyarrow import parquet

from autorel_jax.corpus.columns import passed
from autorel_jax.corpus.columns import schema as table_schema
from autorel_jax.corpus.job import kept_types
from autorel_jax.data.moments import column_of, moment
from autorel_jax.data.row import Columns, Rejected, Row
from autorel_jax.data.sources import is_source, of_texts, open_corpus
from autorel_jax.data.splits import records
from autorel_jax.data.tables import read_table
from autorel_jax.data.task import TaskConfig


@pytest.fixture
def folder(tmp_path):
    """Files of every kind, two rows in each, and what must not be taken for one."""
    (tmp_path / "b.csv").write_text("text,n\none,1\ntwo,2\n")
    (tmp_path / "a.txt").write_text("three\nfour\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.jsonl").write_text('{"text": "five"}\n{"text": "six"}\n')
    parquet.write_table(pyarrow.table({"text": ["seven", "eight"]}), tmp_path / "d.parquet")
    (tmp_path / ".hidden.txt").write_text("no\n")
    (tmp_path / "notes.md").write_text("no\n")
    (tmp_path / "out.rejected.jsonl").write_text('{"file": "no"}\n')
    (tmp_path / "out.jsonl.partial").mkdir()
    (tmp_path / "out.jsonl.partial" / "000000.jsonl").write_text('{"text": "no"}\n')
    return tmp_path


def texts(*names, **options):
    return [row.text for row in open_corpus([str(name) for name in names], **options).rows()]


def test_a_folder_a_pattern_and_several_files(folder):
    assert texts(folder) == ["three", "four", "one", "two", "seven", "eight", "five", "six"]
    assert texts(f"{folder}/*.csv") == ["one", "two"]
    assert texts(f"{folder}/**/*.jsonl") == ["five", "six"]
    assert texts(folder / "d.parquet", folder / "a.txt") == ["seven", "eight", "three", "four"]
    rows = list(open_corpus([str(folder / "b.csv"), str(folder / "deep")]).rows())
    assert [(os.path.basename(row.file), row.line, row.id) for row in rows] == [
        ("b.csv", 2, 1),
        ("b.csv", 3, 2),
        ("c.jsonl", 1, 1),
        ("c.jsonl", 2, 2),
    ]


def test_what_is_a_source(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("-", "a.txt", "deep", "x/*", "*.csv", "tfds:glue/sst2", str(folder), "absent.parquet", "reveiws/"):
        assert is_source(name), name
    for text in ("what?", "a deep film", "and/or?", "good", "[CLS]", "a.txt is a file", "", "x\0y.txt"):
        assert not is_source(text), text


def test_one_name_and_paths(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("good\n")
    for names in (path, str(path), [path], [str(path)]):
        assert [row.text for row in open_corpus(names).rows()] == ["good"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["absent.csv"], "absent.csv does not exist"),
        (["*.csv"], "No file matches *.csv; accepted: files that end in .txt"),
        (["empty"], "empty holds no file to explain"),
        (["reveiws/"], "reveiws/ is no folder that exists; give one with files that end in .txt"),
        (["-", "-"], "- is a source of its own"),
        (["tfds:glue/sst2"], "tfds:glue/sst2 needs --split NAME"),
    ],
)
def test_sources_that_there_are_not(tmp_path, monkeypatch, names, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert said in refusal(open_corpus, names)


FAULTS = {
    "in.txt": (b"fine\nbad \xff\n\nfine \xc3\xa9\nnul \0\n", [(2, "not utf-8"), (3, "empty"), (5, "NUL")]),
    "in.jsonl": (
        b'{"text": "fine"}\n{"text": \n[1]\n{"txt": "x"}\n{"text": 5}\n{"text": null}\n{"text": ["a", 1]}\n'
        b'{"text": ""}\n{"text": []}\n{"text": "\\ud800"}\n{"text": "\xff"}\n\n{"text": "fine \xc3\xa9"}\n',
        [
            (2, "not valid JSON"),
            (3, "a JSON list"),
            (4, "has no column 'text'"),
            (5, "'text' is 5"),
            (6, "'text' is null"),
            (7, "'text' is"),
            (8, "empty"),
            (9, "empty"),
            (10, "lone surrogate U+D800"),
            (11, "not utf-8"),
        ],
    ),
    "in.tsv": (
        b"text\tn\nfine\t1\na\tb\tc\nbad \xff\t2\n\t3\nfine \xc3\xa9\t4\n",
        [(3, "3 fields"), (4, "not utf-8"), (5, "empty")],
    ),
    "in.csv": (
        b'text,n\nfine,1\na,b,c\n"two\nbad \xff lines",2\n"closed"wrong,3\n"never closed,4\nfine \xc3\xa9,5\n',
        [(3, "3 fields"), (4, "not utf-8"), (6, "not valid CSV"), (7, "not valid CSV")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_that_cannot_be_used_is_told_and_the_rest_goes_on(tmp_path, name):
    content, expected = FAULTS[name]
    (tmp_path / name).write_bytes(content)
    rows = list(open_corpus([str(tmp_path / name)]).rows())
    assert [row.text for row in rows if isinstance(row, Row)] == ["fine", "fine é"]
    left_out = [row for row in rows if isinstance(row, Rejected)]
    assert [row.line for row in left_out] == [line for line, _ in expected]
    for row, (_, reason) in zip(left_out, expected, strict=True):
        assert reason in row.reason
        assert row.file == str(tmp_path / name)
        assert json.loads(json.dumps(row.record)) == {"file": row.file, "line": row.line, "reason": row.reason}


def test_classes_that_datasets_wrote_go_by_their_names(tmp_path):
    """In explaining as of a data set of the hub, in training as labels in words, in lists too."""
    kinds = {"names": ["pos", "neg"], "_type": "ClassLabel"}
    features = {"label": kinds, "tags": {"feature": kinds, "_type": "Sequence"}, "old": [kinds]}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pyarrow.table({"text": ["a", "b"], "label": [1, None], "tags": [[0, 1], []], "old": [[0], [7]]})
    parquet.write_table(table.replace_schema_metadata(about), tmp_path / "in.parquet")
    rows = list(open_corpus([str(tmp_path / "in.parquet")], Columns(label="label")).rows())
    assert [row.label for row in rows] == [("neg", "id:1"), None]
    rows = open_corpus([str(tmp_path / "in.parquet")], Columns(id="label", keep=("label", "tags", "text"))).rows()
    assert [(row.id, row.kept) for row in rows if isinstance(row, Row)] == [("neg", ("neg", ["pos", "neg"], "a"))]
    corpus = open_corpus([str(tmp_path / "in.parquet")], Columns(keep=("label", "tags", "text")))
    assert kept_types(corpus) == {"text": pyarrow.string()}  # not of numbers
    read = records(TaskConfig(train="in.parquet", label="tags"), "train", "in.parquet", tmp_path)
    assert [record.values[2] for record in read] == [["pos", "neg"], []]
    read = records(TaskConfig(train="in.parquet", label="old"), "train", "in.parquet", tmp_path)
    assert [record.values[2] for record in read] == [["pos"], [7]]
    for strange in (b"[]", b"{", b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}', b'{"info": null}'):
        parquet.write_table(table.replace_schema_metadata({"huggingface": strange}), tmp_path / "in.parquet")
        first, _ = open_corpus([str(tmp_path / "in.parquet")], Columns(label="label")).rows()
        assert first.label == 1


def test_parquet_rows_that_cannot_be_used(tmp_path):
    table = pyarrow.table({"text": [["a", "film"], None, [], ["b"]], "n": [1, 2, 3, 4]})
    parquet.write_table(table, tmp_path / "in.parquet")
    rows = list(open_corpus([str(tmp_path / "in.parquet")], Columns(keep=("n",))).rows())
    assert [(row.id, row.text, row.kept) for row in rows if isinstance(row, Row)] == [
        (1, ["a", "film"], (1,)),
        (4, ["b"], (4,)),
    ]
    assert [row.line for row in rows if isinstance(row, Rejected)] == [2, 3]


def test_the_state_tells_another_corpus(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("one\n")
    first = open_corpus([str(path)]).state
    assert open_corpus([str(path)]).state == first
    assert open_corpus([str(path)], Columns(keep=("n",))).state != first
    path.write_text("two\n")
    os.utime(path, ns=(1, 1))
    assert open_corpus([str(path)]).state != first
    one, two = (of_texts([Row(1, text, None, None)]).state for text in ("a", "b"))
    assert one != two


def test_a_corpus_is_read_row_by_row_and_again(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"good\n" * 100_000)
    corpus = open_corpus([str(tmp_path / "in.txt")])
    assert next(corpus.rows()) == next(corpus.rows()) == Row(1, "good", None, None)
    assert sum(1 for _ in corpus.rows()) == 100_000


def test_a_line_that_is_too_long_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("autorel_jax.data.lines.LONGEST", 100)
    (tmp_path / "in.txt").write_bytes(b"a\n" + b"b" * 1000 + b"\nc\n" + b"d" * 200)
    rows = list(open_corpus([str(tmp_path / "in.txt")]).rows())
    assert [row.text for row in rows if isinstance(row, Row)] == ["a", "c"]
    assert [(row.line, "at least" in row.reason) for row in rows if isinstance(row, Rejected)] == [(2, True), (4, True)]


def test_an_empty_pair_is_called_so():
    (row,) = of_texts([Row(1, "good", "", None)]).rows()
    assert row.reason == "the pair is empty."


def test_damage_that_the_system_has_no_word_for(tmp_path):
    content = {"text": [f"film {number}" for number in range(1000)]}
    parquet.write_table(pyarrow.table(content), tmp_path / "in.parquet", compression="none", use_dictionary=False)
    whole = bytearray((tmp_path / "in.parquet").read_bytes())
    whole[4:40] = b"\xff" * 36  # the header of the first page
    (tmp_path / "in.parquet").write_bytes(whole)
    said = refusal(list, open_corpus([str(tmp_path / "in.parquet")]).rows())
    assert "cannot be read: " in said
    assert "None" not in said


def test_parquet_values_that_python_cannot_hold(tmp_path):
    """Moments pass as ISO text and go back as they were; bytes that are no UTF-8 reject their row alone."""
    columns = {  # name -> what Arrow holds, its type, the text
        "stamp": (1577836800123456789, pyarrow.timestamp("ns"), "2020-01-01 00:00:00.123456789"),
        "there": (1577836800123456, pyarrow.timestamp("us", "Mars/Olympus"), "2020-01-01 00:00:00.123456Z"),
        "clock": (1, pyarrow.time64("ns"), "00:00:00.000000001"),
        "lasts": (-1500000000, pyarrow.duration("ns"), "-PT1.500000000S"),
        "date": (4_000_000, pyarrow.date32(), "12921-08-18"),
    }
    made = {name: column_of([moment("", number), None], kind) for name, (number, kind, _) in columns.items()}
    two = pyarrow.array([b"fine", b"bad \xff"], pyarrow.binary()).view(pyarrow.string())
    for name, text in (("in", pyarrow.array(["one", "two"])), ("bad", two)):
        parquet.write_table(pyarrow.table({"text": text, **made}), tmp_path / f"{name}.parquet")
    rows = list(open_corpus([str(tmp_path / "in.parquet")], Columns(keep=tuple(columns))).rows())
    dated, empty = open_corpus([str(tmp_path / "in.parquet")], Columns("date")).rows()
    assert dated.reason == "'date' is 12921-08-18; a text is a string or a list of strings."
    assert empty.reason == "'date' is null; a text is a string or a list of strings."
    assert [row.kept for row in rows] == [tuple(text for *_, text in columns.values()), (None,) * 5]
    for place, (name, (_, kind, _)) in enumerate(columns.items()):
        assert passed([row.kept[place] for row in rows], kind).equals(made[name]), name
    fine, bad = open_corpus([str(tmp_path / "bad.parquet")]).rows()
    assert (fine.text, bad.line) == ("fine", 2)
    assert bad.reason.startswith("'text' cannot be read: 'utf-8' codec can't decode byte 0xff")
    wanted = ("text", None, None, None)
    assert "bad.parquet, row 2: 'text' cannot be read" in refusal(
        list, read_table(tmp_path / "bad.parquet", "parquet", wanted, (), "utf-8")
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"id": "\ud83d"}, "the id has the lone surrogate U+D83D at character 0."),
        ({"label": "no \udc00"}, "the label has the lone surrogate U+DC00 at character 3."),
        ({"meta": ["é", {"deep": ["\ud83d"]}]}, "the column 'meta' has the lone surrogate U+D83D at character 0."),
        ({"meta": {"\ud83d": 1}}, "the column 'meta' has the lone surrogate U+D83D at character 0."),
    ],
)
def test_half_a_surrogate_pair_anywhere_rejects_its_row(tmp_path, values, said):
    row = {"text": "fine", "id": "a", "label": "positive", "meta": "é 😀"}
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in (row | values, row)))
    bad, fine = open_corpus([str(tmp_path / "in.jsonl")], Columns(id="id", label="label", keep=("meta",))).rows()
    assert (bad.line, bad.reason) == (1, said)
    assert (fine.text, fine.kept) == ("fine", ("é 😀",))


def test_a_file_whose_name_is_no_utf_8(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    try:
        with open(name, "w") as stream:
            stream.write("good\n\n")
    except OSError:
        pytest.skip("the file system takes no such name")
    good, empty = open_corpus([name]).rows()
    assert good.file == empty.file == f"{tmp_path}/\\xff.txt"


def test_outputs_in_a_folder_are_left_out_by_what_is_in_them(folder):
    line = json.dumps({**explanation().to_dict(), "text": "ours"})
    (folder / "out.jsonl").write_text(f"{line}\n{line}\n")
    (folder / "like.jsonl").write_text('{"text": "theirs", "schema": 1, "version": "2", "model": "weights_sha256"}\n')
    ours = table_schema(["text"], {}, True, {"schema": 1})
    parquet.write_table(pyarrow.table({"text": ["ours"]}, schema=ours), folder / "deep" / "scores.parquet")
    (folder / "not.parquet").write_bytes(b"none")
    corpus = open_corpus([str(folder)])
    assert corpus.left_out == (str(folder / "deep" / "scores.parquet"), str(folder / "out.jsonl"))
    assert str(folder / "like.jsonl") in [source.name for source in corpus.sources]
    assert "not.parquet is not a .parquet file" in refusal(list, corpus.rows())
    assert texts(folder / "out.jsonl", f"{folder}/*/*.parquet") == ["ours"] * 3
    (folder / "deep" / "c.jsonl").unlink()
    assert "holds nothing but outputs, such as" in refusal(open_corpus, [str(folder / "deep")])
