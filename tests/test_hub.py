"""Models by their name on the hub: from its cache, and from a local server that answers as the hub does."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from huggingface_hub import constants
from models import bert_tensors, refusal, save
from safetensors.numpy import save_file

from autorel_jax.weights import fingerprint, hub, read

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache, empty, and no connection."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def snapshot(cache, name="org/name", branch="main"):
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / branch).write_text(SHA)
    return folder / "snapshots" / SHA


@pytest.mark.parametrize("name", ["org/name", "bert-base-uncased"])
def test_a_cached_model_is_read_without_a_connection(cache, name):
    directory = save(snapshot(cache, name), bert_tensors())
    got = read(name)
    assert fingerprint(got.params) == fingerprint(read(directory).params)
    assert got.source == f"{name}@01234567/model.safetensors"
    assert got.directory == directory
    assert fingerprint(read(name, revision=SHA).params) == fingerprint(got.params)


def test_a_branch_is_read_from_the_cache(cache):
    directory = save(snapshot(cache, branch="v2"), bert_tensors())
    assert read("org/name", revision="v2").directory == directory
    assert "not in the cache." in refusal(read, "org/name")
    assert "at revision v3" in refusal(read, "org/name", revision="v3")


def test_the_base_of_an_adapter_is_read_at_its_revision(cache, tmp_path):
    """The branch v2 alone is in the cache; the adapter holds no factors, so that the base is what is read."""
    save(snapshot(cache, branch="v2"), bert_tensors())
    settings = {"peft_type": "LORA", "base_model_name_or_path": "org/name"}
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file({}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"revision": "v2"}))
    assert fingerprint(read(folder).params) == fingerprint(read("org/name", revision="v2").params)
    for other in ({"revision": "v3"}, {}):
        (folder / "adapter_config.json").write_text(json.dumps(settings | other))
        assert "is a LoRA adapter of org/name, which is not at hand" in refusal(read, folder)


def test_what_is_neither_local_nor_cached_is_refused_at_once(cache):
    started = time.perf_counter()
    message = refusal(read, "org/none")
    assert message.startswith("org/none is no local path, the hub did not deliver it (")
    assert time.perf_counter() - started < 5


def test_a_cached_model_without_weights_is_refused(cache):
    directory = save(snapshot(cache), {}, file="none")
    assert refusal(read, "org/name").startswith(f"{directory} holds no weights")


def test_a_local_directory_goes_before_the_hub(cache, tmp_path, monkeypatch):
    save(snapshot(cache), bert_tensors())
    local = save(tmp_path / "org/name", bert_tensors())
    monkeypatch.chdir(tmp_path)
    assert read("org/name").directory.resolve() == local


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["pytorch_model.bin", "model.safetensors", "tf_model.h5", "onnx/x.safetensors"],
            ["model.safetensors"],
        ),
        (["pytorch_model.bin", "flax_model.msgpack"], ["pytorch_model.bin"]),
        (["model.safetensors.index.json"], ["model.safetensors.index.json", "model-*.safetensors"]),
        (["bert_model.ckpt.index"], ["bert_model.ckpt.index", "bert_model.ckpt.data-*"]),
    ],
)
def test_one_kind_of_weights_is_downloaded(names, expected):
    assert hub.wanted(names, "org/name") == [*expected, *hub.SMALL_FILES]
    assert {"sentencepiece.bpe.model", "spm.model", "spiece.model", "vocab.json", "merges.txt"} <= {*hub.SMALL_FILES}


class Hub(http.server.BaseHTTPRequestHandler):
    """What huggingface_hub asks for: the model's files, their tree, and each file."""

    files: dict[str, bytes]
    served: list[str]

    def do_HEAD(self):
        self.reply(self.files.get(self.path.rpartition("/")[2]), body=False)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/org/none") or "/revision/none" in path:
            kind = "RevisionNotFound" if "/revision/" in path else "RepoNotFound"
            return self.reply(b"{}", 404, {"X-Error-Code": kind})
        if path.startswith("/api/models/org/gated"):
            return self.reply(b"{}", 403, {"X-Error-Code": "GatedRepo"})
        if "/tree/" in path:
            sizes = {name: len(content) for name, content in self.files.items()}
            tree = [{"type": "file", "path": p, "size": size, "oid": p} for p, size in sizes.items()]
            return self.reply(json.dumps(tree).encode())
        if path.startswith("/api/"):
            info = {"id": "org/name", "sha": SHA, "siblings": [{"rfilename": name} for name in self.files]}
            return self.reply(json.dumps(info).encode())
        self.served.append(path.rpartition("/")[2])
        return self.reply(self.files.get(path.rpartition("/")[2]))

    def reply(self, content, code=200, headers=None, body=True):
        self.send_response(code if content is not None else 404)
        known = {"Content-Length": len(content or b""), "X-Repo-Commit": SHA, "ETag": f'"{hash(content)}"'}
        for name, value in (known | (headers or {})).items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(content or b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    directory = save(tmp_path / "model", bert_tensors())
    (directory / "pytorch_model.bin").write_bytes(b"not needed")
    (directory / "README.md").write_bytes(b"not needed")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    handler = type("Handler", (Hub,), {"files": files, "served": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


SCRIPT = """
import sys
from autorel_jax.cli.command import run
from autorel_jax.weights import fingerprint, read
for name, revision in (("org/name", None), ("org/none", None), ("org/gated", None), ("org/name", "none")):
    run(lambda argv: print(fingerprint(read(name, revision=revision).params)), [], "test")
"""


def test_downloads_only_what_is_read_and_says_what_is_not_there(server, tmp_path):
    """In a process of its own: huggingface_hub reads the address when it is imported."""
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [fingerprint(read(tmp_path / "model").params)], done.stderr
    assert sorted(server.RequestHandlerClass.served) == ["config.json", "model.safetensors"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("test: error: ")]
    assert len(errors) == 3
    assert "org/none is neither a local path nor a public model" in errors[0]
    assert "org/gated is gated" in errors[1]
    assert "no revision 'none'" in errors[2]
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=offline, capture_output=True, text=True)
    assert done.stdout.split() == [fingerprint(read(tmp_path / "model").params)], done.stderr
