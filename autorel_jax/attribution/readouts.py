"""Read-outs: relevance at points inside the model, and what each op absorbs, beside the relevance of the tokens.

One vjp gives all of it: the taps of lrp/taps.py are further inputs, zeros that change nothing, whose cotangents are
the read-outs. Used by targeted_batch.py, which calls relevance.py where nothing is asked for.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.method import Absorbed, Result, Texts, Values
from autorel_jax.attribution.relevance import attribute, embeddings, from_embeddings, scored
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import WORD_EMBEDDINGS
from autorel_jax.lrp.taps import READOUTS, WORD_PARTS, audited, tapped
from autorel_jax.model.encoder import Params
from autorel_jax.model.ops import Array

Taps = dict[str, dict[str, Any]]  # part of the model -> op -> the name of a tap, "taps" for the ledger's -> array(s)
LOGITS = "logits"  # the tap at the logits, beside the parts of the model
BY_LAYER = ("neurons", "neuron_relevance")  # read-outs whose last axis is not the text's tokens


def composite_result(settings: Settings, params: Params, texts: Texts, weights: Array | None, values: Values) -> Result:
    """As `relevance.composite_result`, with the read-outs and what is absorbed, as far as the settings ask for them."""
    x = embeddings(settings, params, texts.ids, texts.types)

    def f(inputs: tuple[Array, Taps]) -> Array:
        x, taps = inputs
        # Texts come first in every tap, but in a scan layers do.
        taps = {**taps, "layers": jax.tree.map(lambda tap: jnp.moveaxis(tap, 1, 0), taps["layers"])}
        logits = from_embeddings(settings, params, texts.mask, texts.types, values, taps)(x)
        return tapped(logits, taps[LOGITS]) if settings.audit else logits

    inputs = x, zeros(settings, *texts.ids.shape, x.dtype)
    logits, (relevance, read) = attribute(f, inputs, weights, settings.method.boundary, settings.score)
    every = readings(settings, read)
    return Result(
        logits,
        scored(settings.score, logits),
        relevance.sum(axis=-1),
        {name: array for name, array in every.items() if name in (*settings.readouts, *more(settings))},
        absorbed(settings, read, every) if settings.audit else None,
    )


def more(settings: Settings) -> tuple[str, ...]:
    """The read-outs that come with another."""
    return BY_LAYER if "neurons" in settings.readouts else ()


def asked(settings: Settings) -> set[str]:
    """The read-outs that are asked for, and those that an audit needs."""
    apart = settings.audit and settings.read_at == WORD_EMBEDDINGS
    return {*settings.readouts, *(WORD_PARTS if apart else ())}


def last_tokens(settings: Settings, tokens: int) -> int:
    """The tokens that are computed in the last layer; for all others the relevance there is 0."""
    return min(settings.model.queries or tokens, tokens)


def zeros(settings: Settings, batch: int, tokens: int, dtype: jnp.dtype) -> Taps:
    """The taps of the logits and of each part of the model (LAYERS_OF in encoder.py): zeros [B, ...].

    Those of the stack of layers are [B, L - 1, ...].
    """
    config, wanted = settings.config, asked(settings)
    counted = audited(settings.model.ops)

    def part(*lead: int, **shapes: tuple[int, ...]) -> dict[str, Any]:
        items = {op: {"taps": {name: jnp.zeros(lead, dtype) for name in names}} for op, names in counted.items()}
        points = {name: jnp.zeros(lead + shape, dtype) for name, shape in shapes.items() if name in wanted}
        return items | {"tap": points}

    def layer(*lead: int, tokens: int) -> dict[str, Any]:
        heads, neurons = (tokens, config.num_attention_heads, 1), (1, config.intermediate_size)
        return part(*lead, layers=(tokens, 1), attention=(tokens, 1), heads=heads, neurons=neurons)

    return {
        "embeddings": part(batch, positions=(tokens, 1), segments=(tokens, 1), layers=(tokens, 1)),
        "layers": layer(batch, config.depth - 1, tokens=tokens),
        "last_layer": layer(batch, tokens=last_tokens(settings, tokens)),
        "head": part(batch),
        LOGITS: jnp.zeros((batch, 1), dtype) if settings.audit else {},
    }


def readings(settings: Settings, read: Taps) -> dict[str, Any]:
    """What was read for N targets of each text, from the cotangents of the taps.

    Returns, by name, of those that are asked for:
      positions, segments: [B, N, T] relevance of the embeddings of position and type.
      layers: [B, N, L + 1, T] of the residual stream: the output of the embedding LayerNorm, and of each layer.
      attention: [B, N, L, T] of the residual stream after the attention sub-block of each layer and its LayerNorm.
      heads: [B, N, L, H, T] of the context that a head gives to each token.
      neurons, neuron_relevance: [B, N, L, k] the feed-forward neurons of the largest |relevance|, summed over tokens,
        and that relevance; the largest first.
    """
    wanted, readouts = asked(settings), {}
    embedded, stack, last = (read[part] for part in ("embeddings", "layers", "last_layer"))

    def in_layers(name: str) -> Array:
        """[B, N, L, ...]: those of the stack and the last; tokens that it does not compute have 0 there."""
        parts = stack["tap"][name], last["tap"][name][:, :, None]
        short = [(0, full - size) for full, size in zip(parts[0].shape[3:], parts[1].shape[3:], strict=True)]
        return jnp.concatenate([parts[0], jnp.pad(parts[1], [(0, 0)] * 3 + short)], axis=2)

    for name in WORD_PARTS:
        if name in wanted:
            readouts[name] = embedded["tap"][name][..., 0]
    if "layers" in wanted:
        first = embedded["tap"]["layers"][:, :, None]
        readouts["layers"] = jnp.concatenate([first, in_layers("layers")], axis=2)[..., 0]
    if "attention" in wanted:
        readouts["attention"] = in_layers("attention")[..., 0]
    if "heads" in wanted:
        readouts["heads"] = jnp.moveaxis(in_layers("heads")[..., 0], 3, 4)
    if "neurons" in wanted:
        readouts |= strongest(in_layers("neurons")[..., 0, :], settings.neurons)
    return readouts


def absorbed(settings: Settings, read: Taps, readouts: Mapping[str, Array]) -> Absorbed:
    """What an audit counts, from the cotangents of the taps and the read-outs of `readings`."""
    parts = [read[part] for part in ("embeddings", "layers", "last_layer", "head")]
    counted = {item: by_place(item, *parts) for item in items(settings)}
    apart = {name: readouts[name] for name in WORD_PARTS if name in readouts}
    return Absorbed(counted, read[LOGITS][..., 0], **apart)


def strongest(relevance: Array, count: int) -> dict[str, Array]:
    """The `count` neurons of largest |relevance| [..., F] and their relevance, both [..., k]."""
    _, places = jax.lax.top_k(jnp.abs(relevance), min(count, relevance.shape[-1]))
    return {"neurons": places, "neuron_relevance": jnp.take_along_axis(relevance, places, axis=-1)}


def items(settings: Settings) -> list[str]:
    """What an audit itemises: each op that is counted, and its bias."""
    return [
        op if name == "rule" else f"{op}.{name}" for op, names in audited(settings.model.ops).items() for name in names
    ]


def by_place(item: str, *parts: Mapping[str, Any]) -> Array:
    """What an item absorbs: [B, N, L + 2] from the cotangents [B, N] of embeddings, stack [B, N, L - 1], last, head."""
    op, _, name = item.partition(".")
    embedded, stack, last, head = (part[op]["taps"][name or "rule"] for part in parts)
    return jnp.concatenate([embedded[..., None], stack, last[..., None], head[..., None]], axis=-1)


def without_padding(readouts: Mapping[str, Any], tokens: int) -> dict[str, np.ndarray]:
    """The read-outs of one text and target for its own tokens alone."""
    names = [name for name in (*READOUTS, "neuron_relevance") if name in readouts]
    return {name: readouts[name] if name in BY_LAYER else readouts[name][..., :tokens] for name in names}
