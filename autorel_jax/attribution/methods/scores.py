"""Scores: a method and a batch -> the logits, a score for every token, and what the method measured of itself.

Used by explainer.py, as `relevance.token_relevance` is for composites.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from autorel_jax.attribution import relevance
from autorel_jax.attribution.methods.method import Method
from autorel_jax.attribution.methods.question import GRADIENT, Question, Texts
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import EMBEDDINGS, READ_POINTS
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Params
from autorel_jax.model.ops import Array


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a compiled method depends on besides shapes. Hashable.

    Attributes:
      config: the model's architecture.
      method: with its static parameters; the values of others reach the program as arrays, see `Method.values`.
      read_at: a point of `method.reads`.
      dtype: of the matrix products; None is the parameters'.
    """

    config: BertConfig
    method: Method
    read_at: str
    dtype: jnp.dtype | None = None

    def __post_init__(self):
        if self.read_at not in self.method.reads:
            raise InputError(
                f"{self.method.name} cannot be read at {self.read_at!r}; accepted: {', '.join(self.method.reads)}."
            )

    @property
    def plain(self) -> relevance.Settings:
        """The plain model, read where the method begins; attention is behind the embeddings."""
        point = self.read_at if self.read_at in READ_POINTS else EMBEDDINGS
        return relevance.Settings(self.config, GRADIENT, point, self.dtype)


@functools.partial(jax.jit, static_argnums=0)
def token_scores(
    settings: Settings, params: Params, texts: Texts, weights: Array | None, values: Mapping[str, Array]
) -> tuple[Array, Array, Array]:
    """Logits [B, C], scores of each token [B, N, T] and diagnostics [B, N, M]; compiled once a shape.

    `weights` are as in `relevance.attribute`, `values` those of `Method.values`. Padding gets exactly 0.
    """
    question = Question(settings.plain, params, texts, weights)
    logits, scores, measured = settings.method.scores(question, values)
    return logits, jnp.where(texts.mask[:, None] != 0, scores, 0), measured
