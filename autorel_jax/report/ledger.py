"""Ledger: where the value of a target went, in items that add up to it, and in words what to conclude.

    value = words + special tokens + positions + segments + Σ absorbed + function + rounding

explaining/describe.py makes it from what attribution/readouts.py counted; view.py and corpus/nested.py use it.
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
    "position_product": "positions in attention scores",
    "position_bias": "position biases of attention",
    "gate": "products of gates",
}
BIASES = ("linear.bias", "layer_norm.bias")
WORDS, SPECIAL = TOKENS = ("the words", "special tokens")  # the parts of a value that scores account for
NEAR = 0.1  # of the value: what words may miss of it and still count as its parts
CANCELS = 0.05  # of Σ|parts|: a value below is what is left of parts that cancel
NEGLIGIBLE = 1e-4  # of the largest item; not listed


@dataclasses.dataclass(frozen=True, eq=False)
class Ledger:
    """The items of one text and target, in units of the logit.

    Attributes:
      value: of the target.
      words: Σ relevance of the text's tokens.
      special_tokens: that of the special tokens.
      positions, segments: that of the embeddings of position and type; 0 where relevance is read after they were
        added, since the tokens' scores include it then.
      absorbed: item -> [L + 2]: what the embeddings, each layer, pooler and classifier kept. An item is an op, for
        what its rule kept, or "op.bias".
      function: the value minus Σ logit · ∂value/∂logit, for a target that is not a weighted sum of logits; else 0.
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
        """The value minus all items: the rounding of the arithmetic."""
        return self.value - float(self.items.sum())

    @property
    def parts(self) -> dict[str, float]:
        """The value in the few named parts that `conclusion` weighs."""
        biases = sum(float(self.absorbed[item].sum()) for item in BIASES if item in self.absorbed)
        return {
            WORDS: self.words,
            SPECIAL: self.special_tokens,
            "position and segment embeddings": self.positions + self.segments,
            "biases": biases,
            **{NAMES[item]: float(kept.sum()) for item, kept in self.absorbed.items() if item not in BIASES},
            "the target's function": self.function,
        }

    @property
    def rows(self) -> list[tuple[str, float, str]]:
        """(name, amount, where most of it is) of each item for a report; negligible ones are left out."""
        single = {
            "words": self.words,
            SPECIAL: self.special_tokens,
            "position embeddings": self.positions,
            "segment embeddings": self.segments,
        }
        rows = [(name, amount, "") for name, amount in single.items()]
        for item, name in NAMES.items():
            if (kept := self.absorbed.get(item)) is not None:
                rows.append((name, float(kept.sum(dtype=np.float64)), most(kept)))
        rows.append(("the target's function", self.function, ""))
        least = NEGLIGIBLE * max(abs(amount) for _, amount, _ in rows)
        return [row for row in rows if abs(row[1]) > least]

    def to_dict(self) -> dict[str, Any]:
        """The ledger as it is in a line of `.jsonl`, documented in docs/output.md."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**own, "rounding": self.rounding, "conclusion": self.conclusion}

    @property
    def conclusion(self) -> str:
        """How to read the scores, in a sentence or two."""
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
        return advice(what, {name: amount / self.value for name, amount in parts.items()})


def advice(what: str, shares: Mapping[str, float]) -> str:
    """How to read the scores of a value, called `what`, from the share of it that each part has."""
    tokens = sum(shares.get(name, 0) for name in TOKENS)
    others = {name: share for name, share in shares.items() if name not in TOKENS}
    if abs(tokens - 1) <= NEAR or not others:
        return f"The scores account for {whole_percent(tokens)} of this {what}: read them as its parts."
    largest = max(others, key=lambda name: others[name] * (1 if tokens < 1 else -1))
    return (
        f"{whole_percent(others[largest])} of this {what} sits in {largest}, {whole_percent(tokens)} in the tokens: "
        "read the scores as relative to each other, not as parts of it."
    )


def whole_percent(share: float) -> str:
    """A share in whole per cent; no minus before 0."""
    return f"{round(100 * share)} %"


def most(kept: np.ndarray) -> str:
    """The place that holds most of an item [L + 2], in words."""
    place = int(np.abs(kept).argmax())
    if place == 0:
        return "embeddings"
    return "head" if place == len(kept) - 1 else f"layer {place}"


def ledger_of(value: float, relevance: np.ndarray, special: np.ndarray, absorbed: Any, function: bool) -> Ledger:
    """The ledger of one text and target.

    Args:
      value: of the target.
      relevance: [T] of the tokens.
      special: [T] whether each token is a special token.
      absorbed: what an audit counted, an attribution.method.Absorbed.
      function: whether the target is something other than a weighted sum of logits.
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
