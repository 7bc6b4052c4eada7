"""corpus/: what the output files hold, row for row; shards; what is refused. Kills are in test_resume.py."""

import csv
import decimal
import io
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from models import refusal
from pyarrow import parquet
from sentences import lines
from tolerances import BATCH

import autorel_jax as ar
from autorel_jax.corpus.columns import COLUMNS
from autorel_jax.corpus.formats import FORMATS
from autorel_jax.corpus.job import explain_corpus, settings_of
from autorel_jax.corpus.partial import open_partial
from autorel_jax.data.by_products import rejected_of
from autorel_jax.data.row import Columns, Row
from autorel_jax.data.sources import Corpus, Source, open_corpus
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.report.explanation import FIELDS
from autorel_jax.report.json_values import plain
from autorel_jax.report.output import csv_columns


@pytest.fixture
def source(tmp_path):
    """A .jsonl file of 23 rows, two of which cannot be used."""
    rows = [json.dumps({"text": text, "n": n, "tags": ["x", n]}) for n, text in enumerate(lines(23))]
    rows[4], rows[21] = "{", '{"text": "", "n": 21}'
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def explainer(classifier):
    return Explainer(classifier, ar.ExplainConfig(batch_size=4))


def score(explainer, source, output, keep=(), **options):
    corpus = open_corpus([str(source)], Columns(keep=keep))
    return explain_corpus(explainer, corpus, output, **{"part_rows": 7, **options})


def read_lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_jsonl_is_what_the_library_call_says(explainer, source, tmp_path):
    summary = score(explainer, source, tmp_path / "out.jsonl")
    assert (summary.rows, summary.rejected, summary.resumed) == (21, 2, 0)
    assert "in.jsonl, line 5: not valid JSON" in summary.first
    found = read_lines(tmp_path / "out.jsonl")
    assert [row["id"] for row in found] == [n for n in range(1, 24) if n not in (5, 22)]
    texts = [row["text"] for row in found]
    for row, made in zip(found, ar.explain(explainer.classifier, texts, batch_size=4), strict=True):
        expected = {**made.to_dict(), "id": row["id"]}
        np.testing.assert_allclose(row.pop("token_relevance"), expected.pop("token_relevance"), rtol=0, atol=BATCH)
        for name in ("word_relevance", "logits", "probabilities", "explained", "target_value", "prediction"):
            row.pop(name), expected.pop(name)
        assert row == expected
    left_out = read_lines(tmp_path / "out.jsonl.rejected.jsonl")
    assert [(row["file"], row["line"]) for row in left_out] == [(str(source), 5), (str(source), 22)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "out.jsonl.rejected.jsonl"]


def test_parquet_holds_the_same(explainer, source, tmp_path):
    score(explainer, source, tmp_path / "out.jsonl")
    score(explainer, source, tmp_path / "out", keep=("n", "tags"))  # no suffix: Parquet
    expected = read_lines(tmp_path / "out.jsonl")
    table = parquet.read_table(tmp_path / "out")
    assert table.column_names == [name for name in COLUMNS if name != "file"] + ["n", "tags"]
    for row, made in zip(table.to_pylist(), expected, strict=True):
        assert row.pop("n") == str(row["id"] - 1)
        assert json.loads(row.pop("tags")) == ["x", row["id"] - 1]
        assert (row.pop("diagnostics"), row.pop("ledger"), row.pop("readouts")) == ([], None, None)
        assert row.pop("made_by").startswith("attnlrp ")
        assert row.pop("prediction") == made["prediction"]["label"]
        assert row.pop("probability") == made["prediction"]["probability"]
        assert row.pop("prediction_logit") == made["prediction"]["logit"]
        for name in ("token_spans", "word_spans"):
            spans = [None if span is None else [span["start"], span["end"]] for span in row.pop(name)]
            assert spans == made[name]
        for name, value in row.items():
            if isinstance(value, list) and value and isinstance(value[0], float):
                np.testing.assert_array_equal(np.float32(value), np.float32(made[name]))
            else:
                assert value == made[name], name
    about = json.loads(table.schema.metadata[b"autorel_jax"])
    assert about["schema"] == 2
    assert about["model"]["weights_sha256"] == explainer.classifier.fingerprint
    assert about["labels"] == ["negative", "neutral", "positive"]
    assert about["method"] == {"name": "attnlrp", "parameters": plain(explainer.parameters)}
    first = parquet.ParquetFile(tmp_path / "out").metadata.row_group(0).column(0)
    assert first.compression == "ZSTD"


def test_npz_holds_the_same(explainer, source, tmp_path):
    score(explainer, source, tmp_path / "out.jsonl")
    score(explainer, source, tmp_path / "out.npz", keep=("tags",))
    expected = read_lines(tmp_path / "out.jsonl")
    with np.load(tmp_path / "out.npz") as found:
        arrays = dict(found)
    for name in ("tokens", "token_relevance", "words", "word_relevance", "logits"):
        starts, ends = arrays[f"{name}_offsets"][:-1], arrays[f"{name}_offsets"][1:]
        for row, start, end in zip(expected, starts, ends, strict=True):
            np.testing.assert_array_equal(arrays[name][start:end], np.array(row[name], arrays[name].dtype))
    assert arrays["id"].tolist() == [row["id"] for row in expected]
    assert arrays["word_spans"][:2].tolist() == [[-1, -1], expected[0]["word_spans"][1]]
    assert arrays["target"].tolist() == [row["target"] for row in expected]
    assert json.loads(arrays["tags"][0]) == ["x", 0]


def test_csv_holds_the_same(explainer, source, tmp_path):
    score(explainer, source, tmp_path / "out.jsonl")
    score(explainer, source, tmp_path / "out.csv", keep=("n", "tags"), level="token")
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [*csv_columns("token"), "n", "tags"]
    expected = [(row["id"], token) for row in read_lines(tmp_path / "out.jsonl") for token in row["tokens"]]
    assert [(int(row["id"]), row["token"].removeprefix("'")) for row in rows] == expected
    assert json.loads(rows[0]["tags"]) == ["x", 0]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out.npz"])
def test_columns_are_chosen(explainer, source, tmp_path, name):
    score(explainer, source, tmp_path / name, keep=("n",), columns=("word_relevance", "id", "file"))
    if name.endswith("jsonl"):
        assert list(read_lines(tmp_path / name)[0]) == ["word_relevance", "id", "file", "n"]
    elif name.endswith("parquet"):
        assert parquet.read_table(tmp_path / name).column_names == ["word_relevance", "id", "file", "n"]
    else:
        with np.load(tmp_path / name) as found:
            assert list(found) == ["word_relevance_offsets", "word_relevance", "id", "file", "n"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out.npz", "out.csv"])
def test_the_older_name_of_a_column_is_accepted(explainer, source, tmp_path, name):
    score(explainer, source, tmp_path / name, columns=("id", "target_logit", "target_value"))
    if name.endswith("jsonl"):
        rows = read_lines(tmp_path / name)
    elif name.endswith("parquet"):
        rows = parquet.read_table(tmp_path / name).to_pylist()
    elif name.endswith("csv"):
        with (tmp_path / name).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    else:
        with np.load(tmp_path / name) as arrays:
            names = list(arrays)
            rows = [dict(zip(names, row, strict=True)) for row in zip(*arrays.values(), strict=True)]
    assert list(rows[0]) == ["id", "target_logit", "target_value"]
    assert all(row["target_logit"] == row["target_value"] for row in rows)


def test_kept_columns_of_parquet_keep_their_types(explainer, tmp_path):
    given = pyarrow.table({"text": ["good", "bad"], "n": pyarrow.array([1, None], pyarrow.int16()), "l": [[1.5], []]})
    parquet.write_table(given, tmp_path / "in.parquet")
    score(explainer, tmp_path / "in.parquet", tmp_path / "out.parquet", keep=("l", "n"), columns=("text",))
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.to_pylist() == given.to_pylist()
    assert found.schema.field("n").type == pyarrow.int16()


def test_a_kept_decimal_number_is_written_by_its_digits(explainer, tmp_path):
    parquet.write_table(pyarrow.table({"text": ["good"], "n": [decimal.Decimal("-12.50")]}), tmp_path / "in.parquet")
    for suffix in (".csv", ".npz"):
        score(explainer, tmp_path / "in.parquet", tmp_path / f"out{suffix}", keep=("n",))
    with open(tmp_path / "out.csv", newline="") as stream:
        assert {row["n"] for row in csv.DictReader(stream)} == {"-12.50"}
    assert np.load(tmp_path / "out.npz")["n"].tolist() == ["-12.50"]


def test_every_target_has_its_row(classifier, source, tmp_path):
    explainer = Explainer(classifier, ar.ExplainConfig(batch_size=4, target="all"))
    score(explainer, source, tmp_path / "out.jsonl", keep=("n",))
    found = read_lines(tmp_path / "out.jsonl")
    assert [(row["target"], row["n"] + 1 - row["id"]) for row in found] == [
        (label, 0) for _ in range(21) for label in classifier.config.labels
    ]


@pytest.mark.parametrize("prefix", ["", "log_probability:"])
def test_a_row_without_its_label_is_left_out(classifier, tmp_path, prefix):
    (tmp_path / "in.tsv").write_text("text\tlabel\ngood\tpositive\nbad\thappy\nbad\t0\n")
    explainer = Explainer(classifier, ar.ExplainConfig(target=f"{prefix}given"))
    corpus = open_corpus([str(tmp_path / "in.tsv")], Columns(label="label"))
    summary = explain_corpus(explainer, corpus, tmp_path / "out.jsonl")
    assert (summary.rows, summary.rejected) == (2, 1)
    assert [row["target"] for row in read_lines(tmp_path / "out.jsonl")] == [f"{prefix}positive", f"{prefix}negative"]
    assert "line 3: Text 2: Unknown label 'happy'" in summary.first


def test_the_item_of_a_list_that_is_left_out_is_named(classifier, tmp_path):
    (tmp_path / "in.json").write_text('[{"text": "good", "label": 0}, {"text": "bad", "label": "happy"}]')
    explainer = Explainer(classifier, ar.ExplainConfig(target="given"))
    corpus = open_corpus([str(tmp_path / "in.json")], Columns(label="label"))
    summary = explain_corpus(explainer, corpus, tmp_path / "out.jsonl")
    assert "in.json, item 2: Text 2: Unknown label 'happy'" in summary.first


def test_several_files_tell_each_rows_file(explainer, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("good\nbad\n")
    score(explainer, tmp_path, tmp_path / "out.jsonl")
    found = [(row["file"], row["id"]) for row in read_lines(tmp_path / "out.jsonl")]
    assert found == [(f"{tmp_path}/{name}.txt", n) for name in ("a", "b") for n in (1, 2)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_one_after_the_other_are_one_run(explainer, source, tmp_path, suffix, count):
    score(explainer, source, tmp_path / f"whole{suffix}")
    head = b"" if suffix == ".jsonl" else (tmp_path / f"whole{suffix}").read_bytes().splitlines(True)[0]
    joined, rejected = head, b""
    for place in range(1, count + 1):
        output = tmp_path / f"shard{place}{suffix}"
        score(explainer, source, output, shard=(place, count))
        joined += output.read_bytes().removeprefix(head)
        if rejected_of(output).exists():
            rejected += rejected_of(output).read_bytes()
    assert joined == (tmp_path / f"whole{suffix}").read_bytes()
    assert rejected == rejected_of(tmp_path / f"whole{suffix}").read_bytes()


def test_shards_of_parquet(explainer, source, tmp_path):
    score(explainer, source, tmp_path / "whole.parquet")
    for place in range(1, 6):
        score(explainer, source, tmp_path / f"shard{place}.parquet", shard=(place, 5))
    tables = [parquet.read_table(tmp_path / f"shard{place}.parquet") for place in range(1, 6)]
    assert min(table.num_rows for table in tables) == 0  # more shards than parts
    assert pyarrow.concat_tables(tables).equals(parquet.read_table(tmp_path / "whole.parquet"))


def test_a_name_is_not_what_a_method_is(classifier, source, monkeypatch):
    """So that work is not continued with another composite of the same registered name."""

    def settings(gamma):
        monkeypatch.setitem(COMPOSITES, "mine", COMPOSITES["gamma"].derive("mine").set(gamma=gamma))
        return settings_of(Explainer(classifier, ar.ExplainConfig(method="mine")), open_corpus([str(source)]), {})

    assert settings(0.1) == settings(0.1) != settings(0.2)


def test_standard_input_is_read_once(explainer, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines(15)).encode())))
    assert score(explainer, "-", tmp_path / "out.jsonl").rows == 15
    assert [row["text"] for row in read_lines(tmp_path / "out.jsonl")] == lines(15)
    assert "cannot be divided into shards" in refusal(score, explainer, "-", tmp_path / "out.jsonl", shard=(1, 2))


# What is refused.


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("out.jsonl", {"columns": ("tokens", "happy")}, "--columns happy: there is no such column; available: schema"),
        ("out.parquet", {"columns": ("model",)}, "available: file, id, text"),
        ("out.csv", {"columns": ("tokens",)}, "available: id, target"),
        ("out.parquet", {"columns": ("id", "id")}, "The column id is asked for twice."),
        ("out.parquet", {"keep": ("text",)}, "--keep-columns text: the output has a column of this name already"),
        ("out.parquet", {"keep": ("no",)}, "has no column 'no'"),
        ("out.jsonl", {"columns": ("id",), "keep": ("target_logit",)}, "this is an older name of target_value"),
        ("out.xlsx", {}, "cannot write .xlsx; accepted: .parquet, .jsonl, .csv, .npz."),
        ("no/out.jsonl", {}, "there is no directory"),
        ("out.jsonl", {"shard": (3, 2)}, "The shard 3/2 does not exist"),
        ("out.jsonl", {"part_rows": 0}, "part_rows=0: expected a whole number of at least 1."),
    ],
)
def test_bad_requests_leave_nothing(explainer, source, tmp_path, name, options, said):
    assert said in refusal(score, explainer, source, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_no_row_that_can_be_explained(explainer, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"review": "good"}\n' * 10)
    said = refusal(score, explainer, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert "None of the 10 rows can be explained. The first: " in said
    assert "line 1: the row has no column 'text'; its columns: 'review'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_older_output_stays_until_the_end(explainer, source, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    rejected_of(output).write_text("old")
    seen = []
    score(explainer, source, output, progress=lambda done: seen.append(output.read_text()))
    assert set(seen) == {"precious"}
    (tmp_path / "fine.txt").write_text("good\n")
    score(explainer, tmp_path / "fine.txt", output)
    assert len(read_lines(output)) == 1
    assert not rejected_of(output).exists()


def test_an_output_in_use_is_refused(explainer, source, tmp_path):
    with open_partial(tmp_path / "out.jsonl", {}):
        assert "is in use by another process" in refusal(score, explainer, source, tmp_path / "out.jsonl")


def test_a_busy_output_is_refused_before_the_input_is_counted(explainer, tmp_path):
    read = []
    corpus = Corpus((Source("x", lambda: iter(read.append(1) or [Row(1, "good", None, None)]), None),))
    with open_partial(tmp_path / "out.jsonl", {}):
        said = refusal(explain_corpus, explainer, corpus, tmp_path / "out.jsonl", shard=(1, 2))
    assert "is in use by another process" in said
    assert not read


@pytest.mark.parametrize("before", [{"version": ["0.1.0", "0.10.2"]}, {"version": ["9.0", "1.0"], "schema": 9}])
def test_work_of_another_schema_is_refused_by_name(explainer, source, tmp_path, before):
    output, names = tmp_path / "out.jsonl", ["id", "target_logit"]
    with open_partial(output, {**before, "output": {"columns": names}}) as partial:
        partial.add(0, lambda path: {"rows": path.write_text("{}"), "rejected": []})
    said = refusal(score, explainer, source, output)
    begun = f"was begun by autorel-jax {before['version'][0]} with results of schema {before.get('schema', 1)};"
    assert f"{output}.partial {begun} this version writes schema 2" in said
    assert "--restart (restart=True) discards it" in said
    assert score(explainer, source, output, restart=True).rows == 21


def test_a_folder_that_is_not_ours_is_left_alone(explainer, source, tmp_path):
    (tmp_path / "out.jsonl.partial").mkdir()
    (tmp_path / "out.jsonl.partial" / "mine.txt").write_text("precious")
    for restart in (False, True):
        said = refusal(score, explainer, source, tmp_path / "out.jsonl", restart=restart)
        assert "is no work in progress of this program" in said
    assert [path.name for path in (tmp_path / "out.jsonl.partial").iterdir()] == ["mine.txt"]


def test_docs_name_every_column():
    text = (Path(__file__).parents[1] / "docs" / "output.md").read_text("utf-8")
    for name in (*COLUMNS, *FIELDS, *FORMATS):
        assert f"`{name}" in text or f"## {name}" in text, name


def test_one_explainer_serves_many_threads(classifier):
    explainer = Explainer(classifier, ar.ExplainConfig(batch_size=4))
    texts = [lines(9, seed) for seed in range(4)]
    expected = [list(explainer.explain(rows(some))) for some in texts]
    found = [None] * len(texts)

    def work(place):
        found[place] = list(explainer.explain(rows(texts[place])))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for some, others in zip(found, expected, strict=True):
        for one, other in zip(some, others, strict=True):
            assert one.words == other.words
            np.testing.assert_array_equal(one.token_relevance, other.token_relevance)


def rows(texts):
    return [Row(n, text, None, None) for n, text in enumerate(texts)]
