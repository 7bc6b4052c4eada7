"""Diff limits: what may change between two sides -> findings about what did. Used by diff.py and cli/diff.py."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.auditing.diff_changes import NEW_ALONE, OLD_ALONE
from autorel_jax.auditing.verdict import BROKEN, HOLDS, UNKNOWN, Finding, at_least, at_most
from autorel_jax.errors import InputError
from autorel_jax.files import read_toml
from autorel_jax.options import check_options, from_table, option

if TYPE_CHECKING:
    from autorel_jax.auditing.diff import Diff

ALWAYS = {"max_flip_rate": 1, "min_median_rank_correlation": -1, "min_low_rank_correlation": -1}  # nothing breaks these
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


def read_limits(path: Path | None, given: Mapping[str, Any]) -> Limits:
    """The limits of a TOML file, in its table [diff] or at its top; those `given` by name win.

    Raises:
      InputError: it cannot be read, or names an unknown limit or a value that is none.
    """
    table: Mapping[str, Any] = {}
    if path is not None:
        table = read_toml(path, "give a TOML file of limits")
        table = table["diff"] if isinstance(table.get("diff"), dict) and len(table) == 1 else table
    try:
        return from_table(Limits, {**table, **given})
    except InputError as error:
        raise error if path is None else InputError(f"{path}, or a flag beside it: {error}") from None


def findings(diff: "Diff", limits: Limits) -> list[Finding]:
    """Whether each limit is kept; without a limit nothing is said."""
    found = []
    flips, texts, correlation = diff.flips, diff.compared_predictions, diff.correlation
    rate = len(flips) / texts if texts else math.nan
    said = f"{len(flips)} of {texts} texts ({100 * rate:.3g} %)" if texts else "no prediction can be compared"
    listed = [flip.line for flip in flips]
    if limits.max_flips is not None:
        found.append(at_most("max_flips", len(flips) if texts else math.nan, limits.max_flips, said, listed))
    if limits.max_flip_rate is not None:
        found.append(at_most("max_flip_rate", rate, limits.max_flip_rate, said, listed))
    count = correlation.median.n
    said = f"median {correlation.median.mean:.3f} of {count} texts" if count else NO_CORRELATION
    lowest = [text.line for text in diff.lowest]
    if limits.min_median_rank_correlation is not None:
        found.append(
            at_least(
                "min_median_rank_correlation",
                correlation.median.mean,
                limits.min_median_rank_correlation,
                said,
                lowest,
            )
        )
    if limits.min_low_rank_correlation is not None:
        low = correlation.quantiles.get("5 %", math.nan)
        said = f"95 % of {count} texts have {low:.3f} or more" if count else NO_CORRELATION
        found.append(at_least("min_low_rank_correlation", low, limits.min_low_rank_correlation, said, lowest))
    if limits.max_uncompared is not None:
        reasons = [f"{count} {reason}" for reason, count in diff.uncompared.items() if count]
        if diff.left_out:
            reasons.append(f"{diff.left_out} that neither side could explain")
        count, all_texts = sum(diff.uncompared.values()) + diff.left_out, diff.texts + diff.left_out
        said = f"{count} of {all_texts} texts ({100 * count / all_texts:.3g} %)"
        found.append(at_most("max_uncompared", count / all_texts, limits.max_uncompared, said, reasons))
    alone = diff.uncompared[OLD_ALONE] + diff.uncompared[NEW_ALONE]
    if found and alone and limits.max_uncompared is None:
        said = f"{alone} of {diff.texts} texts are on one side alone; say by max_uncompared how many may be"
        found.append(Finding("max_uncompared", UNKNOWN, said))
    if limits.same_labels:
        answer = UNKNOWN if diff.labels is None else HOLDS if not diff.labels.lines else BROKEN
        said = "; ".join(diff.labels.lines or ["they are the same"]) if diff.labels else "the results do not list them"
        found.append(Finding("same_labels", answer, said))
    return [always(one) if getattr(limits, one.name) == ALWAYS.get(one.name) else one for one in found]


def always(one: Finding) -> Finding:
    """A finding that says so of a limit which nothing breaks."""
    return one._replace(said=f"{one.said}, which nothing breaks")
