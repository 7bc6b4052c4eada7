"""Ledger: where the value of a target went, in items that add up to it, and in words what to conclude.

    value = words + special tokens + positions + segments + Σ absorbed + function + rounding

Made by explainer.py from the readings of readouts.py, shown by report/.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

NAMES = {  # item -> its name in a report
    "linear.bias": "biases of linear layers",
    "linear": "stabilizers of linear layers",
    "layer_norm.bias": "LayerNorm shifts",
    "layer_norm": "LayerNorm's normalisation",
    "softmax": "softmax",
    "contract": "products of attention",
    "activation": "activations",
    "add": "sums",
}
BIASES = ("linear.bias", "layer_norm.bias")
NEAR = 0.1  # of the value: what words may miss of it and still count as its parts
CANCELS = 0.05  # of Σ|parts|: a value below is what is left of parts that cancel
NEGLIGIBLE = 1e-4  # of the largest item; not listed


@dataclasses.dataclass(frozen=True, eq=False)
class Ledger:
    """The items of one text and target, in units of the logit.

    Attributes:
      value: of the target.
      words: Σ relevance of the text's tokens.
      special_tokens: that of [CLS] and [SEP].
      positions, segments: that of the embeddings of position and type; 0 where relevance is read behind them, since it
        is in the tokens' then.
      absorbed: item -> [L + 2]: what the embeddings, each layer, pooler and classifier kept. An item is an op, for
        what its rule kept, or "op.bias".
      function: what a target that is no weighted sum of logits has beside Σ logit · ∂value/∂logit.
    """

    value: float
    words: float
    special_tokens: float
    positions: float
    segments: float
    absorbed: Mapping[str, np.ndarray]
    function: float = 0.0

    @property
    def items(self) -> np.ndarray:
        """Every item, in one array."""
        single = (self.words, self.special_tokens, self.positions, self.segments, self.function)
        return np.concatenate([single, *(kept.astype(np.float64) for kept in self.absorbed.values())])

    @property
    def rounding(self) -> float:
        """What is left of the value without all items: the rounding of the arithmetic."""
        return self.value - float(self.items.sum())

    @property
    def parts(self) -> dict[str, float]:
        """The value in a few named parts, as `conclusion` tells of them."""
        biases = sum(float(self.absorbed[item].sum()) for item in BIASES if item in self.absorbed)
        return {
            "the words": self.words,
            "[CLS] and [SEP]": self.special_tokens,
            "position and segment embeddings": self.positions + self.segments,
            "biases": biases,
            **{NAMES[item]: float(kept.sum()) for item, kept in self.absorbed.items() if item not in BIASES},
            "the target's function": self.function,
        }

    @property
    def rows(self) -> list[tuple[str, float, str]]:
        """(name, amount, where most of it is) for a report, without what is negligible."""
        single = {
            "words": self.words,
            "[CLS] and [SEP]": self.special_tokens,
            "position embeddings": self.positions,
            "segment embeddings": self.segments,
        }
        found = [(name, amount, "") for name, amount in single.items()]
        for item, name in NAMES.items():
            if (kept := self.absorbed.get(item)) is not None:
                found.append((name, float(kept.sum(dtype=np.float64)), most(kept)))
        found.append(("the target's function", self.function, ""))
        least = NEGLIGIBLE * max(abs(amount) for _, amount, _ in found)
        return [row for row in found if abs(row[1]) > least]

    def to_dict(self) -> dict[str, Any]:
        """The ledger for a line of `.jsonl`, documented in docs/output.md."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**own, "rounding": self.rounding, "conclusion": self.conclusion}

    @property
    def conclusion(self) -> str:
        """What a reader should conclude."""
        parts = {name: amount for name, amount in self.parts.items() if amount}
        size = sum(map(abs, parts.values()))
        if not np.isfinite(size) or not np.isfinite(self.value):
            return "Some items are not finite numbers: the scores say nothing."
        if not size:
            return "Nothing reaches the tokens, and nothing is absorbed: the scores say nothing."
        what = "value" if self.function else "logit"
        if abs(self.value) < CANCELS * size:
            return (
                f"This {what} ({self.value:.3g}) is what is left of parts of {size:.3g} in all that cancel: read the "
                "scores as relative to each other."
            )
        shares = {name: amount / self.value for name, amount in parts.items()}
        tokens = shares.get("the words", 0) + shares.get("[CLS] and [SEP]", 0)
        rest = {name: share for name, share in shares.items() if name not in ("the words", "[CLS] and [SEP]")}
        if abs(tokens - 1) <= NEAR or not rest:
            return f"The scores account for {percent(tokens)} of this {what}: read them as its parts."
        name = max(rest, key=lambda name: rest[name] * (1 if tokens < 1 else -1))
        return (
            f"{percent(rest[name])} of this {what} sits in {name}, {percent(tokens)} in the tokens: read the scores "
            "as relative to each other, not as parts of it."
        )


def percent(share: float) -> str:
    """A share in whole per cent; no minus before 0."""
    return f"{round(100 * share)} %"


def most(kept: np.ndarray) -> str:
    """The place that holds most of an item [L + 2], in words."""
    place = int(np.abs(kept).argmax())
    if place == 0:
        return "embeddings"
    return "head" if place == len(kept) - 1 else f"layer {place}"


def made(value: float, relevance: np.ndarray, special: np.ndarray, absorbed: Any, function: bool) -> Ledger:
    """The ledger of one text and target.

    Args:
      value: of the target.
      relevance: [T] of the tokens.
      special: [T] which of them are [CLS] or [SEP].
      absorbed: an attribution.method.Absorbed of it.
      function: whether the target is a function that is not a weighted sum of logits.
    """
    relevance = relevance.astype(np.float64)
    return Ledger(
        value=value,
        words=float(relevance[~special].sum()),
        special_tokens=float(relevance[special].sum()),
        positions=total(absorbed.positions),
        segments=total(absorbed.segments),
        absorbed=absorbed.items,
        function=value - float(absorbed.logits) if function else 0.0,
    )


def total(relevance: np.ndarray | None) -> float:
    """The sum of relevance that was read apart from that of the tokens; 0 where it was not."""
    return 0.0 if relevance is None else float(relevance.sum(dtype=np.float64))
