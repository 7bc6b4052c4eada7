"""data/tfds.py: splits of a data set in TensorFlow Datasets' own format, which the tests write, without TensorFlow."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from autorel_jax.data.row import Columns
from autorel_jax.data.sources import open_corpus
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError

FILMS = TaskConfig(name="films", tfds="films", train="train", dev="test", text="sentence", labels=("bad", "good"))
WRITER = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class Films(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        f = tfds.features
        return tfds.core.DatasetInfo(builder=self, features=f.FeaturesDict({
            "sentence": f.Text(), "more": f.Text(), "idx": np.int32, "label": f.ClassLabel(names=["bad", "good"]),
            "tags": f.Sequence(f.ClassLabel(names=["long", "loud", "new"])), "score": np.float32, "ok": np.bool_,
            "number": np.int64, "rank": f.ClassLabel(names=["5", "1", "2.5"]),
            "raw": f.Tensor(shape=(), dtype=np.object_)}))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(0, 90), "test": self._generate_examples(90, 100),
                "hidden": self._generate_examples(100, 103)}

    def _generate_examples(self, start, end):
        for i in range(start, end):
            yield i, {"sentence": f"Grün {i}", "more": f"pair {i}", "idx": i, "label": -1 if i >= 100 else i % 2,
                      "tags": list(range(i % 4)), "score": i / 4, "ok": i % 2 == 1, "number": i % 3,
                      "rank": -1 if i >= 100 else i % 3, "raw": b"\\xff"}

Films(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A TFDS data folder with the data set films, as array_record."""
    # The second import, because the first one hides that a dependency of the package is missing.
    for module in ("tensorflow_datasets", "tensorflow_datasets.text", "array_record"):
        pytest.importorskip(module)  # pip install 'autorel-jax[tfds]'
    folder = tmp_path_factory.mktemp("tfds")
    # In a process of its own: here the data set shall be known from its files alone.
    subprocess.run([sys.executable, "-c", WRITER, str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def as_tfrecord(folder, tmp_path_factory):
    """The same examples, as TFRECORD: what TFDS writes unless it is told otherwise, and needs TensorFlow to write."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("films", data_dir=str(folder))
    there = tmp_path_factory.mktemp("tfrecord") / "films" / "1.0.0"
    there.mkdir(parents=True)
    for name, split in builder.info.splits.items():
        raw = builder.as_data_source(name, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        records = [struct.pack("<Q4x", len(record)) + bytes(record) + bytes(4) for record in raw]
        assert split.num_shards == 1
        (there / f"films-{name}.tfrecord-00000-of-00001").write_bytes(b"".join(records))
    info = json.loads((builder.data_path / "dataset_info.json").read_text())
    (there / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    for file in ("features.json", "label.labels.txt", "rank.labels.txt", "tags.labels.txt"):
        (there / file).write_text((builder.data_path / file).read_text())
    return there.parents[1]


def fails(message, task, folder, split="train"):
    with pytest.raises(InputError, match=message) as caught:
        read_split(task, split, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_fields(**fields):
    return TaskConfig(**{"tfds": "films", "train": "train", "text": "sentence"} | fields)


@pytest.fixture(params=["array_record", "tfrecord"])
def stored(request, folder):
    return folder if request.param == "array_record" else request.getfixturevalue("as_tfrecord")


def test_rows(stored):
    task = with_fields(pair="more", id="idx", labels=("bad", "good"))
    split = read_split(task, "train", stored)
    assert sorted(split.ids) == list(range(90))
    assert split.texts == [f"Grün {row}" for row in split.ids]
    assert split.pairs == [f"pair {row}" for row in split.ids]
    assert split.labels.dtype == np.int32
    assert split.labels.tolist() == [row % 2 for row in split.ids]
    assert len(read_split(FILMS, "dev", stored)) == 10


def test_parts_of_splits(stored):
    first, rest = (
        read_split(with_fields(train=part, id="idx", labels=("bad", "good")), "train", stored).ids
        for part in ("train[:30%]", "train[30%:]+test")
    )
    assert (len(first), len(rest)) == (27, 73)
    assert sorted(first + rest) == list(range(100))
    train, dev = (
        read_split(with_fields(dev_fraction=0.1, labels=("bad", "good")), name, stored) for name in ("train", "dev")
    )
    assert (len(train), len(dev)) == (81, 9)
    fails("films train.:0. is empty|train.:0. is empty", with_fields(train="train[:0]", labels=("bad", "good")), stored)


def test_other_kinds_of_labels(stored):
    task = with_fields(label="tags", id="idx", problem="multi_label_classification", labels=("new", "long", "loud"))
    split = read_split(task, "train", stored)
    assert split.labels.tolist() == [[float(tag < row % 4) for tag in (2, 0, 1)] for row in split.ids]
    task = with_fields(label="score", id="idx", problem="regression", labels=("score",))
    split = read_split(task, "train", stored)
    assert split.labels.tolist() == [row / 4 for row in split.ids]
    task = with_fields(label="ok", id="idx", labels=("no", "yes"), values=("false", "true"))
    split = read_split(task, "train", stored)
    assert split.labels.tolist() == [row % 2 for row in split.ids]


def test_names_of_labels(folder):
    settled = settle(with_fields(), folder)
    assert settled.labels == ("bad", "good")
    assert settle(with_fields(label="tags", problem="multi_label_classification"), folder).labels == (
        "long",
        "loud",
        "new",
    )
    assert settle(with_fields(label="number"), folder).labels == ("0", "1", "2")  # numbers without names
    by_name = with_fields(id="idx", labels=("good", "bad"))  # its names, in another order
    for task, flip in ((settled, 0), (by_name, 1)):
        split = read_split(TaskConfig(**vars(task) | {"id": "idx"}), "train", folder)
        assert split.labels.tolist() == [row % 2 ^ flip for row in split.ids]
    in_capitals = with_fields(id="idx", labels=("Good", "BAD"))  # by name all the same, not by order
    split = read_split(in_capitals, "train", folder)
    assert split.labels.tolist() == [1 - row % 2 for row in split.ids]
    renamed = with_fields(id="idx", labels=("fun", "dull"), values=("good", "bad"))
    assert read_split(renamed, "train", folder).labels.tolist() == [1 - row % 2 for row in split.ids]
    unnamed = with_fields(id="idx", labels=("LABEL_0", "LABEL_1"))  # names that say nothing: by number
    assert read_split(unnamed, "train", folder).labels.tolist() == [row % 2 for row in split.ids]
    for labels in (("dull", "fun"), ("positive", "negative"), ("Good", "dull"), ("0", "1 star"), ("a", "b", "c")):
        message = rf"films has the labels bad, good, the task {', '.join(labels)}: which is which is not certain"
        fails(message, with_fields(labels=labels), folder)


def test_a_regression_on_classes(folder):
    """By the number that the class's name is; its own number would be another."""
    rank = {"label": "rank", "problem": "regression", "labels": ("rank",)}
    split = read_split(with_fields(id="idx", **rank), "train", folder)
    assert split.labels.tolist() == [(5, 1, 2.5)[row % 3] for row in split.ids]
    fails("films hidden, row 1: the label is null; every row needs one", with_fields(train="hidden", **rank), folder)
    message = "films has the labels bad, good, which are not numbers; a regression needs numbers"
    fails(message, with_fields(problem="regression", labels=("label",)), folder)


def test_faulty_rows_and_names(folder):
    fails(
        "films hidden, row 1: the label '-1' is unknown; .*withheld",
        with_fields(train="hidden", labels=("bad", "good")),
        folder,
    )
    fails("films train, row 1: not utf-8", with_fields(text="raw", labels=("bad", "good")), folder)
    fails(
        "films train, row 1: 'number' is .*; a text is a string",
        with_fields(text="number", labels=("bad", "good")),
        folder,
    )
    fails(
        "films has no column 'sentences'; .* Did you mean 'sentence'",
        with_fields(text="sentences", labels=("bad", "good")),
        folder,
    )
    fails(
        "films has no split 'trian'; there are: train .90 rows., test .10 rows., hidden .3 rows., and parts",
        with_fields(train="trian", labels=("bad", "good")),
        folder,
    )
    with pytest.raises(InputError, match="no column 'stars'"):
        settle(with_fields(label="stars"), folder)


def test_a_file_that_is_cut_off(as_tfrecord, tmp_path):
    source = as_tfrecord / "films" / "1.0.0"
    there = tmp_path / "films" / "1.0.0"
    there.mkdir(parents=True)
    for file in source.iterdir():
        (there / file.name).write_bytes(file.read_bytes())
    shard = there / "films-train.tfrecord-00000-of-00001"
    for size in (-3, 5):
        shard.write_bytes(shard.read_bytes()[:size])
        fails("is cut off or no TFRECORD file", FILMS, tmp_path)
    shard.write_bytes(b"x" * 1000)
    fails("is cut off or no TFRECORD file", FILMS, tmp_path)
    shard.unlink()
    fails("films-train.tfrecord-00000-of-00001 cannot be read: No such file", FILMS, tmp_path)
    info = (there / "dataset_info.json").read_text()
    (there / "dataset_info.json").write_text(info.replace("tfrecord", "parquet"))
    fails("films is stored as parquet, .* Prepare it again: python -c", FILMS, tmp_path)


def test_a_split_as_a_corpus(stored):
    columns = Columns("sentence", pair="more", label="label", id="idx", keep=("score",))
    rows = list(open_corpus(["tfds:films"], columns, split="train[:10]", data_dir=stored).rows())
    assert len(rows) == 10
    for row in rows:
        assert (row.text, row.pair) == (f"Grün {row.id}", f"pair {row.id}")
        assert (row.label, row.kept) == ((("bad", "good")[row.id % 2], f"id:{row.id % 2}"), (row.id / 4,))
    assert [row.line for row in rows] == list(range(1, 11))
    for options, said in (
        ({"split": "dev"}, "films has no split 'dev'; there are: "),
        ({"split": "train", "columns": Columns("text")}, "films has no column 'text'"),
        ({"split": "train", "columns": columns, "name": "gleu"}, "there is no such data set"),
    ):
        name, chosen = options.get("name", "films"), options.get("columns", columns)
        with pytest.raises(InputError, match=said):
            list(open_corpus([f"tfds:{name}"], chosen, split=options["split"], data_dir=stored).rows())


# --- what is not there


def test_data_that_are_not_there(folder, capfd):
    for name in ("glue/sst2", "glue/qnli", "glue/mrpc", "imdb_reviews", "yelp_polarity_reviews", "ag_news_subset"):
        message = fails(f"^{name} is not in .*--data-dir", with_fields(tfds=name, labels=("bad", "good")), folder)
        assert f"t.builder('{name}', data_dir='{folder}', file_format='array_record')" in message
    output = capfd.readouterr()
    assert output.out + output.err == ""


def test_names_that_are_not_there(folder):
    fails("there is no such data set.* Did you mean glue", with_fields(tfds="gleu", labels=("bad", "good")), folder)
    fails("glue has no 'sst'; there are: cola, sst2", with_fields(tfds="glue/sst", labels=("bad", "good")), folder)
    fails("9.9.9", with_fields(tfds="glue/sst2:9.9.9", labels=("bad", "good")), folder)


@pytest.mark.parametrize("missing", ["tensorflow_datasets", "tensorflow_datasets.text"])
def test_without_the_package(missing, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, missing, None)
    fails(r"tfds = 'films' needs TensorFlow Datasets \(.*\): pip install 'autorel-jax\[tfds\]'", FILMS, tmp_path)


FRESH = """
import sys
from pathlib import Path
if sys.argv[2:]:
    sys.modules[sys.argv[2]] = None
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig
assert "tensorflow_datasets" not in sys.modules
folder = Path(sys.argv[1])
task = settle(TaskConfig(tfds="films", train="train", text="sentence"), folder)
print(len(read_split(task, "train", folder)), "tensorflow" in sys.modules)
"""


def read_in_a_fresh_process(folder, *missing):
    command = [sys.executable, "-c", FRESH, str(folder), *missing]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_tensorflow(stored):
    """Nor is the package imported before a data set is asked for."""
    done = read_in_a_fresh_process(stored)
    assert (done.stdout, done.stderr) == ("90 False\n", "")


def test_without_array_record(folder, as_tfrecord):
    assert read_in_a_fresh_process(as_tfrecord, "array_record").stdout == "90 False\n"
    last = read_in_a_fresh_process(folder, "array_record").stderr.splitlines()[-1]
    assert "InputError: films is stored as array_record (" in last
    assert last.endswith("pip install 'autorel-jax[tfds]'.")


def test_with_half_of_the_package(folder):
    *_, last = lines = read_in_a_fresh_process(folder, "toml").stderr.splitlines()
    assert "InputError: tfds = 'films' needs TensorFlow Datasets (" in last
    assert sum(line.startswith("Traceback") for line in lines) == 1  # ours alone: nothing is logged before
