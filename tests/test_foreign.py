"""Strings of other people's files: none acts on a terminal, whatever the message; what cannot be used is refused."""

import ast
import json
import os
import sys
import threading

import pytest
import training
from models import write_model
from test_imports import PACKAGE

from autorel_jax.cli.main import main
from autorel_jax.errors import InputError, one_line
from autorel_jax.foreign import DEEPEST, PICTURES, fault_in, visible

# A title, a clear screen, a link, bold; C1's own CSI; a bell, a line that is drawn over, the order of letters reversed.
EVIL = "\x1b]0;owned\x07\x1b[2J\x1b]8;;http://evil\x1b\\x\x1b[1m\x9b2J\b\r\u202enext"
NAME = EVIL.replace("/", "").replace("\r", "")  # of a file
PRINTING = ("print", "sys.stderr.write", "sys.stdout.write")
ALLOWED = {"\n", "\r"}  # what a terminal's driver makes of a newline


@pytest.fixture
def terminal(monkeypatch):
    """Calls the command with a terminal as stdin, stdout and stderr: exit code, and what reached the terminal."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments):
        ours, theirs = os.openpty()
        found = []

        def read():
            with os.fdopen(ours, "rb", buffering=0) as stream:
                try:
                    while block := stream.read(2**16):
                        found.append(block)
                except OSError:  # the other side has been closed
                    pass

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8") as stream:
            assert stream.isatty()
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            code = main(list(map(str, arguments)))
        reader.join(10)
        return code, b"".join(found).decode()

    return call


def harmless(said):
    return {char for char in said if visible(char) != char} <= ALLOWED


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A folder whose name, files and labels are evil, with a model."""
    folder = tmp_path_factory.mktemp("evil") / NAME
    folder.mkdir()
    write_model(folder / "model", labels=(f"{EVIL}0", f"{EVIL}1", f"{EVIL}2"))
    rows = [{"text": EVIL}, {EVIL: 1}, {"text": ""}]
    (folder / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def test_explaining_is_harmless(evil, terminal):
    model = ("--model", evil / "model")
    for arguments in (
        ("a good film", EVIL.replace("/", "")),
        ("a good film", "--audit"),
        (evil / "in.jsonl",),
        (evil / "in.jsonl", "--output", evil / "out.jsonl"),
        (evil / "in.jsonl", "--output", evil / "out.html"),
    ):
        code, said = terminal("explain", *arguments, *model)
        assert (code, harmless(said)) == (0, True), repr(said)
        assert "␛]0;owned" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "a", "--model", EVIL),
        ("explain", "a", "--target", EVIL),
        ("explain", "a", "--contrast", EVIL, "1"),
        ("explain", "a", "--method", EVIL),
        ("explain", "a", "--set", f"{EVIL}=1"),
        ("explain", "a", "--readout", EVIL),
        ("explain", "a", "--device", EVIL),
        ("explain", "a", f"--{EVIL}"),
        ("explain", f"{NAME}.csv"),
        ("explain", f"{NAME}/"),
        ("explain", "FOLDER/in.jsonl", "--text-column", EVIL),
        ("explain", "FOLDER/in.jsonl", "--encoding", EVIL),
        ("explain", "FOLDER/in.jsonl", "--output", f"{NAME}.xlsx"),
        ("explain", "FOLDER/in.jsonl", "--output", "o.csv", "--columns", EVIL),
        ("explain", "FOLDER/in.jsonl", "--output", "o.csv", "--keep-columns", EVIL),
        ("explain", f"tfds:{EVIL}", "--split", EVIL),
        ("explain", "a", "--config", NAME),
        ("explain", "a", "--vocab", NAME),
        ("explain", "a", "--composite-file", NAME),
        ("convert", EVIL, "out"),
        ("convert", "FOLDER/model", "FOLDER/converted", "--labels", f"{EVIL},b"),
        ("export", "FOLDER/model", f"{NAME}/x.zip"),
        ("train", "--task", EVIL),
        ("train", "--config", NAME),
        ("train", "--config", "FOLDER/no.toml", "--model", EVIL),
        (EVIL,),
    ],
)
def test_refusals_are_harmless(evil, terminal, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    arguments = [str(one).replace("FOLDER", str(evil)) for one in arguments]
    if arguments[0] == "explain" and "--model" not in arguments:
        arguments += ["--model", str(evil / "model")]
    code, said = terminal(*arguments)
    assert code == 2
    assert harmless(said), repr(said)
    assert said.strip().splitlines()[-1].startswith("autorel")


def test_converting_and_exporting_is_harmless(evil, terminal):
    pytest.importorskip("flatbuffers")
    for arguments in (
        ("convert", evil / "model", evil / "converted"),
        ("export", evil / "model", evil / "model.zip"),
    ):
        code, said = terminal(*arguments)
        assert (code, harmless(said)) == (0, True), repr(said)
        assert said.count("␛]0;owned") >= 3


def test_training_is_harmless(terminal, tmp_path):
    folder = tmp_path / NAME
    labels = [f"{EVIL}{label}" for label in training.LABELS]
    folder.mkdir()
    training.write_encoder(folder / "encoder")
    rows = {split: training.examples(split, labels) for split in training.ROWS}
    config = training.write_lines(folder / "task", rows.get, {"labels": labels}, model="../encoder", epochs=1)
    code, said = terminal("train", "--config", config, "--output", folder / "run")
    said = said.replace("\x1b[A", "")  # tqdm's own
    assert (code, harmless(said)) == (0, True), repr(said)
    assert said.count("␛]0;owned") > 10


def test_all_messages_go_one_way():
    """What is printed passes through `visible`: in one place, and where Explanations are drawn."""
    printing = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING:
                printing.add(file.relative_to(PACKAGE).as_posix())
    assert printing == {"cli/command.py", "cli/main.py"}  # main prints its own help alone


def test_an_error_is_harmless_in_any_program():
    error = InputError(f"{EVIL}\nsecond line \ud800")
    assert harmless(str(error))
    assert "\n" not in str(error)
    assert str(InputError(str(error))) == str(error)


def test_visible():
    assert visible("a\x1b[2J\x9b\ud800\u202e é 中\u200f") == "a␛[2J��� é 中\u200f"
    assert all(visible(chr(code)) != chr(code) for code in PICTURES)


def nested(depth, inside=None):
    for _ in range(depth):
        inside = [inside] if depth % 2 else {"a": inside}
    return inside


def test_fault_in_a_value():
    assert fault_in({"a": [1, None, "é😀", {"b": ("x", 2.5)}]}) is None
    assert fault_in({"a": ["x\udc80"]}) == "the lone surrogate U+DC80 at character 1"
    assert fault_in({"\ud83d": 1}) == "the lone surrogate U+D83D at character 0"
    assert fault_in(nested(DEEPEST)) is None
    assert fault_in(nested(DEEPEST + 1)) == f"lists or objects nested deeper than {DEEPEST}"
    assert fault_in(nested(100_000)) == f"lists or objects nested deeper than {DEEPEST}"


def test_a_full_stop_is_a_text_of_its_own():
    """An error's last one is left out, as more follows it in a message; that of a text, or a word, is not."""
    assert one_line(ValueError("It failed.\nBadly.")) == "It failed"
    assert (one_line("."), one_line("It ended. "), one_line("...")) == (".", "It ended.", "...")
