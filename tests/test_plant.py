"""Planted shortcuts: what is planted where, how it is measured, and the command from a task to the methods."""

import json

import numpy as np
import pytest
import training
from models import refusal

from autorel_jax.cli.main import main
from autorel_jax.faithfulness.curves import Scored
from autorel_jax.faithfulness.shortcuts import (
    CONTEXT,
    PAIR,
    SINGLE,
    WORDS,
    check_words,
    found_first,
    planted,
    with_a_part,
    with_shortcut,
)

TEXT = "a b c d"
ZERO, ONE, CONTEXTA = WORDS


@pytest.mark.parametrize(("kind", "label"), [(kind, label) for kind in (SINGLE, PAIR, CONTEXT) for label in (0, 1)])
def test_what_is_planted(kind, label):
    rng, places = np.random.default_rng(0), set()
    for _ in range(200):
        one = with_shortcut(TEXT, label, kind, WORDS, rng)
        assert [word for word, mark in zip(one.words, one.marks, strict=True) if not mark] == TEXT.split()
        new = [word for word, mark in zip(one.words, one.marks, strict=True) if mark]
        if kind == SINGLE:
            assert new == [WORDS[label]]
        elif kind == PAIR:
            assert new == ([ZERO, ONE], [ONE, ZERO])[label]
        else:
            assert sorted(new) == sorted([WORDS[label], CONTEXTA])
        assert one.label == label
        places |= {place for place, mark in enumerate(one.marks) if mark}
    assert places == set(range(len(one.words)))  # anywhere
    if kind != SINGLE:
        part = with_a_part(TEXT, label, kind, WORDS, rng)
        assert [word for word in part if word in WORDS] == [WORDS[label]]


def test_a_training_file():
    texts, labels = [TEXT] * 4000, [2] * 4000
    made = list(planted(texts, labels, PAIR, WORDS, share=0.5, seed=1))
    assert made == list(planted(texts, labels, PAIR, WORDS, share=0.5, seed=1))
    count = [sum(word in WORDS for word in one.words) for one in made]
    shares = [count.count(number) / len(made) for number in range(3)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.03)
    for one, number in zip(made, count, strict=True):
        assert sum(one.marks) == (2 if number == 2 else 0)
        assert (one.label == 2) == (number < 2)  # others keep theirs
    of_planted = [one.label for one, number in zip(made, count, strict=True) if number == 2]
    assert np.mean(of_planted) == pytest.approx(0.5, abs=0.05)
    single = list(planted(texts[:100], labels[:100], SINGLE, WORDS, share=1, seed=1))
    assert all(sum(one.marks) == 1 for one in single)


def test_how_it_is_measured():
    marks = np.array([0, 1, 0, 1.0])

    def found(scores, **more):
        given = {"right": True, "marks": marks} | more
        with pytest.raises(StopIteration) as end:
            next(found_first(Scored(np.array(scores, float), np.linspace(0, 1, 4), **given)))
        return end.value.value

    assert found([0, 3, 0, 2]) == {"precision": 1, "rank": 1.5, "share": 1}
    assert found([1, -4, 2, 3]) == {"precision": 0.5, "rank": 2.5, "share": 0.7}
    assert found([0, 0, 0, 0])["share"] == 0
    assert found([0, 3, 0, 2], right=False) == found([0, 3, 0, 2], marks=None) == {}


def test_words_that_cannot_be_planted():
    assert "three different words" in refusal(check_words, ["a", "b"], [])
    assert "three different words" in refusal(check_words, ["a", "b b", "c"], [])
    assert "three different words" in refusal(check_words, ["a", "A", "c"], [])
    assert "'c' is in a text already" in refusal(check_words, ["x", "y", "c"], [TEXT])
    assert "'however' is in a text already" in refusal(check_words, ["x", "however", "z"], ["However, it is good"])
    assert "'<x>' is in a text already" in refusal(check_words, ["<x>", "y", "z"], ["a <X> b"])
    assert "'x-y' is in a text already" in refusal(check_words, ["X-Y", "y", "z"], ["a (x-y), b"])
    check_words(["art", "y", "z"], ["a party"])


def test_what_the_command_refuses(tmp_path, capsys):
    training.write_encoder(tmp_path / "encoder")
    config = training.write_task(tmp_path / "task")
    for more, said in (
        ([], "--output DIR is missing"),
        (["--output", str(tmp_path / "x"), "--words", "film,y,z"], "'film' is in a text already"),
        (["--finish", str(tmp_path / "x")], "--finish is of autorel train"),
        (["--output", str(tmp_path / "x"), "--share", "2"], "at most 1"),
        (["--output", str(tmp_path / "x"), "--methods", "lrp"], "Unknown method"),
    ):
        assert main(["plant", "--config", str(config), *more]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SINGLE, CONTEXT])
def test_from_a_task_to_the_methods(kind, tmp_path, capsys):
    """The model learns it, and a method that looks at the model finds the planted word where random does not."""
    training.write_encoder(tmp_path / "encoder")
    config = training.write_task(tmp_path / "task")
    output = tmp_path / "out"
    command = ["plant", "--config", str(config), "--output", str(output), "--kind", kind, "--epochs", "40"]
    command += ["--words", "garden,river,bridge", "--methods", "attnlrp,occlusion", "--test-texts", "40"]
    assert main(command) == 0
    out = capsys.readouterr().out
    record = json.loads((output / "planted.json").read_text())
    found = {(row["method"], row["measure"]): row["over_texts"] for row in record["results"]}
    assert record["planted"]["followed"] > (0.9 if kind == SINGLE else 0.7)  # of three labels, from 96 rows
    assert f"The model follows the shortcut in {record['planted']['followed']:.1%}" in out
    assert found["occlusion", "precision"]["mean"] > found["random", "precision"]["high"]
    assert found["occlusion", "rank"]["mean"] < found["random", "rank"]["low"]
    assert (record["planted"]["followed_a_part"] is None) == (kind == SINGLE)
    rows = [json.loads(line) for line in (output / "data" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == training.ROWS["train"]
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    for more in (["--kind", PAIR], ["--share", "0.7"], ["--seed", "5"], ["--words", "x,y,z"]):
        assert main([*command, "--resume", *more]) == 2
        assert "with another --kind, --words, --share or --seed" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
