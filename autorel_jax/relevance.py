"""Relevance: a function from embeddings to logits, and a target -> relevance of every token. One jax.vjp.

Used by explainer.py, and by `Classifier.logits_of`, the raw form for one's own vjp.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from autorel_jax.bert import Bert, Params
from autorel_jax.config import BertConfig
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import EMBEDDING_SUM, EMBEDDINGS, MULTIPLIER, WORD_EMBEDDINGS, Boundary, Composite
from autorel_jax.ops import Array, Values

Logits = Callable[[Array], Array]  # embeddings [B, T, D] -> logits [B, C]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a compiled explanation depends on besides shapes. Hashable.

    Attributes:
      config: the model's architecture.
      composite: which rule for which op.
      read_at: a point of `composite.reads`.
      dtype: of the matrix products; None is the parameters'.
    """

    config: BertConfig
    composite: Composite
    read_at: str
    dtype: jnp.dtype | None = None

    def __post_init__(self):
        if self.read_at not in self.composite.reads:
            raise InputError(
                f"This method cannot be read at {self.read_at!r}; accepted: {', '.join(self.composite.reads)}."
            )

    @property
    def model(self) -> Bert:
        """The BERT that computes with the composite's rules."""
        return Bert(self.config, self.composite.ops, self.dtype, last_queries=self.composite.last_queries)

    @property
    def values(self) -> Values:
        """The composite's parameters as arrays. What is compiled takes them as an argument and must not read them here.

        Settings that differ in them alone are equal.
        """
        return self.composite.values(self.config.num_hidden_layers)


def embeddings(settings: Settings, params: Params, ids: Array, types: Array) -> Array:
    """The activations where relevance is read: ids, types [B, T] -> [B, T, D]."""
    apply = functools.partial(Bert(settings.config, dtype=settings.dtype).apply, {"params": params})
    x = apply(ids, method="lookup")
    if settings.read_at != WORD_EMBEDDINGS:
        x = apply(x, types, method="embedding_sum")
    return apply(x, method="normalize") if settings.read_at == EMBEDDINGS else x


def from_embeddings(settings: Settings, params: Params, mask: Array, types: Array, values: Values) -> Logits:
    """The function from the read point to the logits whose vjp gives relevance at its input.

    Its vjp takes what `composite.boundary.seed` gives, not relevance at the logits. Shapes: mask, types [B, T];
    `values` are those of `Settings.values`.
    """
    apply = functools.partial(settings.model.apply, {"params": params, "values": values})

    def f(x: Array) -> Array:
        x = settings.composite.boundary.embeddings(x)
        if settings.read_at == WORD_EMBEDDINGS:
            x = apply(x, types, method="embedding_sum")
        if settings.read_at in (WORD_EMBEDDINGS, EMBEDDING_SUM):
            x = apply(x, method="normalize")
        return apply(x, mask, method="classify")

    return f


def target_weights(logits: Array, weights: Array | None) -> Array:
    """The weights of targets [B, N, C] as given; None is one target, the class with the highest of logits [B, C]."""
    if weights is None:
        weights = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])[:, None]
    return weights.astype(logits.dtype)


def attribute(f: Logits, x: Array, weights: Array | None, boundary: Boundary = MULTIPLIER) -> tuple[Array, Array]:
    """Logits and the relevance at x of targets that are weighted sums of the logits, from one forward pass.

    Args:
      f: embeddings [B, T, D] -> logits [B, C], as `from_embeddings` makes it.
      x: [B, T, D].
      weights: [B, N, C], N targets for each row; None explains the class with the highest logit.
      boundary: that of the composite that f computes with.

    Returns:
      logits [B, C] and relevance [B, N, T, D].
    """
    logits, pull = jax.vjp(f, x)
    seeds = boundary.seed(logits[:, None], target_weights(logits, weights))
    if seeds.shape[1] == 1:
        return logits, pull(seeds[:, 0])[0][:, None]
    (relevance,) = jax.vmap(pull, in_axes=1, out_axes=1)(seeds)
    return logits, relevance


@functools.partial(jax.jit, static_argnums=0)
def token_relevance(
    settings: Settings, params: Params, ids: Array, mask: Array, types: Array, weights: Array | None, values: Values
) -> tuple[Array, Array]:
    """Logits [B, C] and relevance of each token [B, N, T] for token ids, mask and types [B, T]; compiled once a shape.

    `weights` are as in `attribute`, `values` those of `Settings.values`. Padding gets exactly 0.
    """
    x = embeddings(settings, params, ids, types)
    f = from_embeddings(settings, params, mask, types, values)
    logits, relevance = attribute(f, x, weights, settings.composite.boundary)
    return logits, relevance.sum(axis=-1)
