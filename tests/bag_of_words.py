"""A classifier that is a linear bag of words: its own weights are the best scores there can be."""

from types import SimpleNamespace

import numpy as np

from autorel_jax.faithfulness.asking import Job, found_by
from autorel_jax.faithfulness.curves import Scored

MASK, TARGET = 0, 1  # the id of a word that is taken away, which weighs nothing; the class


class BagOfWords:
    """Logits (0, Σ weight of each token), as faithfulness/predict.py's Predictor gives them."""

    def __init__(self, weights):
        self.weights = np.concatenate([[0.0], weights])
        self.classifier = SimpleNamespace(probabilities=softmax)

    def logits(self, rows):
        sums = np.array([self.weights[row.ids].sum() for row in rows])
        return np.stack([np.zeros(len(rows)), sums], axis=1)


def softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def text_of(count):
    """Tokens and units of a text of so many words, each one token."""
    ids = np.arange(1, count + 1, dtype=np.int32)
    return SimpleNamespace(ids=ids, types=np.zeros_like(ids)), np.arange(count)


def found(model, measurement, count):
    """What a measurement finds of a text of so many words."""
    tokens, units = text_of(count)
    return found_by([Job(tokens, units, MASK, TARGET, measurement)], model)[0]


def scored(scores, **more):
    return Scored(np.asarray(scores, float), np.linspace(0, 1, len(scores)), **more)
