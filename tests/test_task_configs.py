"""configs/*.toml: each is found, read and complete, and fits the real files that it is for."""

import dataclasses
import re
import tomllib

import numpy as np
import pytest

from autorel_jax.data import presets
from autorel_jax.data.presets import named
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.tables import TABLE_FORMATS, read_table
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError
from autorel_jax.training.config import TrainConfig, convert, read_train_config
from autorel_jax.training.metrics import selector

# Task -> the rows of each label, in the order of the labels, of each file that its config names.
ROWS = {
    "SST2": {"train": [25195, 32188], "dev": [608, 634]},
    "SST5": {
        "train": [893, 1808, 1363, 1903, 1070],
        "dev": [54, 140, 94, 154, 58],
        "test": [145, 269, 165, 262, 160],
    },
    "SST3": {"train": [2701, 1363, 2973], "test": [414, 165, 422]},
    "SemEval": {"train": [7711, 22151, 19608], "test": [3972, 5937, 2375]},
    "IMDb": {"train": [999, 1001], "test": [992, 1008]},
    "Yelp2": {"train": [916, 882], "test": [762, 782]},
    "Yelp5": {"train": [200] * 5, "test": [200] * 5},
    "QNLI": {"train": [5027, 4972], "dev": [2702, 2761]},
    "MRPC": {"train": [1191, 2467], "dev": [71, 148], "test": [274, 573]},
    "RTE": {"train": [1249, 1241], "dev": [146, 131]},
    "CoLA": {"train": [2528, 6023], "dev": [322, 721]},
    "AGNews": {"train": [1259, 1257, 1280, 1203], "test": [1900] * 4},
    "SNLI": {"train": [3326, 3322, 3349], "dev": [660, 672, 668], "test": [689, 649, 663]},
}
OTHERS = {  # Task -> a piece of a file of its format; the data are on no machine of ours
    "CoNLL2003": "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nParis NNP I-NP I-LOC\n. . O O\n",
    "SQuAD": '{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "A good film.", "qas": ['
    '{"id": "q", "question": "What is good?", "answers": [{"text": "film", "answer_start": 7}]}]}]}]}',
}
QUOTED = ("SST3", "QNLI", "MRPC", "RTE", "SNLI")  # .tsv files that a csv writer wrote


def config_of(name):
    values = read_train_config(named(name))
    return TrainConfig(**values | {"task": TaskConfig(**values["task"])})


# --- finding them


def test_a_name_in_any_case():
    assert named("SST5").name == named("sst5").name == "sst5.toml"
    with pytest.raises(InputError, match=r"no task 'SST4'; there are: agnews, .*sst5.*yelp5. Did you mean sst"):
        named("SST4")
    with pytest.raises(InputError, match="no task 'example'"):  # it is to be copied
        named("example")


def test_an_installation_comes_before_a_checkout(tmp_path, monkeypatch):
    folders = (tmp_path / "installed", tmp_path / "checkout")
    monkeypatch.setattr(presets, "FOLDERS", folders)
    with pytest.raises(InputError, match="no task 'a'; there are: none"):
        named("a")
    for folder in reversed(folders):
        folder.mkdir()
        (folder / "a.toml").touch()
        assert named("A") == folder / "a.toml"


# --- what they say


def test_every_task_has_a_config():
    there = {path.stem for path in named("sst5").parent.glob("*.toml")}
    assert there == {name.lower() for name in (*ROWS, *OTHERS)} | {presets.TEMPLATE}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_the_format(name, tmp_path):
    """Read by the config as it is: words with tags, or answers in contexts."""
    task = config_of(name).task
    for split in ("train", "dev"):
        (tmp_path / getattr(task, split)).write_text(OTHERS[name])
    task = settle(task, tmp_path)
    read = read_split(task, "dev", tmp_path)
    if name == "SQuAD":
        assert (read.texts, read.pairs) == (["What is good?"], ["A good film."])
        assert read.labels.tolist() == [((7, 11),)]
    else:
        assert task.labels == ("I-LOC", "I-ORG", "O")
        assert read.texts == [("EU", "rejects"), ("Paris", ".")]
        assert [labels.tolist() for labels in read.labels] == [[1, 2], [0, 2]]


@pytest.mark.parametrize("name", [*ROWS, *OTHERS])
def test_config(name):
    config = config_of(name)
    assert config.task.name == name
    assert name in OTHERS or len(config.task.labels) == len(ROWS[name]["train"])
    assert config.task.dev or config.task.dev_fraction
    assert config.max_length <= 512  # as many positions as BERT has
    assert selector(config.select, config.task.problem)
    head = named(name).read_text().splitlines()[:6]
    command = f"#   python train.py --config configs/{name.lower()}.toml --model MODEL --data-dir DATA/{name} --output "
    assert any(line.startswith(command) for line in head)
    assert any(line.startswith("# Measured: ") for line in head)


def test_the_example_shows_every_key():
    text = (named("sst5").parent / "example.toml").read_text()
    task = text.split("[task]\n")[1]
    shown = re.findall(r"^(?:# )?(\w+ = .*)$", task, re.MULTILINE)
    assert {line.split(" = ")[0] for line in shown} == {field.name for field in dataclasses.fields(TaskConfig)}
    for line in shown:
        convert(TaskConfig, tomllib.loads(line), line)
    assert set(re.findall(r"^#   (\w+)  +\w", task, re.MULTILINE)) == set(TABLE_FORMATS)


def test_the_example_works_as_it_is(tmp_path):
    values = read_train_config(named("sst5").parent / "example.toml")
    task = TaskConfig(**values["task"])
    for file in (task.train, task.dev, task.test):
        (tmp_path / file).write_text("text,label\nA fine film.,positive\nA bad one.,0\n")
    for name in ("train", "dev", "test"):
        assert read_split(task, name, tmp_path).labels.tolist() == [1, 0]


# --- the real files


@pytest.mark.shared
@pytest.mark.parametrize("name", ROWS)
def test_real_files(shared, name):
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"the shared data {name} are not on this machine")
    task = config_of(name).task
    whole = dataclasses.replace(task, dev_fraction=0)
    for split, rows in ROWS[name].items():
        read = read_split(whole, split, folder)
        assert np.bincount(read.labels, minlength=len(task.labels)).tolist() == rows
        assert (read.pairs is None) == (task.pair is None)
        assert all(text.strip() for text in read.texts + (read.pairs or []))
        if name in QUOTED:
            strict = read_split(dataclasses.replace(whole, format="tsv_quoted"), split, folder)
            assert (strict.texts, strict.pairs) == (read.texts, read.pairs)
    unnamed = settle(dataclasses.replace(task, labels=(), values=()), folder)
    assert unnamed.labels == (task.values or tuple(map(str, range(len(task.labels)))))


@pytest.mark.shared
def test_real_hold_outs(shared):
    folder = shared / "data" / "SST3"
    if not folder.is_dir():
        pytest.skip("the shared data SST3 are not on this machine")
    task = config_of("SST3").task
    train, dev = (read_split(task, name, folder) for name in ("train", "dev"))
    assert len(train) + len(dev) == sum(ROWS["SST3"]["train"])
    assert abs(len(dev) / len(train) - 1 / 9) < 0.01
    assert not set(train.texts) & set(dev.texts)


@pytest.mark.shared
def test_raw_lines_are_not_unquoted(shared):
    """In GLUE's files a quote is a character, and a trailing space stays."""
    path = shared / "data" / "SST2" / "train.tsv"
    if not path.is_file():
        pytest.skip("the shared data SST2 are not on this machine")
    raw = [record.values for record in read_table(path, "tsv_raw", ("sentence",), (), "utf-8")]
    with path.open(encoding="utf-8", newline="") as stream:
        assert [text for (text,) in raw] == [line.split("\t")[0] for line in stream][1:]
