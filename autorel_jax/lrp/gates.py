"""Rules for the product of a gated feed-forward, an activated factor times a linear one. Used by composites.py.

As in rules.py, what flows backwards is the multiplier c = R / a. Shape letters as in ops.py.
"""

import jax

from autorel_jax.model import ops
from autorel_jax.model.ops import Array


@jax.custom_vjp
def gate_halved(activated: Array, linear: Array) -> Array:
    """The uniform rule for a gate: each factor gets half of the relevance.

        y = f(a) g,   R(f(a)) = R(g) = ½ R(y),   so   c_f = ½ c g,   c_g = ½ c f(a)

    Without the half, every gate would double the relevance that passes.

    Shapes: both [..., F] -> [..., F].
    Source: AttnLRP (Achtibat et al. 2024), the uniform rule for products, with which they halve gates too.
    Conserves: R(f(a)) + R(g) = R(y) for each element.
    """
    return ops.gate(activated, linear)


gate_halved.defvjp(
    lambda activated, linear: (ops.gate(activated, linear), (activated, linear)),
    lambda factors, c: (c * factors[1] / 2, c * factors[0] / 2),
)


def gate_detached(activated: Array, linear: Array) -> Array:
    """A gate whose activated factor is a constant: the linear one gets all relevance.

        y = f(a) g,   R(g) = R(y),   R(f(a)) = 0,   so   c_g = c f(a)

    The counterpart of `detached` for attention: what opens or closes the gate is not asked why.

    Shapes: both [..., F] -> [..., F].
    Source: CP-LRP (Ali et al. 2022) carried over from attention weights to gates.
    Conserves: R(g) = R(y) for each element.
    """
    return ops.gate(jax.lax.stop_gradient(activated), linear)
