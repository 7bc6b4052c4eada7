"""data/rows.py: rows of text files, as written, with the line in every complaint."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from autorel_jax.data.row import Columns, Rejected, Row
from autorel_jax.data.rows import read_rows as read
from autorel_jax.data.sources import open_corpus
from autorel_jax.errors import InputError, InputWarning

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def write(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read_rows(source, encoding="utf-8", **columns):
    """The rows of a source in which every row is in order; the first that is not is raised."""
    names = {name.removesuffix("_column"): column for name, column in columns.items()}

    def strict(rows):
        for row in rows:
            if isinstance(row, Rejected):
                raise InputError(str(row))
            yield row

    return strict(read(source, Columns(**names), encoding))


def fails(message, *args, **options):
    with pytest.raises(InputError, match=message) as caught:
        list(read_rows(*args, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_empty(source):
    with pytest.raises(InputError, match="is empty: it holds no text") as caught:
        list(open_corpus([str(source)]).rows())
    return str(caught.value)


def texts(*args, **options):
    return [row.text for row in read_rows(*args, **options)]


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_labels_that_an_annotator_refused(write, suffix):
    """Prodigy's rows: those that were rejected or ignored are there, with the label that was proposed."""
    rows = [{"text": "a", "label": "x", "answer": answer} for answer in ("accept", "reject", "ignore", ["reject"])]
    path = write("in" + suffix, "\n".join(map(json.dumps, rows)) if suffix == ".jsonl" else json.dumps(rows))
    with pytest.warns(InputWarning, match="'answer' is 'reject' or 'ignore' in 2 rows, whose label is read nev"):
        assert len(list(read_rows(path, label_column="label"))) == 4
    for columns in ({}, {"label_column": "answer"}):  # a warning would fail
        assert len(list(read_rows(path, text_column="text", **columns))) == 4


# --- plain text and standard input


def test_txt_keeps_every_line(write):
    path = write("in.txt", 'A film.\n\n  spaced \t"quoted"\r\nlast\u2028one\x0b.')
    assert list(read_rows(path)) == [
        Row(1, "A film.", None, None),
        Row(2, "", None, None),
        Row(3, '  spaced \t"quoted"', None, None),
        Row(4, "last\u2028one\x0b.", None, None),
    ]


def test_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grün\nund\n".encode())))
    assert list(read_rows("-")) == [Row(1, "Grün", None, None), Row(2, "und", None, None)]
    assert not sys.stdin.buffer.closed
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert is_empty("-").startswith("standard input is empty")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ok\n\xff\n")))
    fails("^standard input, line 2: not utf-8", "-")


def test_plain_text_has_no_columns(write):
    fails("plain text without columns, but 'label' was asked for", write("in.txt", "a\n"), label_column="label")


# --- tables


@pytest.mark.parametrize(("name", "gap"), [("in.csv", ","), ("in.tsv", "\t"), ("IN.TSV", "\t")])
def test_columns(write, name, gap):
    path = write(
        name,
        "\n".join(gap.join(row) for row in (["n", "text", "b", "y"], ["x7", "a c", "d", "01"], ["", "e", "", ""])),
    )
    assert list(read_rows(path)) == [Row(1, "a c", None, None), Row(2, "e", None, None)]
    rows = read_rows(path, text_column="text", pair_column="b", label_column="y", id_column="n")
    assert list(rows) == [Row("x7", "a c", "d", "01"), Row("", "e", "", "")]


def test_csv_quotes(write):
    content = 'text,y\n"one\nfilm, ""new""\r\n",1\n5" disk,2\n\n"",3\n'
    path = write("in.csv", content)
    assert list(read_rows(path, label_column="y")) == [
        Row(1, 'one\nfilm, "new"\r\n', None, "1"),
        Row(2, '5" disk', None, "2"),
        Row(3, "", None, "3"),
    ]


TRICKY = [
    "plain",
    'a "b" c',
    '"',
    '"a',
    'a"',
    '"a" b "c"',
    '""',
    "",
    "it's",
    'say ""so""',
    '"x"" y',
    ",;",
    "  x ",
]


def test_csv_reads_what_csv_writes(write):
    stream = io.StringIO()
    values = [*TRICKY, "line\nline", "\t", "\r", "x" * 300_000]  # csv's own limit on a field is 131,072
    csv.writer(stream).writerows([["text", "n"], *([value, "1"] for value in values)])
    assert texts(write("in.csv", stream.getvalue())) == values


def test_tsv_reads_what_csv_writes(write):
    stream = io.StringIO()
    values = [*TRICKY, "a\tb", '"\t"']
    csv.writer(stream, "excel-tab").writerows([["text", "n"], *([value, "1"] for value in values)])
    assert texts(write("in.tsv", stream.getvalue())) == values


def test_tsv_reads_raw_lines(write):
    """GLUE's way: no quoting, a quote is a character; only a quotation from end to end is read as quoted."""
    lines = ["text\ty", *(f"{value}\t1" for value in TRICKY)]
    expected = [{'""': ""}.get(value, value) for value in TRICKY]
    assert texts(write("in.tsv", "\n".join(lines) + "\n")) == expected
    assert texts(write("in.tsv", '"text"\ty\n"all of it"\t1\n')) == ["all of it"]
    rows = read_rows(write("pair.tsv", 'text\tb\n"an open\tand a closed"\n'), pair_column="b")
    assert list(rows) == [Row(1, '"an open', 'and a closed"', None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "text,y\na,1\nb\n", "row from line 3: 1 fields, but the header has 2"),
        ("in.csv", 'text,y\n"a\nb",1\nc,d,e\n', "row from line 4: 3 fields"),
        ("in.csv", 'text,y\na,1\n"open,2\nc,3\n', r"row from line 3: not valid CSV \(unexpected end of data"),
        ("in.csv", 'text,y\n"a"b,1\n', "row from line 2: not valid CSV"),
        ("in.csv", "text,y\na\rb,1\n", "row from line 2: 1 fields, but the header has 2"),
        ("in.tsv", "text\ty\n\na\t1\t2\n", "row from line 3: 3 fields"),
        ("in.tsv", 'text\ty\n"one\nfilm"\t1\n', r"row from line 2: 1 fields.* \.csv \(quoted\) or \.jsonl"),
        (
            "in.tsv",
            "texts\tlabel\na\t1\n",
            "no column 'text'; its columns: 'texts', 'label'. Did you mean 'texts'",
        ),
        (
            "in.csv",
            "sentence,label\na,1\n",
            "'label'. If the file has no header, name its columns: .task. columns or --input-columns.$",
        ),
        ("in.csv", "text,text\na,1\n", "more than one column 'text'"),
    ],
)
def test_faulty_tables(write, name, content, message):
    path = write(name, content)
    assert fails(message, path).startswith(str(path))


# --- jsonl


def test_jsonl(write):
    items = [
        {"text": "a film\u2028\n", "y": 1, "n": "x"},
        {"text": ["a", "", "film"], "y": "pos", "n": 7},
        {"text": "", "y": None, "n": 8, "more": [{}]},
        {"text": "b", "y": True, "n": 9},
    ]
    path = write("in.jsonl", "\n".join(json.dumps(item, ensure_ascii=False) for item in items) + "\n\n")
    assert list(read_rows(path, label_column="y", id_column="n")) == [
        Row("x", "a film\u2028\n", None, 1),
        Row(7, ["a", "", "film"], None, "pos"),
        Row(8, "", None, None),
        Row(9, "b", None, True),
    ]
    path = write("in.jsonl", '\n{"a": "x", "b": ["y"]}\n')
    assert list(read_rows(path, text_column="a", pair_column="b")) == [Row(2, "x", ["y"], None)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("a text", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("9" * 5000, "not valid JSON"),
        ('["a"]', r"a JSON list; \.jsonl has one object"),
        ("null", "a JSON NoneType"),
        ('{"txt": "a"}', "has no column 'text'; its columns: 'txt'. Did you mean 'txt'"),
        ('{"text": null}', "'text' is null; a text is a string or a list of strings"),
        ('{"text": ["a", 1]}', r"'text' is \[\"a\", 1\]"),
        ('{"text": {"a": "b"}}', "'text' is"),
    ],
    ids=lambda value: value[:20],
)
def test_faulty_jsonl(write, line, message):
    path = write("in.jsonl", f'{{"text": "fine"}}\n{line}\n')
    assert fails(message, path).startswith(f"{path}, line 2")


@pytest.mark.parametrize("value", ["true", "1.5", "null", "[]"])
def test_jsonl_ids(write, value):
    path = write("in.jsonl", f'{{"text": "a", "n": {value}}}\n')
    fails("line 1: the id .* is neither a string nor a whole number", path, id_column="n")


# --- files and encodings


@pytest.mark.parametrize("name", ["in.txt", "in.csv", "in.tsv", "in.jsonl"])
def test_every_kind(write, name):
    start = "" if name == "in.txt" else "text\n"
    body = start + "Grüße\nzwei\n"
    if name == "in.jsonl":
        body = '{"text": "Grüße"}\n{"text": "zwei"}\n'
    for mark in ("", "\ufeff"):
        path = write(name, mark + body)
        assert texts(path) == texts(str(path)) == ["Grüße", "zwei"]
        assert texts(path, encoding="utf-8-sig") == ["Grüße", "zwei"]
    assert texts(write(name, body.replace("\n", "\r\n"))) == ["Grüße", "zwei"]
    assert texts(write(name, body, "latin-1"), encoding="latin-1") == ["Grüße", "zwei"]
    assert texts(write(name, body, "utf-16"), encoding="utf-16") == ["Grüße", "zwei"]
    line = 1 + body[: body.index("ü")].count("\n")
    fails(f"line {line}: not utf-8 .*Convert the file, or give its encoding: --encoding", write(name, body, "latin-1"))
    fails("line 1: not utf-8", write(name, body, "utf-16"))
    fails("line 1: not utf-16", write(name, body), encoding="utf-16")
    fails("line 1: holds a NUL character", write(name, body.replace("üß", "us"), "utf-16-le"))
    for nothing in (b"", b"\xef\xbb\xbf"):
        is_empty(write(name, nothing))
    if name in ("in.csv", "in.tsv"):
        is_empty(write(name, "text\n"))


def test_no_file(tmp_path):
    fails("does not exist; give a file", tmp_path / "no" / "in.txt")
    (tmp_path / "folder.txt").mkdir()
    fails("is a directory", tmp_path / "folder.txt")
    fails("does not exist; give a file", "The text itself. " * 100)


@pytest.mark.parametrize("name", ["in.xlsx", "in", "in.zip", "in."])
def test_other_suffixes(write, name):
    fails(r"accepted: \.txt, .*\.parquet, compressed or not .* or - for standard input", write(name, "text\na\n"))


def test_unknown_encoding(write):
    fails("Unknown encoding 'utf-9'", write("in.txt", "a\n"), encoding="utf-9")


def test_an_encoding_that_encodes_nothing(write):
    fails("Unknown encoding 'undefined'", write("in.txt", "x"), "undefined")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.txt", "a film\rno\r"),
        ("in.txt", "a film\rno"),
        ("in.csv", "text,n\ra film,1\rno,2\r"),
        ("in.tsv", "text\tn\ra film\t1\rno\t2\r"),
        ("in.jsonl", '{"text": "a film"}\r{"text": "no"}\r'),
        ("in.json", '[{"text": "a film"},\r{"text": "no"}]\r'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_carriage_return_ends_a_line(write, name, content, encoding):
    """As in Python's text mode; the line numbers count it too."""
    first, second = read_rows(write(name, content, encoding), encoding=encoding)
    assert (first.text, second.text) == ("a film", "no")
    before = 1 if name in ("in.csv", "in.tsv") else 0
    assert [first.line, second.line] == [1 + before, 2 + before]


def test_all_three_ends_of_lines_in_one_file(write):
    content = "one\rtwo\r\nthree\n\rfive"
    path = write("in.txt", content)
    assert texts(path) == path.read_text().split("\n") == ["one", "two", "three", "", "five"]
    long = [f"text {number}" * 3000 for number in range(9)]  # across the blocks in which a file is read
    for end in ("\r", "\r\n", "\n"):
        assert texts(write("in.txt", end.join(long))) == long


def test_a_carriage_return_inside_quotes_stays(write):
    assert texts(write("in.csv", 'text,n\n"two\rlines",1\n')) == ["two\rlines"]
    assert texts(write("in.csv", 'text,n\r"two\rlines",1\r')) == ["two\rlines"]


def test_faults_of_the_call_show_at_once():
    with pytest.raises(InputError, match="does not exist"):
        read_rows("nowhere.txt")  # not only when the first row is asked for


def test_utf_16_in_blocks(write):
    lines = [f"Zeile {number} über 中文" for number in range(20_000)]
    path = write("in.txt", "\r\n".join(lines), "utf-16")
    assert texts(path, encoding="utf-16") == lines
    path.write_bytes(path.read_bytes()[:-1])
    fails("line 20000: not utf-16", path, encoding="utf-16")


def test_streaming(write):
    path = write("in.txt", b"good\n" * 100_000 + b"\xff\n")
    rows = read_rows(path)
    assert next(rows) == Row(1, "good", None, None)
    with pytest.raises(InputError, match="line 100001: not utf-8"):
        list(rows)


# --- the real files


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "text", "pair", "quoted"),
    [
        ("SST2/dev.tsv", "sentence", None, False),
        ("SST3/sst-tenary-dev.tsv", "sentence", None, True),
        ("MRPC/dev.tsv", "sentence1", "sentence2", True),
        ("QNLI/dev.tsv", "question", "sentence", True),
        ("AGNews/test_AGNews.csv", "text", None, True),
        ("IMDb/test_IMDb.csv", "text", None, True),
    ],
)
def test_real_files(name, text, pair, quoted):
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"the shared data {name} is not on this machine")
    with path.open(encoding="utf-8", newline="") as stream:
        if quoted:
            expected = list(csv.DictReader(stream, dialect="excel" if path.suffix == ".csv" else "excel-tab"))
        else:
            header, *lines = (line.split("\t") for line in stream.read().splitlines())
            expected = [dict(zip(header, line, strict=True)) for line in lines]
    rows = list(read_rows(path, text_column=text, pair_column=pair, label_column="label"))
    assert [row.text for row in rows] == [item[text] for item in expected]
    assert [row.label for row in rows] == [item["label"] for item in expected]
    assert pair is None or [row.pair for row in rows] == [item[pair] for item in expected]
    assert [row.id for row in rows] == list(range(1, len(rows) + 1))
