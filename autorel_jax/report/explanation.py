"""Explanation: which tokens and words of a text made a classifier decide.

explainer.py makes them, report/ shows them.
"""

import dataclasses
import math
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from autorel_jax import __version__
from autorel_jax.report.ledger import Ledger
from autorel_jax.text.tokens import Text
from autorel_jax.text.windows import Window

SCHEMA = 1  # of `Explanation.to_dict`; raised when a field changes its meaning or goes away


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the classifier decided: the label with the highest logit."""

    label: str
    probability: float | None  # None for a regression, where the logit itself is the prediction
    logit: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One text explained for one target. T tokens, W words; Σ token_relevance = Σ word_relevance = explained.

    A positive score speaks for the target, a negative one against it (but see `warnings`).
    """

    id: str | int
    text: Text
    text_pair: Text | None
    prediction: Prediction
    target: str  # a label, "a - b" for a contrast, or a function; see targets.py
    target_logit: float  # the value of the target, where it is no label
    logits: np.ndarray  # [C] float32, in the order of the classifier's labels
    probabilities: np.ndarray | None  # [C]; None for a regression
    method: str
    parameters: dict[str, Any]  # of the method: where it was read, and the values of its parameters or its rules'
    rules: dict[str, str]  # op -> its rule; empty for a method that is no composite
    tokens: tuple[str, ...]  # [T] word pieces, [CLS] and [SEP] among them
    token_relevance: np.ndarray  # [T] float32
    token_words: tuple[int, ...]  # [T] the place in `words`
    token_spans: tuple[tuple[int, int] | None, ...]  # [T] as word_spans
    words: tuple[str, ...]  # [W] special tokens are words of their own
    word_relevance: np.ndarray  # [W] float32
    word_spans: tuple[tuple[int, int] | None, ...]  # [W] characters (start, end); None for a special token
    word_segments: tuple[int, ...]  # [W] 0 for the text, 1 for its pair
    explained: float  # Σ relevance: beside target_logit, how much of it the tokens account for
    truncated_tokens: int  # word pieces that were cut off
    warnings: tuple[str, ...]
    model: str
    weights_sha256: str
    diagnostics: dict[str, float] = dataclasses.field(default_factory=dict)  # what the method measured of itself
    windows: tuple[Window, ...] = ()  # in which a long text was read; empty: as a whole
    ledger: Ledger | None = None  # where the target's value went, with audit=True
    readouts: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)  # see docs/ledger.md

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON types; the fields of a line of `.jsonl`, documented in docs/output.md."""
        method = {"name": self.method, "parameters": self.parameters, "rules": self.rules}
        model = {"name": self.model, "weights_sha256": self.weights_sha256}
        own = {name: listed(getattr(self, name)) if name in SPANS else plain(getattr(self, name)) for name in OWN}
        head = {"schema": SCHEMA, "version": __version__, "model": model}
        prediction = plain(dataclasses.asdict(self.prediction))
        windows = [plain(dataclasses.asdict(window)) for window in self.windows]
        return {**head, **own, "prediction": prediction, "windows": windows, "method": plain(method)}

    def __repr__(self) -> str:
        text = reprlib.repr(self.text)
        return (
            f"Explanation({text}, target={self.target}, logit={self.target_logit:.3f}, explained={self.explained:.3f})"
        )

    def _repr_html_(self) -> str:
        from autorel_jax.report.html import fragment

        return fragment([self])


OWN = tuple(
    field.name
    for field in dataclasses.fields(Explanation)
    if field.name not in ("method", "parameters", "rules", "model", "weights_sha256")
)
FIELDS = ("schema", "version", "model", *OWN, "method")  # of `to_dict`, in their order


class Explanations(list[Explanation]):
    """A list of Explanation that a notebook shows as coloured text; so is a slice of it."""

    def __getitem__(self, place):
        found = super().__getitem__(place)
        return Explanations(found) if isinstance(place, slice) else found

    def _repr_html_(self) -> str:
        from autorel_jax.report.html import fragment

        return fragment(self)


SPANS = ("token_spans", "word_spans")  # most of what is nested; `plain` would do, and take as long as all the rest
PLAIN = frozenset((str, int, bool, type(None)))  # types that JSON has as they are


def listed(spans: tuple[tuple[int, int] | None, ...]) -> list[list[int] | None]:
    """Spans as JSON types."""
    return [span and list(span) for span in spans]


def plain(value: Any) -> Any:
    """Arrays and tuples as lists, numbers that JSON has no name for as None."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Ledger):
        return plain(value.to_dict())
    if isinstance(value, np.ndarray):
        made = value.tolist()
        return made if np.isfinite(value).all() else plain(made)
    if isinstance(value, tuple | list):
        return [item if type(item) in PLAIN else plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
