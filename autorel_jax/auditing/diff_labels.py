"""Diff labels: two models, or their results -> the labels of both, and how they differ. Used by diff.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.evaluation.records import labels_of


class Labels(NamedTuple):
    """The labels of two models."""

    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """What differs."""
        lost = [name for name in self.old if name not in self.new]
        gained = [name for name in self.new if name not in self.old]
        found = [f"{what}: {', '.join(names)}" for what, names in (("lost", lost), ("gained", gained)) if names]
        if not found and self.old != self.new:
            found = [f"in another order: {', '.join(self.old)}; now {', '.join(self.new)}"]
        return found


def check_different(names: Sequence[str]) -> None:
    """Raises InputError where labels of a model share a name."""
    if len(set(names)) < len(names):
        raise InputError(f"labels share a name ({', '.join(names)}), and are compared by it; rename them.")


def listed_labels(records: Iterable[Mapping[str, Any]], where: str) -> tuple[str, ...] | None:
    """The labels that all results list, one for each logit; None where one lists none, as older results do.

    Raises:
      InputError: they list different ones, or labels that share a name.
    """
    found = {tuple(names) if len(names := labels_of(one)) == len(one["logits"]) else () for one in records}
    if len(found - {()}) > 1:
        raise InputError(f"{where}: results of several models; give those of one.")
    if () in found:
        return None
    (names,) = found
    check_different(names)
    return names
