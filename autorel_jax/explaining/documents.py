"""Documents: a text that is longer than the model reads -> its Answer, from overlapping windows.

text/windows.py has the arithmetic. Used by explainer.py. N targets, C labels, T tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorel_jax.attribution.targets import Targets
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.text import layout, windows
from autorel_jax.text.tokens import Tokens
from autorel_jax.text.windows import Excerpt, Window


def read_in_windows(
    computer: Computer, tokens: Tokens, asked: np.ndarray | None, max_length: int, stride: int | None
) -> Answer:
    """The Answer of a long text, from windows that overlap.

    Args:
      computer: what computes the windows.
      tokens: of the whole text.
      asked: weights [N, C] of the targets; None explains the label that the whole text is given.
      max_length: tokens of a window, special tokens among them.
      stride: word pieces from the start of one window to that of the next; None is half a window.
    """
    template = computer.classifier.tokenizer.facts.single
    before, after = layout.around(template)
    room = layout.room(template, max_length)
    stride = min(stride or max(room // 2, 1), room)
    pieces = len(tokens.ids) - before - after
    ranges = windows.cut(pieces, room, stride)
    shares = windows.weights(ranges, pieces)
    parts = [windows.excerpt(tokens, window, template) for window in ranges]
    answers = each_part(computer, parts, asked, range(len(parts)))
    logits = (shares @ np.stack([answers[k].logits for k in range(len(parts))])).astype(answers[0].logits.dtype)
    if asked is None:
        # A window that would decide otherwise has explained its own decision, not the text's.
        others = [k for k in range(len(parts)) if answers[k].logits.argmax() != logits.argmax()]
        asked = np.eye(len(logits), dtype=np.float32)[[logits.argmax()]]
        again = each_part(computer, parts, asked, others)
        answers |= {k: answer._replace(logits=answers[k].logits) for k, answer in again.items()}  # those of the mean
    ordered = [answers[k] for k in range(len(parts))]
    relevance = [answer.relevance[:, : len(part.ids)] for answer, part in zip(ordered, parts, strict=True)]
    return Answer(
        logits,
        computer.classifier.probabilities(logits),
        logits,
        windows.stitch(relevance, ranges, shares, pieces, template),
        diagnostics=whole_diagnostics(computer.method.worst, ordered, shares),
        units=max(answer.units for answer in ordered),
        attention=" and ".join(sorted({answer.attention for answer in ordered})),
        windows=tuple(
            Window(window.start + before, window.stop + before, float(share), answer.logits)
            for window, share, answer in zip(ranges, shares, ordered, strict=True)
        ),
    )


def each_part(
    computer: Computer, parts: Sequence[Excerpt], asked: np.ndarray | None, places: Sequence[int]
) -> dict[int, Answer]:
    """The Answers of the windows at `places`."""
    weights = None if asked is None else np.broadcast_to(asked, (len(parts), *asked.shape))
    answers: dict[int, Answer] = {}
    for batch in computer.answers(parts, Targets(weights, None), places):
        answers |= batch
    return answers


def whole_diagnostics(worst: Mapping[str, Any], answers: Sequence[Answer], shares: np.ndarray) -> dict[str, np.ndarray]:
    """Diagnostics [N] of a text from those of its windows: the worst of some, the weighted mean of the others."""
    whole = {}
    for name in answers[0].diagnostics:
        values = np.stack([answer.diagnostics[name] for answer in answers])  # [K, N]
        whole[name] = np.array([worst[name](column) for column in values.T]) if name in worst else shares @ values
    return whole
