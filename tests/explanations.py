"""Explanations made by hand, for the tests of report/: no model, no tokenizer."""

import re
from typing import Any

import numpy as np

from autorel_jax.report.explanation import Explanation, Prediction

SHORT = "not a gorgeous, witty movie."
SCORES = (0.02, -0.75, 0.01, 1.5, 0.5, -0.1, 0.25)  # [CLS], the five words, [SEP]


def explanation(text: Any = SHORT, scores: Any = SCORES, pair: Any = None, **changes: Any) -> Explanation:
    """One token for each word, but two for the first: its first character, and the rest with half of the score each."""
    words, spans, segments = ["[CLS]"], [None], [0]
    for number, part in enumerate([text] if pair is None else [text, pair]):
        part = part if isinstance(part, str) else " ".join(part)
        found = list(re.finditer(r"\S+", part))
        words += [match.group() for match in found] + ["[SEP]"]
        spans += [match.span() for match in found] + [None]
        segments += [number] * (len(found) + 1)
    scores = np.resize(np.array(scores, np.float32), len(words))
    values = {
        "id": 1,
        "text": text,
        "text_pair": pair,
        "prediction": Prediction("positive", 0.9876, 1.5),
        "target": "positive",
        "target_value": 1.5,
        "logits": np.array([-2.875, 1.5], np.float32),
        "probabilities": np.array([0.0124, 0.9876]),
        "method": "attnlrp",
        "parameters": {"read_at": "word_embeddings"},
        "rules": {"linear": "plain", "contract": "halved"},
        "words": tuple(words),
        "word_relevance": scores,
        "word_spans": tuple(spans),
        "word_segments": tuple(segments),
        "explained": float(scores.sum(dtype=np.float64)),
        "truncated_tokens": 0,
        "warnings": (),
        "model": "tiny",
        "weights_sha256": "0123456789abcdef" * 4,
    }
    return Explanation(**pieces(words, scores, spans) | values | changes)


def pieces(words: list[str], scores: np.ndarray, spans: list[Any]) -> dict[str, Any]:
    """The fields of tokens that go with these words."""
    made = [
        (word, score, span, place) for place, (word, score, span) in enumerate(zip(words, scores, spans, strict=True))
    ]
    if len(made) > 1 and spans[1] and len(words[1]) > 1:
        (start, end), half = spans[1], scores[1] / 2
        made[1:2] = [(words[1][0], half, (start, start + 1), 1), ("##" + words[1][1:], half, (start + 1, end), 1)]
    tokens, relevance, token_spans, places = zip(*made, strict=True)
    return {
        "tokens": tokens,
        "token_relevance": np.array(relevance, np.float32),
        "token_spans": token_spans,
        "token_words": places,
    }
