"""A tagger that can be learnt: "film" and the word after it are an entity, whose kind the word before it tells."""

import random

from training import FILLERS, write_toml

CUES = {"good": "PER", "bad": "LOC"}
SENTENCES = {"train": 96, "dev": 40}
TASK = {"problem": "token_classification"}


def sentence(rng):
    """(words, labels) of at most nine words; a film without a cue is none."""
    others = [word for word in FILLERS if word not in ("film", "movie")]
    words = rng.choices(others, k=rng.randint(1, 4))
    labels = ["O"] * len(words)
    at = rng.randint(0, len(words))
    cue = rng.choice([*CUES, "long"])
    kind = CUES.get(cue)
    words[at:at] = [cue, "film", "movie"]
    labels[at:at] = ["O", *([f"B-{kind}", f"I-{kind}"] if kind else ["O", "O"])]
    return words, labels


def sentences(split):
    rng = random.Random(split)
    return [sentence(rng) for _ in range(SENTENCES[split])]


def conll(rows):
    """CoNLL's way, with a column between that nobody reads."""
    blocks = ["".join(f"{word} X {label}\n" for word, label in zip(*row, strict=True)) for row in rows]
    return "-DOCSTART- -X- O\n\n" + "\n".join(blocks)


def write_task(folder, **settings):
    """A folder with train.conll, dev.conll and task.toml, whose model is the encoder beside the folder."""
    folder.mkdir(parents=True)
    for split in SENTENCES:
        (folder / f"{split}.conll").write_text(conll(sentences(split)), encoding="utf-8")
    return write_toml(folder, {**TASK, **{split: f"{split}.conll" for split in SENTENCES}}, **settings)
