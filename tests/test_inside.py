"""corpus/nested.py: ledgers, read-outs and diagnostics in every format of output, against what .jsonl says."""

import csv
import json

import numpy as np
import pyarrow
import pytest
from explanations import explanation
from models import refusal
from pyarrow import parquet
from sentences import lines

import autorel_jax as ar
from autorel_jax.corpus.contents import Contents
from autorel_jax.corpus.formats import FORMATS, Parquet, groups
from autorel_jax.corpus.job import explain_corpus
from autorel_jax.corpus.nested import BY_TEXT, DEPTHS, LEDGER, SHOWN_IN, SUMS, WITH_INSIDE, offsets
from autorel_jax.data.row import Row
from autorel_jax.data.sources import open_corpus
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.lrp.taps import READOUTS
from autorel_jax.report.json_values import plain
from autorel_jax.report.ledger import Ledger
from autorel_jax.report.readout_shapes import CHOICES

LAYERS, HEADS, STRONGEST = 3, 2, 4
DIAGNOSTICS = {"convergence_delta": 0.25, "steps": 50.0}


def made_up(number, text, audit=True, names=READOUTS):
    """An explanation of that text with random numbers inside."""
    rng = np.random.default_rng(number)
    made = explanation(text)
    tokens = len(made.tokens)
    shapes = {
        "positions": (tokens,),
        "segments": (tokens,),
        "layers": (LAYERS + 1, tokens),
        "attention": (LAYERS, tokens),
        "heads": (LAYERS, HEADS, tokens),
        "neuron_relevance": (LAYERS, STRONGEST),
    }
    found = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items() if name in names}
    if "neurons" in names:
        found["neurons"] = rng.integers(0, 50, (LAYERS, STRONGEST), np.int32)
        found["neuron_relevance"] = rng.standard_normal((LAYERS, STRONGEST), np.float32)
    kept = {item: rng.standard_normal(LAYERS + 2, np.float32) for item in ("linear.bias", "softmax")}
    ledger = Ledger(1.5, *rng.standard_normal(4).tolist(), kept) if audit else None
    return Row(number, text, None, None), explanation(text, id=number, ledger=ledger, readouts=found)


@pytest.fixture
def parts():
    """Five texts in parts of two, none, and three."""
    made = [made_up(number, text) for number, text in enumerate(lines(5))]
    return [made[:2], [], made[2:]]


def written(parts, output, **choice):
    """The output of parts."""
    made, paths = FORMATS[output.suffix](Contents(**choice)), []
    for number, pairs in enumerate(parts):
        paths.append(output.with_name(f"{number}{output.suffix}"))
        made.write(paths[-1], pairs)
    with output.open("wb") as target:
        made.merge(paths, target)
    return output


ASKED = {"audit": True, "readouts": READOUTS}


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_parquet_nests_them(parts, tmp_path):
    expected = read_jsonl(written(parts, tmp_path / "out.jsonl", **ASKED))
    table = parquet.read_table(written(parts, tmp_path / "out.parquet", **ASKED))
    assert table.num_rows == len(expected) == 5
    heads = pyarrow.list_(pyarrow.list_(pyarrow.list_(pyarrow.float32())))
    assert table.schema.field("readouts").type.field("heads").type == heads
    for row, made in zip(table.to_pylist(), expected, strict=True):
        assert row["readouts"] == made["readouts"]
        ledger, absorbed = row["ledger"], {}
        for entry in ledger.pop("absorbed"):
            assert entry["layer"] == len(absorbed.setdefault(entry["item"], []))
            absorbed[entry["item"]].append(entry["value"])
        assert ledger | {"absorbed": absorbed} == made["ledger"]
        assert row["diagnostics"] == []


def test_npz_has_arrays_of_them(parts, tmp_path):
    expected = read_jsonl(written(parts, tmp_path / "out.jsonl", **ASKED))
    with np.load(written(parts, tmp_path / "out.npz", **ASKED)) as found:
        arrays = dict(found)
    for name in SUMS:
        assert arrays[f"ledger_{name}"].tolist() == [row["ledger"][name] for row in expected]
    for item in expected[0]["ledger"]["absorbed"]:
        assert arrays[f"ledger_absorbed_{item}"].tolist() == [row["ledger"]["absorbed"][item] for row in expected]
    for name in expected[0]["readouts"]:
        array = arrays[f"readouts_{name}"]
        if name in BY_TEXT:
            assert array.tolist() == [row["readouts"][name] for row in expected]
            continue
        starts = arrays[f"readouts_{name}_offsets"]
        assert starts.tolist() == arrays["tokens_offsets"].tolist()
        for row, start, end in zip(expected, starts[:-1], starts[1:], strict=True):
            np.testing.assert_array_equal(np.moveaxis(array[start:end], 0, -1), np.float32(row["readouts"][name]))


def test_only_what_was_asked_for_is_there(tmp_path):
    parts = [[made_up(1, "a good film", audit=False, names=("layers",))]]
    (row,) = parquet.read_table(written(parts, tmp_path / "out.parquet", readouts=["layers"])).to_pylist()
    assert row["ledger"] is None
    assert {name for name, value in row["readouts"].items() if value is not None} == {"layers"}
    with np.load(written(parts, tmp_path / "out.npz", readouts=["layers"])) as found:
        assert [name for name in found if "_layers" in name] == ["readouts_layers_offsets", "readouts_layers"]
        assert not [name for name in found if "ledger" in name or "heads" in name or "diagnostics" in name]


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_an_output_without_rows(tmp_path, suffix):
    """A shard may have none."""
    output = written([], tmp_path / f"out{suffix}", **ASKED)
    if suffix == ".parquet":
        assert parquet.read_table(output).num_rows == 0
    else:
        with np.load(output) as found:
            assert (found["id"].shape, found["tokens_offsets"].tolist()) == ((0,), [0])


def test_diagnostics_of_a_method(tmp_path):
    pairs = [(Row(n, text, None, None), explanation(text, diagnostics=DIAGNOSTICS)) for n, text in enumerate(lines(3))]
    parts = [pairs[:1], pairs[1:]]
    table = parquet.read_table(written(parts, tmp_path / "out.parquet", columns=("diagnostics",)))
    found = [{one["name"]: one["value"] for one in row} for row in table["diagnostics"].to_pylist()]
    assert found == [DIAGNOSTICS] * 3
    with np.load(written(parts, tmp_path / "out.npz")) as arrays:
        for name, value in DIAGNOSTICS.items():
            assert arrays[f"diagnostics_{name}"].tolist() == [value] * 3
    with written(parts, tmp_path / "out.csv", columns=("word", "diagnostics")).open(newline="") as stream:
        assert {row["diagnostics"] for row in csv.DictReader(stream)} == {json.dumps(DIAGNOSTICS)}


@pytest.mark.parametrize(
    ("suffix", "choice", "said"),
    [
        (".csv", {"audit": True}, "--audit: this kind of output has no ledger; use .parquet, .jsonl, .npz, .html"),
        (".csv", {"readouts": ("heads",)}, "--readout: this kind of output has no readouts; use .parquet"),
        (".parquet", {"audit": True, "columns": ("id",)}, "--audit: --columns leaves out what it asks for; add ledger"),
        (".jsonl", {**ASKED, "columns": ("ledger",)}, "--columns leaves out what it asks for; add readouts."),
        (".npz", {**ASKED, "columns": ("readouts",)}, "--columns leaves out what it asks for; add ledger."),
    ],
)
def test_nothing_that_was_asked_for_is_dropped(suffix, choice, said):
    assert said in refusal(FORMATS[suffix], Contents(**choice))


def test_every_read_out_has_a_depth():
    assert set(READOUTS) <= set(DEPTHS)


def test_the_read_outs_that_are_shown_are_those_that_are_read():
    """report/readout_shapes.py names them without JAX."""
    assert CHOICES == READOUTS


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("asked", [{"audit": True}, {"readouts": READOUTS}], ids=str)
def test_formats_that_hold_it(suffix, asked):
    if suffix in WITH_INSIDE:
        FORMATS[suffix](Contents(**asked))
    else:
        accepted = SHOWN_IN[LEDGER if "audit" in asked else "readouts"]
        assert f"use {', '.join(accepted)}." in refusal(FORMATS[suffix], Contents(**asked))


@pytest.mark.parametrize("name", ["n_lengths", "n_offsets", "ledger_value", "readouts_x", "diagnostics_steps"])
def test_names_of_arrays_are_not_those_of_kept_columns(name):
    said = refusal(FORMATS[".npz"], Contents(kept=("url", name)))
    assert said.startswith(f"--keep-columns {name}: in .npz, names that begin with ledger_, readouts_, diagnostics_ or")
    assert FORMATS[".parquet"](Contents(kept=("url", name))).kept == ("url", name)


@pytest.mark.slow
def test_a_corpus_and_a_run_that_is_continued(classifier, tmp_path, monkeypatch):
    asked = {**ASKED, "neurons": 3, "batch_size": 4, "target": "all"}
    explainer = Explainer(classifier, ar.ExplainConfig(**asked))
    (tmp_path / "in.txt").write_text("\n".join(lines(5)))
    corpus = open_corpus([str(tmp_path / "in.txt")])
    whole = tmp_path / "whole.parquet"
    explain_corpus(explainer, corpus, whole, part_rows=2)
    rows = parquet.read_table(whole).to_pylist()
    for row, made in zip(rows, ar.explain(classifier, lines(5), **asked), strict=True):
        assert row["ledger"]["conclusion"] == made.ledger.conclusion
        assert np.shape(row["readouts"]["heads"]) == made.readouts["heads"].shape
    write, done = Parquet.write, []

    def killed(self, path, pairs):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        write(self, path, pairs)

    monkeypatch.setattr(Parquet, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        explain_corpus(explainer, corpus, tmp_path / "out.parquet", part_rows=2)
    monkeypatch.setattr(Parquet, "write", write)
    explain_corpus(explainer, corpus, tmp_path / "out.parquet", part_rows=2)
    assert (tmp_path / "out.parquet").read_bytes() == whole.read_bytes()


def test_groups_of_rows_stay_small(monkeypatch):
    tables = [pyarrow.table({"x": np.zeros(100)}) for _ in range(6)]
    monkeypatch.setattr("autorel_jax.corpus.formats.GROUP_BYTES", 1500)
    assert [len(group) for group in groups(iter(tables))] == [2, 2, 2]


def test_more_numbers_than_arrow_counts_are_refused():
    assert offsets([2, 0, 3]).tolist() == [0, 2, 2, 5]
    assert "has 2147483648 numbers in one column; use fewer --part-rows." in refusal(offsets, [2**30, 2**30])


def test_numbers_that_are_not_finite_are_missing():
    assert plain(np.array([[1.0, np.nan], [np.inf, 2.0]])) == [[1.0, None], [None, 2.0]]
    assert plain({"a": (np.float32("nan").item(), "x", 1, True, None)}) == {"a": [None, "x", 1, True, None]}
