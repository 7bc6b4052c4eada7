"""Files -> tensors: formats, shards, which file of a directory is read, and every refusal; no PyTorch."""

import json
import re
import shutil

import flax.serialization
import jax
import ml_dtypes
import numpy as np
import pytest
from models import bert_tensors, refusal, save, tiny_config
from safetensors.numpy import load_file, save_file

from autorel_jax.weights import fingerprint, read, tf_checkpoint
from autorel_jax.weights.files import choose, locate
from autorel_jax.weights.params import to_params

CONFIG = tiny_config(problem_type="single_label_classification")
POOLER = "bert.pooler.dense.weight"
FIRST = "model-00001-of-00002.safetensors"


def params_of(tensors):
    return to_params(dict(tensors), CONFIG, "here.bin").params


def headless():
    return bert_tensors(tiny_config(labels=()))


def flat(tree):
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def flax_tree(tensors):
    """As transformers' flax_model.msgpack: kernels are [in, out], LayerNorms have a scale."""
    tree = {}
    for name, values in tensors.items():
        module, part = name.rsplit(".", 1)
        if part == "weight":
            kind = "scale" if "LayerNorm" in module else "embedding" if "embeddings" in module else "kernel"
            part, values = kind, values.T if kind == "kernel" else values
        place = tree
        for parent in module.split("."):
            place = place.setdefault(parent, {})
        place[part] = values
    return tree


def test_reads_safetensors_shards_and_flax_alike(tmp_path):
    tensors = bert_tensors()
    one = save(tmp_path / "one", tensors)
    flax_directory = save(tmp_path / "flax", {}, file="flax_model.msgpack")
    whole = flax.serialization.msgpack_serialize(flax_tree(tensors))
    (flax_directory / "flax_model.msgpack").write_bytes(whole)
    for path in (one, one / "model.safetensors", sharded(tmp_path / "sharded", tensors), flax_directory):
        got = read(str(path))
        jax.tree.map(np.testing.assert_array_equal, got.params, params_of(tensors))
        assert got.config == CONFIG
        assert got.directory == (path if path.is_dir() else path.parent)
        assert fingerprint(got.params) == fingerprint(params_of(tensors))


def sharded(directory, tensors):
    """Two shards and their index."""
    save(directory, {}, file="none")
    weight_map = {name: f"model-{1 + i % 2:05}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for shard in set(weight_map.values()):
        save_file({name: v for name, v in tensors.items() if weight_map[name] == shard}, directory / shard)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return directory


def test_types_that_numpy_lacks_are_named(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    save(tmp_path, bert_tensors())
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    assert "holds tensors of the type float8_e4m3fn, which are quantized; accepted: " in refusal(read, tmp_path)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_reads_half_precision_safetensors(tmp_path, dtype):
    tensors = {name: values.astype(dtype) for name, values in bert_tensors().items()}
    got = read(save(tmp_path / "half", tensors)).params
    jax.tree.map(np.testing.assert_array_equal, got, params_of(tensors))


def edit_index(**changes):
    def change(directory):
        path = directory / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": json.loads(path.read_text())["weight_map"] | changes}))

    return change


BAD_SHARDS = {
    "missing": (lambda d: (d / FIRST).unlink(), [FIRST, "not in its folder"]),
    "traversal": (edit_index(x="../model.safetensors"), ["index.json", "'../model.safetensors'"]),
    "absolute": (edit_index(x="/etc/passwd"), ["index.json", "'/etc/passwd'"]),
    "backslash": (edit_index(x="..\\model.safetensors"), ["plain file name"]),
    "number": (edit_index(x=3), ["index.json", "3"]),
    "itself": (edit_index(x="model.safetensors.index.json"), ["neither .safetensors nor .bin"]),
    "absent tensor": (edit_index(x=FIRST), [FIRST, "lacks the tensor x"]),
    "no json": (lambda d: (d / "model.safetensors.index.json").write_text("{"), ["index.json", "weight_map"]),
    "a list": (lambda d: (d / "model.safetensors.index.json").write_text("[]"), ["index.json", "weight_map"]),
    "doubled": (
        lambda d: shutil.copy(d / FIRST, d / FIRST.replace("-00001", "-00002")),
        ["lacks the tensor"],
    ),
}


@pytest.mark.parametrize("case", BAD_SHARDS)
def test_bad_shards_are_refused_by_name(tmp_path, case):
    change, expected = BAD_SHARDS[case]
    directory = sharded(tmp_path / "model", bert_tensors())
    change(directory)
    message = refusal(read, directory)
    assert all(part in message for part in expected), message


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    directory = sharded(tmp_path / "model", bert_tensors())
    save_file(load_file(directory / FIRST) | {POOLER: np.ones((16, 16), np.float32)}, directory / FIRST)
    assert POOLER in refusal(read, directory)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "flax_model.msgpack", "pytorch_model.bin", "model.safetensors.index.json"]
)
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"<html></html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_garbage_is_refused_by_file(tmp_path, file, content):
    directory = save(tmp_path / "model", {}, file="none")
    (directory / file).write_bytes(content)
    assert str(directory / file) in refusal(read, directory)


@pytest.mark.parametrize("keep", [4, 8, 200, -1])
def test_truncated_files_are_refused_by_file(tmp_path, keep):
    directory = save(tmp_path / "model", bert_tensors())
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert str(path) in refusal(read, directory)
    path.unlink()
    whole = flax.serialization.msgpack_serialize(flax_tree(bert_tensors()))
    (directory / "flax_model.msgpack").write_bytes(whole[:keep])
    assert "flax_model.msgpack" in refusal(read, directory)


def test_a_flax_file_holds_arrays_only(tmp_path):
    directory = save(tmp_path / "model", {}, file="none")
    (directory / "flax_model.msgpack").write_bytes(flax.serialization.msgpack_serialize({"a": {"b": "text"}}))
    assert "a/b is a str" in refusal(read, directory)


ORDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "flax_model.msgpack",
    "bert_model.ckpt.index",
    "mine.safetensors",
    "mine.bin",
    "mine.pt",
    "mine.pth",
    "mine.msgpack",
    "model.ckpt-343.index",
)


def test_the_order_in_which_files_are_preferred():
    for i, name in enumerate(ORDER):
        assert choose(reversed(ORDER[i:]), "here") == name
    assert choose(["training_args.bin", "optimizer.pt", "mine.pt"], "here") == "mine.pt"
    assert "a.bin, b.bin" in refusal(choose, ["b.bin", "a.bin"], "here")
    assert "here holds no weights" in refusal(choose, ["training_args.bin", "README.md"], "here")


def test_a_tensorflow_checkpoint_is_found_by_prefix_index_or_directory(tmp_path):
    for name in (
        "bert_model.ckpt.index",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_config.json",
        "vocab.txt",
    ):
        (tmp_path / name).touch()
    expected = (tmp_path / "bert_model.ckpt", tmp_path / "bert_config.json", tmp_path, None)
    for path in (tmp_path, *(tmp_path / name for name in ("bert_model.ckpt", "bert_model.ckpt.index"))):
        assert locate(path) == expected
    assert locate(tmp_path / "bert_model.ckpt.data-00000-of-00001") == expected
    assert locate(tmp_path / "bert_model") is None


def test_reads_google_s_release(tmp_path, monkeypatch):
    """The names of its tensors; that of the file format is tested in test_tf_checkpoint.py."""
    tensors = {
        re.sub(r"layer/(\d+)", r"layer_\1", name)
        .replace("LayerNorm/scale", "LayerNorm/gamma")
        .replace("LayerNorm/bias", "LayerNorm/beta")
        .removesuffix("/embedding"): values
        for name, values in flat(flax_tree(headless())).items()
    }
    tensors |= {"global_step": np.array(1), "cls/seq_relationship/output_bias": np.ones(2)}
    save(tmp_path, {}, tiny_config(labels=()), file="none")
    (tmp_path / "config.json").rename(tmp_path / "bert_config.json")
    (tmp_path / "bert_model.ckpt.index").touch()
    monkeypatch.setattr(tf_checkpoint, "read_tf", lambda prefix: tensors)
    got = read(tmp_path / "bert_model.ckpt")
    want = to_params(headless(), tiny_config(labels=()), "here").params
    jax.tree.map(np.testing.assert_array_equal, got.params, want)
    assert got.ignored == ("global_step", "cls/seq_relationship/output_bias")


def test_config_and_vocabulary_may_stand_in_another_folder(tmp_path):
    """As with the original BERT_LRP: a state dict alone, bert_config.json and vocab.txt elsewhere."""
    tensors = bert_tensors(prefix="module.bert.", head="module.")
    weights = save(tmp_path / "run", tensors) / "model.safetensors"
    config = (tmp_path / "run/config.json").rename(save(tmp_path / "base", {}, file="none") / "bert_config.json")
    assert "bert_config.json" in refusal(read, weights)
    (tmp_path / "base/vocab.txt").touch()
    assert read(weights, config=config).directory == tmp_path / "base"
    (tmp_path / "run/vocab.txt").touch()
    assert read(weights, config=config).directory == tmp_path / "run"
    assert "nothere.json does not exist" in refusal(read, weights, config=tmp_path / "nothere.json")


@pytest.mark.parametrize(
    "path", ["./none", "/nowhere/model", "a/b/c", "~/none/x", "model.bin", "", "org/", "x\0y", "é/b"]
)
def test_what_looks_like_a_path_must_exist(path):
    assert "no such directory or file" in refusal(read, path)


def test_a_missing_folder_below_a_local_one_is_no_hub_name(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "no such directory" in refusal(read, "models/bert")


def test_a_revision_is_for_the_hub(tmp_path):
    assert "revision 'v1'" in refusal(read, save(tmp_path / "model", bert_tensors()), revision="v1")
