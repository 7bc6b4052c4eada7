"""The directory that `weights.write` makes: read back equal, whole or absent, and nothing else deleted."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from models import random_params, refusal, save, tiny_config

from autorel_jax.errors import InputError
from autorel_jax.text.tokens import Tokenizer
from autorel_jax.weights import fingerprint, read, write

CONFIG = tiny_config()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("labels", [(), ("a",), ("nein", "jä")])
def test_what_is_written_is_read_back(tmp_path, dtype, labels):
    config = tiny_config(labels=labels, num_hidden_layers=1 + len(labels), hidden_act="gelu_new")
    params = random_params(config)
    write(tmp_path / "out", config, params, dtype=dtype)
    got = read(tmp_path / "out")
    assert got.config == dataclasses.replace(config, problem_type=config.problem if len(labels) > 1 else None)
    assert (got.ignored, got.warnings) == ((), ())
    rounded = jax.tree.map(lambda leaf: leaf.astype(dtype).astype(np.float32), params)
    jax.tree.map(np.testing.assert_array_equal, got.params, rounded)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").stat().st_mode == tmp_path_mode(tmp_path)
    assert (tmp_path / "out/model.safetensors").stat().st_mode == (tmp_path / "out/config.json").stat().st_mode


def tmp_path_mode(parent):
    """The mode that a new folder gets here."""
    (parent / "new").mkdir()
    mode = (parent / "new").stat().st_mode
    (parent / "new").rmdir()
    return mode


def test_jax_arrays_are_written_too(tmp_path):
    params = random_params(CONFIG)
    write(tmp_path / "out", CONFIG, jax.tree.map(jax.numpy.asarray, params))
    assert fingerprint(read(tmp_path / "out").params) == fingerprint(params)


class FakeTokenizer:
    max_id = 59
    misfits = Tokenizer.misfits

    def save(self, directory, positions):
        (directory / "vocab.txt").write_text("[PAD]\n")


class FullDisk(FakeTokenizer):
    def save(self, directory, positions):
        raise OSError(28, "No space left on device")


class Interrupted(FakeTokenizer):
    def save(self, directory, positions):
        raise KeyboardInterrupt


def test_nothing_is_overwritten_without_force(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    write(target, CONFIG, random_params(CONFIG), FakeTokenizer())  # an empty folder is no harm
    before = fingerprint(read(target).params)
    assert "is not empty" in refusal(write, target, CONFIG, random_params(CONFIG, seed=1))
    assert fingerprint(read(target).params) == before
    write(target, CONFIG, random_params(CONFIG, seed=1), force=True)
    assert fingerprint(read(target).params) == fingerprint(random_params(CONFIG, seed=1))
    assert not (target / "vocab.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def forbid(self, *args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbid)
    message = refusal(write, tmp_path / "out", CONFIG, random_params(CONFIG))
    assert message == f"{tmp_path}/out cannot be written: Permission denied."


@pytest.mark.parametrize("tokenizer", [FullDisk(), Interrupted()])
@pytest.mark.parametrize("force", [False, True])
def test_a_failure_leaves_everything_as_it_was(tmp_path, tokenizer, force):
    target = tmp_path / "out"
    if force:
        write(target, CONFIG, random_params(CONFIG))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        write(target, CONFIG, random_params(CONFIG, seed=1), tokenizer, force=force)
    if caught.type is InputError:
        assert str(caught.value) == f"{target} cannot be written: No space left on device."
    assert sorted(tmp_path.rglob("*")) == before
    if force:
        assert fingerprint(read(target).params) == fingerprint(random_params(CONFIG))


def test_the_old_directory_survives_a_failed_renaming(tmp_path, monkeypatch):
    target = tmp_path / "out"
    write(target, CONFIG, random_params(CONFIG))
    rename = Path.rename

    def fail(self, new):
        if new == target and not self.name.endswith(".old"):
            raise OSError(5, "Input/output error")
        return rename(self, new)

    monkeypatch.setattr(Path, "rename", fail)
    assert "Input/output error" in refusal(write, target, CONFIG, random_params(CONFIG, seed=1), force=True)
    assert fingerprint(read(target).params) == fingerprint(random_params(CONFIG))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_deletes_nothing_but_a_model_directory(tmp_path):
    params = random_params(CONFIG)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.tex").touch()
    assert "holds no model's config.json" in refusal(write, tmp_path / "thesis", CONFIG, params, force=True)
    save(tmp_path / "clone", {})
    (tmp_path / "clone/.git").mkdir()
    assert "holds the folder .git" in refusal(write, tmp_path / "clone", CONFIG, params, force=True)
    (tmp_path / "file").touch()
    assert "is a file" in refusal(write, tmp_path / "file", CONFIG, params, force=True)
    assert "does not exist" in refusal(write, tmp_path / "none/out", CONFIG, params)
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted(
        ["thesis", "thesis.tex", "clone", "config.json", "model.safetensors", ".git", "file"]
    )


def test_a_directory_is_replaced_behind_a_link(tmp_path):
    write(tmp_path / "real", CONFIG, random_params(CONFIG))
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", CONFIG, random_params(CONFIG, seed=1), force=True)
    assert (tmp_path / "link").is_symlink()
    assert fingerprint(read(tmp_path / "real").params) == fingerprint(random_params(CONFIG, seed=1))


def test_what_cannot_be_written_is_refused(tmp_path):
    params = random_params(CONFIG)
    assert "int4" in refusal(write, tmp_path / "out", CONFIG, params, dtype="int4")
    params["pooler"]["kernel"][0, 0] = 7e4
    assert "bert.pooler.dense.weight" in refusal(write, tmp_path / "out", CONFIG, params, dtype="float16")
    large = FakeTokenizer()
    large.max_id = 60
    assert "embeds 60 tokens (vocab_size)" in refusal(write, tmp_path / "out", CONFIG, params, large)
    assert list(tmp_path.iterdir()) == []
