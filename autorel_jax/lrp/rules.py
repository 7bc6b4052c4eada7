"""Rules: twins of the ops in ops.py with the same forward value and another backward. Used by composites.py.

What flows backwards is the multiplier c = R / a of every activation a ("modified gradient"), so the plain backward
of a linear map, a residual add, a gather or a reshape is LRP-0 already; the other rules of linear maps are in
linear.py, those of gates in gates.py, and here are those of the other ops:

    activation        secant            GELU, tanh, ReLU, SiLU
    contract          halved, blended   attention scores, attention context
    position_product  halved            DeBERTa's attention scores of tokens and distances
    position_bias     ratio             MPNet's bias of a distance in attention scores
    softmax           detached          CP-LRP; AttnLRP's softmax rule is the plain backward
    layer_norm        frozen, transparent
    add               ratio             the residual stream, the parts of the embedding
    the boundaries    to_multiplier, to_relevance

A parameter of a rule is an argument with a default, after those of its op. Shape letters as in ops.py.
"""

import functools

import jax
import jax.numpy as jnp

from autorel_jax.lrp.stabilize import quotient, sign
from autorel_jax.model import ops
from autorel_jax.model.ops import Array

BLEND = 0.5  # λ of `blended` where nothing is set

# ---------------------------------------------------------------- activation: GELU, tanh, ReLU, SiLU


def tanh_multiplier(x: Array) -> Array:
    """tanh(x) / x, by its series 1 - x²/3 + 2x⁴/15 where |x| < 1e-3 (there the next term is below 1e-19)."""
    near = jnp.abs(x) < 1e-3
    away = jnp.where(near, 1, x)
    return jnp.where(near, 1 - x**2 / 3 + 2 * x**4 / 15, jnp.tanh(away) / away)


MULTIPLIERS = {  # f(x) / x in closed form, for the functions in ops.ACTIVATIONS
    "gelu": ops.normal_cdf,
    "gelu_tanh": ops.normal_cdf_tanh,
    "relu": lambda x: (x > 0).astype(x.dtype),
    "silu": jax.nn.sigmoid,
    "tanh": tanh_multiplier,
}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def secant(name: str, x: Array) -> Array:
    """The identity rule for an elementwise function: an output's relevance goes to its input as it is.

        R_in = R_out,   so   c_in = c_out f(x) / x

    in closed form: GELU Φ(x), tanh-GELU ½(1 + tanh …), ReLU 1[x > 0], SiLU σ(x), tanh tanh(x)/x. The quotient
    itself would be wrong at 0, where its limit is ½ for GELU and 1 for tanh.

    Shapes: x [...] -> [...].
    Source: AttnLRP (Achtibat et al. 2024), the identity rule for element-wise non-linearities.
    Conserves: R_in = R_out for each element.
    """
    return ops.activation(name, x)


def _secant_forward(name, x):
    multiplier = MULTIPLIERS[name](ops.at_least_float32(x))
    return ops.activation(name, x), multiplier.astype(x.dtype)


def _secant_backward(name, multiplier, c):
    return (c * multiplier,)


secant.defvjp(_secant_forward, _secant_backward)

# ---------------------------------------------------------------- contract: attention scores and context


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def halved(equation: str, a: Array, b: Array) -> Array:
    """The uniform rule for a product of two activations: each factor gets half of the relevance.

        y_jp = Σ_i A_ji V_ip,   R(A_ji) = ½ Σ_p A_ji V_ip c_jp,   R(V_ip) = ½ Σ_j A_ji V_ip c_jp

    that is, half of the plain gradient to each. As `position_product` the half of the positions is absorbed.

    Shapes: by the einsum equation.
    Source: AttnLRP (Achtibat et al. 2024), eq. 7 and the rule for bi-linear matrix multiplication.
    Conserves: Σ R(a) + Σ R(b) = Σ R(y).
    """
    return ops.contract(equation, a, b)


def _halved_forward(equation, a, b):
    return ops.contract(equation, a, b), (a, b)


def _halved_backward(equation, factors, c):
    _, pull = jax.vjp(functools.partial(ops.contract, equation), *factors)
    return pull(c / 2)


halved.defvjp(_halved_forward, _halved_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def blended(equation: str, a: Array, b: Array, blend: Array | float = BLEND) -> Array:
    """Between CP-LRP and AttnLRP: attention weights get ½ λ of the relevance of the context, values the rest.

        y_jp = Σ_i A_ji V_ip,   R(A_ji) = ½ λ Σ_p A_ji V_ip c_jp,   R(V_ip) = (1 - ½ λ) Σ_j A_ji V_ip c_jp

    λ is `blend`. Any other product, as of queries and keys, is halved. With AttnLRP's softmax, query, key and value
    get ¼ λ, ¼ λ and 1 - ½ λ of their plain gradients: λ = 0 is CP-LRP, 1 is AttnLRP.

    Shapes: by the einsum equation; blend a scalar, from 0 to 1.
    Source: Ours, between Ali et al. 2022 (CP-LRP) and AttnLRP (Achtibat et al. 2024).
    Conserves: Σ R(a) + Σ R(b) = Σ R(y).

    Default: the middle. For researchers: no value was better than AttnLRP beyond doubt.
    """
    return ops.contract(equation, a, b)


def _blended_forward(equation, a, b, blend):
    return ops.contract(equation, a, b), (a, b, blend)


def _blended_backward(equation, saved, c):
    a, b, blend = saved
    _, pull = jax.vjp(functools.partial(ops.contract, equation), a, b)
    to_a = blend / 2 if equation == ops.CONTEXT else 0.5
    return *(scaled_by(share, found) for share, found in zip((to_a, 1 - to_a), pull(c), strict=True)), None


blended.defvjp(_blended_forward, _blended_backward)


def scaled_by(share: Array | float, x: Array) -> Array:
    """x times a number, in the dtype of x."""
    return (share * x).astype(x.dtype)


# ---------------------------------------------------------------- softmax


def detached(scores: Array, mask: Array) -> Array:
    """CP-LRP's softmax: attention weights are constants, no relevance goes to the scores.

        R(scores) = 0

    With the plain backward of the context product, values then get all of its relevance. AttnLRP's softmax rule,
    R_i = x_i (R(s_i) - s_i Σ_j R(s_j)), is the plain backward of ops.softmax in multiplier form and needs no twin.

    Shapes: scores [..., S], mask broadcastable to it -> [..., S].
    Source: Ali et al. 2022 (CP-LRP).
    Conserves: with a plain context product, Σ R(values) = Σ R(context).
    """
    return jax.lax.stop_gradient(ops.softmax(scores, mask))


# ---------------------------------------------------------------- layer_norm


def frozen(x: Array, scale: Array, bias: Array, epsilon: float) -> Array:
    """LayerNorm with its standard deviation held constant; the mean is differentiated.

        y = (x - mean x) / σ · scale + bias,   c_in = (I - 1/D) (c_out scale / σ)

    Shapes: x [..., D], scale [D], bias [D] -> [..., D].
    Source: Ali et al. 2022 (the LN rule); AttnLRP (Achtibat et al. 2024) for normalisation layers.
    Conserves: Σ R_in + Σ bias c_out = Σ R_out.
    """
    return ops.layer_norm(x, scale, bias, epsilon, of_deviation=jax.lax.stop_gradient)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def transparent(x: Array, scale: Array, bias: Array, epsilon: float, stabilizer: Array | float = 1e-9) -> Array:
    """LayerNorm as if it were not there: an output's relevance goes to the input of the same place.

        R_in = R_out x / (x + δ sign x),   so   c_in = c_out y / (x + δ sign x),   δ the stabilizer, sign 0 = 1

    This is the one rule that divides by an activation. What it gives back to a small sum x = a + b of large parts is
    large for both, with opposite signs: `ratio` in place of the plain add keeps each within the relevance of x.

    Shapes: x [..., D], scale [D], bias [D] -> [..., D]; stabilizer a scalar.
    Source: Chefer et al. 2021 (CVPR), whose LayerNorm passes relevance on.
    Conserves: R_in = R_out for each element, but for the share of δ.

    Default: far below any activation that float32 tells from rounding.
    """
    return ops.layer_norm(x, scale, bias, epsilon)


def _transparent_forward(x, scale, bias, epsilon, stabilizer):
    y = ops.layer_norm(x, scale, bias, epsilon)
    return y, (x, y, stabilizer)


def _transparent_backward(epsilon, saved, c):
    x, y, stabilizer = saved
    return (c * quotient(y * sign(x), jnp.abs(x) + stabilizer)).astype(x.dtype), None, None, None


transparent.defvjp(_transparent_forward, _transparent_backward)

# ---------------------------------------------------------------- add: the residual stream, the parts of the embedding


def ratio(a: Array, b: Array) -> Array:
    """Splits the relevance of a sum in proportion to the sizes of its parts, which never exceed it.

        R(a) = R |a| / (|a| + |b|),   so   c_a = c sign(a) (a + b) / (|a| + |b|),   sign 0 = 1; likewise b

    Where a and b have one sign this is the plain add; where they nearly cancel, the plain add gives to each many
    times the relevance of their sum, and this does not. As `position_bias` the share of the bias is absorbed.

    Shapes: a and b [..., D] -> [..., D].
    Source: Otsuki et al. 2024 (arXiv 2407.09115), splitting by ratio at skip connections.
    Conserves: R(a) + R(b) = R for each element.
    """
    return _ratio(*jnp.broadcast_arrays(a, b))


@jax.custom_vjp
def _ratio(a, b):
    return ops.add(a, b)


def _ratio_backward(parts, c):
    a, b = parts
    total = jnp.abs(a) + jnp.abs(b)
    share = jnp.where(total == 0, 1, quotient(a + b, total))
    return tuple((c * share * sign(part)).astype(part.dtype) for part in parts)


_ratio.defvjp(lambda a, b: (ops.add(a, b), (a, b)), _ratio_backward)


# ---------------------------------------------------------------- the boundaries, in multiplier form


@jax.custom_vjp
def to_multiplier(logits: Array) -> Array:
    """At the logits: the identity forward; backward, relevance becomes the multiplier.

        c = R / logit,   with machine epsilon in place of a logit of exactly 0

    so that c is exact wherever R = logit · c and the logit is not 0.

    Shapes: logits [..., C] -> [..., C].
    Source: the definition of the multiplier.
    Conserves: logit · c = R, except at a logit of exactly 0.
    """
    return logits


def _to_multiplier_backward(logits, relevance):
    return (relevance / jnp.where(logits == 0, jnp.finfo(logits.dtype).eps, logits),)


to_multiplier.defvjp(lambda logits: (logits, logits), _to_multiplier_backward)


@jax.custom_vjp
def to_relevance(x: Array) -> Array:
    """At the input: the identity forward; backward, the multiplier becomes relevance.

        R = x c

    Shapes: x [..., D] -> [..., D].
    Source: the definition of the multiplier.
    Conserves: nothing is lost; this only names what arrives.
    """
    return x


to_relevance.defvjp(lambda x: (x, x), lambda x, c: (x * c,))
