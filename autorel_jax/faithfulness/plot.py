"""Plot: the record of an Evaluation -> a picture of its curves, with matplotlib. Used by results.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.files import disk_faults, new_file

AXES = {  # curve -> its axes
    "morf": ("share of words taken away, the most relevant first", "probability of the target"),
    "lerf": ("share of words taken away, the least relevant first", "probability of the target"),
    "au_mse": ("share of words taken away, the smallest score first", "mean squared change of the logits"),
    "accuracy": ("words deleted, the most relevant first", "accuracy"),
}
DRAWN = ("curves", "au_mse", "word_deletion")  # the protocols that have curves
COUNTED = ("accuracy",)  # along the number of words, from 1
INCHES = (5.0, 3.6)  # of one picture
OPACITY = 0.08  # of an interval
MOST_BANDS = 14  # methods whose intervals can still be told apart
LISTED = 15  # names that fit beside one


def plot(record: Mapping[str, Any], path: Path) -> None:
    """Writes a picture with a panel for each curve and perturbation; its format is that of the suffix.

    Raises:
      InputError: matplotlib is missing, there are no curves, or the file cannot be written.
    """
    suffix, Figure = check_picture(path)
    kinds = [kind for kind in AXES if any(curve["curve"] == kind for curve in record["curves"])]
    if not kinds:
        check_drawn(record["protocols"])
        raise InputError("There are no curves to plot: no text was measured by the protocols that have some.")
    perturbations = [
        name for name in record["perturbations"] if name in {one["perturbation"] for one in record["curves"]}
    ]
    size = INCHES[0] * len(kinds), INCHES[1] * len(perturbations)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(perturbations), len(kinds), squeeze=False)
    for row, perturbation in zip(panels, perturbations, strict=True):
        for axes, kind in zip(row, kinds, strict=True):
            draw(axes, record, kind, perturbation)
    handles, names = panels[0][0].get_legend_handles_labels()
    columns = -(-len(names) // (LISTED * len(perturbations)))
    figure.legend(handles, names, loc="outside right upper", frameon=False, ncols=columns)
    with new_file(path) as draft, disk_faults(path):
        figure.savefig(draft, format=suffix, dpi=150)


def check_picture(path: Path) -> tuple[str, Any]:
    """The format of a picture by its suffix, and matplotlib's Figure; an InputError where it cannot be drawn."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("Plots need matplotlib: pip install 'autorel-jax[plot]'.") from None
    suffix, known = path.suffix.lower().removeprefix("."), Figure().canvas.get_supported_filetypes()
    if suffix not in known:
        accepted = ", ".join(f".{name}" for name in sorted(known))
        raise InputError(f"{path}: cannot draw that kind of picture; accepted: {accepted}.")
    return suffix, Figure


def check_drawn(protocols: Collection[str]) -> None:
    """Raises InputError where none of the protocols has curves."""
    if not set(DRAWN) & set(protocols):
        raise InputError(f"There are no curves to plot; of the protocols {', '.join(DRAWN)} have some.")


def draw(axes: Any, record: Mapping[str, Any], kind: str, perturbation: str) -> None:
    """One panel."""
    for number, method in enumerate(record["methods"]):
        for curve in record["curves"]:
            if (curve["curve"], curve["perturbation"], curve["method"]) == (kind, perturbation, method):
                y = curve["mean"]
                x = range(1, len(y) + 1) if kind in COUNTED else [place / (len(y) - 1) for place in range(len(y))]
                color = f"C{number % 10}"
                axes.plot(x, y, label=method, color=color, linestyle=("-", "--", ":")[number // 10 % 3])
                if curve["low"][0] is not None and len(record["methods"]) <= MOST_BANDS:  # a single text has none
                    axes.fill_between(x, curve["low"], curve["high"], color=color, alpha=OPACITY, linewidth=0)
    axes.set_title(f"{perturbation}", fontsize=10)
    axes.set_xlabel(AXES[kind][0].replace("words", f"{record['units']}s"), fontsize=8)
    axes.set_ylabel(AXES[kind][1], fontsize=8)
