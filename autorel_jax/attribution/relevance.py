"""Relevance: a function from embeddings to logits, and a target -> relevance of every token. One jax.vjp.

Used by explainer.py, and by `Classifier.logits_of`, the raw form for one's own vjp.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import (
    COMPOSITES,
    EMBEDDING_SUM,
    EMBEDDINGS,
    MULTIPLIER,
    WORD_EMBEDDINGS,
    Boundary,
    Composite,
)
from autorel_jax.lrp.taps import READOUTS, WORD_PARTS, tapped_ops, whole
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.ops import Array, Values

Logits = Callable[[Array], Array]  # embeddings [B, T, D] -> logits [B, C]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a compiled explanation depends on besides shapes. Hashable.

    Attributes:
      config: the model's architecture.
      composite: which rule for which op.
      read_at: a point of `composite.reads`.
      dtype: of the matrix products; None is the parameters'.
      audit: whether every op counts what it absorbs; see readouts.py.
      readouts: names in READOUTS.
      neurons: how many of a layer's neurons the read-out of that name holds.
      score: what a target weighs, logits [C] -> scores [S]; None: the logits. Hashable; see targets.py.
      unroll: of the model, see Bert.
    """

    config: BertConfig
    composite: Composite
    read_at: str
    dtype: jnp.dtype | None = None
    audit: bool = False
    readouts: tuple[str, ...] = ()
    neurons: int = 0
    score: Callable[[Array], Array] | None = None
    unroll: bool = False

    def __post_init__(self):
        if self.read_at not in self.composite.reads:
            raise InputError(
                f"This method cannot be read at {self.read_at!r}; accepted: {', '.join(self.composite.reads)}."
            )
        check_readouts(self)

    @property
    def model(self) -> Bert:
        """The BERT that computes with the composite's rules."""
        table = self.composite.ops
        table = tapped_ops(table, self.audit) if self.audit or self.readouts else table
        return Bert(self.config, table, self.dtype, every_query=self.composite.every_query, unroll=self.unroll)

    @property
    def values(self) -> Values:
        """The composite's parameters as arrays. What is compiled takes them as an argument and must not read them here.

        Settings that differ in them alone are equal.
        """
        return self.composite.values(self.config.num_hidden_layers)


def check_readouts(settings: Settings) -> None:
    """Raises InputError for a read-out that there is not, and for what a method cannot tell."""
    if not (settings.audit or settings.readouts):
        return
    composite = settings.composite
    able = ", ".join(name for name, made in COMPOSITES.items() if made.boundary is MULTIPLIER)
    if composite.boundary is not MULTIPLIER:
        raise InputError(
            f"{composite.name} has no audit and no read-outs: its rules rescale relevance and add the gradient of "
            f"whole sub-blocks, so that what an op absorbs is not defined. Methods that have them: {able}."
        )
    if op := whole(composite.ops):
        raise InputError(
            f"{composite.name} has no audit and no read-outs: its rule for {op} stands for several ops, between which "
            f"nothing can be read. Methods that have them: {able}."
        )
    for name in settings.readouts:
        if name not in READOUTS:
            raise InputError(f"Unknown read-out {name!r}. Available: {', '.join(READOUTS)}.")
        if name in WORD_PARTS and settings.read_at != WORD_EMBEDDINGS:
            raise InputError(
                f"The read-out {name!r} needs read_at={WORD_EMBEDDINGS!r}; at {settings.read_at!r} the relevance of "
                f"{name} is a part of the tokens'."
            )


def embeddings(settings: Settings, params: Params, ids: Array, types: Array) -> Array:
    """The activations where relevance is read: ids, types [B, T] -> [B, T, D]."""
    apply = functools.partial(Bert(settings.config, dtype=settings.dtype).apply, {"params": params})
    x = apply(ids, method="lookup")
    if settings.read_at != WORD_EMBEDDINGS:
        x = apply(x, types, method="embedding_sum")
    return apply(x, method="normalize") if settings.read_at == EMBEDDINGS else x


def from_embeddings(
    settings: Settings,
    params: Params,
    mask: Array,
    types: Array,
    values: Values,
    taps: Mapping[str, Values] | None = None,
) -> Logits:
    """The function from the read point to the logits whose vjp gives relevance at its input.

    Its vjp takes what `composite.boundary.seed` gives, not relevance at the logits. Shapes: mask, types [B, T];
    `values` are those of `Settings.values`, `taps` those of readouts.py.
    """
    apply = functools.partial(settings.model.apply, {"params": params, "values": values, "taps": taps or {}})

    def f(x: Array) -> Array:
        x = settings.composite.boundary.embeddings(x)
        if settings.read_at == WORD_EMBEDDINGS:
            x = apply(x, types, method="embedding_sum")
        if settings.read_at in (WORD_EMBEDDINGS, EMBEDDING_SUM):
            x = apply(x, method="normalize")
        return apply(x, mask, method="classify")

    return f


def target_weights(logits: Array, weights: Array | None) -> Array:
    """The weights of targets [B, N, S] as given; None is one target, the class with the highest of logits [B, C]."""
    if weights is None:
        weights = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])[:, None]
    return weights.astype(logits.dtype)


def attribute(
    f: Logits,
    x: Any,
    weights: Array | None,
    boundary: Boundary = MULTIPLIER,
    score: Callable[[Array], Array] | None = None,
) -> tuple[Array, Any]:
    """Logits and the relevance at x of targets that are weighted sums of scores, from one forward pass.

    Args:
      f: embeddings [B, T, D] -> logits [B, C], as `from_embeddings` makes it.
      x: [B, T, D], or what else f takes: any tree of arrays [B, ...].
      weights: [B, N, S], N targets for each row; None explains the class with the highest logit.
      boundary: that of the composite that f computes with.
      score: logits [C] -> scores [S], which is differentiated; None: the logits themselves.

    Returns:
      logits [B, C] and relevance [B, N, T, D], or what else the vjp of f gives to x: [B, N, ...] each.
    """
    logits, pull = jax.vjp(f, x)
    weights = target_weights(logits, weights)
    if score is not None:
        scores, to_logits = jax.vjp(jax.vmap(score), logits)
        (weights,) = jax.vmap(to_logits, in_axes=1, out_axes=1)(weights.astype(scores.dtype))
    seeds = boundary.seed(logits[:, None], weights.astype(logits.dtype))
    if seeds.shape[1] == 1:
        return logits, jax.tree.map(lambda found: found[:, None], pull(seeds[:, 0])[0])
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
    logits, relevance = attribute(f, x, weights, settings.composite.boundary, settings.score)
    return logits, relevance.sum(axis=-1)
