"""Registry: the name of a method -> the method, a composite or another. Used by explaining and corpus."""

from typing import Any

from autorel_jax.attribution.method import Method
from autorel_jax.errors import InputError
from autorel_jax.lrp.composites import COMPOSITES


def named(method: Any) -> Method:
    """The composite or other method of that name, or itself; an InputError lists the names there are."""
    if isinstance(method, str) and method in COMPOSITES:
        return COMPOSITES[method]
    from autorel_jax.attribution.methods import METHODS  # a dozen modules that composites do without

    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    if isinstance(method, str | type) or not hasattr(method, "attribute"):
        raise InputError(f"Unknown method {method!r}. Available: {', '.join([*COMPOSITES, *METHODS])}.")
    if method.name in METHODS and type(method) is not type(METHODS[method.name]):
        raise InputError(f"The name {method.name!r} is that of another method; give the composite another.")
    return method
