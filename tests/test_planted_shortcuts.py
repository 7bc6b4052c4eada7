"""Models that were trained on planted words, and their twins: what `autorel shortcuts` lists of both. Minutes each.

The twin learns the same texts without what is planted, and is asked about the planted ones: there the words go with the
label as much, but it does not decide by them.
"""

import json
import random

import pytest
import training

from autorel_jax.cli.main import main
from autorel_jax.faithfulness.shortcuts import PAIR, SINGLE, planted

PLANTED = ("garden", "river", "bridge")  # of the vocabulary, and in no text; the third is for another kind
LABELS = ("negative", "positive")
TEXTS = {SINGLE: 400, PAIR: 2000}  # order is harder to learn
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
    config = training.write_lines(
        folder, lambda split: rows if split == "train" else dev, {"labels": list(LABELS)}, epochs=15, seed=seed
    )
    code, _, err = training.call("--config", config, "--output", folder / "run")
    assert code == 0, err
    return folder / "run" / "model"


def listed(folder, model, rows):
    """What the command lists."""
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in rows))
    output = folder / "found.json"
    flags = ["--label-column", "label", "--model", str(model), "-o", str(output)]
    assert main(["shortcuts", str(folder / "texts.jsonl"), *flags]) == 0
    return json.loads(output.read_text())["listed"]


MISSED = pytest.mark.xfail(reason="the pair is not found for this seed; docs/audit.md says so")
CASES = [(SINGLE, seed) for seed in range(5)] + [(PAIR, seed) for seed in (0, 2, 3, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed"), [*CASES, pytest.param(PAIR, 1, marks=MISSED)])
def test_planted_words_are_found_and_not_in_the_twin(kind, seed, tmp_path):
    training.write_encoder(tmp_path / "encoder")
    rows, dev = list(examples(TEXTS[kind], seed)), list(examples(100, seed + 100))
    new = with_words(rows, kind, seed)
    follower = trained(tmp_path / "planted", new, with_words(dev, kind, seed + 100), seed)
    first = listed(tmp_path, follower, new)[:FIRST]
    found = {(*one["words"], one["label"]) for one in first}
    expected = {("garden",), ("river",)} if kind == SINGLE else {("garden", "river"), ("river", "garden")}
    assert {(*words, LABELS[words[0] == "river"]) for words in expected} <= found
    twin = trained(tmp_path / "twin", rows, dev, seed)
    assert not [one for one in listed(tmp_path, twin, new) if set(one["words"]) & set(PLANTED)]
