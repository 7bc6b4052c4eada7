"""Safe writing: a file or folder is there as a whole or not at all, and a fault of the disk is one line."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest
from models import refusal
from test_checkpoint import no_file_larger_than

from autorel_jax.errors import InputError
from autorel_jax.files import LONGEST_NAME, append, disk_faults, locked, new_file, new_folder, new_text, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["a.txt", "a" * 255, "é" * 127])  # 255 bytes is what systems allow
def test_a_file_is_replaced_at_the_end(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    path.chmod(0o640)
    with new_text(path) as stream:
        stream.write("new")
        assert path.read_text() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert names(tmp_path) == [name]


def test_a_link_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_it_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: [calls.append("fsync"), fsync(file)])
    monkeypatch.setattr(os, "replace", lambda *pair: [calls.append("replace"), replace(*pair)])
    write_text(tmp_path / "a", "text")
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError, OSError])
def test_an_exception_of_the_block_changes_nothing(tmp_path, error):
    """Nor is it changed: an OSError may be of a file that is read."""
    path = tmp_path / "a"
    path.write_text("old")

    def fail(opened):
        with opened(path) as draft:
            (draft.write_text if opened is new_file else draft.write)("new")
            raise error

    for opened in (new_text, new_file):
        with pytest.raises(error):
            fail(opened)
        assert (path.read_text(), names(tmp_path)) == ("old", ["a"])


def test_a_full_disk(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with no_file_larger_than(10):
        assert refusal(write_text, path, "x" * 100_000) == f"{path} cannot be written: File too large."
        assert refusal(write_text, path, "x" * 11) == f"{path} cannot be written: File too large."
    assert (path.read_text(), names(tmp_path)) == ("old", ["a"])


def test_a_write_in_parts(tmp_path):
    with open(tmp_path / "a", "ab", buffering=0) as file:

        class Halves:
            def write(self, data):
                return file.write(data[: len(data) // 2 + 1])

        append(Halves(), b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_the_faults_of_a_library(tmp_path):
    with pytest.raises(InputError) as caught, disk_faults("a", KeyError, RuntimeError):
        raise RuntimeError("no room.\nmore")
    assert str(caught.value) == "a cannot be written: no room."
    with pytest.raises(RuntimeError), disk_faults("a"):
        raise RuntimeError
    with pytest.raises(BrokenPipeError), disk_faults("a"):
        raise BrokenPipeError


def test_a_folder_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "folder"
    for text in ("old", "new"):
        with new_folder(path) as draft:
            (draft / text).touch()
    assert (names(path), names(tmp_path)) == (["new"], ["folder"])

    def cut_off():
        with new_folder(path) as draft:
            (draft / "part").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert (names(path), names(tmp_path)) == (["new"], ["folder"])


@pytest.mark.parametrize("name", [".", "lock"])
def test_a_lock_keeps_other_processes_out(tmp_path, name):
    path = tmp_path / name
    other = (
        "import sys; from pathlib import Path; from autorel_jax.files import locked\n"
        "with locked(Path(sys.argv[1]), 'in use'): pass"
    )

    def tried():
        return subprocess.run([sys.executable, "-c", other, path], capture_output=True, text=True).stderr

    with locked(path, "in use"):
        assert refusal(locked(path, "in use.").__enter__) == "in use."
        assert tried().endswith("InputError: in use\n")
    assert tried() == ""


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    with locked(tmp_path, "in use", required=False):
        pass
    said = refusal(locked(tmp_path / "lock", "in use").__enter__)
    assert said == f"{tmp_path}/lock cannot be locked: No locks available; use another file system."


def test_the_longest_name_leaves_room():
    assert LONGEST_NAME + len(".") + len(".12345678") + len(".old") <= 255
