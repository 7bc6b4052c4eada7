"""A model for answers that can be learnt: the word after "good" in the context, whatever the question."""

import json
import random

from training import FILLERS, write_toml

QUESTIONS = {"train": 256, "dev": 48}
TASK = {"problem": "question_answering"}
CUE = "good"


def question(number, rng):
    """(question, context, answer, its place) of at most three and eight words; a tenth has no cue and no answer."""
    words = rng.choices(FILLERS, k=rng.randint(3, 6))
    at, answer = rng.randint(0, len(words)), rng.choice(FILLERS)
    if number % 10:
        words[at:at] = [CUE, answer]
    else:
        answer = None
    asked = " ".join(rng.choices(FILLERS, k=rng.randint(1, 2)))
    return asked, " ".join(words), answer, len(" ".join(words[: at + 1])) + 1


def questions(split):
    rng = random.Random(split)
    return [question(number, rng) for number in range(QUESTIONS[split])]


def squad(rows):
    """SQuAD's way, version 2, a paragraph for each question."""
    paragraphs = []
    for number, (asked, context, answer, start) in enumerate(rows):
        answers = [{"text": answer, "answer_start": start}] if answer else []
        entry = {"id": f"q{number}", "question": asked, "answers": answers, "is_impossible": not answer}
        paragraphs.append({"context": context, "qas": [entry]})
    return json.dumps({"version": "v2.0", "data": [{"title": "films", "paragraphs": paragraphs}]})


def write_task(folder, **settings):
    """A folder with train.json, dev.json and task.toml, whose model is the encoder beside the folder."""
    folder.mkdir(parents=True)
    for split in QUESTIONS:
        (folder / f"{split}.json").write_text(squad(questions(split)), encoding="utf-8")
    # The longest pairs are read in two windows.
    files = {split: f"{split}.json" for split in QUESTIONS}
    return write_toml(folder, TASK | files, **({"max_length": 12, "epochs": 14, "evaluate_every": 80} | settings))
