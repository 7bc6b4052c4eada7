"""Tiny models with outputs at each token, fitted so that what they predict in one text is known."""

from pathlib import Path

import numpy as np
from models import VOCAB, random_params, tiny_config

from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.model.encoder import Bert
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
TEXT = "the good film, a witty one."
TAGS = {"good": "B-LOC", "film": "I-LOC", "witty": "B-PER"}  # of the words; further pieces get I-
QUESTION, CONTEXT = "the good", "a witty film."
WORDS_IN_ANSWER = ("witty", "film")


def fitted(folder: Path, task: str, labels, text: str, pair: str | None, wanted) -> Path:
    """A directory with a model whose logits for the text are `wanted(tokens)` [T, C], up to rounding."""
    tokenizer = load_tokenizer(VOCAB)
    config = tiny_config(
        vocab_size=tokenizer.max_id + 1,
        labels=labels,
        task=task,
        max_position_embeddings=128,
        num_hidden_layers=2,
        hidden_size=32,
    )
    params = random_params(config, scale=0.3)
    (tokens,) = tokenizer([text], None if pair is None else [pair], max_length=128)
    ids, types = tokens.ids[None], tokens.types[None]
    variables, model = {"params": params}, Bert(config)
    embedded = model.apply(variables, model.apply(variables, ids, method="lookup"), types, method="embed")
    hidden = model.apply(variables, embedded, np.ones_like(ids), method="encode")[0][0]
    target = wanted(tokens)
    params["classifier"]["bias"] = np.full(len(labels), 0.25, np.float32)
    params["classifier"]["kernel"] = np.linalg.lstsq(np.asarray(hidden), target - 0.25, rcond=None)[0]
    write(folder, config, params, tokenizer)
    return folder


def write_tagger(folder: Path) -> Path:
    """A token classifier: TAGS in TEXT, of logit 3 against -1."""

    def wanted(tokens):
        target = np.full((len(tokens.ids), len(LABELS)), -1.0)
        for place, word in enumerate(tokens.word_index):
            tag = TAGS.get(tokens.words[word].strip(".,"), "O")
            tag = "O" if tokens.pieces[place] in ",." else tag
            first = place == 0 or tokens.word_index[place - 1] != word
            target[place, LABELS.index(tag if first else tag.replace("B-", "I-"))] = 3
        return target

    return fitted(folder, TOKEN_LABELS, LABELS, TEXT, None, wanted)


def write_answerer(folder: Path, none: float = -2.0) -> Path:
    """A model for question answering: "witty film" in CONTEXT, start and end of logit 3; [CLS] has `none` twice."""

    def wanted(tokens):
        target = np.full((len(tokens.ids), 2), -2.0)
        inside = [
            place
            for place, word in enumerate(tokens.word_index)
            if tokens.word_segments[word] == 1
            and tokens.words[word].strip(".") in WORDS_IN_ANSWER
            and tokens.pieces[place] != "."
        ]
        target[inside[0], 0] = target[inside[-1], 1] = 3
        target[0] = none
        return target

    return fitted(folder, ANSWERS, ("start", "end"), QUESTION, CONTEXT, wanted)
