"""Read-outs: relevance at points inside the model, and what each op absorbs, beside the relevance of the tokens.

One vjp gives all of it: the taps of lrp/taps.py are further inputs, zeros that change nothing, whose cotangents are
the read-outs. Used by explainer.py, which calls relevance.py where nothing is asked for.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax.attribution.relevance import Settings, attribute, embeddings, from_embeddings
from autorel_jax.lrp.composites import WORD_EMBEDDINGS
from autorel_jax.lrp.taps import READOUTS, WORD_PARTS, audited, tapped
from autorel_jax.model.encoder import Params
from autorel_jax.model.ops import Array, Values

Taps = dict[str, dict[str, Any]]  # part of the model -> op -> the name of a tap, "taps" for the ledger's -> array(s)
ABSORBED, LOGITS = "absorbed", "logits"  # keys of `readings` beside the names of the read-outs


@functools.partial(jax.jit, static_argnums=0)
def token_readouts(
    settings: Settings, params: Params, ids: Array, mask: Array, types: Array, weights: Array | None, values: Values
) -> tuple[Array, Array, dict[str, Any]]:
    """As `relevance.token_relevance`, and `readings` by name."""
    x = embeddings(settings, params, ids, types)

    def f(inputs: tuple[Array, Taps]) -> Array:
        x, taps = inputs
        # Texts come first in every tap, but in a scan layers do.
        taps = {**taps, "layers": jax.tree.map(lambda tap: jnp.moveaxis(tap, 1, 0), taps["layers"])}
        logits = from_embeddings(settings, params, mask, types, values, taps)(x)
        return tapped(logits, taps[LOGITS]) if settings.audit else logits

    inputs = x, zeros(settings, *ids.shape, x.dtype)
    logits, (relevance, found) = attribute(f, inputs, weights, settings.composite.boundary, settings.score)
    return logits, relevance.sum(axis=-1), readings(settings, found)


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
        "layers": layer(batch, config.num_hidden_layers - 1, tokens=tokens),
        "last_layer": layer(batch, tokens=last_tokens(settings, tokens)),
        "head": part(batch),
        LOGITS: jnp.zeros((batch, 1), dtype) if settings.audit else {},
    }


def readings(settings: Settings, found: Taps) -> dict[str, Any]:
    """What was read for N targets of each text, from the cotangents of the taps.

    Returns, by name, of those that are asked for:
      positions, segments: [B, N, T] relevance of the embeddings of position and type.
      layers: [B, N, L + 1, T] of the residual stream: the output of the embedding LayerNorm, and of each layer.
      attention: [B, N, L, T] of the residual stream after the attention sub-block of each layer and its LayerNorm.
      heads: [B, N, L, H, T] of the context that a head gives to each token.
      neurons, neuron_relevance: [B, N, L, k] the feed-forward neurons of the largest |relevance|, summed over tokens,
        and that relevance; the largest first.
      absorbed: item -> [B, N, L + 2]: by the embeddings, each layer, pooler and classifier. An item is an op, for what
        its rule absorbs, or "op.bias".
      logits: [B, N] the relevance at the logits, Σ logit ⊙ c.
    """
    wanted, read = asked(settings), {}
    embedded, stack, last, head = (found[part] for part in ("embeddings", "layers", "last_layer", "head"))

    def in_layers(name: str) -> Array:
        """[B, N, L, ...]: those of the stack and the last; tokens that it does not compute have 0 there."""
        parts = stack["tap"][name], last["tap"][name][:, :, None]
        short = [(0, full - size) for full, size in zip(parts[0].shape[3:], parts[1].shape[3:], strict=True)]
        return jnp.concatenate([parts[0], jnp.pad(parts[1], [(0, 0)] * 3 + short)], axis=2)

    for name in WORD_PARTS:
        if name in wanted:
            read[name] = embedded["tap"][name][..., 0]
    if "layers" in wanted:
        read["layers"] = jnp.concatenate([embedded["tap"]["layers"][:, :, None], in_layers("layers")], axis=2)[..., 0]
    if "attention" in wanted:
        read["attention"] = in_layers("attention")[..., 0]
    if "heads" in wanted:
        read["heads"] = jnp.moveaxis(in_layers("heads")[..., 0], 3, 4)
    if "neurons" in wanted:
        read |= strongest(in_layers("neurons")[..., 0, :], settings.neurons)
    if settings.audit:
        read[ABSORBED] = {item: by_place(item, embedded, stack, last, head) for item in items(settings)}
        read[LOGITS] = found[LOGITS][..., 0]
    return read


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


def of_target(settings: Settings, own: Mapping[str, Any], tokens: int) -> dict[str, np.ndarray]:
    """The read-outs that were asked for, from the readings of one text and target: without the padding of tokens."""
    found = {name: own[name][..., :tokens] for name in READOUTS if name in settings.readouts and name != "neurons"}
    if "neurons" in settings.readouts:
        found |= {name: own[name] for name in ("neurons", "neuron_relevance")}
    return found
