"""Readers: whatever is in a file, each of its rows comes as a Row or as Rejected, in order; nothing else is raised."""

import csv
import io
import json

import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from autorel_jax.data.row import Columns, Rejected, Row
from autorel_jax.data.rows import read_rows
from autorel_jax.data.sources import open_corpus
from autorel_jax.errors import InputError

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
CHARS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TEXT = CHARS | st.sampled_from(["=1+1", '"', '""', "a\rb", "a\nb", "a,b", "\x00", "\x1a", "\ufeff", "\u2028", "'", " "])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | CHARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CHARS, inner, max_size=3),
    max_leaves=8,
)
BYTES = st.binary(max_size=80) | st.lists(
    st.sampled_from(
        [b'{"text": "a"}', b"text", b",", b"\t", b'"', b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"{", b"[", b"a"]
    )
).map(b"".join)


def items(path, **columns):
    """All rows of a file, as a run reads them; none of an empty file."""
    try:
        return list(open_corpus([str(path)], Columns(**columns)).rows())
    except InputError as error:
        if "holds no text to explain" in str(error):
            return []
        raise


@QUICK
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=8), dialect=st.sampled_from(["excel", "unix"]))
@example(rows=[("a\rb", "=c\r"), ("", "x"), ('"', '""\n')], dialect="excel")
def test_csv_as_a_writer_writes_it(tmp_path, rows, dialect):
    path, text = tmp_path / "in.csv", io.StringIO()
    writer = csv.writer(text, dialect, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "n"), *rows])
    path.write_bytes(text.getvalue().encode())
    found = items(path, keep=("n",))
    nul = [any("\0" in cell for cell in row) for row in rows]
    if any(nul):  # a NUL is a fault of its line; a quoted newline beside it makes more than one
        return
    assert len(found) == len(rows)
    for item, (one, other) in zip(found, rows, strict=True):
        if one.strip():
            assert (item.text, item.kept) == (one, (other,))
        else:
            assert item.reason == "the text is empty."


@QUICK
@given(rows=st.lists(JSON, max_size=8))
def test_jsonl_row_by_row(tmp_path, rows):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = items(path)
    assert len(found) == len(rows)
    for item, row in zip(found, rows, strict=True):
        text = row.get("text") if isinstance(row, dict) else None
        assert isinstance(item, Row) == (isinstance(text, str) and bool(text.strip()))


@QUICK
@given(values=st.lists(JSON, min_size=1, max_size=8))
def test_jsonl_columns_of_any_kind(tmp_path, values):
    """As id, label, pair and kept column: the row is taken or left out, and what is kept is what was there."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps({'text': 'a', 'x': value})}\n" for value in values))
    for columns in ({"id": "x"}, {"label": "x"}, {"pair": "x"}, {"keep": ("x",)}):
        found = items(path, **columns)
        assert len(found) == len(values)
        if "keep" in columns:
            kept = [item.kept[0] for item in found]
            assert json.dumps(kept) == json.dumps(values)


@QUICK
@given(content=BYTES)
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl", ".parquet", ".json"])
def test_any_bytes(tmp_path, suffix, content):
    """A row each, or one InputError; of lines, as many as the file has."""
    path = tmp_path / f"in{suffix}"
    path.write_bytes(content)
    try:
        found = items(path)
    except InputError:  # of one line, as test_foreign.py shows
        return
    assert all(isinstance(item, Row | Rejected) for item in found)
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    if suffix == ".txt" and not content.startswith(b"\xef\xbb\xbf"):
        assert len(found) == len(lines)
    if suffix == ".jsonl" and content.isascii() and b"\0" not in content:
        assert len(found) == sum(bool(line.decode().strip()) for line in lines)


@QUICK
@given(rows=st.lists(st.none() | TEXT, max_size=8), values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=8))
def test_parquet_row_by_row(tmp_path, rows, values):
    path = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table({"text": pyarrow.array(rows, pyarrow.string()), "n": values[: len(rows)]}), path)
    found = items(path, keep=("n",))
    assert len(found) == len(rows)
    for item, row, value in zip(found, rows, values, strict=False):
        if row is not None and row.strip():
            assert (item.text, item.kept) == (row, (value,))
        else:
            assert isinstance(item, Rejected)


def test_a_reader_reads_nothing_before_it_is_asked(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    assert next(read_rows(tmp_path / "in.txt")).text == "a"
