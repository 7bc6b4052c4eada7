"""The attribution methods other than composites, by name. Each makes the same Result of the same batch.

docs/methods.md lists what each answers and what it costs. To add one, write a PlainMethod beside its kin and list it
here.
"""

from autorel_jax.attribution.methods.attention import (
    GenericAttention,
    LayerwiseAttentionTracing,
    RawAttention,
    Rollout,
)
from autorel_jax.attribution.methods.contrast import ContrastCat
from autorel_jax.attribution.methods.gradients import ExpectedGradients, Saliency, SmoothGrad
from autorel_jax.attribution.methods.integrated import IntegratedGradients
from autorel_jax.attribution.methods.occlusion import Occlusion, ShapleySampling
from autorel_jax.attribution.methods.random_scores import Random
from autorel_jax.attribution.methods.surrogates import KernelShap, Lime

METHODS = {
    method.name: method
    for method in (
        Saliency(),
        SmoothGrad(),
        IntegratedGradients(),
        ExpectedGradients(),
        RawAttention(),
        Rollout(),
        LayerwiseAttentionTracing(),
        GenericAttention(),
        ContrastCat(),
        Occlusion(),
        Lime(),
        KernelShap(),
        ShapleySampling(),
        Random(),
    )
}
