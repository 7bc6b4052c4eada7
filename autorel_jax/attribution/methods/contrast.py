"""Contrast-CAT: what layers hold of a text, against what they hold of other texts. Shape letters as in model/ops.py.

References are those other texts; explaining/references.py chooses them, and computes what layers hold of them.
"""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp

from autorel_jax.attribution.method import Texts, Values
from autorel_jax.attribution.methods.parameters import MOST_SAMPLES, Number, host
from autorel_jax.attribution.methods.plain import PlainMethod, Scores
from autorel_jax.attribution.relevance import target_weights
from autorel_jax.attribution.settings import Settings
from autorel_jax.attribution.targeted_batch import TargetedBatch
from autorel_jax.errors import InputError
from autorel_jax.families.family import MASKED
from autorel_jax.model import ops
from autorel_jax.model.config import REGRESSION, BertConfig
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.ops import PLAIN, Array


@dataclasses.dataclass(frozen=True)
class ContrastCat(PlainMethod):
    """Gradient times what a token's vectors hold beyond those of other texts, weighed by attention, over all layers.

        R_i = Σ_l ā_l,i Σ_D ∇A_l,i ⊙ (A_l,i - Ā_l,i),   A_l the input of layer l

    ā_l,i is the mean attention that token i gets in layer l, over heads and the text's tokens. Ā_l is the mean over
    references, token by token: of the other texts that are given, the `most` with the least probability of the target's
    label (of a contrast, its first) that have less than `below`. A shorter text counts as zeros behind its end.

    Answers: What do this text's tokens hold that speaks for the label, and texts of other labels lack?
    Scores: Signed; they add up to nothing. Special tokens have scores as all others.
    Cost: one gradient and the attention weights, 3 forward passes; the references once.
    Source: Han et al. 2025 (UAI, arXiv 2507.21186), in the form of the authors' program, where A_l is a layer's input
        and shorter references end in zeros. Theirs scales the scores of each reference to [0, 1] and keeps the
        references whose scores pass a test of deletion; here their plain mean is taken, which keeps the signs.
    """

    below: float = host(0.1, Number(0, 1), "what the probability of the target's label in a reference must be under")
    most: int = host(
        30, Number(1, MOST_SAMPLES, whole=True), "references of a label, the least probable first; the authors' number"
    )
    name = "contrast_cat"
    reads = ("layer_inputs",)
    note = "scores are in contrast to the references, and add up to nothing"
    contrasts: ClassVar[bool] = True

    def check(self, settings: Settings) -> None:
        """Also for a model whose outputs are no probabilities of a text's labels."""
        super().check(settings)
        config = settings.config
        if config.on_tokens or config.task == MASKED or config.problem == REGRESSION:
            raise InputError(
                f"{self.name} chooses references by the probability of a text's label, which this model does not have; "
                "use a composite, or a method of gradients or occlusion."
            )

    def scores(self, batch: TargetedBatch, values: Values) -> Scores:
        texts, x = batch.texts, batch.inputs
        rest = (batch.settings.config.depth - 1, *texts.ids.shape, batch.settings.config.hidden_size)
        shifts = jnp.zeros(rest[1:], x.dtype), jnp.zeros(rest, x.dtype)  # of the first layer's input, of the others'
        f = functools.partial(watched, batch.settings.config, batch.settings.dtype, batch.params, texts, x)
        logits, pull, (held, attention) = jax.vjp(f, shifts, has_aux=True)
        weights = target_weights(logits, batch.given)
        references = fitted(values["references"], x.shape[1])

        def one(target: Array) -> Array:
            ((first, others),) = pull(target)
            gradient = jnp.concatenate([first[None], others])  # [L, B, T, D]
            beyond = held - jnp.moveaxis(references[target.argmax(axis=-1)], 1, 0)
            return (attention * (gradient * beyond).sum(axis=-1)).sum(axis=0)

        found = jax.lax.map(one, jnp.moveaxis(weights, 1, 0))  # one target at a time
        return logits, jnp.moveaxis(found, 0, 1), {}


def watched(
    config: BertConfig, dtype: jnp.dtype | None, params: Params, texts: Texts, x: Array, shifts: tuple[Array, Array]
) -> tuple[Array, tuple[Array, Array]]:
    """Logits [B, C], what layers hold [L, B, T, D], and the attention that tokens get [L, B, T].

    Shapes: embeddings x [B, T, D]; shifts of the input of the first layer [B, T, D] and of the others [L - 1, B, T, D].
    """
    model = Bert(config, dataclasses.replace(PLAIN, tap=shifted), dtype, every_query=True)
    first, others = ({"tap": {"layers": shift}} for shift in shifts)
    variables = {"params": params, "taps": {"embeddings": first, "layers": others}}
    tokens = (texts.mask != 0).astype(x.dtype)
    share = tokens / jnp.maximum(tokens.sum(axis=1, keepdims=True), 1)

    def read(weights: Array, held: Array) -> tuple[Array, Array]:
        return held, ops.contract("bt,bts->bs", share, weights.mean(axis=1).astype(share.dtype))

    return model.apply(variables, x, texts.mask, read, method="watch")


def shifted(name: str, x: Array, **shifts: Array) -> Array:
    """The op `tap`: x plus a shift of its own, whose gradient is that of x."""
    return x + shifts[name].astype(x.dtype) if name in shifts else x


def fitted(references: Array, length: int) -> Array:
    """References [C, L, S, D], cut to a text's length or filled up with zeros: [C, L, T, D]."""
    short = max(length - references.shape[2], 0)
    return jnp.pad(references[:, :, :length], [(0, 0), (0, 0), (0, short), (0, 0)])


@functools.partial(jax.jit, static_argnums=0)
def held_by_layers(settings: Settings, params: Params, texts: Texts) -> Array:
    """What each layer's input holds of texts: [B, L, T, D], 0 at padding."""
    batch = TargetedBatch(settings, params, texts, None)
    model = Bert(settings.config, dtype=settings.dtype)
    _, (held,) = model.apply({"params": params}, batch.inputs, texts.mask, lambda _, held: (held,), method="watch")
    return jnp.moveaxis(jnp.where(texts.mask[..., None] != 0, held, 0), 0, 1)
