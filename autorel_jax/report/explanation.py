"""Explanation: which tokens and words of a text made a classifier decide.

explaining/describe.py makes them, the other modules of report/ show and save them.
"""

from __future__ import annotations

import dataclasses
import importlib
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax import __version__
from autorel_jax.errors import InputError
from autorel_jax.report import fields as kinds
from autorel_jax.report.fields import Field, declared, fields_of, parts, to_record
from autorel_jax.report.results import Results
from autorel_jax.text.segments import Text
from autorel_jax.text.unspaced import WHITESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from autorel_jax.report.ledger import Ledger
    from autorel_jax.text.windows import Window

SCHEMA = 2  # of all files of results; raised when a field or column changes its meaning or goes away
ALIASES = {"target_logit": "target_value"}  # a name of an older schema -> today's; `--columns` takes both


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the classifier decided: the label with the highest logit."""

    label: str = declared(
        kinds.LABEL,
        "the label with the highest logit; of an entity its kind, of an answer its words, or `no answer`, of a mask "
        "its likeliest filling",
        column="prediction",
    )
    probability: float | None = declared(
        kinds.NUMBER,
        "0 to 1, of that label: softmax, or sigmoid for a multi-label model; of an entity the mean over its tokens, of "
        "an answer that of its start times that of its end; null for a regression",
        optional=True,
    )
    logit: float = declared(
        kinds.NUMBER,
        "of that label; for a regression this is the prediction; of an entity the mean over its tokens, of an answer "
        "the sum of its start and its end",
        column="prediction_logit",
    )


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation(Results):
    """One text explained for one target. T tokens, W words; Σ token_relevance = Σ word_relevance = explained.

    A positive score speaks for the target, a negative one against it (but see `warnings`). Every field is declared
    with what it means; `declared` makes the fields of .jsonl, the columns of tables and docs/output.md from that, in
    this order.
    """

    model: str = declared(
        kinds.LABEL,
        "the path or hub name that was given, or `built-in sst2-minilm`",
        path="model.name",
        column=None,
    )
    weights_sha256: str = declared(
        kinds.LABEL,
        "SHA-256 of the parameters in float32, the same for the same weights in another file format",
        path="model.weights_sha256",
        column=None,
    )
    labels: tuple[str, ...] = declared(
        kinds.TEXTS,
        "of the model, or of zero-shot, in the order of `logits`; empty for masked words",
        path="model.labels",
        column=None,
        default=(),
    )
    id: str | int = declared(kinds.ID, "from the id column; else the number of the line or row, from 1")
    text: Text = declared(kinds.TEXT, "as it was given", numpy=False)
    text_pair: Text | None = declared(kinds.TEXT, "the second text of a pair", optional=True, numpy=False)
    prediction: Prediction = parts(Prediction)
    target: str = declared(
        kinds.LABEL,
        "what was explained: a label, `a - b` for a contrast, `margin`, `log_probability:label`, or the name of a "
        "function; the kind of an entity, `start + end` of an answer, of a mask a filling or two",
    )
    target_value: float = declared(
        kinds.NUMBER,
        "of a label its logit, of an entity the mean over its tokens, of an answer the sum of start and end; of a "
        "contrast or a margin the difference of two logits; else the value of the function",
    )
    span_text: str | None = declared(
        kinds.LABEL,
        "of a model with outputs at tokens: the words that the target is about, an entity, an answer or a mask, as in "
        "the text; null for a model of whole texts, and where there is no answer",
        optional=True,
        default=None,
    )
    span: tuple[int, int] | None = declared(
        kinds.SPAN, "characters [start, end) of `span_text` in its text; else null", optional=True, default=None
    )
    span_segment: int = declared(kinds.COUNT, "the text that has it: 0 the text, 1 its pair", default=0)
    logits: np.ndarray = declared(  # [C] float32
        kinds.NUMBERS,
        "of all labels, in the order of the model's labels; of an entity or a word the mean over its tokens; of an "
        "answer its start and its end; of a mask those of `fillings`",
    )
    probabilities: np.ndarray | None = declared(  # [C]
        kinds.NUMBERS,
        "of all labels, 0 to 1, likewise; null for a regression, and for an answer",
        optional=True,
    )
    fillings: tuple[str, ...] = declared(
        kinds.TEXTS,
        "of a mask: the five likeliest fillings of it (`--top` where that is more) and as many more as were named, the "
        "likeliest first; `##` continues a word without a space. Else empty",
        default=(),
    )
    tokens: tuple[str, ...] = declared(  # [T]
        kinds.TEXTS,
        "word pieces as in the vocabulary (in a BERT `##` continues a word), special tokens such as `[CLS]` among them",
        each="T",
    )
    token_relevance: np.ndarray = declared(  # [T] float32
        kinds.NUMBERS,
        "the scores, in units of the logit unless `warnings` say otherwise: above 0 speaks for the target, below 0 "
        "against it",
        each="T",
    )
    token_words: tuple[int, ...] = declared(kinds.COUNTS, "the place in `words`, from 0", each="T")  # [T]
    token_spans: tuple[tuple[int, int] | None, ...] = declared(  # [T]
        kinds.SPANS,
        "characters [start, end) of the token's own text; null for a special token such as `[CLS]`",
        each="T",
    )
    words: tuple[str, ...] = declared(  # [W]
        kinds.TEXTS, "as in the text; special tokens such as `[CLS]` are words of their own", each="W"
    )
    word_relevance: np.ndarray = declared(kinds.NUMBERS, "the sum over the word's tokens", each="W")  # [W] float32
    word_spans: tuple[tuple[int, int] | None, ...] = declared(kinds.SPANS, "as `token_spans`", each="W")  # [W]
    word_segments: tuple[int, ...] = declared(kinds.COUNTS, "0 the text, 1 its pair", each="W")  # [W]
    word_splitter: str = declared(
        kinds.LABEL,
        "what made the words: `whitespace`; `ICU 78.3`, with its version, or `graphemes`, where the text has a script "
        "without spaces between words; `given`; two of them of a pair, joined by ` and `",
        default=WHITESPACE,
    )
    explained: float = declared(
        kinds.NUMBER,
        "Σ `token_relevance` = Σ `word_relevance`: as much of `target_value` as the scores account for, where a "
        "method's scores are parts of it",
    )
    truncated_tokens: int = declared(kinds.COUNT, "word pieces that did not fit and were not read")
    warnings: tuple[str, ...] = declared(
        kinds.TEXTS,
        "what to know before trusting the scores, for instance that a negative target logit flips signs",
        numpy=False,
    )
    diagnostics: dict[str, float] = declared(
        kinds.DIAGNOSTICS,
        "what a method of [methods.md](methods.md) measured of itself, by name, for instance `convergence_delta`; "
        "empty for composites",
        default_factory=dict,
    )
    windows: tuple[Window, ...] = declared(
        kinds.WINDOWS,
        "with `--long windows`, of a text that was read in several windows: `start` and `end` (the places of its word "
        "pieces in `tokens`, without special tokens), `weight` and `logits` of each; else empty",
        numpy=False,
        default=(),
    )
    attention: str = declared(
        kinds.LABEL,
        "how attention was computed, which changes no more than rounding: `scores` (all are held), `blocks` of them or "
        "`cudnn` for a long text; two of windows are joined by ` and `. [speed.md](speed.md#long-texts) says which",
        default="scores",
    )
    ledger: Ledger | None = declared(
        kinds.LEDGER,
        "with `--audit`: where `target_value` went; [ledger.md](ledger.md) has the items. `value` = `words` + "
        "`special_tokens` + `positions` + `segments` + `function` + Σ `absorbed` + `rounding`; `conclusion` says in "
        "words what to make of it",
        optional=True,
        default=None,
    )
    readouts: Mapping[str, np.ndarray] = declared(
        kinds.READOUTS,
        "with `--readout`: relevance inside the model, by name; [ledger.md](ledger.md#read-outs) has the shapes",
        default_factory=dict,
    )
    method: str = declared(kinds.LABEL, "for instance `attnlrp`", path="method.name", column=None)
    parameters: dict[str, Any] = declared(
        kinds.OBJECT,
        "`read_at` (where relevance was read), and the parameters by name; those of rules are each a number or a list "
        "of one for each layer, `op.name` where two rules have one name with different values",
        path="method.parameters",
        column=None,
    )
    rules: dict[str, str] = declared(
        kinds.OBJECT,
        "op → the name of its rule in [rules.md](rules.md); `plain` is the op's own backward; empty for a method of "
        "[methods.md](methods.md)",
        path="method.rules",
        column=None,
    )

    # What the model read, token and segment ids [T], as `ar.predict` takes them; of no file, None where read from one.
    token_ids: np.ndarray | None = None
    token_types: np.ndarray | None = None
    is_zero_shot: bool = False  # whether the pair is a label in words; of no file, as all else is the label's there

    @property
    def target_logit(self) -> float:
        """The name of `target_value` in schema 1; the value need not be a logit."""
        return self.target_value

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON types: a line of `.jsonl`, documented in docs/output.md."""
        return to_record(IN_FILES, self)

    def as_list(self, level: str = "word") -> list[tuple[str, float]]:
        """Each word (or, with level "token", each word piece) with its score, in the order of the text.

        Raises:
          InputError: the level is unknown.
        """
        if level not in ("word", "token"):
            raise InputError(f"level={level!r} is unknown; accepted: word, token.")
        parts = (self.words, self.word_relevance) if level == "word" else (self.tokens, self.token_relevance)
        return [(part, float(score)) for part, score in zip(*parts, strict=True)]

    def __repr__(self) -> str:
        text = reprlib.repr(self.text)
        return (
            f"Explanation({text}, target={self.target}, logit={self.target_value:.3f}, explained={self.explained:.3f})"
        )

    def _repr_html_(self) -> str:
        from autorel_jax.report.html import fragment

        return fragment([self])


ABOUT_SCHEMA = f"{SCHEMA}; raised when a field below changes its meaning or goes away"
HEAD = (  # what a line of .jsonl begins with
    Field(("schema",), None, kinds.COUNT, kinds.JSON_TYPES[kinds.COUNT], ABOUT_SCHEMA, lambda explanation: SCHEMA),
    Field(("version",), None, kinds.LABEL, kinds.JSON_TYPES[kinds.LABEL], "of autorel-jax", lambda _: __version__),
)
IN_FILES = (*HEAD, *fields_of(Explanation))  # every value that files hold
FIELDS = tuple(dict.fromkeys(field.path[0] for field in IN_FILES))  # of `to_dict`, in their order


class Explanations(list[Explanation], Results):
    """A list of Explanation that a notebook shows as coloured text; so are slices and sums of it."""

    def __getitem__(self, place):
        chosen = super().__getitem__(place)
        return Explanations(chosen) if isinstance(place, slice) else chosen

    def __add__(self, other):
        return Explanations([*self, *other])

    def copy(self):
        """The same explanations in a list of their own."""
        return Explanations(self)

    def save(self, path: str | Path, level: str = "word") -> None:
        """Writes a .parquet, .jsonl, .csv, .npz or .html file by the suffix; `level` is of .csv and .html.

        Raises:
          InputError: there are none, the suffix is unknown, the file cannot be written, or, but for .jsonl and .html,
            they differ in model, labels, method, parameters, rules or read-outs.
        """
        # The formats of files are corpus/'s, which stands on this module: it is found by its name, when it is asked.
        importlib.import_module("autorel_jax.corpus.saving").save(self, path, level)

    def to_dict(self) -> list[dict[str, Any]]:
        """Each explanation as JSON types, in their order."""
        return [one.to_dict() for one in self]

    def _repr_html_(self) -> str:
        from autorel_jax.report.html import fragment

        return fragment(self)
