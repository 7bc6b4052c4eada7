"""Diff limits: what may change between two sides -> findings about what did. Used by diff.py and cli/diff.py."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.auditing.verdict import BROKEN, HOLDS, UNKNOWN, Finding, at_least, at_most
from autorel_jax.errors import InputError, one_line
from autorel_jax.files import read_toml
from autorel_jax.options import check_options, from_table, option

if TYPE_CHECKING:
    from autorel_jax.auditing.diff import Diff

ALWAYS = {  # nothing breaks these
    "max_flip_rate": 1,
    "min_median_rank_correlation": -1,
    "min_low_rank_correlation": -1,
    "max_uncompared": 1,
}
NO_CORRELATION = "no text has a rank correlation"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What may change; None: anything."""

    max_flips: int | None = option(None, "texts whose prediction changes", least=0)
    max_flip_rate: float | None = option(None, "share of the texts whose prediction changes, 0 to 1", least=0, most=1)
    min_median_rank_correlation: float | None = option(
        None, "of the words' scores in a text, old against new; the median over texts, -1 to 1", least=-1, most=1
    )
    min_low_rank_correlation: float | None = option(
        None, "likewise, what 95 % of the texts have or exceed", least=-1, most=1
    )
    max_uncompared: float | None = option(
        None, "share of the texts whose words cannot be compared, or that one side lacks, 0 to 1", least=0, most=1
    )
    same_labels: bool = option(False, "no label may be lost or gained, nor their order change")

    def __post_init__(self):
        check_options(self)


NAMES = [field.name for field in dataclasses.fields(Limits)]


def read_limits(path: Path | None, given: Mapping[str, Any]) -> Limits:
    """The limits of a TOML file, in its table [diff] or at its top; those `given` by name win.

    Raises:
      InputError: it cannot be read, names an unknown limit, has a value that is refused, or has no limit.
    """
    table: Mapping[str, Any] = {}
    if path is not None:
        table = read_toml(path, "give a TOML file of limits")
        if isinstance(table.get("diff"), dict):
            if beside := sorted(table.keys() - {"diff"}):
                raise InputError(
                    f"{path}: {one_line(', '.join(beside))} beside the table [diff]; nothing else is read."
                )
            table = table["diff"]
    try:
        in_file, limits = from_table(Limits, table), from_table(Limits, {**table, **given})
    except InputError as error:
        raise error if path is None else InputError(f"{path}, or a flag beside it: {error}") from None
    if path is not None and in_file == Limits():
        raise InputError(f"{path} has no limit; give some, in a table [diff] or at its top: {', '.join(NAMES)}.")
    return limits


def findings(diff: "Diff", limits: Limits) -> list[Finding]:
    """Whether each limit is kept; without a limit nothing is said.

    A limit that is kept by fewer texts than it is about is unknown, unless max_uncompared lets so many be left out.
    """
    found, every = [], diff.texts + diff.left_out
    flips, texts, correlation = diff.flips, diff.compared_predictions, diff.correlation
    rate = len(flips) / texts if texts else math.nan
    said = f"{len(flips)} of {texts} texts ({100 * rate:.3g} %)" if texts else "no prediction can be compared"
    listed = [flip.line for flip in flips]
    for name, value in (("max_flips", len(flips) if texts else math.nan), ("max_flip_rate", rate)):
        if (limit := getattr(limits, name)) is not None:
            found.append(of_the_rest(at_most(name, value, limit, said, listed), every - texts, every, limits))
    count, median = correlation.median.n, correlation.median.mean
    low = correlation.quantiles.get("5 %", math.nan)
    lowest = [text.line for text in diff.lowest]
    for name, value, said in (
        ("min_median_rank_correlation", median, f"median {median:.3f} of {count} texts"),
        ("min_low_rank_correlation", low, f"95 % of {count} texts have {low:.3f} or more"),
    ):
        if (limit := getattr(limits, name)) is not None:
            one = at_least(name, value, limit, said if count else NO_CORRELATION, lowest)
            found.append(of_the_rest(one, every - correlation.short - count, every, limits))
    if limits.max_uncompared is not None:
        reasons = [f"{count} {reason}" for reason, count in diff.uncompared.items() if count]
        if diff.left_out:
            reasons.append(f"{diff.left_out} that neither side could explain")
        count = sum(diff.uncompared.values()) + diff.left_out
        said = f"{count} of {every} texts ({100 * count / every:.3g} %)"
        found.append(at_most("max_uncompared", count / every, limits.max_uncompared, said, reasons))
    if limits.same_labels:
        answer = UNKNOWN if diff.labels is None else HOLDS if not diff.labels.lines else BROKEN
        said = "; ".join(diff.labels.lines or ["they are the same"]) if diff.labels else "the results do not list them"
        found.append(Finding("same_labels", answer, said))
    return [always(one) if one.answer == HOLDS and is_always(limits, one.name) else one for one in found]


def of_the_rest(one: Finding, missing: int, every: int, limits: Limits) -> Finding:
    """A finding on some texts as one on all; that they keep to a limit says nothing of those that are `missing`."""
    if not missing:
        return one
    said = f"{one.said}; of {every} texts, {missing} left out"
    allowed = limits.max_uncompared is not None and missing / every <= limits.max_uncompared
    if one.answer != HOLDS or allowed:
        return one._replace(said=said)
    return one._replace(answer=UNKNOWN, said=f"{said}; say by max_uncompared how many may be")


def is_always(limits: Limits, name: str) -> bool:
    """Whether nothing breaks the limit of that name."""
    return name in ALWAYS and getattr(limits, name) == ALWAYS[name]


def always(one: Finding) -> Finding:
    """A finding that says so of a limit which nothing breaks."""
    return one._replace(said=f"{one.said}, which nothing breaks")
