"""Composites: which rule stands for which op, by name. The one registry of methods that explain with rules.

To add one, write what differs from another (see `CP_LRP`) and give it a name in COMPOSITES.
"""

import dataclasses
from collections.abc import Callable

from autorel_jax.errors import InputError
from autorel_jax.lrp import bert_lrp, rules
from autorel_jax.ops import PLAIN, Array, Ops

WORD_EMBEDDINGS, EMBEDDINGS = READ_POINTS = ("word_embeddings", "embeddings")
"""Where relevance is read: at the looked-up vectors, or at the output of the embedding LayerNorm."""


def identity(x: Array) -> Array:
    """x, forward and backward."""
    return x


@dataclasses.dataclass(frozen=True)
class Boundary:
    """What a composite carries backwards, and how relevance turns into it and back.

    Attributes:
      logits: at the logits: the identity forward; backward, relevance [B, C] -> what is carried.
      embeddings: at the input: the identity forward; backward, what is carried -> relevance [B, T, D].
      seed: (logits, weights) -> what is carried at the logits to explain the target weights · logits.
    """

    logits: Callable[[Array], Array]
    embeddings: Callable[[Array], Array]
    seed: Callable[[Array, Array], Array]


MULTIPLIER = Boundary(rules.to_multiplier, rules.to_relevance, lambda logits, weights: weights)
RELEVANCE = Boundary(identity, identity, lambda logits, weights: logits * weights)


@dataclasses.dataclass(frozen=True)
class Composite:
    """A method of explanation: an Ops table of rules, and what it carries. Hashed by value.

    Attributes:
      ops: the table; an op that is not replaced keeps its plain backward.
      boundary: MULTIPLIER or RELEVANCE.
      reads: the points where its relevance can be read, the default first.
      parameters: constants of its rules, for reports.
    """

    ops: Ops
    boundary: Boundary = MULTIPLIER
    reads: tuple[str, ...] = READ_POINTS
    parameters: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        fields = dataclasses.fields(Ops)
        rows = [(field.name, getattr(self.ops, field.name)) for field in fields]
        width = max(len(name) for name, _ in rows)
        lines = [
            f"{name:<{width}}  {'plain' if rule is getattr(PLAIN, name) else rule.__name__}" for name, rule in rows
        ]
        return "\n".join(lines + [f"{name} = {value}" for name, value in self.parameters])


GRADIENT_X_INPUT = Composite(PLAIN)
ATTNLRP = Composite(dataclasses.replace(PLAIN, activation=rules.secant, contract=rules.halved, layer_norm=rules.frozen))
CP_LRP = Composite(dataclasses.replace(ATTNLRP.ops, softmax=rules.detached, contract=PLAIN.contract))
BERT_LRP = Composite(
    dataclasses.replace(
        PLAIN,
        linear=bert_lrp.signed_weights,
        activation=bert_lrp.skipped,
        residual=bert_lrp.whole_block,
    ),
    boundary=RELEVANCE,
    reads=(EMBEDDINGS,),
    parameters=(("stabilizer", bert_lrp.STABILIZER),),
)

COMPOSITES = {
    "attnlrp": ATTNLRP,
    "cp_lrp": CP_LRP,
    "gradient_x_input": GRADIENT_X_INPUT,
    "bert_lrp": BERT_LRP,
}


def composite(name: str) -> Composite:
    """The composite of that name; an InputError lists the names there are."""
    if not isinstance(name, str) or name not in COMPOSITES:
        raise InputError(f"Unknown method {name!r}. Available: {', '.join(COMPOSITES)}.")
    return COMPOSITES[name]
