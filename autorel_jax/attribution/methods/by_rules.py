"""ByRules: a method one of whose parameters names a composite, with whose rules it computes.

Used by gradients.py, integrated.py and surrogates.py.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from autorel_jax.attribution.methods.parameters import static
from autorel_jax.attribution.methods.plain import PlainMethod
from autorel_jax.errors import InputError, one_line
from autorel_jax.lrp.composites import COMPOSITES, GRADIENT, MULTIPLIER, Composite
from autorel_jax.model.config import BertConfig
from autorel_jax.model.ops import Ops

PLAIN_GRADIENT = "gradient"  # the name of what needs no composite


@dataclasses.dataclass(frozen=True)
class Rules:
    """The name of a composite, or of what is done without one.

    Attributes:
      without: that name.
      multipliers: whether the composite has to carry multipliers backwards.
    """

    without: str
    multipliers: bool = False

    def checked(self, name: str, value: Any) -> str:
        """The value, or an InputError."""
        if not isinstance(value, str) or value not in self.names:
            why = ""
            if isinstance(value, str) and value in COMPOSITES:
                why = f" {value} carries relevance itself, which cannot stand in for a gradient."
            raise InputError(f"{name}={one_line(value)}: expected {self}.{why}")
        return value

    @property
    def names(self) -> list[str]:
        """The accepted values."""
        fit = [name for name, made in COMPOSITES.items() if made.boundary is MULTIPLIER or not self.multipliers]
        return [self.without, *fit]

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


class ByRules(PlainMethod):
    """A method whose parameter `chosen` has the values of Rules."""

    chosen: ClassVar[str]

    @property
    def made(self) -> Composite | None:
        """The composite that is named, if one is."""
        return COMPOSITES.get(getattr(self, self.chosen))

    def content(self) -> Any:
        return [super().content(), *([self.made.content()] if self.made else [])]

    def values(self, config: BertConfig, ids: Mapping[str, int | None]) -> dict[str, np.ndarray]:
        """As those of every method, and the composite's, under `rules`."""
        return super().values(config, ids) | {"rules": self.made.values(config) if self.made else {}}


def in_place_of_gradient() -> Any:
    """The parameter of methods of gradients."""
    return static(
        PLAIN_GRADIENT,
        Rules(PLAIN_GRADIENT, multipliers=True),
        "whose multipliers R / a take the place of the gradient; gradient: the gradient itself",
    )


class OfGradients(ByRules):
    """A method whose parameter `composite` says what takes the place of the gradient."""

    chosen = "composite"

    @property
    def multipliers(self) -> Composite:
        """The composite that computes the gradient or what takes its place."""
        return self.made or GRADIENT

    @property
    def ops(self) -> Ops:
        """The table of its backward passes."""
        return self.multipliers.ops
