"""Rules for the linear maps: query, key, value, the other dense layers, the head. Used by composites.py.

In multiplier form, as all of rules.py: c = R / a for every activation a. LRP-0 is the plain backward of ops.linear,
c_in = c Wᵀ. A contribution is x_i W_ij: its sign decides, not that of the weight alone. Of W the rules need two
products only, with W and with |W|, because (xW)⁺ = ½ (xW + |x| |W|), and dividing by x_i leaves its sign:

    Σ_j (x_i W_ij)^± g_j / x_i = ½ Σ_j (W_ij ± sign(x_i) |W_ij|) g_j

where x_i = 0 counts as positive. A bias is one more contribution, of an input that is always 1: its cotangent is what
the rule gives to that input, which the ledger reads. Shape letters as in ops.py.
"""

import jax
import jax.numpy as jnp

from autorel_jax.lrp.stabilize import kept, quotient, sign
from autorel_jax.lrp.taps import summed_like
from autorel_jax.model import ops
from autorel_jax.model.ops import Array

NOISE = 32  # machine epsilons: what the two halves of ½ (xW ± |x| |W|) may leave of nothing, relative to their size


@jax.custom_vjp
def epsilon(x: Array, kernel: Array, bias: Array, epsilon: Array | float = 0.01) -> Array:
    """LRP-ε: shares an output's relevance by contribution; ε absorbs that of outputs near 0.

        R_i = Σ_j x_i W_ij R_j / (z_j + ε sign z_j),   z = xW + b,   sign 0 = 1
        c_in = (c |z| / (|z| + ε)) Wᵀ

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; epsilon a scalar.
    Source: Bach et al. 2015, the rule with a stabiliser ε; AttnLRP (Achtibat et al. 2024) for linear layers.
    Conserves: Σ R_i + (shares of b and ε) = Σ R_j; all but the share of b for ε = 0, which is the plain gradient.

    Default: 0.01 takes a quarter of Σ|R| away and ranks tokens as well as ε = 0; 0.1 takes four fifths (MiniLM, SST-2).
    """
    return ops.linear(x, kernel, bias)


def _epsilon_forward(x, kernel, bias, epsilon):
    z = ops.linear(x, kernel, bias)
    return z, (z, kernel, bias, epsilon)


def _epsilon_backward(saved, c):
    z, kernel, bias, epsilon = saved
    share = (c * kept(ops.at_least_float32(z), epsilon)).astype(c.dtype)
    return ops.matmul(share, kernel.T), None, summed_like(share, bias), None


epsilon.defvjp(_epsilon_forward, _epsilon_backward)


@jax.custom_vjp
def gamma(x: Array, kernel: Array, bias: Array, gamma: Array | float = 0.05) -> Array:
    """LRP-γ for inputs of either sign: contributions that have the output's sign count 1 + γ times.

        R_i = Σ_j (x_i W_ij + γ (x_i W_ij)^s) R_j / (z_j + γ (Σ_k (x_k W_kj)^s + b_j^s)),   z = xW + b

    where s is the sign of z_j: ^+ = max(·, 0) where z_j >= 0, ^- = min(·, 0) where z_j < 0.

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; gamma a scalar.
    Source: Montavon et al. 2019 for inputs >= 0, generalised to both signs as in later work on LRP.
    Conserves: Σ R_i + (share of b) = Σ R_j. γ = 0 is LRP-0.

    Default: 0.05. Σ R comes about as near the logit as with any larger γ, and Σ|R| falls by a third. By what deleting
    tokens does to the logit it ranks them 8 % worse than γ = 0, and 0.25 ranks them 25 % worse (MiniLM, SST-2).
    """
    return ops.linear(x, kernel, bias)


def _gamma_backward(saved, c):
    *tensors, gamma = saved
    x, kernel, bias, product = map(ops.at_least_float32, tensors)
    z, size = product + bias, ops.matmul(jnp.abs(x), jnp.abs(kernel))
    s = sign(z)
    same = jnp.maximum((size + s * product) / 2, 0) + jnp.maximum(s * bias, 0)  # |Σ (xW)^s + b^s|
    g = c * kept(z, gamma * same)
    favoured = ops.matmul(g, kernel.T) + sign(x) * ops.matmul(s * g, jnp.abs(kernel).T)
    to_x = ops.matmul(g, kernel.T) + gamma / 2 * favoured
    to_bias = summed_like(g * (1 + gamma * (s * bias > 0)), tensors[2])
    return to_x.astype(tensors[0].dtype), None, to_bias, None


def _product_forward(x, kernel, bias, *parameters):
    product = ops.matmul(x, kernel)
    return product + bias, (x, kernel, bias, product, *parameters)


gamma.defvjp(_product_forward, _gamma_backward)


@jax.custom_vjp
def alpha_beta(
    x: Array, kernel: Array, bias: Array, alpha: Array | float = 1.5, stabilizer: Array | float = 1e-9
) -> Array:
    """LRP-αβ: positive and negative contributions share the relevance apart, in the proportion α to β = α - 1.

        R_i = Σ_j (α (x_i W_ij)⁺ / (z_j⁺ + δ) - β (x_i W_ij)⁻ / (z_j⁻ - δ)) R_j

    with z_j^± = Σ_i (x_i W_ij)^± + b_j^±, and δ the stabilizer. An output that has no contributions of one sign,
    bias included and to within rounding, passes nothing of that sign's part on.

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; alpha and stabilizer scalars.
    Source: Bach et al. 2015, the rule with α and β.
    Conserves: Σ R_i + (shares of b and δ) = Σ R_j where every output has contributions of both signs.

    Default: 1.5. Bach et al. use 2, but what α adds multiplies over the layers: Σ|R| is 0.4 logits for α = 1, 0.5 for
    1.5, 3 for 2 and 250 for 3 (MiniLM, SST-2). The stabilizer is far below any sum that float32 tells from rounding.
    """
    return ops.linear(x, kernel, bias)


def _alpha_beta_backward(saved, c):
    *tensors, alpha, stabilizer = saved
    to_x, to_bias = signed_shares(*tensors, c, alpha, stabilizer)
    return to_x, None, to_bias, None, None


alpha_beta.defvjp(_product_forward, _alpha_beta_backward)


@jax.custom_vjp
def zplus(x: Array, kernel: Array, bias: Array, stabilizer: Array | float = 1e-9) -> Array:
    """The z⁺ rule: positive contributions alone share the relevance; αβ with α = 1.

        R_i = Σ_j (x_i W_ij)⁺ R_j / (z_j⁺ + δ),   z_j⁺ = Σ_i (x_i W_ij)⁺ + b_j⁺,   δ the stabilizer

    Shapes: x [..., D], kernel [D, F], bias [F] -> [..., F]; stabilizer a scalar.
    Source: Montavon et al. 2017 (deep Taylor decomposition), there for inputs >= 0; Bach et al. 2015 with α = 1.
    Conserves: Σ R_i + (shares of b and δ) = Σ R_j where every output has a positive contribution.

    Default: the stabilizer as in alpha_beta.
    """
    return ops.linear(x, kernel, bias)


def _zplus_backward(saved, c):
    *tensors, stabilizer = saved
    to_x, to_bias = signed_shares(*tensors, c, 1.0, stabilizer)
    return to_x, None, to_bias, None


zplus.defvjp(_product_forward, _zplus_backward)


def signed_shares(
    x: Array, kernel: Array, bias: Array, product: Array, c: Array, alpha: Array | float, stabilizer: Array | float
) -> tuple[Array, Array]:
    """The backward of αβ. Shapes: x [..., D], product xW and c [..., F] -> c_in [..., D], and that of the bias."""
    given = x, bias
    x, kernel, bias, product = map(ops.at_least_float32, (x, kernel, bias, product))
    size = ops.matmul(jnp.abs(x), jnp.abs(kernel))
    noise = NOISE * jnp.finfo(size.dtype).eps * (size + jnp.abs(bias))
    relevance, shares = (product + bias) * c, []
    for s, part in ((1, alpha), (-1, alpha - 1)):
        total = (size + s * product) / 2 + jnp.maximum(s * bias, 0)  # |z^s|
        shares.append(jnp.where(total > noise, quotient(part * relevance, total + stabilizer), 0))
    up, down = shares
    both = ops.matmul(up + down, kernel.T) + sign(x) * ops.matmul(up - down, jnp.abs(kernel).T)
    to_bias = summed_like(jnp.where(bias > 0, up, down), given[1])
    return (both / 2).astype(given[0].dtype), to_bias
