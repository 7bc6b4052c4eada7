"""Method: what every way to score tokens can do, whether it is a composite of LRP rules or another method.

A method turns a TargetedBatch (texts and their targets) into a Result, inside one compiled program. Composites
(lrp/composites.py) and the classes in methods/ have this interface. Nothing else is asked of a method by explaining/,
corpus/ and cli/; settings.py, relevance.py and readouts.py, which compute composites, also read their rules.
B texts of T tokens, N targets for each, C labels, S scores, L layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Array
from autorel_jax.text.tokens import Tokens

Values = Mapping[str, Any]  # of a method's parameters: arrays by name, which the compiled program takes as an argument


class Texts(NamedTuple):
    """A batch on its way to a method; all [B, T] int32, padding at the end of each row."""

    ids: Array
    mask: Array  # nonzero for tokens
    types: Array
    units: Array | None = None  # number of the token or word that is switched off as one, from 0; -1: always on


class Absorbed(NamedTuple):
    """What an audit counts beside the relevance of the tokens."""

    items: Mapping[str, Array]  # item -> [B, N, L + 2]: embeddings, each layer, head. An op: what its rule absorbs; or
    # "op.bias"
    logits: Array  # [B, N] the relevance at the logits, Σ logit ⊙ c
    positions: Array | None = None  # [B, N, T] relevance of the position embeddings; None: the tokens' holds it
    segments: Array | None = None  # [B, N, T] of the segment embeddings, likewise


class Result(NamedTuple):
    """What a method computes for a batch."""

    logits: Array  # [B, C]
    scored: Array  # [B, S] what the targets weigh: the logits, or a function of them
    relevance: Array  # [B, N, T] of each token; exactly 0 at padding
    readouts: Mapping[str, Array] = {}  # by name, [B, N, ...]; see readouts.py
    absorbed: Absorbed | None = None  # with an audit
    diagnostics: Mapping[str, Array] = {}  # what the method measured of itself, by name, [B, N]


class Outcome(NamedTuple):
    """The result for one target of one text, for a method to doubt."""

    logits: np.ndarray  # [C]
    weights: np.ndarray  # [S] of the target
    value: float  # of the target
    is_linear: bool  # whether the target is a weighted sum of logits
    diagnostics: Mapping[str, float]
    units: int  # tokens or words that the method switches off as one; 0: it switches nothing off


class Method(Protocol):
    """The interface. A method is hashable: equal ones share a compiled program.

    Attributes:
      name: under which it is registered and reported.
      reads: the points where its scores can be read, the default first.
      rules: op -> the name of its rule; empty for a method without rules.
      diagnostics: the names of what it measures of itself.
      worst: those diagnostics of which a long text has that of its worst window, and the function that finds it; of the
        others it has the weighted mean, as for logits and relevance.
      contrasts: whether it takes references, other texts, with which it contrasts a text (explaining/references.py).
    """

    name: str
    reads: tuple[str, ...]
    rules: Mapping[str, str]
    diagnostics: tuple[str, ...]
    worst: Mapping[str, Any]
    contrasts: bool

    def set(self, values: Mapping[str, Any] | None = None) -> "Method":
        """This method with other values of parameters; an InputError for a name or a value that it does not have."""

    def record(self) -> dict[str, Any]:
        """The parameters for a report, by name."""

    def content(self) -> Any:
        """All that makes the method, as JSON: equal contents give equal scores."""

    def check(self, settings: Any) -> None:
        """Raises InputError for what these Settings ask of the method and it cannot do."""

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> Values:
        """The parameters as arrays; `ids` are the ids of [PAD] and [MASK], None where the tokenizer has none."""

    def units(self, rows: Sequence[Tokens], shape: tuple[int, int]) -> np.ndarray | None:
        """The unit of each token [B, T], for a method that switches units off; None for others."""

    def attribute(self, batch: Any, values: Values) -> Result:
        """The Result of a TargetedBatch, inside a trace. Parameters are read from `values` alone."""

    def doubts(self, outcome: Outcome) -> Iterator[str]:
        """What a reader should know before trusting the scores of a text."""
