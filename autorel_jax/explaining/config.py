"""ExplainConfig: how texts are explained. The one home of the defaults of `explain` and of the explain command."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.given import texts_of
from autorel_jax.options import check_options, option
from autorel_jax.text.unspaced import AUTO, SPLIT_WORDS

TRUNCATE, WINDOWS = LONG = ("truncate", "windows")  # what becomes of long texts
BLANK = "{}"  # in a hypothesis of zero-shot, where the label goes
BATCH_SIZES = {"cpu": 32}  # 8, 16 and 32 differ by 3 % a text on two CPU cores (T = 32)
BATCH_SIZE = 256  # on each device of another kind; an estimate


@dataclasses.dataclass(frozen=True)
class ExplainConfig:
    """How texts are explained."""

    # A name, a Composite (lrp/) or a Method (attribution/methods/). Achtibat et al. 2024: the most faithful.
    method: Any = option("attnlrp", "how relevance is computed")
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of the method, where not the defaults
    target: Any = option("predicted", "what is explained")  # attribution/targets.py says what it may be
    read_at: str | None = option(None, "where relevance is read (default: the method's first of these)")
    references: Sequence[Any] = option((), "other texts, of every label, with which contrast_cat contrasts a text")
    at: str | None = option(
        None,
        "of a model for tokens, answers or masked words, what is explained: words as they stand in the text, or "
        "word:N, token:N by number (default: what it finds, or every mask)",
    )
    answer_tokens: int = option(15, "of the longest answer to a question", count=True)  # as in transformers
    null_answer: bool = option(False, "a question may have no answer, where [CLS] scores higher (SQuAD 2)")
    top: int = option(1, "of masked words, how many of the likeliest fillings are explained, one by one", count=True)
    zero_shot: Sequence[str] = option((), "labels in words, for a model of natural language inference")
    hypothesis: str = option("This example is {}.", "what zero-shot asks of a label, which stands for {}")
    multi_label: bool = option(False, "labels of zero-shot do not exclude one another")  # as in transformers
    audit: bool = option(False, "say where the logit went: to words, biases, softmax, … (docs/ledger.md)")
    readouts: Sequence[str] = option((), "relevance inside the model")  # names in lrp/taps.py
    neurons: int = option(10, "of each layer, by |relevance|, for the read-out neurons", count=True)
    max_length: int | None = option(
        None,
        "tokens per text, special tokens included (default: as many as the model has positions, or the tokenizer's "
        "model_max_length where that is less)",
        count=True,
    )
    batch_size: int | None = option(
        None,
        f"texts (default: {BATCH_SIZES['cpu']} on a CPU, else {BATCH_SIZE} for each device; halved where memory runs "
        "out)",
        count=True,
    )
    prefetch: int = option(64, "batches that are tokenized, sorted by length and held in memory together", count=True)
    split_words: str = option(
        AUTO,
        "words of scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are those of ICU's "
        "dictionaries, or characters where ICU is not installed; or all words are between spaces",
        choices=SPLIT_WORDS,
    )
    split_punctuation: bool = option(False, "punctuation marks are words of their own")
    long: str = option(
        TRUNCATE,
        "longer texts are cut off, with a warning, or read in overlapping windows; pairs are cut off, but for "
        "a question and its context",
        choices=LONG,
    )
    stride: int | None = option(None, "word pieces from one window to the next (default: half a window)", count=True)

    def __post_init__(self):
        check_options(self)
        if self.at is not None and (not isinstance(self.at, str) or not self.at.strip()):
            raise InputError(f"at={one_line(repr(self.at))}: expected words of the text, word:NUMBER or token:NUMBER.")
        self._check_zero_shot()
        object.__setattr__(self, "references", texts_of(self.references, "references"))
        if not isinstance(self.parameters, Mapping):
            raise InputError(f"parameters={self.parameters!r}: expected a dict of names and values.")
        if self.stride is not None and self.long != WINDOWS:
            raise InputError(f"stride={self.stride} is of windows; give long={WINDOWS!r} with it.")
        if isinstance(self.readouts, str) or not isinstance(self.readouts, Sequence):
            raise InputError(f"readouts={self.readouts!r}: expected a list of names of read-outs.")
        if self.neurons != type(self).neurons and "neurons" not in self.readouts:
            raise InputError(f"neurons={self.neurons} is of the read-out neurons; ask for it too, or leave this out.")
        if self.long == WINDOWS and (self.audit or self.readouts):
            raise InputError(
                f"long={WINDOWS!r} has no audit and no read-outs: they are of one window; use {TRUNCATE!r}."
            )

    def _check_zero_shot(self) -> None:
        """Raises InputError for labels or a hypothesis that cannot be used."""
        labels = self.zero_shot
        if isinstance(labels, str) or not all(isinstance(label, str) and label.strip() for label in labels):
            raise InputError(f"zero_shot={one_line(repr(labels))}: expected a list of labels in words.")
        object.__setattr__(self, "zero_shot", tuple(labels))
        if len(set(labels)) < len(labels):
            raise InputError(f"zero_shot names a label twice: {', '.join(labels)}.")
        if not isinstance(self.hypothesis, str) or self.hypothesis.count(BLANK) != 1:
            raise InputError(f"hypothesis={one_line(repr(self.hypothesis))}: expected a sentence with one {BLANK}.")
        if not labels and (self.hypothesis, self.multi_label) != (ExplainConfig.hypothesis, ExplainConfig.multi_label):
            raise InputError("hypothesis and multi_label are of zero_shot; give its labels with them.")
