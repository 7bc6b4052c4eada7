"""report/saved.py: results that were written in any schema come back as records in today's names."""

import dataclasses
import datetime
import json

import numpy as np
import pyarrow
import pytest
from explanations import explanation
from models import refusal
from pyarrow import parquet
from test_inside import made_up, written

import autorel_jax as ar
from autorel_jax.corpus.saving import save
from autorel_jax.data.rows import Row
from autorel_jax.lrp.taps import READOUTS
from autorel_jax.report.explanation import Prediction
from autorel_jax.text.windows import Window

LABELS = ("negative", "positive")
ABOUT = {
    "schema": 2,
    "version": ar.__version__,
    "model": {"name": "tiny", "weights_sha256": "0123456789abcdef" * 4},
    "labels": list(LABELS),
    "method": {"name": "attnlrp", "parameters": {"read_at": "word_embeddings"}},
}


def with_everything():
    """Explanations with all that a file can hold."""
    pairs = []
    for number, text in enumerate(("not a gorgeous film", "so so")):
        row, made = made_up(number, text)
        window = Window(1, 3, 1.0, made.logits)
        more = {
            "diagnostics": {"steps": 50.0},
            "windows": (window,),
            "warnings": ("beware",),
            "labels": LABELS,
        }
        pairs.append((row, dataclasses.replace(made, **more)))
    return pairs


def with_nothing():
    """Explanations without what is optional, and with numbers that are not finite."""
    regression = explanation("so so", pair="b", probabilities=None, prediction=Prediction("positive", None, 1.5))
    broken = explanation("bad", (float("nan"), 1.0), id=2, target_value=float("inf"))
    both = [dataclasses.replace(made, labels=LABELS) for made in (regression, broken)]
    return [(Row(made.id, made.text, None, None), made) for made in both]


each_kind = pytest.mark.parametrize("pairs", [with_everything(), with_nothing()], ids=["everything", "nothing"])


def results(path):
    return list(ar.read_results(path))


def as_schema_1(record):
    """A line as schema 1 had it."""
    return {"target_logit" if name == "target_value" else name: value for name, value in record.items()} | {"schema": 1}


@each_kind
def test_lines_come_back(tmp_path, pairs):
    path = written([pairs], tmp_path / "out.jsonl", audit=True, readouts=READOUTS)
    assert results(path) == [made.to_dict() for _, made in pairs]


@each_kind
def test_a_table_comes_back_as_lines_do(tmp_path, pairs):
    path = written([pairs[:1], pairs[1:]], tmp_path / "out.parquet", about=ABOUT, audit=True, readouts=READOUTS)
    expected = [made.to_dict() for _, made in pairs]
    for record in expected:
        del record["method"]["rules"]
        if record["probabilities"]:  # a table has them in single precision
            record["probabilities"] = np.float32(record["probabilities"]).tolist()
    assert results(str(path)) == expected


@each_kind
def test_lines_of_schema_1(tmp_path, pairs):
    path, records = tmp_path / "out.jsonl", [made.to_dict() for _, made in pairs]
    path.write_text("".join(f"{json.dumps(as_schema_1(record))}\n" for record in records))
    assert results(path) == records
    assert list(results(path)[0]) == list(records[0])


@each_kind
def test_a_table_of_schema_1(tmp_path, pairs):
    path = written([pairs], tmp_path / "out.parquet", about=ABOUT)
    expected, table = results(path), parquet.read_table(path)
    old = table.drop_columns(["made_by"]).rename_columns({"target_value": "target_logit"})
    parquet.write_table(old.replace_schema_metadata({"autorel_jax": json.dumps(ABOUT | {"schema": 1})}), path)
    assert results(path) == expected


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_column_of_the_input_is_not_taken_for_ours(tmp_path, suffix):
    """In schema 1 target_value was a free name; a column of that name is not the target's value."""
    path = tmp_path / f"out{suffix}"
    if suffix == ".parquet":
        table = pyarrow.table({"target_value": ["999"], "target_logit": [2.5]})
        parquet.write_table(table.replace_schema_metadata({"autorel_jax": json.dumps(ABOUT | {"schema": 1})}), path)
    else:
        path.write_text(json.dumps(ABOUT | {"schema": 1, "target_value": "999", "target_logit": 2.5}) + "\n")
    assert "the column target_value, which passed through, has the name that target_logit" in refusal(results, path)


def test_a_table_that_is_damaged_or_of_another_schema(tmp_path):
    path = tmp_path / "out.parquet"
    table = pyarrow.table({"x": [1]})
    for mark, said in ((b"{bad", "cannot be read"), (b'{"schema": 9}', "results of schema 9")):
        parquet.write_table(table.replace_schema_metadata({"autorel_jax": mark}), path)
        assert said in refusal(results, path)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_chosen_columns_and_those_that_pass_through(tmp_path, suffix):
    day = datetime.date(2020, 1, 2)
    columns = ("id", "target_logit", "prediction", *(("schema",) if suffix == ".jsonl" else ()))
    kept = [Row(1, "x", None, None, kept=("u", "w"))]
    path = written(
        [list(zip(kept, [with_everything()[0][1]], strict=True))],
        tmp_path / f"out{suffix}",
        about=ABOUT,
        columns=columns,
        kept=("url", "more"),
    )
    if suffix == ".parquet":
        table = parquet.read_table(path)
        parquet.write_table(table.append_column("day", pyarrow.array([day])), path)
    (record,) = results(path)
    assert record["target_value"] == 1.5
    assert "target_logit" not in record
    assert record["prediction"]["label"] == "positive"
    assert (record["url"], record["more"], record["schema"]) == ("u", "w", 2)
    if suffix == ".parquet":
        assert record["day"] == "2020-01-02"
        assert record["model"] == ABOUT["model"] | {"labels": list(LABELS)}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("name", ["words", "probabilities", "prediction", "target_value", "model"])
def test_columns_of_the_input_do_not_pass_through_under_our_names(tmp_path, suffix, name):
    """Readers would take them for the model's, also where ours are left out."""
    said = refusal(written, [], tmp_path / f"out{suffix}", about=ABOUT, columns=("id", "target"), kept=(name,))
    assert said.startswith(f"--keep-columns {name}: results have a field of this name, and readers would take")


def test_no_results(tmp_path):
    assert results(written([], tmp_path / "a.jsonl")) == results(written([], tmp_path / "a.parquet", about=ABOUT)) == []


LINE = explanation("good").to_dict()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            json.dumps(LINE | {"schema": 3, "version": "7.0"}),
            "line 1: results of schema 3, written by autorel-jax 7.0; ",
        ),
        (json.dumps({"id": 1, "target": "x"}), "line 1: the results do not say their schema; expected a .jsonl or"),
        (json.dumps(LINE) + '\n{"id"', "line 2: not valid JSON"),
        ("[1]", "line 1: not a JSON object"),
        (b"\xff", "cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_lines_that_are_no_results(tmp_path, text, said):
    path = tmp_path / "a.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refusal(results, path)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda record: record["word_relevance"].append(0.5),
            "line 2: lists of one text have different lengths (words 3, word_relevance 4, word_spans 3, ",
        ),
        (
            lambda record: record["tokens"].pop(),
            "line 2: lists of one text have different lengths (tokens 3, token_rel",
        ),
        (
            lambda record: record.update(words=[], word_relevance=[], word_spans=[], word_segments=[]),
            "line 2: token_words names a word beyond the 0 words; change the fields of words and of tokens together",
        ),
        (
            lambda record: record.update(word_relevance=["0.1"] * 3),
            "line 2: word_relevance holds 0.1; expected numbers",
        ),
        (lambda record: record.update(words=5), "line 2: words is 5; expected a list."),
        (lambda record: record.update(word_relevance=None), "line 2: word_relevance is None; expected a list."),
        (lambda record: record.update(probabilities=0.6), "line 2: probabilities is 0.6; expected a list."),
        (lambda record: record["logits"].pop(), "line 2: lists of one text have different lengths (logits 1, prob"),
        (
            lambda record: record["prediction"].update(probability=61.4),
            "line 2: a probability is 61.4; expected a number",
        ),
        (lambda record: record.update(probabilities=[-0.2, 1.2]), "line 2: a probability is -0.2; expected a number"),
    ],
)
def test_results_that_were_edited_to_contradict_themselves(tmp_path, edit, said):
    edited = json.loads(json.dumps(LINE))
    edit(edited)
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{json.dumps(edited)}\n")
    assert said in refusal(results, path)


def test_tables_that_were_joined(tmp_path):
    """Arrow keeps the first one's metadata, which say of all rows what made them."""
    files = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    for path, rules in zip(files, ({"linear": "x"}, {"linear": "y"}, {"linear": "x"}), strict=True):
        save([explanation("good", rules=rules)], path)
    tables = [parquet.read_table(path) for path in files]
    parquet.write_table(pyarrow.concat_tables([tables[0], tables[2]]), tmp_path / "same.parquet")
    assert len(results(tmp_path / "same.parquet")) == 2
    parquet.write_table(pyarrow.concat_tables(tables[:2]), tmp_path / "other.parquet")
    said = refusal(results, tmp_path / "other.parquet")
    assert "other.parquet, row 2: made by 'attnlrp " in said
    assert "tables were joined, and the metadata say once for all rows what made them" in said
    older = tables[1].drop_columns(["made_by"])
    parquet.write_table(
        pyarrow.concat_tables([tables[0], older], promote_options="default"), tmp_path / "other.parquet"
    )
    assert "row 2: made by something unknown, others by" in refusal(results, tmp_path / "other.parquet")


def test_tables_that_are_no_results(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"id": [1]}), path)
    assert f"{path}: not results of autorel-jax" in refusal(results, path)
    written([with_nothing()], path, about=ABOUT | {"schema": 3})
    assert "results of schema 3, written by autorel-jax 0.1.0; this version reads 1 and 2." in refusal(results, path)
    path.write_bytes(b"PAR1 no PAR1")
    assert f"{path} cannot be read: " in refusal(results, path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.csv", "cannot read results from .csv; expected a .jsonl or .parquet"),
        ("a", "cannot read results from a name without suffix"),
        ("a.jsonl", "there is no such file"),
    ],
)
def test_files_that_are_refused_at_once(tmp_path, name, said):
    assert said in refusal(ar.read_results, tmp_path / name)
