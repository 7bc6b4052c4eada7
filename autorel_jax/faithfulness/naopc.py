"""NAOPC: the AOPC of an order of units, between those of the worst and the best order of the same text.

    AOPC = mean over k = 1, …, U of (p(text) - p(text without the first k units))
    NAOPC = (AOPC - least) / (greatest - least)

p is the target's probability. The two bounds are exact for few units, else found by beam searches from both ends, so
that an order may lie beyond them. Source: Edin et al. 2024 (arXiv 2408.08137), who search from the whole text
alone. Measurements (asking.py). U units.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from autorel_jax.faithfulness.asking import Measurement, Values
from autorel_jax.faithfulness.curves import Scored, order, without_first
from autorel_jax.faithfulness.ranks import every_part

EXACT = 10  # units, up to which all parts are computed
BEAM = 5  # orders that are kept beyond, from either end
MOST_UNITS = 25  # of a text
ROUNDING = 1e-6  # between bounds, within which nothing but rounding is measured


def naopc(text: Scored) -> Measurement:
    """Both orders, normalised; nothing for texts without bounds, or whose bounds are hardly apart."""
    if text.bounds is None or not text.bounds[1] - text.bounds[0] > ROUNDING:
        return {}
    units = order(text)
    sizes = np.arange(len(units) + 1)
    values = yield np.concatenate([without_first(units, sizes), without_first(units[::-1], sizes)])
    least, greatest = text.bounds
    most_first, least_first = ((aopc(part) - least) / (greatest - least) for part in np.split(values.probability, 2))
    return {"naopc_comprehensiveness": most_first, "naopc_sufficiency": least_first}


def aopc(probabilities: np.ndarray) -> float:
    """From those of the text without its first 0, …, U units [U + 1]."""
    return float((probabilities[0] - probabilities[1:]).mean())


def bounds(units: int, exact: int = EXACT) -> Measurement:
    """The least and the greatest AOPC of any order of so many units, as "least" and "greatest"; for two units or more.

    For up to `exact` units all parts are computed.
    AOPC is p(text) minus a mean along the order, so that the greatest AOPC has the least mean.
    """
    if units <= exact:
        values = (yield every_part(units)).probability
        whole, sums = float(values[-1]), (lightest(values, units), -lightest(-values, units))
    else:
        whole, sums = yield from beam(units)
    greatest, least = (whole - total / units for total in sums)
    return {"least": least, "greatest": greatest}


def lightest(values: np.ndarray, units: int) -> float:
    """The least sum of values [2 ** U] along any way from the whole text to none of it, the whole left out.

    The best way to a part comes from the best of those that have one unit more.
    """
    on, bits = every_part(units), 1 << np.arange(units)
    total = values.copy()
    total[-1] = 0
    sizes = on.sum(axis=1)
    for size in range(units - 1, -1, -1):
        here = np.flatnonzero(sizes == size)
        total[here] += np.where(on[here], np.inf, total[here[:, None] | bits]).min(axis=1)
    return float(total[0])


class Ways(NamedTuple):
    """The ways from one end, the whole text or none of it, that a beam search keeps."""

    grows: bool  # whether they begin with none of the text, to which units come
    sign: int  # 1: of the least sums; -1: of the greatest
    kept: dict[bytes, tuple[float, np.ndarray]]  # the last part of each, with the sum of the values along the way


def beam(units: int) -> Generator[np.ndarray, Values, tuple[float, tuple[float, float]]]:
    """The probability of the whole text, and the least and the greatest sum that beam searches find from both ends.

    Where any of a few units is enough for the target, removing one changes nothing, so the search from the whole text
    drops the order that removes them first.
    """
    ends = np.repeat([[True], [False]], units, axis=1)
    whole, empty = (yield ends).probability.tolist()
    begun = zip((False, True), (whole, empty), ends, strict=True)
    ways = [Ways(grows, sign, {end.tobytes(): (value, end)}) for grows, value, end in begun for sign in (1, -1)]
    for _ in range(units):
        longer = [extended(one) for one in ways]
        parts = {key: part for found in longer for key, (_, part) in found.items()}
        values = dict(zip(parts, (yield np.array(list(parts.values()))).probability.tolist(), strict=True))
        for number, (one, found) in enumerate(zip(ways, longer, strict=True)):
            summed = sorted(((total + values[key]) * one.sign, key) for key, (total, _) in found.items())
            ways[number] = one._replace(kept={key: (total * one.sign, parts[key]) for total, key in summed[:BEAM]})
    sums = {sign: [next(iter(one.kept.values()))[0] for one in ways if one.sign == sign] for sign in (1, -1)}
    return whole, (min(sums[1]) - whole, max(sums[-1]) - whole)


def extended(ways: Ways) -> dict[bytes, tuple[float, np.ndarray]]:
    """Every part with one unit less, or more, with the best sum of the ways that lead to it."""
    found: dict[bytes, tuple[float, np.ndarray]] = {}
    for total, part in ways.kept.values():
        for unit in np.flatnonzero(part != ways.grows):
            other = part.copy()
            other[unit] = ways.grows
            key = other.tobytes()
            if key not in found or total * ways.sign < found[key][0] * ways.sign:
                found[key] = total, other
    return found
