"""Classifier: a checkpoint and its tokenizer, ready to compute. `load` makes one; explain.py and notebooks use it."""

import contextlib
import dataclasses
import functools
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import weights
from autorel_jax.attribution import relevance
from autorel_jax.attribution.probabilities import HALF, softmax
from autorel_jax.attribution.settings import Settings
from autorel_jax.builtin import BUILTIN
from autorel_jax.data import label_ids
from autorel_jax.errors import InputError, InputWarning, listing, one_line
from autorel_jax.families.family import ASKED_TOKEN, EMBEDDINGS, MASKED, TEXT_LABELS
from autorel_jax.lrp import composites
from autorel_jax.lrp.fused import fused
from autorel_jax.model.config import COMPUTE_DTYPES, FLOAT64, REGRESSION, BertConfig
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.inputs import check_ids
from autorel_jax.model.ops import PLAIN, Array
from autorel_jax.text.batches import Batch, pad, refuse_pairs
from autorel_jax.text.memory import write_files
from autorel_jax.text.tokens import Tokenizer, Tokens, load_tokenizer
from autorel_jax.text.unspaced import AUTO, WHITESPACE

LISTED = 30  # of them where one is unknown


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """A text classifier: architecture, parameters on the device, tokenizer.

    Attributes:
      name: the path or hub id that it was loaded from, or which built-in model it is.
      config: the architecture, with the label names.
      params: the params tree of model/parameters.py, float32 (float64 where dtype is).
      tokenizer: of the same vocabulary.
      dtype: of the matrix products; a value of COMPUTE_DTYPES.
      warnings: what the user should know of the checkpoint, for instance weights that are not finite.
    """

    name: str
    config: BertConfig
    params: Params
    tokenizer: Tokenizer
    dtype: str = COMPUTE_DTYPES[0]
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> np.dtype:
        """The floating-point type of results: float32, or float64 where `dtype` is."""
        return np.dtype(FLOAT64 if self.dtype == FLOAT64 else np.float32)

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Where it computes: with 64-bit types where `dtype` is one, whatever the process has set."""
        return jax.enable_x64(self.dtype == FLOAT64)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the parameters in float32; the same for the same weights in another file format."""
        return weights.fingerprint(self.params)

    @property
    def longest_text(self) -> int:
        """How many tokens of a text are read where nobody says: the model's positions, or fewer as its files say.

        max_seq_length of sentence-transformers goes before the tokenizer's model_max_length, as there.
        """
        positions = self.config.longest_text
        return positions if self.config.most_tokens else self.tokenizer.longest(positions)

    def check_whole_texts(self, what: str) -> None:
        """Raises InputError for a model of something else than whole texts, as `what` says: "predict is for"."""
        if self.config.task != TEXT_LABELS:
            purpose = self.config.task.replace("_", " ")
            raise InputError(f"{self.name} is for {purpose}; {what} classifiers of whole texts.")

    def tokens(
        self,
        texts: Sequence[str | Sequence[str]],
        pairs: Sequence[str | Sequence[str]] | None = None,
        *,
        max_length: int | None = None,
        split_punctuation: bool = False,
        split_words: str = AUTO,
        cut: int | None = None,
    ) -> list[Tokens]:
        """Tokenizes texts (or pairs of texts), each a string or a list of words.

        Args:
          texts: N texts.
          pairs: N second texts, or None.
          max_length: tokens per text with special tokens; None is `longest_text`.
          split_punctuation: whether punctuation marks are words of their own.
          split_words: "auto" or "whitespace", as in ExplainConfig.
          cut: which text of a pair alone is cut where both are too long, 0 or 1; None: the longer one first.

        Raises:
          InputError: `max_length` exceeds the model's positions; pairs for a model that knows one segment alone;
            nothing would be left of the text that is cut; a text is a tuple of two strings, as a pair is elsewhere.
        """
        refuse_pairs(texts, "give second texts as pairs")
        positions = self.config.longest_text
        length = self.longest_text if max_length is None else max_length
        if length > positions:
            raise InputError(f"max_length={length} exceeds the model's {positions} positions; use at most {positions}.")
        words = {"split_punctuation": split_punctuation, "split_words": split_words}
        rows = self.tokenizer(texts, pairs, max_length=length, cut=cut, **words)
        check_segments(rows, self.config.type_vocab_size)
        return rows

    def batch(self, texts: Sequence[str | Sequence[str]], pairs: Sequence[str] | None = None) -> Batch:
        """Token ids, mask and segment ids [B, T] of texts, padded to the longest; errors also as for `tokens`.

        Raises:
          InputError: there are no texts.
        """
        rows = self.tokens(texts, pairs, split_words=WHITESPACE)
        if not rows:
            raise InputError("There are no texts; a batch needs at least one.")
        if self.config.task == MASKED:
            rows = [dataclasses.replace(row, asked=self.only_mask(row)) for row in rows]
        return pad(rows, length=max(len(row.ids) for row in rows), batch=len(rows), pad_id=self.tokenizer.pad_id)

    def only_mask(self, tokens: Tokens) -> int:
        """The place of a text's one mask, of a model of masked words; an InputError where there are none or several."""
        places = np.flatnonzero(tokens.ids == self.tokenizer.mask_id)
        if len(places) != 1:
            raise InputError(
                f"a text of a batch must have one mask to fill; this one has {len(places)}. `explain` takes any number."
            )
        return int(places[0])

    def settings(self, method: str | composites.Composite, read_at: str | None = None) -> Settings:
        """What a compiled explanation depends on; `read_at` None is the method's default."""
        composite = composites.composite(method)
        return Settings(self.config, composite, read_at or composite.reads[0], jnp.dtype(self.dtype))

    def embeddings(self, method: str | composites.Composite, batch: Batch, read_at: str | None = None) -> Array:
        """What `logits_of` takes for the same arguments: the activations [B, T, D] where relevance is read."""
        return relevance.embeddings(self.settings(method, read_at), self.params, batch.ids, batch.types)

    def logits_of(
        self, method: str | composites.Composite, batch: Batch, read_at: str | None = None
    ) -> relevance.Logits:
        """The function embeddings [B, T, D] -> logits [B, C] whose vjp maps relevance at the logits to relevance.

        embeddings = classifier.embeddings("attnlrp", batch)
        logits, vjp = jax.vjp(classifier.logits_of("attnlrp", batch), embeddings)
        (relevance,) = vjp(relevance_at_the_logits)
        """
        self.check_asked(batch)
        settings = self.settings(method, read_at)
        values = jax.tree.map(lambda value: value.astype(self.kind), settings.values)
        f = relevance.from_embeddings(settings, self.params, batch.mask, batch.types, values)
        return lambda x: settings.method.boundary.logits(f(x))

    def logits(self, batch: Batch) -> np.ndarray:
        """The plain model's logits [B, C]; of a head on tokens [B, T * C], one token after the other.

        Raises:
          InputError: an id lies beyond the embedding table.
        """
        tables = self.params["embeddings"]
        check_ids(batch.ids, len(tables["word"]), "token ids")
        self.check_asked(batch)
        if "type" in tables:
            check_ids(batch.types, len(tables["type"]), "segment ids")
        with self.precision():
            return np.asarray(
                forward(self.config, jnp.dtype(self.dtype), self.params, batch.ids, batch.mask, batch.types)
            )

    def check_asked(self, batch: Batch) -> None:
        """Raises InputError where a batch of a model of masked words does not say which token is asked about."""
        if self.config.task == MASKED and not (np.asarray(batch.mask) == ASKED_TOKEN).any(axis=1).all():
            raise InputError(
                f"mask lacks the {ASKED_TOKEN} in some row, which marks the token to fill; `batch` makes such masks."
            )

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Logits [..., C] -> probabilities: softmax, or sigmoids (`is_sigmoid`); None for a regression."""
        if self.config.problem == REGRESSION or self.config.task == EMBEDDINGS:
            return None
        return np.exp(-np.logaddexp(0, -logits.astype(np.float64))) if self.config.is_sigmoid else softmax(logits)

    def decisions(self, logits: np.ndarray) -> np.ndarray:
        """Which labels each of N texts is given [N, C]: the one of the highest logit, or all with P of HALF or more.

        The latter where each label has a probability of its own (`is_sigmoid`).

        Raises:
          InputError: the model gives no labels: a regression, or a model of vectors.
        """
        if self.config.problem == REGRESSION or self.config.task == EMBEDDINGS:
            raise InputError(f"{self.name} is a model without labels to decide for: a regression, or one of vectors.")
        if self.config.is_sigmoid:
            return self.probabilities(logits) >= HALF
        return np.eye(logits.shape[1], dtype=bool)[logits.argmax(axis=1)]

    @functools.cached_property
    def known_labels(self) -> dict[str, int]:
        """How a label may be written -> its id."""
        return label_ids.known_labels(self.config.labels)

    def label_id(self, label: Any) -> int:
        """The index of a label, by name, by number, as "id:1" or as a data set's class: data/label_ids.py has the rule.

        Raises:
          InputError: there is no such label; the message lists those there are.
        """
        labels, of_data_set = self.config.labels, label_ids.is_class(label)
        number = label_ids.meant(label, labels, self.known_labels, self.name)
        if number is not None:
            return number
        names = listing((f"{one_line(name, 80)} (id:{index})" for index, name in enumerate(labels)), LISTED)
        shown = f"{label[0]!r} ({label[1]} of the data set)" if of_data_set else one_line(repr(label), 80)
        hint = ""
        if str(label).strip() in map(str, range(len(labels))):
            hint = f" Beside these names a bare {label} may mean another label: write id:{label} for that id."
        raise InputError(f"Unknown label {shown}. The labels of {self.name}: {names}.{hint}")

    def row_labels(self) -> Callable[[Any], int]:
        """A function as `label_id`, for the labels of many texts: it says once how numbers that may be ids are read."""
        told = False

        def row_label(label: Any) -> int:
            nonlocal told
            number = self.label_id(label)
            if not told and (said := label_ids.how_read(self.config.labels, label, self.name)):
                told = True
                warnings.warn(said, InputWarning, stacklevel=1)  # one place: Python says it once for many calls, too
            return number

        return row_label


_PROCESS = {"loaded": False, "forked": False}  # whether JAX has computed here, and whether that was before a fork
os.register_at_fork(after_in_child=lambda: _PROCESS.update(forked=_PROCESS["loaded"]))


def refuse_strange_process() -> None:
    """Raises InputError where JAX would never answer, in a forked process, or only trace, inside jit."""
    if _PROCESS["forked"]:
        raise InputError(
            "this process was forked from one that has used JAX, whose threads it lacks: it would wait for ever. Start "
            "workers by multiprocessing.get_context('spawn')."
        )
    if isinstance(jnp.zeros(()), jax.core.Tracer):
        raise InputError("called inside jit, grad or vmap of JAX, where texts cannot be read; call it outside.")


def check_segments(rows: Sequence[Tokens], kinds: int) -> None:
    """Raises InputError for a segment id beyond the table, which XLA would take for its last row."""
    largest = max((int(row.types.max(initial=0)) for row in rows), default=0)
    if kinds and largest >= kinds:
        raise InputError(
            f"the model tells {kinds} kind(s) of segments apart (type_vocab_size), but a pair of texts has "
            f"{largest + 1}; give single texts, or a model of pairs."
        )


@functools.partial(jax.jit, static_argnums=(0, 1))
def forward(config: BertConfig, dtype: jnp.dtype, params: Params, ids: Array, mask: Array, types: Array) -> Array:
    """Logits [B, C] of the plain model for ids, mask and types [B, T]."""
    return Bert(config, fused(PLAIN), dtype).apply({"params": params}, ids, mask, types)


def load(
    path: Any = BUILTIN,
    *,
    config: Any = None,
    vocab: Path | None = None,
    cased: bool | None = None,
    truncation_side: str | None = None,
    revision: str | None = None,
    problem_type: str | None = None,
    labels: Sequence[str] = (),
    rename: Sequence[str] = (),
    drop: Sequence[str] = (),
    tokenizer: Any = None,
    dtype: str = COMPUTE_DTYPES[0],
) -> Classifier:
    """Loads a classifier from a directory, a weights file, a TensorFlow checkpoint or a hub id.

    Args:
      path: see weights/ for what is read; without it, the built-in sentiment classifier. A PyTorch model or state dict
        is taken too, with `tokenizer`, and with `config` where it has none.
      config: the model's config file, where it does not lie beside the weights; for a model in memory its config.
      vocab: the vocabulary or tokenizer, likewise.
      cased: overrides what the vocabulary says of upper case.
      truncation_side: "right" or "left", the end at which a text that is too long is cut; overrides what the files say.
      revision: of a hub id.
      problem_type: what the outputs are, over what the config says: single_label_classification,
        multi_label_classification or regression.
      labels: names of the outputs, likewise.
      rename: OLD=NEW each, of the start of tensors' names: ["out.=classifier."].
      drop: patterns of tensors to leave out: ["loss_fct.*"].
      tokenizer: one of transformers, or the path of its files.
      dtype: of the matrix products, a value of COMPUTE_DTYPES.

    Raises:
      InputError: it cannot be read, does not fit its config, or has no classification head.
    """
    refuse_strange_process()
    if dtype not in (*COMPUTE_DTYPES, FLOAT64):
        raise InputError(f"Unknown dtype {dtype!r}. Available: {', '.join((*COMPUTE_DTYPES, FLOAT64))}.")
    if dtype == FLOAT64 and not jax.config.jax_enable_x64:
        raise InputError("dtype='float64' needs jax.config.update('jax_enable_x64', True) first.")
    changes = weights.Changes(labels, problem_type, rename, drop)
    checkpoint = weights.read(path, config=config, revision=revision, pretrained_heads=True, changes=changes)
    if not checkpoint.config.num_labels:
        family, output = checkpoint.config.family, checkpoint.config.head_facts.output
        raise InputError(
            f"{checkpoint.source} has no classification head ({output}): fine-tune it first, or give one of "
            f"{', '.join(family.explained)}."
        )
    tokenizer = tokenizer_for(checkpoint, vocab if tokenizer is None else tokenizer, cased, truncation_side)
    params = checkpoint.params
    misfits = tokenizer.misfits(checkpoint.config.vocab_size, checkpoint.config.counted_pad)
    warnings = (*checkpoint.warnings, *tokenizer.warnings, *misfits)
    labels = checkpoint.config.labels
    if len(set(labels)) < len(labels):
        warnings += (f"labels share a name ({', '.join(labels)}): tell them apart by id",)
    if dtype == FLOAT64:
        params = jax.tree.map(np.float64, params)
    name = checkpoint.source if checkpoint.directory is None else str(path)
    name = f"built-in {BUILTIN.name}" if checkpoint.directory == BUILTIN else name
    _PROCESS["loaded"] = True
    return Classifier(name, checkpoint.config, jax.device_put(params), tokenizer, dtype, warnings)


def tokenizer_for(checkpoint: weights.Checkpoint, given: Any, cased: bool | None, side: str | None) -> Tokenizer:
    """The tokenizer of a checkpoint: that of its folder, of a path, or one of transformers in memory."""
    family = checkpoint.config.family
    if given is None and checkpoint.directory is None:
        raise InputError(f"{checkpoint.source} brings no tokenizer; give tokenizer=, one of transformers or a path.")
    if given is None or isinstance(given, str | Path):
        return load_tokenizer(Path(given) if given else checkpoint.directory, cased, family, side)
    with tempfile.TemporaryDirectory() as folder:
        write_files(given, Path(folder))
        return load_tokenizer(Path(folder), cased, family, side)
