"""Curves: units leave a text, or come into it, in the order of their scores -> areas under what the target does.

Measurements (asking.py) of one text with the scores of one method. Sizes are numbers of units; ties between scores
are broken by `draws`. U units, K parts, C classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autorel_jax.faithfulness.asking import Measurement

STEPS = np.arange(11) / 10  # of a curve, shares of the units
BINS = np.array([0.01, 0.05, 0.1, 0.2, 0.5])  # ERASER's
TENTHS = STEPS[1:]
MOST_DELETED = 10  # words
SLACK = 1e-9  # of a product that should be a whole number


class Scored(NamedTuple):
    """The scores of a text's units, and what breaks ties."""

    scores: np.ndarray  # [U]
    draws: np.ndarray  # [U] random numbers
    right: bool | None = None  # whether the classifier is right on the whole text; None: not known
    bounds: tuple[float, float] | None = None  # the least and the greatest AOPC of any order
    marks: np.ndarray | None = None  # [U] whether people marked a unit; NaN: nobody was asked
    share: float = 0.0  # of the units that people marked, the mean over all texts


def order(text: Scored) -> np.ndarray:
    """The units, the highest score first [U]."""
    return np.lexsort((text.draws, -text.scores))


def order_by_size(text: Scored) -> np.ndarray:
    """The units, the smallest |score| first [U]."""
    return np.lexsort((text.draws, np.abs(text.scores)))


def without_first(units: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The parts that lack the first so many of the units, which are in some order: [U], sizes [K] -> [K, U]."""
    rank = np.empty(len(units), np.int64)
    rank[units] = np.arange(len(units))
    return rank >= np.asarray(sizes)[:, None]


def rounded(shares: np.ndarray, units: int) -> np.ndarray:
    """Shares of the units as whole numbers, the nearest."""
    return np.rint(shares * units).astype(np.int64)


def at_least(shares: np.ndarray, units: int) -> np.ndarray:
    """Shares of the units as whole numbers, rounded up: the smallest share is one unit."""
    return np.ceil(shares * units - SLACK).astype(np.int64)


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Under a curve of straight lines."""
    return float(np.trapezoid(y, x))


def curves(text: Scored) -> Measurement:
    """Both orders in eleven steps: the target's probability while the most, and while the least, relevant units leave.

    The abscissa is the share of units that has really left. Read backwards, the second curve is that of units that
    come into an empty text, the most relevant first: its area is AUAC.
    """
    units = order(text)
    sizes = rounded(STEPS, len(units))
    on = np.concatenate([without_first(units, sizes), without_first(units[::-1], sizes)])
    most, least = np.split((yield on).probability, 2)
    x = sizes / len(units)
    morf, lerf = area(x, most), area(x, least)
    return {
        "morf": morf,
        "auac": lerf,
        "between": lerf - morf,
        "curve_morf": most.tolist(),
        "curve_lerf": least.tolist(),
    }


def au_mse(text: Scored) -> Measurement:
    """The mean squared change of the logits, while units leave by their size, the smallest first: its area."""
    units = order_by_size(text)
    sizes = rounded(STEPS, len(units))
    logits = (yield without_first(units, sizes)).logits
    error = ((logits - logits[0]) ** 2).mean(axis=1)
    return {"au_mse": area(sizes / len(units), error), "curve_au_mse": error.tolist()}


def eraser(text: Scored) -> Measurement:
    """What the target loses without the highest scores, and with them alone; the mean over ERASER's bins, and tenths.

    A bin is at least one unit.
    """
    units = order(text)
    sizes = np.concatenate([[0], at_least(BINS, len(units)), at_least(TENTHS, len(units))])
    without = without_first(units, sizes)
    alone = ~without[1:]
    values = yield np.concatenate([without, alone])
    found = {}
    for suffix, of in (("", values.probability), ("_logit", values.logit)):
        lost = of[0] - of[1:]
        for name, part in zip(("comprehensiveness", "sufficiency"), np.split(lost, 2), strict=True):
            found[name + suffix] = float(part[: len(BINS)].mean())
            found[f"{name}_tenths{suffix}"] = float(part[len(BINS) :].mean())
    return found


def word_deletion(text: Scored) -> Measurement:
    """Whether a text on which the classifier is right stays so without the 1, …, 10 highest scores.

    Nothing for other texts, nor where the classifier that is asked (a masked model) decides otherwise from the start.
    A text of fewer words stays empty from there on.
    """
    if not text.right:
        return {}
    units = order(text)
    sizes = np.minimum(np.arange(MOST_DELETED + 1), len(units))
    at_first, *hits = (yield without_first(units, sizes)).hit
    if not at_first:
        return {}
    right = np.array(hits, float)
    return {"accuracy": float(right.mean()), "curve_accuracy": right.tolist()}
