"""Probabilities: logits of labels, or of starts and ends -> their softmax. Used by classifier.py and explaining/."""

import numpy as np

HALF = 0.5  # from this probability on a text is given a label that has a probability of its own


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """Over that axis, in float64; -inf gets 0."""
    logits = logits.astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)
