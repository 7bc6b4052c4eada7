"""data/splits.py and tables.py: the texts of a split, from every format, and what is wrong with a file."""

import csv
import datetime
import io
import json
from decimal import Decimal

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from autorel_jax.data import splits as tasks
from autorel_jax.data.clean import clean
from autorel_jax.data.row import Columns
from autorel_jax.data.rows import read_rows
from autorel_jax.data.splits import read_split, read_splits, settle
from autorel_jax.data.summary import summary
from autorel_jax.data.tables import read_table
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError

NAMES = ("bad", "good")


@pytest.fixture
def write(tmp_path):
    def write(name, content, encoding="utf-8"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return tmp_path

    return write


@pytest.fixture
def table(tmp_path):
    """Writes a .parquet file with these columns."""

    def table(name, **columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / name)
        return tmp_path

    return table


def fails(message, task, folder, split="train"):
    with pytest.raises(InputError, match=message) as caught:
        read_split(task, split, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- formats: the same rows from each

ROWS = [("a fine film", "7", "good"), ('"quoted" as a whole', "8", "bad"), ("Grün, isn't it", "9", "good")]
WRITERS = {
    "in.csv": ("excel", {}),
    "in.tsv": ("excel-tab", {}),
    "quoted.tsv": ("excel-tab", {"format": "tsv_quoted"}),
    "CAPITALS.CSV": ("excel", {}),
    "no-suffix": ("excel", {"format": "csv"}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_a_csv_writer_wrote(write, name):
    dialect, options = WRITERS[name]
    stream = io.StringIO()
    csv.writer(stream, dialect).writerows([("text", "n", "label"), *ROWS])
    task = TaskConfig(train=name, labels=NAMES, id="n", **options)
    split = read_split(task, "train", write(name, stream.getvalue()))
    assert (split.name, split.texts, split.ids) == ("train", [row[0] for row in ROWS], ["7", "8", "9"])
    assert split.pairs is None
    assert split.labels.dtype == np.int32
    assert split.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", ""), ("utf-8", "\ufeff"), ("latin-1", ""), ("utf-16", "")])
def test_a_file_without_a_header(write, encoding, mark):
    """GLUE's CoLA: raw lines, of which some columns are of interest."""
    task = TaskConfig(
        train="in.tsv",
        format="tsv_raw",
        columns=("source", "label", "star", "sentence"),
        text="sentence",
        labels=NAMES,
        encoding=encoding,
    )
    lines = 'x\t1\t\t"Grün" she said\r\ny\t0\t*\t"all of it"\r\n\r\n'
    split = read_split(task, "train", write("in.tsv", mark + lines, encoding))
    assert split.texts == ['"Grün" she said', '"all of it"']
    assert split.labels.tolist() == [1, 0]
    fails("row from line 4: 1 fields, but columns names 4", task, write("in.tsv", lines + "z\n", encoding))


def test_quotes_in_three_kinds_of_tsv(write):
    folder = write("in.tsv", 'text\tlabel\n"a ""b"" c"\tgood\nd "e"\tbad\n')
    texts = {
        kind: read_split(TaskConfig(train="in.tsv", format=kind, labels=NAMES), "train", folder).texts
        for kind in ("tsv", "tsv_quoted", "tsv_raw")
    }
    assert texts == {
        "tsv": ['a "b" c', 'd "e"'],
        "tsv_quoted": ['a "b" c', 'd "e"'],
        "tsv_raw": ['"a ""b"" c"', 'd "e"'],
    }
    folder = write("in.tsv", 'text\tlabel\n"two\nlines\tand a tab"\tgood\n')
    task = TaskConfig(train="in.tsv", format="tsv_quoted", labels=NAMES)
    assert read_split(task, "train", folder).texts == ["two\nlines\tand a tab"]


def test_label_and_text_lines(write):
    task = TaskConfig(train="fine", format="labelled", labels=NAMES, values=("1", "4"))
    split = read_split(task, "train", write("fine", "4 a  film : 3\n1 \n\n4 b\tc "))
    assert split.texts == ["a  film : 3", "", "b\tc "]
    assert split.labels.tolist() == [1, 0, 1]
    fails("fine, row from line 2: 'nothing' has no space; expected LABEL TEXT", task, write("fine", "4 a\nnothing\n"))


def test_jsonl_and_parquet_are_alike(write, table):
    columns = {"a": ["x", "y\n"], "b": ["p", ""], "label": [1, 0], "n": [5, 3]}
    table("in.parquet", more=[[0.5], None], **columns)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    folder = write("in.jsonl", "\n".join(map(json.dumps, rows)))
    for name in ("in.parquet", "in.jsonl"):
        task = TaskConfig(train=name, text="a", pair="b", id="n", labels=NAMES)
        split = read_split(task, "train", folder)
        assert (split.texts, split.pairs, split.ids) == (["x", "y\n"], ["p", ""], [5, 3])
        assert split.labels.tolist() == [1, 0]


def test_decimal_numbers_of_a_database(table, tmp_path):
    decimals = [Decimal("2.00"), Decimal("1.00")]
    table("in.parquet", text=["x", "y"], label=decimals, n=[Decimal(5), Decimal(3)])
    split = read_split(TaskConfig(train="in.parquet", id="n", labels=("1", "2")), "train", tmp_path)
    assert (split.labels.tolist(), split.ids) == ([1, 0], [5, 3])
    task = TaskConfig(train="in.parquet", labels=("score",), problem="regression")
    assert read_split(task, "train", tmp_path).labels.tolist() == [2, 1]
    rows = list(read_rows(tmp_path / "in.parquet", Columns(label="label", id="n", keep=("label",))))
    assert [(row.label, row.id, row.kept) for row in rows] == [(2, 5, (decimals[0],)), (1, 3, (decimals[1],))]


def test_parquet_in_blocks(tmp_path):
    texts = [f"film {row}" for row in range(300)]
    data = pyarrow.table(
        {"text": pyarrow.array(texts, pyarrow.large_string()), "label": [row % 2 for row in range(300)]}
    )
    parquet.write_table(data, tmp_path / "in.parquet", row_group_size=70)
    split = read_split(TaskConfig(train="in.parquet", labels=NAMES), "train", tmp_path)
    assert split.texts == texts
    assert split.labels.tolist() == [0, 1] * 150


# --- splits


def test_each_split_has_its_file(write):
    for name in ("train", "dev", "test"):
        folder = write(f"{name}.csv", f"text,label\n{name} a,good\n{name} b,bad\n")
    task = TaskConfig(train="train.csv", dev="dev.csv", labels=NAMES)
    assert [read_split(task, name, folder).texts[0] for name in ("train", "dev")] == ["train a", "dev a"]
    fails(r"\[task\] task names no test data; set test\.", task, folder, "test")
    fails("Unknown split 'validation'; accepted: train, dev, test", task, folder, "validation")
    task = TaskConfig(train="train.csv", labels=NAMES)
    fails("names no dev data; set dev or dev_fraction", task, folder, "dev")


def test_hold_out(write):
    rows = [f"film {row // 2},{('bad', 'good')[row % 3 == 0]}" for row in range(100)]  # each text twice
    folder = write("in.csv", "\n".join(["text,label", *rows]))
    task = TaskConfig(train="in.csv", dev_fraction=0.2, labels=NAMES, test="in.csv")
    whole, train, dev = (read_split(task, name, folder) for name in ("test", "train", "dev"))
    assert (len(train), len(dev), train.name, dev.name) == (80, 20, "train", "dev")
    assert not set(train.texts) & set(dev.texts)
    for part in (train, dev):  # the order of the file, and labels that went with their texts
        places = [row for row, text in enumerate(whole.texts) if text in part.texts]
        assert part.texts == [whole.texts[row] for row in places]
        assert part.labels.tolist() == whole.labels[places].tolist()
    assert read_split(task, "dev", folder).texts == dev.texts
    assert read_split(task, "dev", folder, seed=1).texts != dev.texts


def test_a_file_is_read_once(write, monkeypatch):
    """Also where dev is a part of train."""
    folder = write("train.csv", "".join(f"text {i},{i % 2}\n" for i in range(20)))
    task, read = TaskConfig(train="train.csv", columns=("text", "label"), labels=("a", "b"), dev_fraction=0.25), []
    monkeypatch.setattr(tasks, "read_table", lambda path, *rest: read.append(path.name) or read_table(path, *rest))
    train, dev = read_splits(task, ["train", "dev"], folder)
    assert read == ["train.csv"]
    assert (train.name, len(train), dev.name, len(dev)) == ("train", 15, "dev", 5)
    assert train.texts == read_split(task, "train", folder).texts
    assert dev.texts == read_split(task, "dev", folder).texts


def test_hold_out_takes_pairs_and_ids_along(write):
    rows = [f"same,pair {row},{row},good" for row in range(10)]
    folder = write("in.csv", "\n".join(["text,b,n,label", *rows]))
    task = TaskConfig(train="in.csv", pair="b", id="n", dev_fraction=0.3, labels=NAMES)
    train, dev = (read_split(task, name, folder) for name in ("train", "dev"))
    assert (len(train), len(dev)) == (7, 3)
    assert sorted(train.ids + dev.ids) == list("0123456789")
    assert [pair.split()[1] for pair in dev.pairs] == dev.ids


def test_too_few_to_hold_out(write):
    folder = write("in.csv", "text,label\na,good\na,bad\n")
    task = TaskConfig(train="in.csv", dev_fraction=0.1, labels=NAMES)
    fails("dev_fraction=0.1 of 1 different texts leaves none to train on", task, folder)


# --- what is wrong

FAULTY = [
    ("in.csv", "text,label\na,good\nb\n", {}, "in.csv, row from line 3: 1 fields, but the header has 2"),
    ("in.csv", "text,label\n", {}, "in.csv is empty: films has no train data"),
    ("in.csv", "", {}, "in.csv is empty"),
    ("in.csv", "Text,label\na,good\n", {}, "has no column 'text'; its columns: 'Text', 'label'. Did you mean 'Text'"),
    ("in.csv", "text,label\na,good\n", {"pair": "texts"}, "no column 'texts'.* Did you mean 'text'"),
    ("in.csv", "text,label\na,good\n", {"id": "n"}, "no column 'n'; its columns: 'text', 'label'.$"),
    ("in.csv", b"text,label\na,good\n\xff,good\n", {}, "in.csv, row from line 3: not utf-8"),
    ("in.csv", "text,label\na,good\n", {"encoding": "utf-9"}, "Unknown encoding 'utf-9'"),
    ("in.csv", 'text,label\n"a,good\n', {}, "row from line 2: not valid CSV"),
    (
        "in.csv",
        "text,label\na,good\n\n\nb,fine\n",
        {},
        "row from line 5: the label 'fine' is unknown; accepted: 'bad', 'good', '0', '1'.$",
    ),
    (
        "in.csv",
        "text,label\na,\n",
        {},
        "line 2: the label is empty; every row needs one. To leave such rows out: --skip-unlabelled",
    ),
    ("in.csv", "text,label\na,-1\n", {}, "label '-1' is unknown; .* A test set whose labels are withheld has -1"),
    (
        "in.csv",
        "text,label,n\na,good,1\nb,bad,2\nc,bad,1\n",
        {"id": "n"},
        "line 4: the id '1' is a duplicate, see .*in.csv, row from line 2",
    ),
    (
        "in.jsonl",
        '{"text": "a", "label": 1}\n{"text": null, "label": 1}',
        {},
        "in.jsonl, line 2: 'text' is null; a text is a string",
    ),
    ("in.jsonl", '{"text": ["a", "b"], "label": 1}', {}, r"line 1: 'text' is \['a', 'b'\]; a text is a string"),
    ("in.jsonl", '{"text": "a", "b": 7, "label": 1}', {"pair": "b"}, "line 1: 'b' is 7; a text is a string"),
    ("in.jsonl", '{"text": "a", "label": null}', {}, "line 1: the label is null"),
    ("in.jsonl", '{"text": "a", "label": NaN}', {}, "line 1: the label is nan"),
    ("in.jsonl", '{"text": "a", "label": [1]}', {}, r"line 1: \[1\] is no label"),
    ("in.jsonl", '{"text": "a", "label": 1.5}', {}, "line 1: the label '1.5' is unknown"),
    (
        "in.jsonl",
        '{"text": "a", "label": 1, "n": true}',
        {"id": "n"},
        "line 1: the id True is neither a string nor a whole",
    ),
    ("in.jsonl", '{"text": "a"}', {}, "line 1: the row has no column 'label'; its columns: 'text'"),
    ("in.jsonl", '{"text": "a", "label": 1}', {"columns": ("text", "label")}, "names its columns itself; leave out"),
    ("in.parquet", b"PAR1 not really", {}, "in.parquet is not a .parquet file that can be read"),
    (
        "in.dat",
        "a,good\n",
        {},
        "in.dat: the suffix is not one of .tsv, .csv, .jsonl, .ndjson, .json, .parquet; set .* labelled",
    ),
    ("in.csv", "a,good\n", {"format": "CSV"}, "format='CSV' is unknown; accepted: tsv, tsv_quoted"),
]


FAULTY += [
    ("in.jsonl", '{"text": "a\\ud800", "label": 1}', {}, "line 1: 'text' has the lone surrogate U.D800 at character 1"),
    (
        "in.csv",
        "text;label\na;good\n",
        {},
        "The separator seems to be ';': give --delimiter ';', or set .task. delimiter = ';'",
    ),
    ("in.csv", "text\tlabel\na\tgood\n", {}, r"separator seems to be '\\t': give --delimiter 'tab', or set"),
    ("in.csv", "a,good\nb,bad\n", {}, r"no column 'text'.* If the file has no header, name its columns: \[task\] col"),
    ("in.csv", "Text,Label\na,b\n", {"columns": ("text", "label")}, "line 1: the file has a header; leave out"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), FAULTY, ids=[case[3][:50] for case in FAULTY])
def test_faulty_files(write, name, content, options, message):
    fails(message, TaskConfig(name="films", train=name, labels=NAMES, **options), write(name, content))


def test_an_empty_file_whose_labels_nobody_named(write):
    folder = write("in.csv", "text,label\n")
    with pytest.raises(InputError, match=f"{folder}/in.csv is empty: films has no train data"):
        settle(TaskConfig(name="films", train="in.csv"), folder)


def test_a_file_in_the_home_directory(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(write("in.csv", "text,label\na,good\n")))
    task = TaskConfig(train="~/in.csv", labels=NAMES)
    assert read_split(task, "train", tmp_path / "elsewhere").texts == ["a"]


def test_no_file(tmp_path):
    task = TaskConfig(name="films", train="in.csv", test="folder", labels=NAMES)
    found = fails("in.csv does not exist: the train data of films. Put it into .*--data-dir", task, tmp_path)
    assert str(tmp_path) in found
    (tmp_path / "folder").mkdir()
    fails("folder is no file: the test data of films", task, tmp_path, "test")


def test_faulty_parquet(table):
    folder = table("in.parquet", text=["a", None], label=[1, 0])
    task = TaskConfig(train="in.parquet", labels=NAMES)
    fails("in.parquet, row 2: 'text' is null", task, folder)
    fails("has no column 'text'; its columns: 'texts', 'label'", task, table("in.parquet", texts=["a"], label=[1]))
    fails("row 2: the label is nan", task, table("in.parquet", text=["a", "b"], label=[1, float("nan")]))
    fails("row 1: 'text' is 1; a text", task, table("in.parquet", text=[1], label=[1]))
    day = datetime.date(2020, 1, 1)
    fails("row 1: 'text' is 2020-01-01; a text is a string", task, table("in.parquet", text=[day], label=[1]))


# --- summary and clean


def test_summary_of_classes(write):
    folder = write("in.csv", "text,label\n" + "a,good\n" * 1499 + " ,bad\n")
    split = read_split(TaskConfig(train="in.csv", labels=NAMES), "train", folder)
    lengths = np.full(1500, 12)
    lengths[:400] = 30
    lengths[0] = 129
    assert summary(split, lengths, 128, NAMES) == [
        "train: 1,500 rows",
        "  bad 1 (0.1 %), good 1,499 (99.9 %)",
        "  tokens: at most 50 % of rows 12, 90 % of rows 30, 99 % of rows 30, all 129",
        "  1 row (0.1 %) longer than max_length=128 and cut; 1 empty text",
    ]


def test_summary_of_other_problems(write):
    folder = write("in.csv", 'text,b,label\na,,"x,y"\nb,c,\n,d,y\n')
    task = settle(TaskConfig(train="in.csv", pair="b", problem="multi_label_classification"), folder)
    lines = summary(read_split(task, "train", folder), [3, 4, 5], 5, task.labels)
    assert lines[1] == "  x 1 (33.3 %), y 2 (66.7 %), without any 1 (33.3 %)"
    assert lines[3] == "  0 rows (0.0 %) longer than max_length=5 and cut; 2 empty texts"
    folder = write("in.csv", "text,label\na,1\nb,2\nc,6\n")
    task = TaskConfig(train="in.csv", problem="regression", labels=("stars",))
    lines = summary(read_split(task, "train", folder), [3, 4, 5], 5, task.labels)
    assert lines[1] == "  stars: mean 3, std 2.16, min 1, max 6"
    many = tuple(f"label {number}" for number in range(25))
    folder = write("in.csv", "text,label\na,0\n")
    lines = summary(read_split(TaskConfig(train="in.csv", labels=many), "train", folder), [3], 5, many)
    assert lines[1].endswith("label 19 0 (0.0 %), and 5 more labels")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("It's GOOD, isn't it?", "it 's good , is n't it ?"),
        ("They've (we'd, I'll, you're) won!", "they 've ( we 'd , i 'll , you 're ) won !"),
        ("café -- 10/10; #1 & so on…", "caf 10 10 1 so on"),
        ("  a\t\nb `c` ", "a b `c`"),
        ("ISN'T", "isn't"),  # only clitics in small letters are split off, which happens before the lowering
        ("…", ""),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned


def test_clean_is_an_option(write):
    folder = write("in.csv", "text,b,label\nA-b!,It's,good\n")
    task = {"train": "in.csv", "pair": "b", "labels": NAMES}
    as_written = read_split(TaskConfig(**task), "train", folder)
    assert (as_written.texts, as_written.pairs) == (["A-b!"], ["It's"])
    cleaned = read_split(TaskConfig(**task, clean=True), "train", folder)
    assert (cleaned.texts, cleaned.pairs) == (["a b !"], ["it 's"])
