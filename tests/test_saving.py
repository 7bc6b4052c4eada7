"""explanations.save: what `explain` returned -> files as the command writes them; and as_list."""

import dataclasses
import json

import numpy as np
import pytest
from models import refusal
from pyarrow import parquet

import autorel_jax as ar

TEXTS = ["a good film", "bad"]


@pytest.fixture(scope="module")
def found(classifier):
    return ar.explain(classifier, TEXTS, target="all")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_is_saved_is_read_again(found, tmp_path, suffix):
    found.save(tmp_path / f"out{suffix}")
    again = list(ar.read_results(tmp_path / f"out{suffix}"))
    assert [(e["text"], e["target"]) for e in map(as_dict, again)] == [(e.text, e.target) for e in found]
    for one, e in zip(map(as_dict, again), found, strict=True):
        np.testing.assert_array_equal(np.float32(one["token_relevance"]), e.token_relevance)
        assert one["model"]["weights_sha256"] == e.weights_sha256
        assert one["method"]["name"] == "attnlrp"
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


def as_dict(result):
    return result if isinstance(result, dict) else result.to_dict()


def test_the_other_formats(found, tmp_path):
    found[:1].save(str(tmp_path / "out.html"))
    assert "good" in (tmp_path / "out.html").read_text(encoding="utf-8")
    found.save(tmp_path / "out.csv", level="token")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").count("\n") > len(found) * 4
    found.save(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert len(arrays["target_value"]) == len(found)


def test_ledgers_are_saved_too(classifier, tmp_path):
    audited = ar.explain(classifier, TEXTS, audit=True, readouts=["layers"])
    audited.save(tmp_path / "out.parquet")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["ledger"]["value"] for row in rows] == pytest.approx([e.ledger.value for e in audited])
    audited.save(tmp_path / "out.jsonl")
    line = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert line["ledger"]["value"] == pytest.approx(audited[0].ledger.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"method": "cp_lrp"},
            "differ in method (attnlrp; cp_lrp), and a .parquet has one for all; write .jsonl, or a",
        ),
        ({"parameters": {"epsilon": 2.0}}, "differ in parameters ("),
        ({"rules": {"linear": "gamma"}}, "differ in rules ("),
        ({"model": "other"}, "differ in model ("),
        ({"weights_sha256": "0" * 64}, "differ in weights_sha256 ("),
        ({"labels": ("positive", "negative")}, "differ in labels ("),
        ({"readouts": {"layers": np.ones(3)}}, "differ in readouts (()"),
    ],
)
def test_a_table_is_of_one_model_and_method(found, tmp_path, change, said):
    """It says once for all rows what made them; .jsonl says it of each."""
    mixed = type(found)([*found, dataclasses.replace(found[0], **change)])
    for suffix in (".parquet", ".csv", ".npz"):
        path = tmp_path / f"out{suffix}"
        assert said.replace(".parquet", suffix) in refusal(mixed.save, path)
        assert not path.exists()
    mixed.save(tmp_path / "out.jsonl")
    *_, last = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert last == json.loads(json.dumps(mixed[-1].to_dict()))


def test_a_table_that_went_through_pandas(found, tmp_path):
    """It has floats for the spans beside nulls, and drops the metadata unless that is put back."""
    import pyarrow as pa

    found.save(tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    made = pa.Table.from_pandas(table.to_pandas())
    parquet.write_table(made, tmp_path / "bare.parquet")
    assert "which pandas and polars drop" in refusal(list, ar.read_results(tmp_path / "bare.parquet"))
    metadata = {**made.schema.metadata, **table.schema.metadata}
    parquet.write_table(made.replace_schema_metadata(metadata), tmp_path / "again.parquet")
    again = list(ar.read_results(tmp_path / "again.parquet"))
    assert [one["word_spans"] for one in again] == [e.to_dict()["word_spans"] for e in found]
    assert all(type(place) is int for one in again for span in one["word_spans"] if span for place in span)
    ar.save_report(again, tmp_path / "out.html")


def test_sums_and_copies_are_explanations(found):
    for made in (found + found[:1], found.copy(), found[:1] + list(found)):
        assert type(made) is type(found)
    assert list(found + found[:1]) == [*found, found[0]]


def test_what_cannot_be_saved(found, tmp_path):
    accepted = "accepted: .parquet, .jsonl, .csv, .npz, .html."
    assert refusal(found.save, tmp_path / "out.xlsx").endswith(f"cannot write .xlsx; {accepted}")
    assert refusal(found.save, tmp_path / "out").endswith(f"cannot write a name without suffix; {accepted}")
    assert "there are no explanations to save" in refusal(found[:0].save, tmp_path / "out.jsonl")
    assert "there is no directory" in refusal(found.save, tmp_path / "no" / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_as_list(found):
    e = found[0]
    assert e.as_list() == list(zip(e.words, e.word_relevance.tolist(), strict=True))
    assert e.as_list("token") == list(zip(e.tokens, e.token_relevance.tolist(), strict=True))
    assert refusal(e.as_list, "letter") == "level='letter' is unknown; accepted: word, token."
