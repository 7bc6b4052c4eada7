"""Files of settings and names that no program would write: each is refused in one line, before it takes memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from models import little_memory, refusal, tiny_config
from msgpack import packb

from autorel_jax.cli.main import main
from autorel_jax.data.lines import check_encoding
from autorel_jax.data.row import Columns
from autorel_jax.files import LARGEST_SETTINGS, read_json, read_toml
from autorel_jax.model.config_file import config_json, read_model_config
from autorel_jax.weights.directory import check_target
from autorel_jax.weights.files import read_tensors

ROOT = Path(__file__).parents[1]
DEEP = "[" * 900 + "]" * 900
BAD = os.fsdecode(b"caf\xe9")  # no UTF-8
VALUES = {
    "list": "[]",
    "object": "{}",
    "text": '"x"',
    "negative": "-1",
    "beyond int32": "1" * 30,
    "not finite": "NaN",
    "infinite": "1e999",
    "nested deep": DEEP,
    "5,000 digits": "9" * 5000,
    "half a surrogate": '"\\ud83d"',
    "lists in lists": "[[1]]",
}
UNREAD = VALUES.keys() - {"nested deep", "5,000 digits", "half a surrogate"}  # of a key that nobody reads
HARMLESS = {  # what a key may be beside what it should be; the rest is refused
    "architectures": {"list", "object"},
    "label2id": UNREAD,
    "num_labels": UNREAD,  # id2label goes first
    "pad_token_id": {"negative", "beyond int32", "not finite", "infinite"},  # BERT's positions do not depend on it
    "initializer_range": {"beyond int32"},
    "layer_norm_eps": {"beyond int32"},
}


@pytest.fixture
def config(tmp_path):
    """Reads the config of a tiny model with another value, which is a piece of JSON."""
    raw = config_json(tiny_config(labels=("a", "b")))

    def read(key, value):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(raw | {key: "@"}).replace('"@"', value))
        return read_model_config(path)[0]

    return read


@pytest.mark.parametrize("key", [*config_json(tiny_config(labels=("a", "b"))), "num_labels", "classifier_dropout"])
def test_values_of_a_config(config, key):
    for name, value in VALUES.items():
        if name in HARMLESS.get(key, ()):
            config(key, value)
        else:
            said = refusal(config, key, value)
            assert "config.json" in said, name
            assert len(said) < 500, name


def test_whole_numbers_are_floats_where_those_are_meant(config):
    found = config("layer_norm_eps", "10000000000")
    assert (type(found.layer_norm_eps), found.layer_norm_eps) == (float, 1e10)
    assert repr(config("hidden_dropout_prob", "0").hidden_dropout_prob) == "0.0"


def test_sizes_are_looked_at_before_memory_is_taken(config, tmp_path):
    raw = config_json(tiny_config()) | {"num_labels": 10**9, "id2label": None}
    (tmp_path / "many.json").write_text(json.dumps(raw))
    with little_memory():
        assert "num_labels=1000000000: expected no more than 1048576" in refusal(
            read_model_config, tmp_path / "many.json"
        )
        assert "num_hidden_layers=1000000000 in the model's config: expected no more than 4096" in refusal(
            config, "num_hidden_layers", "1000000000"
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "holds a JSON list; expected an object"),
        (b"{", "is not a JSON file that can be read: Expecting property name"),
        (b'{"a": "\xff"}', "is not a JSON file that can be read: 'utf-8' codec"),
        (b'{"a": ' + DEEP.encode() + b"}", "has lists or objects nested deeper than 100"),
        (b'{"a": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "it is nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b'{"\\udc80": 1}', "has the lone surrogate U+DC80"),
    ],
)
def test_json_that_no_program_writes(tmp_path, content, said):
    (tmp_path / "a.json").write_bytes(content)
    assert said in refusal(read_json, tmp_path / "a.json")


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_what_is_no_file_of_settings(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as stream:
        stream.truncate(LARGEST_SETTINGS + 1)
    for name, said in (
        ("pipe", "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
        ("large", f"it has more than {LARGEST_SETTINGS} bytes"),
        (".", "Is a directory"),
        ("absent", "does not exist"),
        ("a\0b", "embedded null byte"),
    ):
        assert said in refusal(read, tmp_path / name)
    (tmp_path / "deep").write_text("a = " + "[" * 5000)
    refusal(read, tmp_path / "deep")


@pytest.mark.parametrize("flag", ["--config", "--composite-file"])
def test_a_pipe_is_no_config(model_folder, tmp_path, capsys, flag):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero"):
        assert main(["explain", "a", "--model", str(model_folder), flag, str(name)]) == 2
        assert "it is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize("tree", [{1: 2}, {None: 1}, {b"a": 1}, {"params": {2: 3}}, [1], "a", {"a": [1]}])
def test_msgpack_of_something_else(tmp_path, tree):
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(packb(tree))
    assert str(path) in refusal(read_tensors, path)


# Names.


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000, "undefined", "base64", "rot13", ""])
def test_names_that_are_no_encoding(name):
    assert "Unknown encoding" in refusal(check_encoding, name)


def test_names_of_columns_and_labels_are_text(model_folder, tmp_path, capsys):
    for made in ({"text": BAD}, {"id": BAD}, {"keep": ("a", BAD)}):
        assert "The name of the column 'caf\\udce9' has the lone surrogate U+DCE9" in refusal(Columns, **made)
    assert main(["convert", str(model_folder), str(tmp_path / "out"), "--labels", f"{BAD},b,c"]) == 2
    assert "the label 'caf\\udce9' has the lone surrogate U+DCE9 at character 3" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_nul_in_the_name_of_an_output(model_folder, capsys):
    assert "holds a NUL character" in refusal(check_target, Path("a\0b"))
    for name in ("a\0b.jsonl", "a\0b.html"):
        assert main(["explain", "a", "--model", str(model_folder), "--output", name]) == 2
        assert "holds a NUL character" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".npz", ".html"])
def test_names_of_files_that_are_not_utf_8(model_folder, tmp_path, suffix, capsys):
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path / BAD
    folder.mkdir()
    (folder / f"{BAD}.jsonl").write_text('{"text": "good"}\n')
    with open(folder / f"{BAD}.parquet", "wb") as stream:
        parquet.write_table(pyarrow.table({"text": ["bad"]}), stream)
    output = folder / f"out{BAD}{suffix}"
    assert main(["explain", f"{folder}/", "--model", str(model_folder), "--output", str(output)]) == 0
    assert output.stat().st_size > 0
    assert "2 rows read = 2 explained + 0 left out" in capsys.readouterr().err


# Interrupts.

INTERRUPTED = """
import os, signal, sys

class At:
    def find_spec(self, name, *_):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, At())
from autorel_jax.cli.start import explain
explain()
"""


@pytest.mark.parametrize(
    "module", ["autorel_jax.cli.explain", "numpy", "jaxlib", "jaxlib._jax", "flax", "autorel_jax.explaining.compute"]
)
def test_an_interrupt_during_imports(module):
    code = INTERRUPTED.replace("MODULE", repr(module))
    done = subprocess.run([sys.executable, "-c", code, "a"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")
