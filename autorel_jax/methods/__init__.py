"""The attribution methods that are no composites, by name: the same call and the same result as a composite.

docs/methods.md lists what each answers and what it costs. To add one, write a Method beside its kin and list it here.
"""

from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import COMPOSITES, Composite
from autorel_jax.methods.attention import GenericAttention, LayerwiseAttentionTracing, RawAttention, Rollout
from autorel_jax.methods.control import Random
from autorel_jax.methods.gradients import ExpectedGradients, IntegratedGradients, Saliency, SmoothGrad
from autorel_jax.methods.method import Method
from autorel_jax.methods.occlusion import Occlusion, ShapleySampling
from autorel_jax.methods.surrogates import KernelShap, Lime

METHODS = {
    made.name: made
    for made in (
        Saliency(),
        SmoothGrad(),
        IntegratedGradients(),
        ExpectedGradients(),
        RawAttention(),
        Rollout(),
        LayerwiseAttentionTracing(),
        GenericAttention(),
        Occlusion(),
        Lime(),
        KernelShap(),
        ShapleySampling(),
        Random(),
    )
}


def named(method: Any) -> Composite | Method:
    """The composite or method of that name, or itself; an InputError lists the names there are."""
    if isinstance(method, Composite) and method.name in METHODS:
        raise InputError(f"The name {method.name!r} is that of another method; give the composite another.")
    if isinstance(method, Composite | Method):
        return method
    known = METHODS | COMPOSITES
    if not isinstance(method, str) or method not in known:
        raise InputError(f"Unknown method {method!r}. Available: {', '.join([*COMPOSITES, *METHODS])}.")
    return known[method]
