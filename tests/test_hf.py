"""data/hf.py: data sets in the layout of the Hugging Face hub, from a folder that the tests write; no network."""

import json
import os
import pickle
import sys

import pyarrow
import pytest
from models import refusal
from pyarrow import parquet

from autorel_jax.cli.explain import input_corpus, main, parser
from autorel_jax.data import hf
from autorel_jax.data.row import Columns, Row
from autorel_jax.data.rows import read_hf
from autorel_jax.data.sources import is_source, open_corpus

CARD = """---
configs:
- config_name: sst
  data_files:
  - {split: train, path: sst/train-*}
  - {split: validation, path: sst/validation-*}
- config_name: dev
  data_files:
  - {split: validation, path: sst/validation-*}
dataset_info:
- config_name: sst
  features:
  - {name: sentence, dtype: string}
  - {name: other, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': negative, '1': positive}}}
  - {name: idx, dtype: int32}
---
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a data set with two configurations."""
    folder = tmp_path_factory.mktemp("hf") / "films"
    (folder / "sst").mkdir(parents=True)
    for split, count in (("train", 30), ("validation", 5)):
        columns = {
            "sentence": [f"{split} {n} good film" for n in range(count)],
            "other": [f"pair {n}" for n in range(count)],
            "label": [n % 2 for n in range(count)],
            "idx": pyarrow.array(range(count), pyarrow.int32()),
        }
        table = pyarrow.table(columns)
        for place in range(2):  # two files a split
            half = table.slice(place * count // 2, (place + 1) * count // 2 - place * count // 2)
            parquet.write_table(half, folder / "sst" / f"{split}-{place:05d}-of-00002.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets", reason="pip install 'autorel-jax[hf]'")


COLUMNS = Columns("sentence", "other", "label", "idx", ("idx", "label"))


def rows(name, split, columns=COLUMNS):
    return list(open_corpus([name], columns, split=split).rows())


def test_rows_of_a_split(datasets, folder):
    found = rows(f"hf:{folder}:sst", "validation")
    assert found == [
        Row(
            n,
            f"validation {n} good film",
            f"pair {n}",
            (("negative", "positive")[n % 2], f"id:{n % 2}"),
            kept=(n, ("negative", "positive")[n % 2]),
        )
        for n in range(5)
    ]
    assert (found[2].file, found[2].line) == (f"hf:{folder}:sst validation", 3)
    assert [row.text for row in rows(f"hf:{folder}:sst", "train")] == [f"train {n} good film" for n in range(30)]


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train[:3]", range(3)), ("train[28:]", range(28, 30)), ("train[14:17]", range(14, 17)), ("train[:]", range(30))],
)
def test_a_stretch_of_a_split(datasets, folder, split, expected):
    assert [row.kept[0] for row in rows(f"hf:{folder}:sst", split)] == list(expected)


def test_the_first_configuration_is_the_default(datasets, folder):
    assert rows(f"hf:{folder}", "validation") == rows(f"hf:{folder}:sst", "validation")


def test_rows_that_cannot_be_used(datasets, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "good", "n": 1}\n{"text": "", "n": 2}\n{"text": "bad", "n": 3}\n')
    good, empty, bad = rows(f"hf:{tmp_path}", "train", Columns(keep=("n",)))
    assert ((good.text, good.kept), (bad.text, bad.kept)) == (("good", (1,)), ("bad", (3,)))
    assert (empty.line, empty.reason) == (2, "the text is empty.")


def test_it_is_streamed(datasets, folder):
    """What follows the first rows may as well not be there."""
    broken = folder.parent / "broken"
    (broken / "data").mkdir(parents=True)
    (broken / "data" / "train-00000-of-00002.jsonl").write_text('{"text": "good"}\n' * 3)
    (broken / "data" / "train-00001-of-00002.jsonl").write_text('{"text": ')
    found = open_corpus([f"hf:{broken}"], split="train").rows()
    assert [next(found).text for _ in range(3)] == ["good"] * 3
    assert "train cannot be read: " in refusal(list, found)


def test_the_state_tells_another_version(datasets, folder):
    opened = open_corpus([f"hf:{folder}:sst"], COLUMNS, split="train")
    opened.check_unchanged()
    first = opened.state
    assert open_corpus([f"hf:{folder}:sst"], COLUMNS, split="train").state == json.loads(json.dumps(first))
    assert open_corpus([f"hf:{folder}:sst"], COLUMNS, split="validation").state != first
    path = next((folder / "sst").glob("train-*"))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 5))
    assert open_corpus([f"hf:{folder}:sst"], COLUMNS, split="train").state != first
    assert "sst changed while it was read; begin anew" in refusal(opened.check_unchanged)


def test_a_split_of_files_at_the_root(datasets, tmp_path):
    """Of which datasets' own keys are no strings; a job writes its state as JSON."""
    parquet.write_table(pyarrow.table({"text": ["a film"]}), tmp_path / "train.parquet")
    state = hf.state(hf.builder(str(tmp_path)))
    assert [type(split) for split in state[1]] == [str]
    assert json.loads(json.dumps(state))[1].keys() == {"train"}


@pytest.mark.parametrize(
    ("name", "split", "columns", "said"),
    [
        ("hf:{}:sst", None, COLUMNS, "needs --split NAME, for instance validation."),
        ("hf:{}:sst", "test", COLUMNS, ":sst cannot be read: "),
        ("hf:{}:sst", "train[", COLUMNS, "--split train[: expected a name, or a stretch of rows such as train[:1000]."),
        ("hf:{}:nope", "train", COLUMNS, "has no configuration 'nope'; give hf:{0}:CONFIG, CONFIG one of sst, dev."),
        ("hf:{}:sst", "train", Columns(), "has no column 'text'"),
        ("hf:{}/absent", "train", COLUMNS, "absent cannot be read: "),
        ("hf:nyu-mll/glue:sst2", "train", COLUMNS, "hf:nyu-mll/glue:sst2: the hub cannot be reached ("),
    ],
)
def test_what_is_not_there(datasets, folder, name, split, columns, said):
    assert said.format(folder) in refusal(open_corpus, [name.format(folder)], columns, split=split)


def test_several_configurations_without_a_default(datasets, folder, tmp_path):
    (tmp_path / "README.md").write_text(CARD.partition("dataset_info")[0] + "---\n")
    (tmp_path / "sst").symlink_to(folder / "sst")
    said = refusal(open_corpus, [f"hf:{tmp_path}"], COLUMNS, split="train")
    assert said == (
        f"hf:{tmp_path} has several configurations and no default; give hf:{tmp_path}:CONFIG, CONFIG one of sst, dev."
    )


def test_the_builder_is_made_once(datasets, folder, monkeypatch):
    made, builder = [], datasets.load_dataset_builder
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *names: made.append(names) or builder(*names))
    corpus = open_corpus([f"hf:{folder}:sst"], COLUMNS, split="validation")
    interleaved = list(zip(corpus.rows(), corpus.rows(), strict=True))
    assert [one.id for one, _ in interleaved] == [other.id for _, other in interleaved] == list(range(5))
    assert len(made) == 1


def test_a_builder_reads_the_same_in_another_process(datasets, folder):
    """As it goes to Ray's workers."""
    made = pickle.loads(pickle.dumps(hf.builder(f"{folder}:sst")))
    read = list(read_hf(made, f"{folder}:sst", "train[3:]", COLUMNS))
    assert read == rows(f"hf:{folder}:sst", "train[3:]")
    assert len(read) == 27


def test_the_command_reads_it(datasets, folder):
    arguments = [f"hf:{folder}:sst", "--split", "validation", "--text-column", "sentence", "--keep-columns", "idx"]
    found = list(input_corpus(parser().parse_args(arguments)).rows())
    assert [(row.text, row.kept) for row in found] == [(f"validation {n} good film", (n,)) for n in range(5)]


def test_without_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "datasets", None)  # an import of it fails
    assert is_source("hf:imdb")
    assert main(["hf:imdb", "--split", "test"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "hf:imdb needs Hugging Face's datasets (" in said
    assert said.endswith(": pip install 'autorel-jax[hf]'.")
