"""Program: a file that `autorel-export` wrote -> a function of token ids that gives logits and relevance.

The file is a zip of StableHLO (jax.export), the weights (safetensors), the tokenizer and about.json. Reading it needs
JAX, NumPy and safetensors: neither Flax nor transformers. Layout: docs/output.md.
"""

import functools
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autorel_jax.errors import InputError, InputWarning, one_line
from autorel_jax.families import family_of
from autorel_jax.model.inputs import check_ids
from autorel_jax.model.parameters import nested
from autorel_jax.text.batches import pad, refuse_pairs
from autorel_jax.text.segments import Text
from autorel_jax.text.settings import CONFIG as SETTINGS
from autorel_jax.text.tokens import Tokens, load_tokenizer
from autorel_jax.text.unspaced import WHITESPACE

SCHEMA, OF_TEXTS = 2, 1  # of the file; raised when an older reader would misunderstand it, as it does heads on tokens
PROGRAM, PARAMS, ABOUT, TOKENIZER = MEMBERS = ("program.bin", "params.safetensors", "about.json", "tokenizer.json")
FLATBUFFERS = "this needs flatbuffers, which jax.export uses: pip install 'autorel-jax[export]'"


class Program:
    """A compiled explainer of token ids. B batch, T tokens, N targets, C labels.

    Attributes:
      about: JSON: schema, version, model_type (older files, all of BERT, lack it), labels, targets, method, on_tokens
        (whether it labels tokens; older files lack it), max_length, split_words, split_punctuation (older files lack
        both: words are between spaces), weights_sha256, platforms.
    """

    def __init__(self, about: Mapping[str, Any], call: Any, params: Mapping[str, Any], tokenizer: bytes):
        self.about = about
        self._call, self._params, self._tokenizer = jax.jit(call), params, tokenizer

    def __call__(self, ids: Any, mask: Any = None, types: Any = None, at: Any = None) -> tuple[jax.Array, jax.Array]:
        """Logits [B, C] and relevance [B, N, T] of token ids [B, T]; compiled once for each shape.

        Of a model that labels tokens the logits are [B, T, C], and a target is the mean of its label's logit over the
        tokens of `at`.

        Args:
          ids: [B, T], with the model's special tokens.
          mask: [B, T], 1 for tokens and 0 for padding, which stands behind the tokens: before them it would move their
            positions, and most heads would read it in place of [CLS]. None: all are tokens.
          types: [B, T], segment ids; None: 0, which is all that a model without segments takes.
          at: [B, T], 1 for the tokens that are asked about and 0 for others, of a model that labels tokens alone.

        Raises:
          InputError: the shapes do not fit, an id lies beyond its table, the mask holds other values or is missing
            where ids hold padding, or padding stands before tokens.
        """
        ids = np.asarray(ids)
        if mask is None and (ids == self.tokenizer.pad_id).any():
            raise InputError(f"ids hold padding ({self.tokenizer.pad_id}); give mask, 1 for tokens and 0 for padding.")
        mask = np.ones_like(ids) if mask is None else np.asarray(mask)
        types = np.zeros_like(ids) if types is None else np.asarray(types)
        on_tokens = self.about.get("on_tokens", False)
        if (at is not None) != on_tokens:
            raise InputError(
                "at is needed: it marks the tokens [B, T] whose label is explained."
                if on_tokens
                else "at is of a model that labels tokens; this one labels whole texts."
            )
        longest = self.about["max_length"]
        if ids.ndim != 2 or not ids.size or ids.shape[1] > longest or {mask.shape, types.shape} != {ids.shape}:
            raise InputError(
                f"ids, mask and types have the shapes {ids.shape}, {mask.shape}, {types.shape}; expected [B, T] "
                f"of 1 to {longest} tokens for all."
            )
        self.check_mask(mask)
        tables = self._params["embeddings"]
        check_ids(ids, len(tables["word"]), "token ids")
        if "type" in tables:
            check_ids(types, len(tables["type"]), "segment ids")
        elif types.any():
            raise InputError("types are all 0 for this model: it tells no segments apart. Leave them out.")
        rows = [array.astype(np.int32) for array in (ids, mask, types)]
        return self._call(self._params, *rows, *([self.asked(at, mask)] if on_tokens else []))

    def check_mask(self, mask: np.ndarray) -> None:
        """Raises InputError for values other than 0 and 1, or for padding before tokens."""
        if not (known := np.isin(mask, (0, 1))).all():
            raise InputError(f"mask holds {one_line(mask[~known][0])}; expected 1 for tokens and 0 for padding.")
        if (np.diff(mask.astype(np.int8), axis=1) > 0).any():
            raise InputError("mask has padding before tokens; pad behind them (padding_side='right').")

    @staticmethod
    def asked(at: Any, mask: np.ndarray) -> np.ndarray:
        """Which tokens [B, T] are asked about, as 0 and 1; an InputError where a row has none, or padding."""
        at = np.asarray(at)
        if at.shape != mask.shape or not np.isin(at, (0, 1)).all():
            raise InputError(f"at has the shape {at.shape}; expected {mask.shape} of 0 and 1.")
        if (at.astype(bool) & (mask == 0)).any() or not at.any(axis=1).all():
            raise InputError("at marks padding, or no token of some row; mark one token of each row at least.")
        return at.astype(np.int32)

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The classifier's tokenizer."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / TOKENIZER
            path.write_bytes(self._tokenizer)
            if "tokenizer_config" in self.about:  # older files lack it
                (Path(folder) / SETTINGS).write_text(json.dumps(self.about["tokenizer_config"]), "utf-8")
                path = path.parent
            return load_tokenizer(path, self.about["cased"], family_of(self.about.get("model_type", "bert")))

    def explain(
        self, texts: Sequence[Text], at: Sequence[Any] | None = None
    ) -> list[tuple[Tokens, np.ndarray, np.ndarray]]:
        """Of each text its tokens, logits [C] and relevance [N, T], computed as one batch.

        Of a model that labels tokens the logits are [T, C], and `at` holds for each text the places of the tokens that
        are asked about, among its tokens, where [CLS] is 0. Pairs of texts are for the program itself, as ids. An
        InputWarning says which text is empty or cut off.

        Raises:
          InputError: a text is a tuple of two strings; `at` is of another length.
        """
        refuse_pairs(texts, "call the program with the ids of a pair")
        if at is not None and len(at) != len(texts):
            raise InputError(f"{len(texts)} texts but {len(at)} at; give the places of tokens for each text.")
        tokens = self.tokenizer(
            texts,
            max_length=self.tokenizer.longest(self.about["max_length"]),
            split_words=self.about.get("split_words", WHITESPACE),
            split_punctuation=self.about.get("split_punctuation", False),
        )
        for place, row in enumerate(tokens):
            if row.warnings or row.truncated:
                cut = [f"{row.truncated} word pieces of it were cut off and not read."] if row.truncated else []
                warnings.warn(f"texts[{place}]: {' '.join([*row.warnings, *cut])}", InputWarning, stacklevel=2)
        if not tokens:
            return []
        batch = pad(tokens, max(len(row.ids) for row in tokens), len(tokens), self.tokenizer.pad_id)
        marked = None if at is None else self.marked(at, batch.ids.shape)
        logits, relevance = map(np.asarray, self(batch.ids, batch.mask, batch.types, marked))
        if logits.ndim == 3:
            logits = [row[: len(mine.ids)] for row, mine in zip(logits, tokens, strict=True)]
        return [(row, logits[i], relevance[i, :, : len(row.ids)]) for i, row in enumerate(tokens)]

    @staticmethod
    def marked(at: Sequence[Any], shape: tuple[int, int]) -> np.ndarray:
        """Places of tokens of each text -> 1 for them and 0 for others, of that shape."""
        made = np.zeros(shape, np.int32)
        for row, places in enumerate(at):
            given = np.atleast_1d(np.asarray(places))
            if not np.issubdtype(given.dtype, np.integer) or (given < 0).any() or (given >= shape[1]).any():
                raise InputError(f"at[{row}] is {one_line(repr(places))}; expected places of tokens, from 0.")
            made[row, given] = 1
        return made


def load_program(path: str | Path) -> Program:
    """Reads a file that `autorel-export` wrote.

    Raises:
      InputError: it is not such a file, is damaged, or needs a newer autorel-jax.
    """
    try:
        from jax import export
        from safetensors.numpy import load

        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in MEMBERS}
        about = json.loads(found[ABOUT])
        if about["schema"] > SCHEMA:
            raise InputError(
                f"{path} was written by autorel-jax {about['version']}; install that version or a newer one."
            )
        params = jax.device_put(nested(load(found[PARAMS])))
        call = export.deserialize(bytearray(found[PROGRAM])).call
    except ImportError as error:
        raise InputError(f"{path}: {FLATBUFFERS} ({one_line(error)}).") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or one_line(error)}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no program of autorel-export, or is damaged ({one_line(error)}).") from None
    return Program(about, call, params, found[TOKENIZER])
