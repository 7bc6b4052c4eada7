"""Methods that read attention weights: raw attention, rollout, layer-wise attention tracing, generic attention.

All of them follow what the head reads back through the layers: a row vector over tokens, times one matrix [T, T] a
layer. The row to start with is [CLS] alone, or the mean of a text's tokens for a head that reads that. So they need the
last layer's weights for those tokens alone, which are what the model computes there.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.method import Values
from autorel_jax.attribution.methods.parameters import Number, traced
from autorel_jax.attribution.methods.plain import PlainMethod, Scores
from autorel_jax.attribution.relevance import target_weights
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch
from autorel_jax.errors import InputError
from autorel_jax.model import ops
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert
from autorel_jax.model.heads import HEADS
from autorel_jax.model.ops import PLAIN, Array

LAST, MEAN = -1, -1  # layer: the last one; head: the mean over all
READS = ("attention_weights",)


def attended(batch: TargetedBatch, read: Callable[[Array], Array]) -> tuple[Array, Array, Array]:
    """What `Bert.attend` returns for the texts of a batch."""
    variables = {"params": batch.params}
    return batch.model.apply(variables, batch.inputs, batch.texts.mask, read, method="attend")


def start(config: BertConfig, mask: Array) -> Array:
    """The row to start with, e: how much of each token the head reads, of those that the last layer computes [B, Q]."""
    head = HEADS[config.head_kind]
    return head.weighs(mask[:, : head.reads])


def looked_at(row: Array, weights: Array) -> Array:
    """A row [B, Q] times weights [B, H, T, S], whose first Q rows it is about: [B, H, S]."""
    return ops.contract("bq,bhqs->bhs", row.astype(weights.dtype), weights[:, :, : row.shape[1]])


def back(last: Array, layers: Array, step: Callable[[Array, Array], Array]) -> Array:
    """From the last layer to the first: v = last, then v = step(v, layer) for each of `layers`, the topmost first."""
    return jax.lax.scan(lambda v, layer: (step(v, layer), None), last, layers, reverse=True)[0]


def heads_mean(weights: Array) -> Array:
    """[B, H, T, S] -> [B, T, S]."""
    return weights.mean(axis=1)


class Attention(PlainMethod):
    """A method that follows what the head reads."""

    reads = READS

    def check(self, settings: Settings) -> None:
        """Also for a head on tokens, where each target would begin at tokens of its own."""
        super().check(settings)
        if settings.config.on_tokens:
            raise InputError(
                f"{self.name} is not defined for a model with outputs at tokens, of which each has another row of "
                "attention to begin with; use a composite, or a method of gradients or occlusion."
            )


class AnyTarget(Attention):
    """A method that reads the forward pass alone, so that it cannot tell one target from another."""

    note = (
        "scores are where the model looks, whatever the target: the same for every label, never negative, "
        "and no parts of the logit"
    )

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        logits, found = self.looks(batch, values)
        targets = batch.weights(logits).shape[1]
        found = jnp.broadcast_to(found[:, None], (found.shape[0], targets, found.shape[1]))
        return logits, found, {}

    def looks(self, batch: TargetedBatch, values: Values) -> tuple[Array, Array]:
        """Logits [B, C] and scores [B, T]."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class RawAttention(AnyTarget):
    """The attention weights of [CLS] in one layer; their mean over tokens where the head reads the mean.

    Answers: Which tokens does [CLS] look at in this layer?
    Scores: From 0 to 1, with sum 1; the same for every target.
    Cost: one forward pass.
    Source: Vaswani et al. 2017 (arXiv 1706.03762) for the weights; Jain and Wallace 2019 (arXiv 1902.10186) for why
        they are no explanation.
    """

    layer: int = traced(LAST, Number(-1, whole=True), "from 0; -1: the last one")
    head: int = traced(MEAN, Number(-1, whole=True), "from 0; -1: the mean of all heads")
    name = "raw_attention"

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> dict[str, np.ndarray]:
        for name, size in (("layer", config.depth), ("head", config.num_attention_heads)):
            if getattr(self, name) >= size:
                raise InputError(f"{name}={getattr(self, name)}: the model has {size}; give 0 to {size - 1}, or -1.")
        return super().values(config, ids)

    def looks(self, batch: TargetedBatch, values: Values) -> tuple[Array, Array]:
        read = functools.partial(looked_at, start(batch.settings.config, batch.texts.mask))
        logits, rows, last = attended(batch, read)
        rows = jnp.concatenate([rows, last[None]])[values["layer"]]  # [B, H, T]; -1 is the last, as in Python
        return logits, jnp.where(values["head"] == MEAN, heads_mean(rows), rows[:, values["head"]])


@dataclasses.dataclass(frozen=True)
class Rollout(AnyTarget):
    """The product of the layers' attention, each the mean over heads mixed in halves with the skip path.

        v = e Π_l (½ mean over heads A_l + ½ I),   the last layer first, e = e_CLS or the mean

    Answers: Where does what [CLS] holds in the end come from, if attention and skip paths are all that moves it?
    Scores: From 0 to 1, with sum 1; the same for every target.
    Cost: one forward pass.
    Source: Abnar and Zuidema 2020 (arXiv 2005.00928).
    """

    name = "rollout"

    def looks(self, batch: TargetedBatch, values: Values) -> tuple[Array, Array]:
        logits, layers, last = attended(batch, heads_mean)
        return logits, rolled_out(layers, last, start(batch.settings.config, batch.texts.mask))


@dataclasses.dataclass(frozen=True)
class LayerwiseAttentionTracing(AnyTarget):
    """The product of each head's attention over the layers, summed over heads.

        v = Σ_h e Π_l A_l,h,   the last layer first, e as in rollout

    Answers: As rollout, without skip paths, as if heads of one number spoke to each other alone.
    Scores: From 0 up, with the number of heads as sum; the same for every target.
    Cost: one forward pass.
    Source: the original BERT_LRP (Wu and Ong 2021, arXiv 2101.00196), there for 12 layers and heads.
    """

    name = "lat"

    def looks(self, batch: TargetedBatch, values: Values) -> tuple[Array, Array]:
        logits, layers, last = attended(batch, lambda weights: weights)
        return logits, traced_back(layers, looked_at(start(batch.settings.config, batch.texts.mask), last))


@dataclasses.dataclass(frozen=True)
class GenericAttention(Attention):
    """Attention weights that speak for the target, rolled out over the layers.

        Ā_l = mean over heads (∇A_l ⊙ A_l)⁺,   v = e Π_l (I + Ā_l),   the last layer first, e as in rollout

    Answers: Where does what [CLS] holds come from, along the attention that raises the target?
    Scores: Never negative; [CLS] gets 1 for itself (each token its part of 1, for the mean). They add up to nothing.
    Cost: one gradient, 2 forward passes.
    Source: Chefer et al. 2021 (ICCV, arXiv 2103.15679), for an encoder alone.
    """

    name = "generic_attention"
    note = "scores are never negative and no parts of the logit; what the head reads keeps 1 in all"

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        texts, config, inputs = batch.texts, batch.settings.config, batch.inputs
        model = Bert(config, dataclasses.replace(PLAIN, softmax=tapped), batch.settings.dtype)
        rows, length = texts.ids.shape
        tap = jnp.zeros((config.depth, rows, length, length), jnp.promote_types(inputs.dtype, jnp.float32))

        def logits_of(tap):
            variables = {"params": batch.params, "values": {"softmax": {"tap": tap}}}
            return model.apply(variables, inputs, texts.mask, method="classify")

        logits, pull = jax.vjp(logits_of, tap)
        weights = target_weights(logits, batch.given)
        row = start(config, texts.mask)
        found = jax.lax.map(lambda seed: rolled(*pull(seed), row), jnp.moveaxis(weights, 1, 0))  # one target at a time
        found = jnp.moveaxis(found, 0, 1)
        return logits, found, {}


def rolled_out(layers: Array, last: Array, row: Array) -> Array:
    """The equation of rollout, of means over heads: layers [L - 1, B, T, T], last [B, Q, T], e [B, Q] -> [B, T]."""

    def step(v, layer):
        return (ops.contract("bt,bts->bs", v, layer) + v) / 2

    v = ops.contract("bq,bqs->bs", row.astype(last.dtype), last)
    return back((v + filled(row, v)) / 2, layers, step)


def traced_back(layers: Array, last: Array) -> Array:
    """The equation of LAT: layers [L - 1, B, H, T, T], the last one's row [B, H, T] -> [B, T]."""
    return back(last, layers, functools.partial(ops.contract, "bht,bhts->bhs")).sum(axis=1)


def rolled(layers: Array, row: Array) -> Array:
    """The equation of generic attention: Ā [L, B, T, T], e [B, Q] -> [B, T]."""

    def step(v, layer):
        return v + ops.contract("bt,bts->bs", v, layer)

    last = ops.contract("bq,bqs->bs", row.astype(layers.dtype), layers[-1, :, : row.shape[1]])
    return back(last + filled(row, last), layers[:-1], step)


def filled(row: Array, like: Array) -> Array:
    """A row [B, Q] with zeros behind it, in the shape and dtype of another [B, T]."""
    return jnp.zeros_like(like).at[:, : row.shape[1]].set(row.astype(like.dtype))


def tapped(scores: Array, mask: Array, tap: Array) -> Array:
    """Softmax whose tap [B, T, S] gets (∇A ⊙ A)⁺ as its cotangent, the mean over heads; its value does not count."""
    return _tapped(scores, mask, tap[:, : scores.shape[-2]])


@jax.custom_vjp
def _tapped(scores, mask, tap):
    return ops.softmax(scores, mask)


def _tapped_forward(scores, mask, tap):
    weights, pull = jax.vjp(lambda scores: ops.softmax(scores, mask), scores)
    return weights, (weights, pull)


def _tapped_backward(saved, gradient):
    weights, pull = saved
    return *pull(gradient), None, heads_mean(jnp.maximum(gradient * weights, 0))


_tapped.defvjp(_tapped_forward, _tapped_backward)
