"""Relevance: a function from embeddings to logits, and a target -> relevance of every token. One jax.vjp.

Used by targeted_batch.py for composites and for gradients, and by `Classifier.logits_of`, the raw form for a vjp of
one's own.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from autorel_jax.attribution.method import Result, Texts, Values
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targets import Score
from autorel_jax.lrp.composites import EMBEDDING_SUM, EMBEDDINGS, MULTIPLIER, WORD_EMBEDDINGS, Boundary
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.ops import Array

USUAL = 512  # tokens; of texts up to here, a batch is as large as ever
HELD = {"cpu": 2**25}  # features of all layers' inputs; times 10 to 20, and 4 bytes, about 2 GiB
HELD_ELSEWHERE = 2**28  # an estimate
Logits = Callable[[Array], Array]  # embeddings [B, T, D] -> logits [B, C]


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
    model = settings.model.clone(remat=recomputed(settings.config, *mask.shape))
    apply = functools.partial(model.apply, {"params": params, "values": values, "taps": taps or {}})

    def f(x: Array) -> Array:
        x = settings.method.boundary.embeddings(x)
        if settings.read_at == WORD_EMBEDDINGS:
            x = apply(x, types, method="embedding_sum")
        if settings.read_at in (WORD_EMBEDDINGS, EMBEDDING_SUM):
            x = apply(x, method="normalize")
        return apply(x, mask, method="classify")

    return f


def recomputed(config: BertConfig, texts: int, tokens: int) -> bool:
    """Whether layers are computed again in the backward pass, in place of holding all that they computed.

    Half as much time again; a layer then holds one number a feature of its input, where it held 10 to 20.
    """
    if not isinstance(tokens, int) or tokens <= USUAL:  # an exported program has no number
        return False
    most = HELD.get(jax.default_backend(), HELD_ELSEWHERE)
    return texts * tokens * config.depth * config.hidden_size >= most


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
    score: Score | None = None,
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


def composite_result(settings: Settings, params: Params, texts: Texts, weights: Array | None, values: Values) -> Result:
    """The Result of a composite for a batch: logits, and the relevance of each token. Padding gets exactly 0.

    `weights` are as in `attribute`, `values` those of `Settings.values`.
    """
    x = embeddings(settings, params, texts.ids, texts.types)
    f = from_embeddings(settings, params, texts.mask, texts.types, values)
    logits, relevance = attribute(f, x, weights, settings.method.boundary, settings.score)
    return Result(logits, scored(settings.score, logits), relevance.sum(axis=-1))


def scored(score: Score | None, logits: Array) -> Array:
    """What targets weigh: logits [B, C] -> scores [B, S]."""
    return logits if score is None else jax.vmap(score)(logits)
