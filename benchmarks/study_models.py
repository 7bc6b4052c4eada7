"""Models of the study: the built-in one, fine-tuned, and new ones of another family. Used by study.py."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from study_page import ROOT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from autorel_jax.builtin import BUILTIN
from autorel_jax.cli.main import main as autorel
from autorel_jax.model.config_file import parse_config
from autorel_jax.model.encoder import init
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights.directory import write

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # with ids from 0


def call(command: str, *words: Any) -> None:
    """Runs `autorel`, and ends where it fails."""
    if code := autorel([command, *map(str, words)]):
        raise SystemExit(code)


def fine_tune(model: Mapping[str, Any], data: Path, results: Path) -> None:
    """Trains a model, unless it is there."""
    run = trained(model["name"], results).parent
    if as_asked(run, model):
        return
    if asked_file(run).exists():
        raise SystemExit(f"{run} was trained as study.toml had it before; remove it, and it is trained anew.")
    data = data / model["data"]
    start = untrained(model, data, results) if "architecture" in model else BUILTIN
    config = ROOT / "configs" / model["config"]
    flags = ["--config", config, "--model", start, "--data-dir", data, "--output", run, "--resume", *model["flags"]]
    call("train", *flags)
    asked_file(run).write_text(json.dumps(model), encoding="utf-8")


def trained(name: str, results: Path) -> Path:
    """The directory of a model that was trained."""
    return results / "models" / name / "model"


def asked_file(made: Path) -> Path:
    """The file beside what was made that says what was asked for."""
    return made.with_suffix(".asked")


def as_asked(made: Path, asked_now: Any) -> bool:
    """Whether it was made, and as study.toml asks for it."""
    asked = asked_file(made)
    return made.exists() and asked.exists() and json.loads(asked.read_text("utf-8")) == asked_now


def untrained(model: Mapping[str, Any], data: Path, results: Path) -> Path:
    """The directory of a new model, with a tokenizer of its training texts."""
    directory, config = results / "models" / f"{model['name']}-untrained", parse_config(model["architecture"])
    pieces = directory.with_name(f"{model['name']}-tokenizer")
    pieces.mkdir(parents=True, exist_ok=True)
    byte_pairs(texts(data / "train.tsv"), config.vocab_size).save(str(pieces / "tokenizer.json"))
    tokenizer = load_tokenizer(pieces, None, config.family)
    write(directory, config, init(config, jax.random.key(0)), tokenizer, force=True)
    return directory


def texts(file: Path) -> Iterator[str]:
    """The sentences of a table."""
    with file.open(encoding="utf-8", newline="") as rows:
        yield from (row["sentence"] for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))


def byte_pairs(sentences: Iterator[str], size: int) -> Tokenizer:
    """A tokenizer like ModernBERT's, byte-level BPE of `size` pieces."""
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=letters, show_progress=False
    )
    made.train_from_iterator(sentences, trainer)
    ends = [(name, SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return made
