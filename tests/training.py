"""A tiny task that can be learnt, encoders to begin with, and the train command in this process or in one of its own.

All runs share one model size and one length of batch, so that few programs are compiled.
"""

import contextlib
import io
import json
import random
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from models import VOCAB, random_params, tiny_config
from safetensors.numpy import load_file, save_file
from tensorboardX.proto.event_pb2 import Event, SessionLog

from autorel_jax.cli.train import main
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

ROOT = Path(__file__).parents[1]
WORDS = {  # label -> the words that tell it
    "negative": ["bad", "dull", "sad", "cold", "hate"],
    "neutral": ["long", "short", "street", "paper", "window"],
    "positive": ["good", "great", "funny", "bright", "love"],
}
LABELS = tuple(WORDS)
FILLERS = ["the", "of", "a", "this", "film", "movie", "story", "actor", "was", "is", "very"]
ROWS = {"train": 96, "dev": 48, "test": 24}
STEPS = 60  # 10 epochs of 6
SETTINGS = {
    "max_length": 16,  # training has no text of more than 8 tokens
    "batch_size": 16,
    "epochs": 10,
    "learning_rate": 1e-2,
    "evaluate_every": 20,
    "log_every": 7,
    "seed": 7,
}


def sentence(word, rng):
    """At most six words, eight tokens with [CLS] and [SEP]; `word` is one of them, unless it is None."""
    words = rng.choices(FILLERS, k=rng.randint(1, 5))
    if word:
        words.insert(rng.randint(0, len(words)), word)
    return " ".join(words)


def examples(split, labels=LABELS):
    """(text, label) rows of a split, as many of each label; those of test are longer than all others."""
    rng, more = random.Random(f"{split} {labels}"), "of the story" if split == "test" else ""
    rows = [labels[row % len(labels)] for row in range(ROWS[split])]
    return [(f"{more} {sentence(rng.choice(WORDS.get(label, [None])), rng)}".strip(), label) for label in rows]


def write_task(folder, **settings):
    """A folder with train.csv, dev.csv, test.csv and task.toml, whose model is the encoder beside the folder."""
    folder.mkdir(parents=True)
    for split in ROWS:
        rows = "".join(f"{text},{label}\n" for text, label in examples(split))
        (folder / f"{split}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return write_toml(folder, {"labels": list(LABELS)} | {split: f"{split}.csv" for split in ROWS}, **settings)


def write_lines(folder, rows_of, task, **settings):
    """The same with .jsonl files of (text, label) rows."""
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows_of(split)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return write_toml(folder, {split: f"{split}.jsonl" for split in ("train", "dev")} | task, **settings)


def write_toml(folder, task, **settings):
    values = {"model": "../encoder", **SETTINGS, **settings, "task": {"name": "tiny", **task}}
    (folder / "task.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    return folder / "task.toml"


def write_encoder(folder, pooler=True):
    """A BERT without a head, wide enough to learn, whose head is drawn so large that it learns fast."""
    tokenizer = load_tokenizer(VOCAB)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "max_position_embeddings": 16}
    config = tiny_config(vocab_size=tokenizer.max_id + 1, labels=(), initializer_range=0.2, **sizes)
    write(folder, config, random_params(config), tokenizer)
    if not pooler:
        kept = {name: value for name, value in tensors_of(folder).items() if "pooler" not in name}
        save_file(kept, folder / "model.safetensors")


def call(*arguments):
    """The command in this process: (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


def refused(*arguments):
    """The one line with which the command in this process refuses its arguments."""
    code, _, err = call(*arguments)
    assert code == 2, err
    *before, line = err.splitlines()
    assert not before
    assert line.startswith("autorel-train: error: ")
    return line.removeprefix("autorel-train: error: ")


def start(*arguments, **options):
    """The command as a user starts it, in a process of its own."""
    script = [sys.executable, "-W", "error", str(ROOT / "train.py"), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(script, text=True, **pipes, **options)


def finished(process):
    """(exit code, stdout, stderr) of a process."""
    with process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def weights_of(output):
    return (output / "model" / "model.safetensors").read_bytes()


def tensors_of(folder):
    return load_file(folder / "model.safetensors")


def metrics_of(output):
    """The lines of metrics.jsonl but for what was measured with a clock; a line that is no JSON fails."""

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line, parse_constant=no_constant) for line in lines]
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in found]


def events_of(output):
    """(tag, step) -> value, as TensorBoard shows the event files: a restart drops what comes after its step."""
    shown = {}
    for path in sorted((output / "tensorboard").iterdir()):
        for event in records(path.read_bytes()):
            if event.session_log.status == SessionLog.START:
                shown = {key: value for key, value in shown.items() if key[1] < event.step}
            for value in event.summary.value:
                assert (value.tag, event.step) not in shown
                shown[value.tag, event.step] = value.simple_value
    return shown


def records(data):
    """The events of a file; tensorboardX, whose protocol buffers these are, has no reader."""
    while len(data) >= 16:
        (size,) = struct.unpack("<Q", data[:8])
        event = Event()
        event.ParseFromString(data[12 : 12 + size])
        yield event
        data = data[16 + size :]


def assert_events_are_metrics(output):
    expected = {
        (f"{line.get('split', 'train')}/{name}", line["step"]): value
        for line in metrics_of(output)
        for name, value in line.items()
        if name not in ("step", "split")
    }
    found = {key: value for key, value in events_of(output).items() if key[0] != "train/tokens_per_second"}
    assert found == pytest.approx({key: np.float32(value) for key, value in expected.items()}, rel=0, abs=0)


def read_toml(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))
