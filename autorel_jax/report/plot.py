"""Plot: Explanations -> matplotlib's axes: bars of words, heat maps of read-outs.

Used by results.py. Colours are those of colour.py; numbers and bars' directions say the sign too. L layers, T tokens,
H heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.errors import InputError, check_count
from autorel_jax.evaluation.strongest import WordTable, record_of, sample, tables
from autorel_jax.report import colour, view
from autorel_jax.report.exchange import library

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autorel_jax.report.explanation import Explanation

WORDS = "words"
LABELS = 80  # along an axis; of more every second or third is written
CUT = 24  # characters of a word
PANELS = 4  # targets
CELL, BAR = 0.28, 0.3  # inches


def plot(explanations: Sequence[Explanation], kind: str, top: int, level: str, ax: Axes | None) -> Axes | np.ndarray:
    """Draws what `Results.plot` says, and returns the axes."""
    if kind not in (WORDS, *HEAT_MAPS):
        raise InputError(f"Unknown kind {kind!r}; accepted: {', '.join((WORDS, *HEAT_MAPS))}.")
    check_count("top", top)
    view.check_level(level)
    if not explanations:
        raise InputError("There are no explanations to plot.")
    if len(explanations) == 1:
        (one,) = explanations
        return bars_of_text(one, top, level, ax) if kind == WORDS else HEAT_MAPS[kind](one, readout(one, kind), ax)
    if kind != WORDS:
        raise InputError(f"kind={kind!r} is of one explanation; plot one of the {len(explanations)}, such as [0].")
    if level != view.WORD:
        raise InputError(f"level={level!r} is of one explanation; over several texts there are bars of words.")
    return bars_of_texts(explanations, top, ax)


def bars_of_text(explanation: Explanation, top: int, level: str, ax: Axes | None) -> Axes:
    """The strongest words, those for the target above those against it."""
    units = view.units(explanation, level)
    number = view.number_format(units)
    shown = [unit for side in view.strongest(units, top) for unit in side]
    shown.sort(key=lambda unit: -unit.score)
    ax = ax or figure(6.0, 1.2 + BAR * max(len(shown), 1))
    scores = [float(unit.score) for unit in shown]
    container = ax.barh(range(len(shown)), scores, color=[side(score) for score in scores])
    ax.bar_label(container, [number(unit.score) for unit in shown], padding=3, fontsize="small")
    words_down(ax, [unit.text for unit in shown])
    label, value = view.decision(explanation)
    plain_text(ax.set_title, f"{label} {value}")
    plain_text(ax.set_xlabel, f"relevance for {view.visible(explanation.target)}")
    return ax


def bars_of_texts(explanations: Sequence[Explanation], top: int, ax: Axes | None) -> Axes | np.ndarray:
    """For each target and method the mean share of the words that are surest to speak for or against it."""
    found = list(tables(sample(map(record_of, explanations), None)))
    if len(found) > PANELS or (ax is not None and len(found) > 1):
        raise InputError(
            f"There are {len(found)} pictures, one for each target and method, and room for "
            f"{1 if ax is not None else PANELS}: plot those of one, "
            "Explanations(one for one in explanations if one.target == ...)."
        )
    if ax is not None:
        return bars_of_table(found[0], top, ax)
    axes = figure(6.0 * len(found), 1.4 + BAR * top, len(found))
    for table, each in zip(found, np.atleast_1d(axes), strict=True):
        bars_of_table(table, top, each)
    return axes


def bars_of_table(table: WordTable, top: int, ax: Axes) -> Axes:
    """The words of one target and method."""
    order = surest(table, top)
    mean, half = table.summary.mean[order], np.nan_to_num(table.summary.half[order])
    ax.barh(range(len(order)), mean, xerr=half, color=[side(score) for score in mean], ecolor="0.5")
    words_down(ax, [table.names[place] for place in order])
    head = f"{view.visible(table.method)}, {view.visible(table.target)}"
    plain_text(ax.set_title, f"{head}: {table.results} text{'s' * (table.results != 1)}")
    plain_text(ax.set_xlabel, f"mean share of Σ|relevance| for {view.visible(table.target)}, interval of 95 %")
    return ax


def surest(table: WordTable, top: int) -> np.ndarray:
    """The words whose interval is farthest from 0, at most `top`, by their mean from the highest.

    Of many texts, a word of few is left out.
    """
    mean, half = table.summary.mean, np.nan_to_num(table.summary.half)
    far = np.where(table.summary.texts >= table.least, np.nan_to_num(np.abs(mean) - half, nan=-np.inf), -np.inf)
    order = np.argsort(-far, kind="stable")[:top]
    order = order[np.isfinite(far[order]) & (mean[order] != 0)]
    return order[np.argsort(-mean[order], kind="stable")]


def layers(explanation: Explanation, values: np.ndarray, ax: Axes | None) -> Axes:
    """The residual stream after the embeddings and each layer [L + 1, T]."""
    return by_token(explanation, values, ["embeddings", *numbers(len(values) - 1)], ax)


def attention(explanation: Explanation, values: np.ndarray, ax: Axes | None) -> Axes:
    """The residual stream after each attention sub-block [L, T]."""
    return by_token(explanation, values, numbers(len(values)), ax)


def heads(explanation: Explanation, values: np.ndarray, ax: Axes | None) -> Axes:
    """The contexts of all heads [L, H, T], summed over tokens."""
    ax = heat_map(explanation, values.sum(axis=-1), numbers(len(values)), numbers(values.shape[1]), ax)
    ax.set_xlabel("head")
    return ax


HEAT_MAPS: dict[str, Callable[..., Axes]] = {"layers": layers, "attention": attention, "heads": heads}


def readout(explanation: Explanation, name: str) -> np.ndarray:
    """A read-out; InputError where it is not there."""
    if name not in explanation.readouts:
        raise InputError(f"kind={name!r} needs a read-out: explain with readouts=({name!r},).")
    return explanation.readouts[name]


def by_token(explanation: Explanation, values: np.ndarray, names: list[str], ax: Axes | None) -> Axes:
    """A heat map over tokens, whose names stand upright.

    Colours are to the scale of all layers but the last: most models read [CLS] alone after it, which has all.
    """
    ax = heat_map(explanation, values, names, explanation.tokens, ax, values[:-1] if len(values) > 1 else values)
    ax.tick_params(axis="x", rotation=90)
    return ax


def heat_map(
    explanation: Explanation,
    values: np.ndarray,
    down: Sequence[str],
    across: Sequence[str],
    ax: Axes | None,
    scaled: np.ndarray | None = None,
) -> Axes:
    """A matrix in the colours of the two signs, white where it is 0, with a scale, which `scaled` decides if given."""
    rows, columns = values.shape
    ax = ax or figure(3.0 + CELL * min(columns, LABELS), 1.8 + CELL * min(rows, LABELS))
    bound = largest(values if scaled is None else scaled) or largest(values) or 1.0
    image = ax.imshow(values, colour_map(), vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
    scale = ax.figure.colorbar(image, ax=ax, extend="both" if largest(values) > bound else "neither")
    plain_text(scale.set_label, f"relevance for {view.visible(explanation.target)}")
    for set_ticks, names in ((ax.set_xticks, across), (ax.set_yticks, down)):
        step = math.ceil(len(names) / LABELS)
        set_ticks(range(0, len(names), step), [short(name) for name in names[::step]], parse_math=False)
    ax.set_ylabel("layer")
    return ax


def largest(values: np.ndarray) -> float:
    """The largest |value| that is finite; 0 without any."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def numbers(count: int) -> list[str]:
    """1 to `count`, as text."""
    return [str(number) for number in range(1, count + 1)]


def words_down(ax: Axes, words: Sequence[str]) -> None:
    """Names the bars, the first one at the top, and draws the line of 0."""
    ax.set_yticks(range(len(words)), [short(word) for word in words], parse_math=False)
    ax.invert_yaxis()
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.margins(x=0.15)


def short(word: str) -> str:
    """A word as it is written on an axis."""
    shown = view.visible(word)
    return shown if len(shown) <= CUT else f"{shown[:CUT]}…"


def plain_text(write: Callable[..., Any], text: str) -> None:
    """Writes text on a plot as it is: matplotlib would read what is between two $ as mathematics."""
    write(text, parse_math=False)


def side(score: float) -> tuple[float, ...]:
    """The colour of a bar."""
    return tuple(part / 255 for part in (colour.FOR if score > 0 else colour.AGAINST))


def colour_map() -> Any:
    """From against, through white, to for."""
    return library("matplotlib.colors").LinearSegmentedColormap.from_list("relevance", [side(-1), (1, 1, 1), side(1)])


def figure(width: float, height: float, panels: int = 1) -> Any:
    """The axes of a new figure, an array of them where there are several."""
    _, axes = library("matplotlib.pyplot").subplots(ncols=panels, figsize=(width, height), layout="constrained")
    return axes
