"""The classifier that comes with the package: what no --model and `load()` mean."""

import fnmatch
import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import autorel_jax as ar
from autorel_jax.builtin import BUILTIN
from autorel_jax.cli.explain import main

ROOT = Path(__file__).parents[1]
SENTENCES = [
    ("a warm, funny and deeply moving film.", "positive"),
    ("one of the best films of the year.", "positive"),
    ("the acting is superb.", "positive"),
    ("a dull, lifeless mess.", "negative"),
    ("not worth your time or money.", "negative"),
    ("the jokes fall flat.", "negative"),
]


@pytest.fixture(scope="module")
def explanations():
    return ar.explain(ar.load(), [text for text, _ in SENTENCES])


def test_it_knows_good_from_bad(explanations):
    assert [found.prediction.label for found in explanations] == [label for _, label in SENTENCES]
    assert {found.model for found in explanations} == {"built-in sst2-minilm"}


def test_the_words_that_decide_are_those_that_tell(explanations):
    """In each of these sentences one word carries the sentiment, and it is among the three highest."""
    for found, told in zip(explanations, ("moving", "best", "superb", "dull", "not", "flat"), strict=True):
        order = np.argsort(-found.word_relevance)
        assert told in [found.words[place].strip(".,") for place in order[:3]], found.words


def test_the_command_needs_no_model(capsys):
    assert main(["a warm, funny film."]) == 0
    captured = capsys.readouterr()
    assert "positive" in captured.out
    assert "autorel-explain: built-in sst2-minilm: 6 layers of width 384, labels negative, positive" in captured.err


def test_it_is_float16_and_all_of_it_is_packaged():
    tensors = load_file(BUILTIN / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["autorel_jax.builtin"]
    for path in BUILTIN.iterdir():
        name = str(path.relative_to(BUILTIN.parent))
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


def test_its_card_says_where_it_comes_from():
    card = (BUILTIN / "README.md").read_text("utf-8")
    for said in ("all-MiniLM-L6-v2", "Apache-2.0", "Stanford Sentiment Treebank", "accuracy", "--config configs/sst2"):
        assert said in card
