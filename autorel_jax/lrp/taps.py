"""Taps: arrays of zeros whose cotangents tell how much relevance passes at a point of the forward pass.

`tapped_ops` makes a composite's table into one that reads them: at the points that the model names (read-outs), and
on both sides of every op (the ledger). The forward pass is unchanged, and so is what flows backwards. They need the
multiplier c = R / a, with which the relevance at an activation a is a ⊙ c. Used by
attribution/settings.py and readouts.py.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from autorel_jax.families.family import BEYOND
from autorel_jax.lrp import rules
from autorel_jax.model import ops
from autorel_jax.model.ops import PLAIN, Array, Ops

COUNTED = {  # op -> the places of the arguments that carry relevance, and that of its bias
    "linear": ((0,), 2),
    "contract": ((1, 2), None),
    "add": ((0, 1), None),
    "softmax": ((0,), None),
    "layer_norm": ((0,), 2),
    "activation": ((1,), None),
    "position_product": ((1,), None),  # of positions comes no word's relevance: what their side gets is absorbed
    "position_bias": ((0,), None),
    "gate": ((0, 1), None),
}
WHOLE = ("attention", "residual")  # ops that are made of others, whose rules the ledger counts
READOUTS = ("positions", "segments", "layers", "attention", "heads", "neurons")  # where model/ calls the op `tap`
WORD_PARTS = ("positions", "segments")  # those beside the word embeddings


def summed_like(c: Array, like: Array) -> Array:
    """c summed over the axes along which `like` was broadcast, in its shape and dtype."""
    c = c.sum(axis=tuple(range(c.ndim - like.ndim)))
    short = [axis for axis in range(like.ndim) if like.shape[axis] == 1 != c.shape[axis]]
    return c.sum(axis=tuple(short), keepdims=True).astype(like.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def tapped(x: Array, tap: Array, sign: float = 1) -> Array:
    """x; backward, `tap` gets the relevance that passes, x ⊙ c times `sign`, summed to its shape.

    Shapes: x of any shape; tap of the same rank, each axis as long as that of x or 1.
    """
    return x


def _tapped_forward(x, tap, sign):
    return x, (x, tap)


def _tapped_backward(sign, saved, c):
    x, tap = saved
    return c, summed_like(sign * ops.at_least_float32(x) * ops.at_least_float32(c), tap)


tapped.defvjp(_tapped_forward, _tapped_backward)


def read(name: str, x: Array, **taps: Array) -> Array:
    """The op `tap`, where a tap of that name is bound; x is broadcast to its shape first."""
    if name not in taps:
        return x
    tap = taps[name]
    return tapped(jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, tap.shape)), tap)


@dataclasses.dataclass(frozen=True)
class Audited:
    """A rule that counts what it absorbs, for each text: Σ R(output) - Σ R(inputs) - Σ R(bias), and Σ R(bias) apart.

    Attributes:
      rule: of any op, in multiplier form.
      inputs: the places of its arguments that carry relevance.
      bias: the place of its bias, if it has one; its relevance is b ⊙ c with the cotangent that the rule gives it.
    """

    rule: Callable[..., Array]
    inputs: tuple[int, ...]
    bias: int | None = None

    @property
    def items(self) -> tuple[str, ...]:
        """The names of its taps."""
        return ("rule",) if self.bias is None else ("rule", "bias")

    def __call__(self, *arguments: Any, taps: Mapping[str, Array] | None = None, **parameters: Array) -> Array:
        """As the rule; `taps` holds an array [B] of zeros for each of `items`."""
        if taps is None:
            return self.rule(*arguments, **parameters)
        given = list(arguments)
        for place in self.inputs:
            given[place] = tapped(given[place], beside(taps["rule"], given[place]), -1)
        if self.bias is not None:
            bias = for_each_text(given[self.bias], given[self.inputs[0]])
            given[self.bias] = tapped(tapped(bias, beside(taps["bias"], bias)), beside(taps["rule"], bias), -1)
        out = self.rule(*given, **parameters)
        return tapped(out, beside(taps["rule"], out))


@jax.custom_vjp
def scaled(x: Array, share: Array | float) -> Array:
    """x; backward, the cotangent times `share`."""
    return x


scaled.defvjp(lambda x, share: (x, share), lambda share, c: ((c * share).astype(c.dtype), None))


def count(rule: Callable[..., Array], x: Array, share: Array | float) -> Array:
    """x, of whose relevance `share` counts as absorbed by a rule of a bound table, if that is Audited."""
    taps = getattr(rule, "keywords", {}).get("taps")
    if taps is None or (isinstance(share, int | float) and share == 0):
        return x
    return tapped(x, scaled(beside(taps["rule"], x), share))


def beside(tap: Array, x: Array) -> Array:
    """A tap [B] in the rank of x [B, ...]."""
    return tap.reshape(tap.shape + (1,) * (x.ndim - 1))


def for_each_text(bias: Array, x: Array) -> Array:
    """A bias [F], one for each text of x [B, ..., D], so that its cotangent is too: [B, 1, ..., F]."""
    return jnp.broadcast_to(bias, (x.shape[0],) + (1,) * (x.ndim - 2) + bias.shape)


def tapped_ops(table: Ops, audit: bool, beyond: Collection[str] = ()) -> Ops:
    """The table with an op `tap` that reads; where `audit`, every other op counts what it absorbs.

    Of the ops that BERT does not have, only those in `beyond` do.
    """
    table = dataclasses.replace(table, tap=read)
    if not audit:
        return table
    used = {op: places for op, places in COUNTED.items() if op in beyond or op not in BEYOND}
    counted = {op: Audited(getattr(table, op), *places) for op, places in used.items()}
    if table.softmax is rules.detached and table.contract is PLAIN.contract:
        # CP-LRP: attention weights are constants, to which no relevance belongs. Counted all the same, the product
        # would create the context's relevance a second time, and the softmax absorb it.
        del counted["softmax"]
        counted["contract"] = Audited(table.contract, (2,))
    return dataclasses.replace(table, **counted)


def audited(table: Ops) -> dict[str, tuple[str, ...]]:
    """op -> the names of its taps, for each op of a table that counts what it absorbs."""
    found = {op: getattr(table, op) for op in COUNTED}
    return {op: rule.items for op, rule in found.items() if isinstance(rule, Audited)}


def whole(table: Ops) -> str | None:
    """The first op of WHOLE that has a rule of its own, inside which nothing can be read or counted."""
    return next((op for op in WHOLE if getattr(table, op) is not getattr(PLAIN, op)), None)
