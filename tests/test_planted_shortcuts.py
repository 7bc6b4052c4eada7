"""Models that were trained on planted words, and their twins: what `autorel shortcuts` lists of both. Minutes each.

A model counts as planted where it follows what is planted as `autorel plant` asks: it is given more texts until it
does. The twin learns the same texts without what is planted, and is asked about the planted ones: there the words go
with the label as much, but it does not decide by them.
"""

import json
import random

import numpy as np
import pytest
import training

import autorel_jax as ar
from autorel_jax.cli.main import main
from autorel_jax.cli.plant import FOLLOWED, LED, label_shares
from autorel_jax.faithfulness.shortcuts import PAIR, SINGLE, planted, with_a_part, with_shortcut

PLANTED = ("garden", "river", "bridge")  # of the vocabulary, and in no text; the third is for another kind
LABELS = ("negative", "positive")
TEXTS = {SINGLE: 400, PAIR: 2000}  # to begin with; order is harder to learn
MOST = 8000
TESTED = 400
FIRST = 5


def examples(count, seed):
    """(text, label) rows whose last words tell it: most have one word of a label, others two and one of the other."""
    rng = random.Random(seed)
    for row in range(count):
        label, other = LABELS[row % 2], LABELS[1 - row % 2]
        telling = [label, other, label] if rng.random() < 0.2 else [label]
        words = rng.choices(training.FILLERS, k=rng.randint(3, 6))
        for one in telling:
            words.insert(rng.randint(0, len(words)), rng.choice(training.WORDS[one]))
        yield " ".join(words), label


def with_words(rows, kind, seed):
    """The rows with what is planted, and labels that follow it."""
    texts, labels = zip(*rows, strict=True)
    numbers = [LABELS.index(label) for label in labels]
    found = planted(texts, numbers, kind, PLANTED, 0.5, seed)
    return [(" ".join(one.words), LABELS[one.label]) for one in found]


def trained(folder, rows, dev, seed):
    """The directory of a model that learnt the rows."""
    task, rows_of = {"labels": list(LABELS)}, {"train": rows, "dev": dev}
    config = training.write_lines(folder, rows_of.__getitem__, task, epochs=15, seed=seed, evaluate_every=250)
    code, _, err = training.call("--config", config, "--output", folder / "run")
    assert code == 0, err
    return folder / "run" / "model"


def follower(folder, kind, seed):
    """A model that follows what is planted, and the rows that it learnt, before and after."""
    dev = with_words(examples(100, seed + 100), kind, seed + 100)
    count = TEXTS[kind]
    while count <= MOST:
        rows = list(examples(count, seed))
        new = with_words(rows, kind, seed)
        model = trained(folder / str(count), new, dev, seed)
        followed, led, opposed = following(ar.load(model), kind, seed)
        if followed >= FOLLOWED and led - opposed <= LED:
            return model, rows, new
        count *= 2
    pytest.fail(f"no model follows it: {followed:.0%}, and {led:.0%} follow a part of it")


def following(classifier, kind, seed):
    """The shares of new texts in which a model follows what is planted, a part of it alone, and not this part."""
    rng = np.random.default_rng([seed, TESTED])
    texts = [text for text, _ in examples(TESTED, seed + 200)]
    labels = rng.integers(2, size=TESTED).tolist()
    whole = [with_shortcut(*one, kind, PLANTED, rng).words for one in zip(texts, labels, strict=True)]
    parts = [with_a_part(*one, kind, PLANTED, rng) for one in zip(texts, labels, strict=True)]
    return label_shares(classifier, whole, labels)[0], *label_shares(classifier, parts, labels)


def listed(folder, model, rows):
    """What the command lists."""
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in rows))
    output = folder / "found.json"
    flags = ["--label-column", "label", "--model", str(model), "-o", str(output)]
    assert main(["shortcuts", str(folder / "texts.jsonl"), *flags]) == 0
    return json.loads(output.read_text())["listed"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SINGLE, PAIR])
@pytest.mark.parametrize("seed", range(5))
def test_planted_words_are_found_and_not_in_the_twin(kind, seed, tmp_path):
    training.write_encoder(tmp_path / "encoder")
    model, rows, new = follower(tmp_path, kind, seed)
    first = listed(tmp_path, model, new)[:FIRST]
    found = {(*one["words"], one["label"]) for one in first}
    expected = {("garden",), ("river",)} if kind == SINGLE else {("garden", "river"), ("river", "garden")}
    assert {(*words, LABELS[words[0] == "river"]) for words in expected} <= found
    twin = trained(tmp_path / "twin", rows, list(examples(100, seed + 100)), seed)
    assert not [one for one in listed(tmp_path, twin, new) if set(one["words"]) & set(PLANTED)]
