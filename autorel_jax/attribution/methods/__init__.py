"""The attribution methods that are no composites, by name: the same call and the same result as a composite.

docs/methods.md lists what each answers and what it costs. To add one, write a Method beside its kin and list it here.
"""

from typing import Any

from autorel_jax.attribution.methods.attention import (
    GenericAttention,
    LayerwiseAttentionTracing,
    RawAttention,
    Rollout,
)
from autorel_jax.attribution.methods.gradients import ExpectedGradients, IntegratedGradients, Saliency, SmoothGrad
from autorel_jax.attribution.methods.method import Method
from autorel_jax.attribution.methods.occlusion import Occlusion, ShapleySampling
from autorel_jax.attribution.methods.random_scores import Random
from autorel_jax.attribution.methods.surrogates import KernelShap, Lime
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import COMPOSITES, Composite

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
